"""Sessions with a PostgreSQL server: how they are set up, pooled, and how their errors become ``StoreError``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import (
    OUT_OF_MEMORY,
    QUERY_FAILED,
    QUERY_NOT_ALLOWED,
    STORE_UNREACHABLE,
    TABLE_BUSY,
)
from feature_platform.stores.protocols import SessionSetup

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

APPLICATION_NAME: Final = "feature_platform"
_CONNECT_SECONDS: Final = 10
_MAXIMUM_SESSIONS: Final = 16
_IDLE_SECONDS: Final = 60.0
_MAY_HOLD_NO_VALUES: Final = ("42", "0A", "3F")
"""SQLSTATE classes whose messages name objects and syntax, never rows: access and syntax, unsupported, schemas."""


def open_pool(url: str, *, statement_timeout_seconds: int, setups: Sequence[SessionSetup]) -> ConnectionPool[Any]:
    """Sessions on demand, in autocommit, UTC, ISO dates; idle ones are closed after a minute."""
    from psycopg_pool import ConnectionPool

    def configure(connection: psycopg.Connection[Any]) -> None:
        prepare_session(connection, statement_timeout_seconds)
        for setup in setups:
            setup.postgres(connection)

    return ConnectionPool(
        url,
        min_size=0,
        max_size=_MAXIMUM_SESSIONS,
        max_idle=_IDLE_SECONDS,
        timeout=_CONNECT_SECONDS,
        reconnect_timeout=_CONNECT_SECONDS,
        kwargs={"autocommit": True, "application_name": APPLICATION_NAME, "connect_timeout": _CONNECT_SECONDS},
        configure=configure,
        check=ConnectionPool.check_connection,
        name="feature_platform",
        open=False,
    )


def connect(url: str) -> psycopg.Connection[Any]:
    """One session outside of the pool, in autocommit.

    Raises:
        StoreError: the server can't be reached.
    """
    with reported():
        connection = psycopg.connect(
            url, autocommit=True, application_name=APPLICATION_NAME, connect_timeout=_CONNECT_SECONDS
        )
        prepare_session(connection, 0)
        return connection


def prepare_session(connection: psycopg.Connection[Any], statement_timeout_seconds: int) -> None:
    """What every value's way depends on, whatever the server's or the user's defaults are."""
    for name, value in (
        ("timezone", "UTC"),
        ("datestyle", "ISO, YMD"),
        ("intervalstyle", "iso_8601"),
        ("extra_float_digits", "1"),  # the shortest text that reads back as the same double
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("search_path", "public"),
        ("statement_timeout", f"{statement_timeout_seconds}s"),
        ("idle_in_transaction_session_timeout", "0"),
    ):
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))


@contextmanager
def reported() -> Iterator[None]:
    """Turns psycopg's errors into ``StoreError``. Messages are passed on only where they cannot hold values of rows."""
    from psycopg_pool import PoolTimeout

    try:
        yield
    except PoolTimeout:
        raise StoreError(_unreachable()) from None
    except psycopg.Error as error:
        raise StoreError(_problem(error)) from None


def _problem(error: psycopg.Error) -> Problem:
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return TABLE_BUSY.problem(
            "another session holds the table's lock", mend="wait for the other run, or end it if it hangs"
        )
    if isinstance(error, psycopg.errors.QueryCanceled):
        return QUERY_FAILED.problem("the statement took longer than it may", mend="read less, or raise the timeout")
    if isinstance(error, (psycopg.errors.OutOfMemory, psycopg.errors.DiskFull)):
        return OUT_OF_MEMORY.problem(
            "the server ran out of memory or disk", mend="free disk space, or read less at once"
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return QUERY_NOT_ALLOWED.problem("the query would change something", mend="write a SELECT without side effects")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return QUERY_NOT_ALLOWED.problem(
            "the server's user may not do that", mend="grant it CREATE on the database and SELECT on the sources"
        )
    if error.sqlstate is None or error.sqlstate.startswith(("08", "57P", "28", "53")):
        return _unreachable()
    if error.sqlstate.startswith(_MAY_HOLD_NO_VALUES):
        return QUERY_FAILED.problem(error.diag.message_primary or type(error).__name__, mend="correct the query")
    if error.sqlstate.startswith("22"):
        return QUERY_FAILED.problem(
            f"a value does not fit its type ({type(error).__name__})",
            mend="use a wider type, or mend the source's rows",
        )
    return QUERY_FAILED.problem(
        f"the server gave up: {type(error).__name__} ({error.sqlstate})", mend="see the server's log"
    )


def _unreachable() -> Problem:
    return STORE_UNREACHABLE.problem(
        "the PostgreSQL server does not answer, or refuses the login",
        mend="check the server, and the URL in the environment variable that the profile names",
    )

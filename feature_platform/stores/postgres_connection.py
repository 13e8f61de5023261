"""Sessions with a PostgreSQL server: how they are set up and kept, and how their errors become ``StoreError``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

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

APPLICATION_NAME: Final = "feature_platform"
_CONNECT_SECONDS: Final = 10
_KEPT_SESSIONS: Final = 4
_MAY_HOLD_NO_VALUES: Final = ("42", "0A", "3F")
"""SQLSTATE classes whose messages name objects and syntax, never rows: access and syntax, unsupported, schemas."""


class Sessions:
    """Sessions on demand, set up alike, in autocommit. Those given back are used again; a few are kept."""

    def __init__(self, url: str, *, statement_timeout_seconds: int, setups: Sequence[SessionSetup]) -> None:
        self._url = url
        self._statement_timeout_seconds = statement_timeout_seconds
        self._setups = tuple(setups)
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """A session of one's own until the end of the block.

        Raises:
            StoreError: the server can't be reached, or refuses something in the block.
        """
        with reported():
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)

    def prepare_transaction(self, connection: psycopg.Connection[Any], key_versions: Mapping[str, int]) -> None:
        """Makes the transaction that a session is in ready for a query with these ``Query.key_versions``."""
        for setup in self._setups:
            if key_versions:
                setup.postgres_transaction(connection, key_versions)

    def close(self) -> None:
        """Ends the sessions; those in use end when they are given back."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    def _take(self) -> psycopg.Connection[Any]:
        while (connection := self._pop_idle()) is not None:
            try:
                connection.execute("SELECT 1")
            except psycopg.OperationalError:  # the server was restarted meanwhile
                connection.close()
            else:
                return connection
        return self._open()

    def _open(self) -> psycopg.Connection[Any]:
        connection = connect(self._url)
        try:
            connection.execute(
                "SELECT set_config('statement_timeout', %s, false)", (f"{self._statement_timeout_seconds}s",)
            )
            for setup in self._setups:
                setup.postgres(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _pop_idle(self) -> psycopg.Connection[Any] | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        usable = not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if usable and not self._closed and len(self._idle) < _KEPT_SESSIONS:
                self._idle.append(connection)
                return
        connection.close()


def connect(url: str) -> psycopg.Connection[Any]:
    """A session in autocommit, prepared so that values keep their exact texts.

    Raises:
        StoreError: the server can't be reached.
    """
    with reported():
        connection = psycopg.connect(
            url, autocommit=True, application_name=APPLICATION_NAME, connect_timeout=_CONNECT_SECONDS
        )
        _prepare(connection)
        return connection


def _prepare(connection: psycopg.Connection[Any]) -> None:
    """What every value's way depends on, whatever the server's or the user's defaults are."""
    for name, value in (
        ("timezone", "UTC"),
        ("datestyle", "ISO, YMD"),
        ("intervalstyle", "iso_8601"),
        ("extra_float_digits", "1"),  # the shortest text that reads back as the same double
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("search_path", "public"),
        ("idle_in_transaction_session_timeout", "0"),
    ):
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))


@contextmanager
def reported() -> Iterator[None]:
    """Turns psycopg's errors into ``StoreError``. Messages are passed on only where they cannot hold values of rows."""
    try:
        yield
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

"""Sessions with a PostgreSQL server: how they are set up and kept, and how their errors become ``StoreError``.

Everything happens in transactions that bring their settings along, so nothing depends on which of the server's
processes runs the next one: a pooler may stand between that lends its connections by the transaction (ADR 0032). What
needs a session of its own asks for one, and is refused where a pooler is found.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import (
    BEHIND_POOLER,
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
_SET: Final = "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS given(name, value)"
_VALUES: Final = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",  # the shortest text that reads back as the same double
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "search_path": "public",
}
"""What every value's way depends on, whatever the server's or the user's defaults are."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """After how many seconds the server gives up; 0: never."""

    read_seconds: float = 3_600
    """A statement that reads from the warehouse."""
    online_seconds: float = 10
    """A read of rows online."""
    write_seconds: float = 3_600
    """A statement that stages or publishes."""
    lock_seconds: float = 60
    """Waiting for a lock that another session holds."""
    idle_seconds: float = 600
    """A transaction in which we ask for nothing."""


class Session(psycopg.Connection[tuple[Any, ...]]):
    """A connection in autocommit."""

    is_pooled = False
    """Whether a pooler stands between: the next transaction may meet another process of the server."""


class Sessions:
    """Transactions on demand, set up alike. Sessions are used again; a few are kept.

    Setups run once per session; through a pooler that says little, so what they leave in one is not relied on.
    """

    def __init__(
        self,
        url: str,
        *,
        direct_url: str | None = None,
        bounds: Bounds | None = None,
        setups: Sequence[SessionSetup] = (),
    ) -> None:
        """Connects with the first use. ``direct_url``: of the same database, for what a pooler can't do."""
        self.bounds = bounds or Bounds()
        self.direct_url = direct_url or url
        self._setups = tuple(setups)
        self._reading = _Kept(url, self._setups)
        self._writing = self._reading if self.direct_url == url else _Kept(self.direct_url, self._setups)

    @contextmanager
    def reading(self, seconds: float | None = None) -> Iterator[Session]:
        """A transaction that is undone at its end; ``seconds`` bounds a statement of it.

        Raises:
            StoreError: the server can't be reached, or refuses something in the block.
        """
        with reported(), self._reading.session() as session, session.transaction(force_rollback=True):
            limit = self.bounds.read_seconds if seconds is None else seconds
            set_locally(session, timeouts(limit, self.bounds.lock_seconds, self.bounds.idle_seconds))
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction in a session of the server's own.

        Raises:
            StoreError: FP-STORE-033, a pooler stands between; the server can't be reached, or refuses something in the
                block.
        """
        with reported(), self._writing.session() as session:
            refuse_pooler(session)
            with session.transaction():
                set_locally(
                    session,
                    timeouts(self.bounds.write_seconds, self.bounds.lock_seconds, self.bounds.idle_seconds),
                )
                yield session

    def prepare_query(self, session: Session, key_versions: Mapping[str, int]) -> None:
        """Makes the transaction that a session is in ready for a query with these ``Query.key_versions``."""
        for setup in self._setups:
            setup.postgres_transaction(session, key_versions)

    def close(self) -> None:
        """Ends the sessions; those in use end when they are given back."""
        self._reading.close()
        self._writing.close()


class _Kept:
    """Sessions with one address."""

    def __init__(self, url: str, setups: Sequence[SessionSetup]) -> None:
        self._url = url
        self._setups = setups
        self._idle: list[Session] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def session(self) -> Iterator[Session]:
        session = self._take()
        try:
            yield session
        finally:
            self._give_back(session)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    def _take(self) -> Session:
        while (session := self._pop_idle()) is not None:
            try:
                session.execute("SELECT 1")
            except psycopg.OperationalError:  # the server was restarted meanwhile
                session.close()
            else:
                return session
        return self._open()

    def _open(self) -> Session:
        session = connect(self._url)
        try:
            for setup in self._setups:
                setup.postgres(session, lasting=not session.is_pooled)
        except BaseException:
            session.close()
            raise
        return session

    def _pop_idle(self) -> Session | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, session: Session) -> None:
        usable = not session.closed and session.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if usable and not self._closed and len(self._idle) < _KEPT_SESSIONS:
                self._idle.append(session)
                return
        session.close()


def connect(url: str) -> Session:
    """A session without settings; see :func:`set_locally`.

    Raises:
        StoreError: the server can't be reached.
    """
    with reported():
        session = Session.connect(url, connect_timeout=_CONNECT_SECONDS, **CONNECTION, **network_limits(url))
        notice_pooler(session)
        return session


def network_limits(url: str) -> dict[str, Any]:
    """What ends a connection whose network swallows everything, after a minute; what ``url`` itself says stays.

    The server's bounds can't help there, and the system would wait for two hours. All of it is the client's affair, so
    poolers have nothing to refuse.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        return {}  # whoever connects is told
    return {name: value for name, value in _NETWORK.items() if name not in given}


_NETWORK: Final = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds; of what was sent and is not acknowledged
}
CONNECTION: Final[dict[str, Any]] = {
    "autocommit": True,
    "application_name": APPLICATION_NAME,
    "client_encoding": "UTF8",
}
"""How every connection is opened. Nothing but what poolers pass on: they refuse other settings at this point."""


def notice_pooler(session: Session) -> None:
    """Finds out whether a pooler stands between, and prepares no statements then: the process that knows one by name is
    not there for the next transaction.

    A pooler gives each client a key of its own to cancel with, so the process that the client was told of is not the
    one that answers. It could be one that lends for a whole session; nobody can tell.
    """
    row = session.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    session.is_pooled = row != (session.info.backend_pid,)
    if session.is_pooled:
        session.prepare_threshold = None


def refuse_pooler(session: Session) -> None:
    """
    Raises:
        StoreError: FP-STORE-033, a pooler stands between.
    """
    if session.is_pooled:
        raise StoreError(
            BEHIND_POOLER.problem(
                "the store's address leads to a connection pooler, and this needs a session of the server's own",
                mend="put the server's own address into the variable that the store's `direct_url_env` names",
            )
        )


def set_locally(session: Session, limits: Mapping[str, str]) -> None:
    """Gives the transaction that a session is in all settings that anything depends on, until its end."""
    settings = {**_VALUES, **limits}
    session.execute(_SET, (list(settings), list(settings.values())))


def timeouts(statement: float, lock: float, idle: float) -> dict[str, str]:
    """Settings that bound statements, waits for locks and idle transactions; in seconds, 0 without end."""
    return {
        "statement_timeout": f"{round(statement * 1000)}ms",
        "lock_timeout": f"{round(lock * 1000)}ms",
        "idle_in_transaction_session_timeout": f"{round(idle * 1000)}ms",
    }


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
        return QUERY_FAILED.problem(
            "the statement took longer than it may", mend="read less, or raise the store's timeout"
        )
    if isinstance(error, psycopg.errors.IdleInTransactionSessionTimeout):
        return QUERY_FAILED.problem(
            "the transaction waited longer for us than it may", mend="read on sooner, or raise the store's idle timeout"
        )
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

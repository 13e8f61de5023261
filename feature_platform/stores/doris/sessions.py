"""Sessions with a cluster: several frontends, a few sessions kept, each set up alike.

A session is pinned to UTC, strict inserts, timeouts and the documented SQL mode, whatever an administrator chose as the
default: literals, times and rejected rows must not depend on that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

import pymysql
from pymysql.cursors import SSCursor

from feature_platform.stores.doris.capabilities import Capabilities, capabilities
from feature_platform.stores.doris.problems import DorisError, Kind, problem_of, reported
from feature_platform.stores.doris.settings import Address, DorisSettings

Connection: TypeAlias = "pymysql.Connection[Any]"
Row = tuple[str | None, ...]

_KEPT_SESSIONS: Final = 4
_AVOIDED_SECONDS: Final = 30.0
_IDLE_SECONDS: Final = 60.0
_ROWS_AT_ONCE: Final = 16_384


class Sessions:
    """Sessions on demand. Safe for several threads; every session serves one at a time."""

    def __init__(self, settings: DorisSettings) -> None:
        self._settings = settings
        self._idle: list[tuple[Connection, float]] = []
        self._avoided: dict[Address, float] = {}
        self._first = 0
        self._lock = threading.Lock()
        self._closed = False
        self._capabilities: Capabilities | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Of the frontend that was reached first.

        Raises:
            StoreError: it is older than what is supported, or can't be reached.
        """
        if self._capabilities is None:
            with self.session():
                pass
        assert self._capabilities is not None  # found when a session was opened
        return self._capabilities

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A session of one's own until the end of the block.

        Raises:
            StoreError: no frontend can be reached, or one refuses something in the block.
        """
        connection = self._take()
        usable = False
        try:
            with reported():
                yield connection
            usable = True
        except DorisError as error:
            usable = error.kind is not Kind.UNREACHABLE
            raise
        finally:
            self._give_back(connection, usable=usable)

    def run(self, statement: str) -> int:
        """Runs a statement; gives the number of rows it touched. It is sent once: see :class:`Kind.UNREACHABLE`."""
        with self.session() as connection, connection.cursor() as cursor:
            return int(cursor.execute(statement))

    def rows(self, statement: str) -> list[Row]:
        """All rows of a small result, values as texts. A lost connection is no reason to fail: it is asked again."""
        for attempt in range(len(self._settings.frontends) + 1):
            try:
                with self.session() as connection, connection.cursor() as cursor:
                    cursor.execute(statement)
                    return list(cursor.fetchall())
            except DorisError as error:
                if error.kind is not Kind.UNREACHABLE or attempt == len(self._settings.frontends):
                    raise
        raise AssertionError("a result or an error ends the loop")

    @contextmanager
    def streamed(self, statement: str, timeout_seconds: float | None = None) -> Iterator[Iterator[Sequence[Row]]]:
        """The rows of a result as the server sends them, some thousands at a time, values as texts. Left half read,
        the session ends, and with it the statement."""
        connection = self._take()
        finished = False
        cursor = SSCursor(connection)

        def pieces() -> Iterator[Sequence[Row]]:
            nonlocal finished
            while piece := cursor.fetchmany(_ROWS_AT_ONCE):
                yield piece
            finished = True

        try:
            with reported():
                if timeout_seconds is not None:
                    _set(connection, f"query_timeout = {max(1, round(timeout_seconds))}")
                cursor.execute(statement)
                yield pieces()
        finally:
            if finished and timeout_seconds is not None:
                with suppress(pymysql.Error):
                    _set(connection, f"query_timeout = {self._settings.query_timeout_seconds}")
            if not finished:
                _forget(cursor)
            self._give_back(connection, usable=finished)

    def close(self) -> None:
        """Ends the sessions; those in use end when they are given back."""
        with self._lock:
            self._closed = True
            while self._idle:
                _end(self._idle.pop()[0])

    def _take(self) -> Connection:
        while (kept := self._pop_idle()) is not None:
            connection, since = kept
            if time.monotonic() - since < _IDLE_SECONDS:
                return connection
            try:
                connection.ping(reconnect=False)
            except (pymysql.Error, OSError):  # the frontend was restarted meanwhile
                _end(connection)
            else:
                return connection
        return self._open()

    def _pop_idle(self) -> tuple[Connection, float] | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: Connection, *, usable: bool) -> None:
        with self._lock:
            if usable and connection.open and not self._closed and len(self._idle) < _KEPT_SESSIONS:
                self._idle.append((connection, time.monotonic()))
                return
        _end(connection)

    def _open(self) -> Connection:
        """A session with the first frontend that answers, beginning with the last that did."""
        refused: DorisError | None = None
        for number in self._order():
            frontend = self._settings.frontends[number]
            try:
                with reported():
                    connection = self._connected(frontend)
            except DorisError as error:
                if error.kind is not Kind.UNREACHABLE:
                    raise
                refused = error
                with self._lock:
                    self._avoided[frontend] = time.monotonic() + _AVOIDED_SECONDS
                continue
            with self._lock:
                self._first = number
                self._avoided.pop(frontend, None)
            return connection
        raise refused or DorisError(problem_of(Kind.UNREACHABLE), Kind.UNREACHABLE)

    def _order(self) -> list[int]:
        """All frontends: those that failed a moment ago come last."""
        count, now = len(self._settings.frontends), time.monotonic()
        with self._lock:
            order = [(self._first + step) % count for step in range(count)]
            return sorted(order, key=lambda number: self._avoided.get(self._settings.frontends[number], 0) > now)

    def _connected(self, frontend: Address) -> Connection:
        settings = self._settings
        connection: Connection = pymysql.connect(
            host=frontend.host,
            port=frontend.port,
            user=settings.user,
            password=settings.password.encode(),  # the driver would send a text as Latin-1
            charset="utf8mb4",
            autocommit=True,
            conv={},  # values stay texts: the reader makes Arrow of them, exactly
            ssl=settings.ssl_context(),
            connect_timeout=settings.connect_timeout_seconds,
            read_timeout=settings.query_timeout_seconds + 60,
            write_timeout=60,
            program_name="feature_platform",
        )
        try:
            _set(
                connection,
                "time_zone = '+00:00'",
                "enable_insert_strict = true",
                "sql_mode = 'ONLY_FULL_GROUP_BY'",
                f"query_timeout = {settings.query_timeout_seconds}",
                f"insert_timeout = {settings.query_timeout_seconds}",
            )
            if self._capabilities is None:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT @@version_comment")
                    said = str((cursor.fetchone() or ("",))[0])
                self._capabilities = capabilities(said, settings.capabilities)
        except BaseException:
            _end(connection)
            raise
        return connection


def _set(connection: Connection, *assignments: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {', '.join(assignments)}")


def _forget(cursor: SSCursor) -> None:
    """Keeps the driver from reading the rest of a result, over a network that may be gone, when it is dropped."""
    result: Any = getattr(cursor, "_result", None)
    if result is not None:
        result.unbuffered_active = False
    cursor.connection = None  # type: ignore[assignment]


def _end(connection: Connection) -> None:
    with suppress(pymysql.Error, OSError):
        connection.close()

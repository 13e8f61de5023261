"""Who works on a write that nobody reads yet: an advisory lock per attempt, held by a session of the process.

The session lives as long as the store that began the attempts, so a process that dies frees its locks, whatever it was
doing; and a sweeper that gets an attempt's lock knows that nobody works on it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

import psycopg

from feature_platform.stores.postgres_connection import connect, reported


class Attempts:
    """The attempts of one store in this process. Safe to use from several threads."""

    def __init__(self, url: str, scope: str) -> None:
        """Connects with the first attempt. ``scope`` keeps apart stores that share a database."""
        self._url = url
        self._scope = scope
        self._lock = threading.Lock()
        self._session: psycopg.Connection[Any] | None = None

    def begin(self, token: str) -> None:
        """Holds the lock of the attempt ``token``.

        Raises:
            StoreError: the server can't be reached.
        """
        statement, number = "SELECT pg_advisory_lock(%s)", (lock_number(self._scope, token),)
        with self._lock, reported():
            if self._session and not self._session.closed:
                try:
                    self._session.execute(statement, number)
                except psycopg.OperationalError:  # the server ended the session; locks of earlier attempts went with it
                    self._session.close()
                else:
                    return
            self._session = connect(self._url)
            self._session.execute(statement, number)

    def end(self, token: str) -> None:
        """Gives the lock up. Nothing happens when it is gone."""
        with self._lock, suppress(psycopg.OperationalError):  # the lock ends with its session, if not before
            if self._session and not self._session.closed:
                self._session.execute("SELECT pg_advisory_unlock(%s)", (lock_number(self._scope, token),))

    @contextmanager
    def if_dead(self, connection: psycopg.Connection[Any], token: str) -> Iterator[bool]:
        """Whether nobody works on the attempt any more; nobody begins to until the end of the block.

        ``connection`` holds the lock meanwhile.
        """
        number = (lock_number(self._scope, token),)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", number).fetchone()
        dead = bool(row and row[0])
        try:
            yield dead
        finally:
            if dead:
                connection.execute("SELECT pg_advisory_unlock(%s)", number)

    def close(self) -> None:
        """Gives up every attempt that was not ended."""
        with self._lock:
            if self._session:
                self._session.close()
                self._session = None


def lock_number(*parts: str) -> int:
    """The number of an advisory lock: 63 bits of a digest."""
    return int.from_bytes(sha256("\0".join(parts).encode()).digest()[:8], "big") >> 1

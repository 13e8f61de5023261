"""Who works on a write that nobody reads yet: an advisory lock per attempt, held by a session of the process.

The session lives as long as the store that began the attempts, so a process that dies frees its locks, whatever it was
doing; and a sweeper that gets an attempt's lock knows that nobody works on it any more.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from hashlib import sha256
from typing import Final

import psycopg

from feature_platform.stores.postgres_connection import Session, connect, refuse_pooler, reported

_NOTICE_OUR_END: Final = (
    "SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false), "
    "set_config('tcp_keepalives_count', '3', false)"
)
"""The end of a process ends its connections; that of its machine does not. The server would wait for two hours."""


class Attempts:
    """The attempts of one store in this process. Safe to use from several threads."""

    def __init__(self, url: str, scope: str) -> None:
        """Connects with the first attempt. ``scope`` keeps apart stores that share a database.

        ``url`` must lead to the server itself: through a pooler, the lock would stay with a process that lives on.
        """
        self._url = url
        self._scope = scope
        self._lock = threading.Lock()
        self._session: Session | None = None

    def begin(self, token: str) -> None:
        """Holds the lock of the attempt ``token``.

        Raises:
            StoreError: FP-STORE-033, a pooler stands between; the server can't be reached.
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
            self._session = None
            session = connect(self._url)
            try:
                refuse_pooler(session)
                session.execute(_NOTICE_OUR_END)
                session.execute(statement, number)
            except BaseException:
                session.close()
                raise
            self._session = session

    def end(self, token: str) -> None:
        """Gives the lock up. Nothing happens when it is gone."""
        with self._lock, suppress(psycopg.OperationalError):  # the lock ends with its session, if not before
            if self._session and not self._session.closed:
                self._session.execute("SELECT pg_advisory_unlock(%s)", (lock_number(self._scope, token),))

    def is_dead(self, session: Session, token: str) -> bool:
        """Whether nobody works on the attempt any more; nobody begins to until the end of ``session``'s transaction."""
        number = (lock_number(self._scope, token),)
        return session.execute("SELECT pg_try_advisory_xact_lock(%s)", number).fetchone() == (True,)

    def close(self) -> None:
        """Gives up every attempt that was not ended."""
        with self._lock:
            if self._session:
                self._session.close()
                self._session = None


def lock_number(*parts: str) -> int:
    """The number of an advisory lock: 63 bits of a digest."""
    return int.from_bytes(sha256("\0".join(parts).encode()).digest()[:8], "big") >> 1

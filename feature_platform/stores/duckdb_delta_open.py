"""Open sessions of one store object: their temporary folders, and the one that is kept for the next question."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from feature_platform.stores.leases import Lease, own, try_exclusive

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Session:
    """A DuckDB of its own and the folder that it spills into."""

    connection: duckdb.DuckDBPyConnection
    spill: Path

    def end(self) -> None:
        """Closes the one and removes the other."""
        self.connection.close()
        shutil.rmtree(self.spill, ignore_errors=True)


class KeptSession:
    """The session that read staged rows last, for the next who reads the same: an audit asks several questions, and to
    open a DuckDB takes longer than to answer most. Staged rows never change, and a session reaches nothing else."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""
        self._session: Session | None = None

    def take(self, token: str | None) -> Session | None:
        """The session over the rows of this attempt, which then is the caller's alone."""
        with self._lock:
            if token != self._token:
                return None
            session, self._session, self._token = self._session, None, ""
        return session

    def giving_back(
        self, token: str | None, session: Session
    ) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], None]:
        """An exit callback. It keeps the session if it read staged rows, to their end and without an error."""

        def give_back(kind: type[BaseException] | None, _error: object, _trace: object) -> None:
            if token is None or kind is not None:
                session.end()
                return
            with self._lock:
                before, self._session, self._token = self._session, session, token
            if before is not None:
                before.end()

        return give_back

    def drop(self, token: str) -> None:
        """Ends the session over these rows, if that is the one."""
        if session := self.take(token):
            session.end()

    def close(self) -> None:
        """Ends whatever is kept."""
        self.drop(self._token)


class SpillFolder:
    """Temporary files of one store object, one folder per query. What dead processes left is removed on first use."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._count = 0

    def new(self) -> Path:
        with self._lock:
            if self._lease is None:
                self._lease = self._claim()
            self._count += 1
            folder = self._lease.path.with_suffix("") / str(self._count)
        folder.mkdir(parents=True)
        return folder

    def close(self) -> None:
        with self._lock:
            if self._lease:
                shutil.rmtree(self._lease.path.with_suffix(""), ignore_errors=True)
                self._lease.release(remove=True)
                self._lease = None

    def _claim(self) -> Lease:
        for left in sorted(self._root.glob("*.lease")):
            if lease := try_exclusive(left, create=False):
                shutil.rmtree(left.with_suffix(""), ignore_errors=True)
                lease.release(remove=True)
        return own(self._root / f"{secrets.token_hex(8)}.lease")

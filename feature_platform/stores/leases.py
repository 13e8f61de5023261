"""Locks that the kernel gives back when their holder dies: who writes, who reads, who was killed.

Every lock is ``flock`` on a small file, so neither a crash nor ``kill -9`` leaves one behind. Locks belong to the open
file, not to the process: two holders in one process exclude each other as two processes do.

An *attempt* holds a file of its own exclusively while it writes; a file that nobody holds is what a dead writer left.
Between the making of that file and its lock it looks like such a file, so whoever sweeps may take it: ``own`` waits for
the sweeper and makes the file again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from feature_platform.errors import Problem, StoreError

_POLL_SECONDS = 0.02


class Lease:
    """One held lock. ``release`` gives it back; so does the end of the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def release(self, *, remove: bool = False) -> None:
        """Gives the lock back, with ``remove`` together with its file. Does nothing the second time."""
        if self._descriptor is None:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def try_exclusive(path: Path, *, create: bool = True) -> Lease | None:
    """The lock for oneself, or None when somebody holds it (or, without ``create``, when there is no such file)."""
    return _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB, create=create)


def own(path: Path) -> Lease:
    """The lock on a file of one's own, which nobody but a sweeper of dead files may hold: waits until he removed it."""
    lease = _lock(path, fcntl.LOCK_EX, create=True)
    assert lease is not None  # only a lock that must not wait can be missed
    return lease


def try_shared(path: Path) -> Lease | None:
    """A lock that others may share, or None when somebody holds it for himself or there is no such file."""
    return _lock(path, fcntl.LOCK_SH | fcntl.LOCK_NB, create=False)


def shared(path: Path) -> Lease:
    """A lock that others may share; waits for an exclusive holder."""
    lease = _lock(path, fcntl.LOCK_SH, create=True)
    assert lease is not None  # only a lock that must not wait can be missed
    return lease


@contextlib.contextmanager
def exclusive(path: Path, *, timeout_seconds: float, busy: Problem) -> Iterator[Lease]:
    """Holds the lock for oneself.

    Raises:
        StoreError: ``busy``, when somebody else held it for ``timeout_seconds``.
    """
    deadline = time.monotonic() + timeout_seconds
    while (lease := try_exclusive(path)) is None:
        if time.monotonic() >= deadline:
            raise StoreError(busy)
        time.sleep(_POLL_SECONDS)
    with lease:
        yield lease


def _lock(path: Path, how: int, *, create: bool) -> Lease | None:
    while True:
        try:
            descriptor = _open(path, create=create)
        except FileNotFoundError:
            if create:
                raise
            return None
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        if _is_at(descriptor, path):
            return Lease(path, descriptor)
        # The file was removed between opening and locking: the lock is on something that nobody will ever find.
        os.close(descriptor)


def _open(path: Path, *, create: bool) -> int:
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)


def _is_at(descriptor: int, path: Path) -> bool:
    ours = os.fstat(descriptor)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

"""Where an accepted event is safe before the ledger has it: append-only files in the state folder.

A *segment* is a file that one process writes and nobody changes afterwards: a line per event, each sealed with the
line before. Its writer holds a lock on it, which the kernel takes back however the writer ends, so a segment that
nobody holds is complete and may be drained. A killed process loses nothing: what ``write`` took is the kernel's. Only a
crash of the machine can lose events that were not synchronised yet; see :meth:`Spool.accept`.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from feature_platform.errors import AuditError
from feature_platform.governance.audit.codes import NOT_RECORDED
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.pace import paced

SEGMENT_BYTES: Final = 4 << 20
"""A segment is drained in one transaction, so its size bounds memory and the time that other writers wait."""
SPOOL_BYTES: Final = 256 << 20
"""With more than this waiting for the ledger, nothing is accepted any more."""
DAMAGED: Final = ".damaged"
"""Suffix of a segment that somebody changed, kept as evidence."""
_SEGMENT: Final = ".segment"
_NEW: Final = ".new"
_MAC_DIGITS: Final = 32
_ABANDONED_SECONDS: Final = 3_600


@dataclass
class _Open:
    """The segment that this process writes."""

    path: Path
    descriptor: int
    process: int
    seal: bytes
    size: int
    events: int = 0
    synced: int = 0
    listed: bool = False
    """Whether the folder's entry of the file is durable too: left to whoever waits for the disk."""


class Spool:
    """Accepts events for one ledger. Safe for several threads and, by segments of their own, for processes."""

    def __init__(
        self, folder: Path, keys: AuditKeys, *, segment_bytes: int = SEGMENT_BYTES, spool_bytes: int = SPOOL_BYTES
    ) -> None:
        self.folder = folder
        self._keys = keys
        self._segment_bytes = segment_bytes
        self._spool_bytes = spool_bytes
        self._open: _Open | None = None
        self._last = ""
        self._writing = Lock()
        self._syncing = Lock()

    def accept(self, text: str, *, durable: bool = True) -> None:
        """Takes one event, or raises and has taken nothing.

        A killed process loses no accepted event. With ``durable``, neither does a machine that loses power: it returns
        after the disk has it, one synchronisation for all threads that wait. Without, the next :meth:`sync` does it.

        Raises:
            AuditError: the spool is full, or the file system refused.
        """
        try:
            with self._writing:
                segment = self._append(text)
                events = segment.events
            if durable:
                self._sync(segment, events)
        except OSError as error:
            raise _unwritable(error) from None

    def sync(self) -> None:
        """Makes everything that was accepted durable. Raises AuditError."""
        with self._writing:
            segment = self._open
        if segment is not None and segment.process == os.getpid():
            try:
                self._sync(segment, segment.events)
            except OSError as error:
                raise _unwritable(error) from None

    def finish(self) -> None:
        """Ends the segment, so that it can be drained. The next event begins another."""
        with self._writing:
            segment, self._open = self._open, None
        if segment is not None and segment.process == os.getpid():
            self._end(segment)

    def __del__(self) -> None:
        """Gives up the segment of a trail that nobody closed, so that others can drain it before this process ends."""
        segment = getattr(self, "_open", None)
        if segment is not None and segment.process == os.getpid():
            with suppress(OSError):
                os.close(segment.descriptor)

    @property
    def has_open_events(self) -> bool:
        """Whether :meth:`finish` would give the ledger something."""
        segment = self._open
        return segment is not None and segment.events > 0

    def waiting_bytes(self) -> int:
        """Size of everything that no ledger has taken yet."""
        return sum(size for _, size in _sizes(self.folder))

    def _append(self, text: str) -> _Open:
        segment = self._open
        if segment is not None and segment.process != os.getpid():  # inherited by a fork: the parent's, not ours
            os.close(segment.descriptor)
            segment = self._open = None
        if segment is not None and segment.size >= self._segment_bytes:
            self._open = None
            self._end(segment)
            segment = None
        if segment is None:
            segment = self._open = self._begin()
        encoded = text.encode()
        seal = self._keys.mac("spool", self._keys.version, segment.seal, encoded)
        line = b"%b %b\n" % (seal.hex()[:_MAC_DIGITS].encode(), encoded)
        written = 0
        try:
            written = os.write(segment.descriptor, line)
            if written != len(line):
                raise OSError(28, "only a part was written")
        except BaseException:
            # Half a line at the end of a segment was never accepted; a reader leaves it out.
            self._open = None
            with suppress(OSError):
                os.ftruncate(segment.descriptor, segment.size)
            with suppress(OSError):
                self._end(segment)
            raise
        segment.seal = seal
        segment.size += written
        segment.events += 1
        self._last = segment.path.name
        return segment

    def _begin(self) -> _Open:
        """A segment under its final name, locked before anyone can see it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.waiting_bytes() >= self._spool_bytes:
            raise AuditError(
                NOT_RECORDED.problem(
                    f"the audit spool holds {self._spool_bytes >> 20} MB that no ledger has taken",
                    mend="let the ledger's database be reached, then run `fp audit verify`, which drains",
                )
            )
        path = self.folder / f"{time.time_ns() // 1_000:016d}-{secrets.token_hex(8)}{_SEGMENT}"
        draft = path.with_suffix(_NEW)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            header = _header(self._keys.version, self._last)
            os.write(descriptor, header)
            draft.rename(path)
        except BaseException:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        return _Open(
            path, descriptor, os.getpid(), _first_seal(self._keys, self._keys.version, path, header), len(header)
        )

    def _sync(self, segment: _Open, events: int) -> None:
        with self._syncing:
            if segment.synced < events:
                _make_durable(segment)

    def _end(self, segment: _Open) -> None:
        with self._syncing:
            try:
                if segment.synced < segment.events:
                    _make_durable(segment)
                if segment.events == 0:
                    segment.path.unlink(missing_ok=True)
            finally:
                os.close(segment.descriptor)


@dataclass(frozen=True)
class Segment:
    """A finished segment, held by whoever drains it."""

    name: str
    events: tuple[str, ...]
    damage: str = ""
    """Why not every line could be read; empty when all is well."""
    after: str = ""
    """The segment that the same process wrote before, if any: it is in the ledger, or somebody removed it."""


class HeldSegment:
    """The lock on a finished segment. ``remove`` when the ledger has it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def read(self, keys: AuditKeys, *, politely: bool = False) -> Segment:
        """Every event whose seal holds. A line without an end is what a killed writer had not written yet."""
        data = self.path.read_bytes()
        lines = data.split(b"\n")[:-1]
        header = _HEADER.fullmatch(lines[0]) if lines else None
        if header is None:
            return Segment(self.path.name, (), "" if not data else "it has no header")
        version, after = int(header[1]), header[2].decode().removeprefix("none")
        if not keys.knows(version):
            return Segment(self.path.name, (), f"it was sealed with key version {version}, which is not given")
        seal = _first_seal(keys, version, self.path, lines[0] + b"\n")
        events: list[str] = []
        for number, line in enumerate(paced(lines[1:], politely)):
            mac, _, text = line.partition(b" ")
            seal = keys.mac("spool", version, seal, text)
            if seal.hex()[:_MAC_DIGITS].encode() != mac:
                return Segment(self.path.name, tuple(events), f"line {number + 2} was changed", after)
            events.append(text.decode())
        return Segment(self.path.name, tuple(events), after=after)

    def remove(self) -> None:
        """Removes the file and the lock."""
        self.path.unlink(missing_ok=True)
        self.release()

    def set_aside(self) -> None:
        """Keeps a damaged file as evidence, where nobody drains it again."""
        self.path.rename(self.path.with_suffix(DAMAGED))
        self.release()

    def release(self) -> None:
        os.close(self._descriptor)


def finished(folder: Path) -> list[Path]:
    """Segments in the order in which they were begun; some may still have a writer."""
    try:
        return sorted(folder.glob(f"*{_SEGMENT}"))
    except OSError:
        return []


def hold(path: Path) -> HeldSegment | None:
    """The segment for oneself, or None while somebody writes or drains it, or when it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return HeldSegment(path, descriptor)
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def remove_abandoned(folder: Path) -> None:
    """Removes files whose writers died before they had written anything."""
    oldest = time.time() - _ABANDONED_SECONDS
    for path in folder.glob(f"*{_NEW}"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _unwritable(error: OSError) -> AuditError:
    return AuditError(
        NOT_RECORDED.problem(
            f"the audit spool can't be written: {error.strerror or type(error).__name__}",
            mend="make room on the disk of the state folder, or let this user write there",
        )
    )


def _sizes(folder: Path) -> list[tuple[Path, int]]:
    sizes = []
    for path in finished(folder):
        with suppress(FileNotFoundError):
            sizes.append((path, path.stat().st_size))
    return sizes


def _header(version: int, after: str) -> bytes:
    return b"fp audit spool 1, key v%d, after %b\n" % (version, after.encode() or b"none")


_HEADER: Final = re.compile(rb"fp audit spool 1, key v([0-9]{1,4}), after (none|[0-9a-f-]+\.segment)")


def _first_seal(keys: AuditKeys, version: int, path: Path, header: bytes) -> bytes:
    """Name and header are sealed too: a segment can't take another's place."""
    return keys.mac("spool", version, path.stem.encode(), b"\n", header)


def _make_durable(segment: _Open) -> None:
    written = segment.events
    os.fdatasync(segment.descriptor)
    if not segment.listed:
        folder = os.open(segment.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        segment.listed = True
    segment.synced = written

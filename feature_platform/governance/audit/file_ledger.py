"""The ledger in files, for profiles that have no PostgreSQL: a file per month, a line per record.

The chain and its checkpoints are the same. What files lack is somebody else's word: whoever may write in the state
folder can remove it as a whole, so keep checkpoints elsewhere.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from feature_platform.errors import AuditError
from feature_platform.governance.audit.chain import GENESIS, Checkpoint, Head, Record, seal
from feature_platform.governance.audit.codes import LEDGER_CHANGED, LEDGER_UNUSABLE
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.ledger import Appended, recording_time
from feature_platform.governance.audit.pace import paced
from feature_platform.governance.audit.spool import Segment

_CHECKPOINTS: Final = "checkpoints.jsonl"
_TAIL_BYTES: Final = 1 << 20


class FileLedger:
    """See :class:`feature_platform.governance.audit.ledger.Ledger`."""

    name = "files in the state folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, keys: AuditKeys, segment: Segment, *, politely: bool = False) -> Appended:
        with self._locked():
            before = self._mended_head()
            done = before.position + 1 if before.segment == segment.name else 0
            at = recording_time(before)
            records = seal(keys, before, segment.name, paced(list(enumerate(segment.events))[done:], politely), at)
            if records:
                self._write(at, records)
        last = records[-1] if records else None
        return Appended(before, Head(last.seq, last.hash, at, last.segment, last.position) if last else before)

    def head(self) -> Head:
        with self._locked():
            return self._mended_head()

    def records(self, after: int = 0) -> Iterator[Record]:
        with _reported():
            for path in self._files():
                with path.open("rb") as lines:
                    for line in lines:
                        record = _record(line) if line.endswith(b"\n") else None
                        if record is not None and (record.seq > after or record.seq <= 0):
                            yield record

    def count(self) -> int:
        with _reported():
            return sum(line.endswith(b"\n") for path in self._files() for line in path.open("rb"))

    def hash_of(self, seq: int) -> bytes | None:
        if seq == 0:
            return GENESIS
        head = self.head()
        if head.seq == seq:
            return head.hash
        return next((record.hash for record in self.records(seq - 1) if record.seq == seq), None)

    def has_segment(self, name: str) -> bool:
        if self.head().segment == name:
            return True
        wanted = f'"segment":"{name}"'.encode()
        with _reported():
            return any(_contains(path, wanted) for path in reversed(self._files()))

    def checkpoints(self) -> Sequence[Checkpoint]:
        path = self._folder / _CHECKPOINTS
        with _reported():
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return tuple(Checkpoint(**json.loads(line)) for line in lines)

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        with self._locked():
            _append(self._folder / _CHECKPOINTS, (json.dumps(checkpoint.as_dict(), sort_keys=True) + "\n").encode())

    def interrupted_segment(self) -> str:
        return self.head().segment

    def close(self) -> None:
        """Nothing is kept open."""

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("ledger-*.jsonl"))

    def _write(self, at: datetime, records: Sequence[Record]) -> None:
        lines = b"".join(b"%b %b\n" % (record.hash.hex().encode(), record.text.encode()) for record in records)
        _append(self._folder / f"ledger-{at:%Y-%m}.jsonl", lines)

    def _mended_head(self) -> Head:
        """The newest whole record. Half a line after it is what a killed process left: it is cut off."""
        for path in reversed(self._files()):
            line = _last_line(path)
            if line:
                return _head(_record(line))
        return Head()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _reported():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._folder / "ledger.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)


def _last_line(path: Path) -> bytes:
    """The last line that has an end, after what follows it was cut off; empty if there is none."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        reach = _TAIL_BYTES
        while True:
            start = max(0, size - reach)
            file.seek(start)
            tail = file.read()
            end = tail.rfind(b"\n")
            begin = tail.rfind(b"\n", 0, max(end, 0)) + 1
            if begin > 0 or start == 0:
                break
            reach *= 4
        if end + 1 < len(tail):
            file.truncate(start + end + 1)
        return tail[begin : end + 1] if end >= 0 else b""


def _contains(path: Path, wanted: bytes) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.rfind(wanted) >= 0


def _head(record: Record) -> Head:
    if record.seq < 1:
        raise AuditError(
            LEDGER_CHANGED.problem(
                "the last record of the ledger's files can't be read",
                mend="keep the files, and find out who wrote there",
            )
        )
    at = datetime.fromisoformat(record.recorded_at)
    return Head(record.seq, record.hash, at, record.segment, record.position)


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _record(line: bytes) -> Record:
    """A line that was tampered with gives a record that does not verify, never an error."""
    digest, _, text = line.rstrip(b"\n").decode("utf-8", "replace").partition(" ")
    try:
        sealed = json.loads(text)
        return Record(
            int(sealed["seq"]),
            str(sealed["recorded_at"]),
            str(sealed["segment"]),
            int(sealed["position"]),
            text,
            bytes.fromhex(digest),
        )
    except (ValueError, KeyError, TypeError):
        return Record(-1, "", "", -1, text, b"")


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AuditError(
            LEDGER_UNUSABLE.problem(
                f"the audit ledger in the state folder can't be used: {error.strerror or type(error).__name__}",
                mend="make room on the disk, or let this user write in the state folder",
            )
        ) from None

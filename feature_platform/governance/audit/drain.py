"""From the spool into the ledger: finished segments in order, each once, whoever dies in between.

One process per state folder drains at a time; the ledger's own lock orders processes of several machines. After each
segment the folder's ``head.json`` says what the ledger had, so a ledger that was cut off or rewritten since is noticed
at the next drain, and the evidence is kept.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from feature_platform.governance.audit import checkpoints
from feature_platform.governance.audit.chain import Checkpoint, Head
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.ledger import Appended, Ledger
from feature_platform.governance.audit.spool import DAMAGED, Segment, finished, hold, remove_abandoned

CHECKPOINT_RECORDS: Final = 100_000
CHECKPOINT_TIME: Final = timedelta(hours=1)

Damage = Callable[[str, dict[str, int]], str]
"""Makes the canonical text of an event that reports damage: what was found, and counts."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did."""

    segments: int = 0
    events: int = 0
    damaged: int = 0


def drain(folder: Path, keys: AuditKeys, ledger: Ledger, damage: Damage, *, politely: bool = False) -> Drained:
    """Drains every finished segment of ``folder``; nothing when another process is at it.

    Raises:
        AuditError: the ledger can't be used; what was not drained stays.
    """
    with _alone(folder) as alone:
        return _Draining(folder, keys, ledger, damage, politely).all() if alone else Drained()


def checkpoint(folder: Path, keys: AuditKeys, ledger: Ledger) -> Checkpoint:
    """Signs the ledger's head, and keeps that in the ledger and in the folder.

    Raises:
        AuditError: the ledger or the folder can't be used.
    """
    head = ledger.head()
    made = Checkpoint.sign(keys, head, ledger.count(), datetime.now(UTC))
    ledger.add_checkpoint(made)
    checkpoints.keep(folder, made)
    return made


@dataclass(frozen=True, slots=True)
class _Draining:
    """One drain, by whoever has the folder to himself."""

    folder: Path
    keys: AuditKeys
    ledger: Ledger
    damage: Damage
    politely: bool

    def all(self) -> Drained:
        remove_abandoned(self.folder)
        drained = Drained()
        for path in _in_order(finished(self.folder), self.ledger):
            held = hold(path)
            if held is None:
                continue
            try:
                segment = held.read(self.keys, politely=self.politely)
                self._take(segment)
            except BaseException:
                held.release()
                raise
            held.set_aside() if segment.damage else held.remove()
            drained = Drained(
                drained.segments + 1, drained.events + len(segment.events), drained.damaged + bool(segment.damage)
            )
        return drained

    def _take(self, segment: Segment) -> None:
        self._report_rewriting(segment)
        self._report_missing(segment)
        if segment.events:
            self._append(segment)
        if segment.damage:
            report = self.damage(f"segment:{segment.name}", {"events_saved": len(segment.events)})
            self._append(Segment(f"{segment.name}-damage", (report,)))

    def _report_rewriting(self, segment: Segment) -> None:
        """Keeps what this folder saw last as evidence, if the ledger does not have it any more."""
        seen = checkpoints.read_head(self.folder)
        if seen is not None and _was_rewritten(seen, self.keys, self.ledger):
            checkpoints.keep(self.folder, seen)
            report = self.damage("ledger", {"last_seen": seen.seq, "found": self.ledger.head().seq})
            self._append(Segment(f"{segment.name}-rewritten", (report,)))

    def _report_missing(self, segment: Segment) -> None:
        """A process's segments are drained in order, so the one before is in the ledger, waits because its writer is
        just ending it, or was put aside."""
        before = segment.after
        if not before or (self.folder / before).exists() or (self.folder / before).with_suffix(DAMAGED).exists():
            return
        if not self.ledger.has_segment(before):
            report = self.damage(f"segment:{before}", {"missing": 1})
            self._append(Segment(f"{before}-missing", (report,)))

    def _append(self, segment: Segment) -> None:
        done = self.ledger.append(self.keys, segment, politely=self.politely)
        now = datetime.now(UTC)
        # `count` is taken where a checkpoint is made on purpose; counting after every segment would read all records.
        made = Checkpoint.sign(self.keys, done.after, done.after.seq, now)
        checkpoints.write_head(self.folder, made)
        if _is_due(done):
            self._keep(made)
        if _starts_a_month(done):
            self._keep(Checkpoint.sign(self.keys, done.before, done.before.seq, now))

    def _keep(self, made: Checkpoint) -> None:
        self.ledger.add_checkpoint(made)
        checkpoints.keep(self.folder, made)


def _was_rewritten(seen: Checkpoint, keys: AuditKeys, ledger: Ledger) -> bool:
    """Whether the record that this folder saw last is gone or another. One that was archived is gone rightly: then
    newer ones are there."""
    if not seen.holds(keys):
        return True
    found = ledger.hash_of(seen.seq)
    if found is None:
        return ledger.head().seq < seen.seq
    return found.hex() != seen.head


def _is_due(done: Appended) -> bool:
    before, after = done.before, done.after
    if after.seq == before.seq or after.recorded_at is None:
        return False
    if before.recorded_at is None or before.seq // CHECKPOINT_RECORDS != after.seq // CHECKPOINT_RECORDS:
        return True
    return _period(before) != _period(after)


def _period(head: Head) -> int:
    assert head.recorded_at is not None
    return int(head.recorded_at.timestamp() // CHECKPOINT_TIME.total_seconds())


def _starts_a_month(done: Appended) -> bool:
    """The ledger's partitions are months: one that is moved to the archive leaves a rest that begins here."""
    before, after = done.before.recorded_at, done.after.recorded_at
    return before is not None and after is not None and (before.year, before.month) != (after.year, after.month)


def _in_order(paths: list[Path], ledger: Ledger) -> Iterator[Path]:
    first = ledger.interrupted_segment() if paths else ""
    yield from sorted(paths, key=lambda path: (path.name != first, path.name))


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    if not folder.is_dir():
        yield False
        return
    descriptor = os.open(folder / "drain.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)

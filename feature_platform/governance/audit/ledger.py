"""What a ledger is: records in one chain, and checkpoints. PostgreSQL holds it, or files where a profile has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from feature_platform.governance.audit.chain import Checkpoint, Head, Record
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.spool import Segment


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: the head before and after."""

    before: Head
    after: Head


class Ledger(Protocol):
    """One chain. Several processes may use one at once; what they append is ordered by a lock."""

    name: str
    """Which ledger it is, for people: never with a password."""

    def append(self, keys: AuditKeys, segment: Segment, *, politely: bool = False) -> Appended:
        """Chains the events of a segment, those that are not in the ledger yet; all of them or none. ``politely``: in
        a thread beside requests, see :mod:`pace`.

        Raises:
            AuditError: the ledger can't be reached or refuses.
        """
        ...

    def head(self) -> Head:
        """The newest record. Raises AuditError."""
        ...

    def records(self, after: int = 0) -> Iterator[Record]:
        """Records in order from number ``after + 1`` on, in constant memory. Raises AuditError."""
        ...

    def count(self) -> int:
        """How many records there are. Raises AuditError."""
        ...

    def hash_of(self, seq: int) -> bytes | None:
        """The hash of one record; None when there is no such record. Raises AuditError."""
        ...

    def has_segment(self, name: str) -> bool:
        """Whether events of a segment are there. Raises AuditError."""
        ...

    def checkpoints(self) -> Sequence[Checkpoint]:
        """Those that the ledger itself holds. Raises AuditError."""
        ...

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keeps a checkpoint beside the records. Raises AuditError."""
        ...

    def interrupted_segment(self) -> str:
        """The segment to be drained before any other, because an earlier attempt may have ended within it; else
        empty."""
        ...

    def close(self) -> None:
        """Ends connections."""
        ...


def recording_time(head: Head) -> datetime:
    """Now, and never before the newest record: the ledger's order is the order of its times."""
    now = datetime.now(UTC)
    return now if head.recorded_at is None else max(now, head.recorded_at)

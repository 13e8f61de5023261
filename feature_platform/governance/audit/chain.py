"""How records are chained, and how a change to the chain is found. Nothing here does I/O.

A record is the canonical JSON of one event with its place: number in the ledger, time of recording, segment and
position in the spool, version of the key. ``hash(n) = HMAC(key, hash(n-1) ‖ record(n))``, where ``hash(0)`` is zero.
Without the key nobody can write a record that fits, and every change but one shows in the chain itself: cutting off
its end. That shows against a *checkpoint*, a signed statement that record ``seq`` had hash ``head``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from feature_platform.governance.audit.canonical_json import canonical
from feature_platform.governance.audit.event import moment
from feature_platform.governance.audit.keys import AuditKeys

GENESIS: Final = bytes(32)
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record: what the next one is chained to."""

    seq: int = 0
    hash: bytes = GENESIS
    recorded_at: datetime | None = None
    segment: str = ""
    position: int = -1


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the ledger. Everything besides ``hash`` is also in ``text``, which is what is sealed."""

    seq: int
    recorded_at: str
    segment: str
    position: int
    text: str
    hash: bytes

    def event(self) -> dict[str, Any]:
        """The event itself."""
        found: dict[str, Any] = json.loads(self.text)["event"]
        return found


@dataclass(frozen=True, slots=True, order=True)
class Checkpoint:
    """``count`` records up to number ``seq``, whose hash was ``head``, at the time ``at``; signed."""

    seq: int
    head: str
    count: int
    at: str
    key: int
    signature: str

    @classmethod
    def sign(cls, keys: AuditKeys, head: Head, count: int, at: datetime) -> Checkpoint:
        unsigned = cls(head.seq, head.hash.hex(), count, moment(at), keys.version, "")
        return cls(**unsigned._signed(), signature=keys.mac("checkpoint", keys.version, unsigned._text()).hex())

    def holds(self, keys: AuditKeys) -> bool:
        """Whether the signature is the key's."""
        if not keys.knows(self.key):
            return False
        return hmac.compare_digest(keys.mac("checkpoint", self.key, self._text()).hex(), self.signature)

    def as_dict(self) -> dict[str, Any]:
        return {**self._signed(), "signature": self.signature}

    def _signed(self) -> dict[str, Any]:
        return {"seq": self.seq, "head": self.head, "count": self.count, "at": self.at, "key": self.key}

    def _text(self) -> bytes:
        return canonical(self._signed()).encode()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written."""

    seq: int
    what: str


@dataclass(frozen=True)
class Verdict:
    """What came out of a verification."""

    records: int
    first: int
    last: int
    head: str
    checkpoints: int
    """How many were compared with the records."""
    findings: tuple[Finding, ...]
    """The first ones; ``faults`` counts all."""
    faults: int

    @property
    def whole(self) -> bool:
        return self.faults == 0


def seal(
    keys: AuditKeys, head: Head, segment: str, events: Iterable[tuple[int, str]], recorded_at: datetime
) -> list[Record]:
    """The records that continue the chain: ``events`` are positions and canonical texts."""
    at = moment(recorded_at)
    sequence, previous = head.seq, head.hash
    records = []
    for position, event in events:
        sequence += 1
        # Canonical JSON around canonical JSON: the members stand in the order of their names.
        text = (
            f'{{"event":{event},"key":{keys.version},"position":{position},"recorded_at":"{at}",'
            f'"segment":"{segment}","seq":{sequence}}}'
        )
        previous = keys.mac("chain", keys.version, previous, text.encode())
        records.append(Record(sequence, at, segment, position, text, previous))
    return records


@dataclass
class Verifier:
    """Verifies records one after the other; memory does not grow with their number.

    ``checkpoints`` are those to hold the records against, from the database and from elsewhere.
    """

    keys: AuditKeys
    checkpoints: Sequence[Checkpoint] = ()
    _findings: list[Finding] = field(default_factory=list)
    _faults: int = 0
    _records: int = 0
    _first: int = 0
    _expected: int = 0
    _previous: bytes = b""
    _compared: int = 0

    def __post_init__(self) -> None:
        for checkpoint in self.checkpoints:
            if not checkpoint.holds(self.keys):
                self._found(checkpoint.seq, f"a checkpoint of record {checkpoint.seq} is not signed with the audit key")
        signed = [checkpoint for checkpoint in self.checkpoints if checkpoint.holds(self.keys)]
        self._waiting = sorted(set(signed), reverse=True)

    def feed(self, record: Record) -> None:
        """The next record in the ledger's order."""
        if self._records == 0:
            self._begin(record)
        self._records += 1
        if record.seq != self._expected:
            self._found(record.seq, self._misplaced(record.seq))
        self._check_hash(record)
        self._hold_against_checkpoints(record)
        self._expected = record.seq + 1
        self._previous = record.hash

    def finish(self) -> Verdict:
        """The verdict, after the last record."""
        last = self._expected - 1 if self._records else 0
        for checkpoint in reversed(self._waiting):
            if checkpoint.seq > last:
                self._found(
                    checkpoint.seq,
                    f"record {checkpoint.seq} was there at {checkpoint.at}, and the ledger ends at {last}: its end was "
                    "cut off",
                )
        head = self._previous.hex() if self._records else GENESIS.hex()
        return Verdict(
            self._records, self._first, last, head, self._compared, tuple(self._findings[:_SHOWN]), self._faults
        )

    def _begin(self, record: Record) -> None:
        """The first record is number 1, or follows one that a signed checkpoint vouches for: older ones were moved to
        the archive."""
        self._first = self._expected = record.seq
        self._previous = GENESIS
        if record.seq == 1:
            return
        anchors = [checkpoint for checkpoint in self._waiting if checkpoint.seq == record.seq - 1]
        if anchors:
            self._previous = bytes.fromhex(anchors[0].head)
            self._compared += 1
        else:
            self._expected = 1  # reported as a gap, and the hash as one that does not fit

    def _misplaced(self, found: int) -> str:
        if found > self._expected:
            missing = found - self._expected
            return f"{missing} record{'s are' if missing > 1 else ' is'} missing before record {found}"
        return f"record {found} stands after record {self._expected - 1}"

    def _check_hash(self, record: Record) -> None:
        place = _place(record.text)
        if place is None or place != (record.seq, record.recorded_at, record.segment, record.position):
            self._found(record.seq, f"record {record.seq} and its columns do not agree")
        version = _key_version(record.text)
        if version is None or not self.keys.knows(version):
            self._found(record.seq, f"record {record.seq} names key version {version}, which is not given")
            return
        expected = self.keys.mac("chain", version, self._previous, record.text.encode("utf-8", "replace"))
        if not hmac.compare_digest(expected, record.hash):
            self._found(record.seq, f"record {record.seq} does not fit its hash and the record before it")

    def _hold_against_checkpoints(self, record: Record) -> None:
        while self._waiting and self._waiting[-1].seq <= record.seq:
            checkpoint = self._waiting.pop()
            if checkpoint.seq < self._first:
                continue  # its record is in the archive
            self._compared += 1
            if checkpoint.seq != record.seq or checkpoint.head != record.hash.hex():
                self._found(
                    checkpoint.seq, f"record {checkpoint.seq} is not the one of the checkpoint at {checkpoint.at}"
                )

    def _found(self, seq: int, what: str) -> None:
        self._faults += 1
        if len(self._findings) < _SHOWN:
            self._findings.append(Finding(seq, what))


def _place(text: str) -> tuple[int, str, str, int] | None:
    try:
        sealed = json.loads(text)
        return sealed["seq"], sealed["recorded_at"], sealed["segment"], sealed["position"]
    except (ValueError, KeyError, TypeError):
        return None


def _key_version(text: str) -> int | None:
    try:
        version = json.loads(text)["key"]
    except (ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, int) else None

"""Trails over real ledgers, for the tests of the audit package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from feature_platform.governance.audit.event import Event
from feature_platform.governance.audit.file_ledger import FileLedger
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.ledger import Ledger
from feature_platform.governance.audit.postgres_ledger import PostgresLedger
from feature_platform.governance.audit.trail import AuditTrail

KEY = bytes(range(100, 132))
KEYS = AuditKeys({1: KEY})
OTHER_KEYS = AuditKeys({1: bytes(range(32))})


def trail_in_files(folder: Path) -> AuditTrail:
    return AuditTrail(folder, KEYS, lambda: FileLedger(folder / "ledger"), tool="test")


def trail_in_postgres(folder: Path, url: str) -> AuditTrail:
    return AuditTrail(folder, KEYS, lambda: PostgresLedger(url), tool="test")


def event(trail: AuditTrail, number: int) -> Event:
    """An event that can be told from others by its rows."""
    return replace(trail.event("read", "query"), rows=number, purposes=("fraud",), counts={"distinct": number})


def rows_in(ledger: Ledger) -> list[int]:
    """The rows of every event in the ledger, in its order; without the events of the trail itself."""
    events = (record.event() for record in ledger.records())
    return [found["rows"] for found in events if "rows" in found]


def filled(trail: AuditTrail, segments: int = 3, events: int = 4, *, first: int = 0) -> AuditTrail:
    """With several segments of several events, drained."""
    for segment in range(segments):
        for place in range(events):
            trail.record(event(trail, first + segment * events + place))
        trail.drain()
    return trail

"""What a view's record in Redis says: what was published, and what is going live just now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from feature_platform.stores.online_protocol import MOMENT, TTL, StagedOnline
from feature_platform.stores.protocols import Publication, TableName
from feature_platform.stores.redis_online_layout import LAYOUT_FORMAT, StagedEntry

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC, as rows have it
VANISHES_AFTER: Final = timedelta(days=1)
"""How long rows stay after their ttl. Readers leave them out at once, by their clocks; the server's may be ahead."""

Record = Mapping[bytes, bytes]
"""The meta hash; empty where nothing was published."""


@dataclass(frozen=True, slots=True)
class Intention:
    """A publication that was decided: all that somebody needs to carry it through."""

    token: str
    kind: Literal["snapshot", "changes"]
    entity: str
    groups: int
    buckets: int
    """Of each group."""
    rows: tuple[int, ...]
    """Staged, by group; of changes with the rows that go."""
    base_version: str
    """Of changes: what they are made for; empty for a snapshot."""
    base_revision: str
    pointer: Mapping[str, str]
    """Fields of every group's pointer, beside those that a script sets."""
    record: Mapping[str, str]
    """Fields of the meta hash, without the number of rows."""
    expires_at: str = ""
    """When the rows vanish, in milliseconds since 1970; empty: never."""

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: bytes) -> Intention:
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "rows": tuple(fields["rows"])})


def intention(staged: StagedOnline, entry: StagedEntry, published_at: datetime, *, expires: bool) -> Intention:
    """What publishing ``staged`` comes to; ``expires``: rows with a ttl vanish some time after it."""
    assert entry.rows is not None, "it is loaded"
    moment = staged.properties.get(MOMENT, "")
    version, _, revision = (staged.base or "").partition("+")
    told = {
        "revision": "" if staged.base is None else staged.token,
        "moment": moment,
        "event_time": entry.event_time,
        "published_at": published_at.isoformat(timespec="microseconds"),
        "properties": json.dumps(dict(staged.properties), sort_keys=True),
    }
    ttl = staged.properties.get(TTL, "")
    pointer = {"revision": told["revision"], "moment": moment, "ttl": ttl}
    if staged.base is None:
        shape = {"fingerprint": staged.table.fingerprint, "buckets": str(entry.buckets)}
        pointer |= shape
        told |= shape | _shape(staged, entry)
    kind: Literal["snapshot", "changes"] = "snapshot" if staged.base is None else "changes"
    return Intention(
        staged.token,
        kind,
        entry.entity,
        entry.groups,
        entry.buckets,
        entry.rows,
        version,
        revision,
        pointer,
        told,
        _vanishing(entry, ttl, published_at) if expires and ttl else "",
    )


def _vanishing(entry: StagedEntry, ttl: str, published_at: datetime) -> str:
    """A while after the newest row has ended, and after the publication of rows that had ended before it."""
    newest = datetime.fromisoformat(entry.event_time) if entry.event_time else published_at
    try:
        ended = max(newest + timedelta(microseconds=int(ttl)), published_at) + VANISHES_AFTER
    except OverflowError:
        return ""
    return str((ended - EPOCH) // timedelta(milliseconds=1))


def _shape(staged: StagedOnline, entry: StagedEntry) -> dict[str, str]:
    table = staged.table
    return {
        "format": str(LAYOUT_FORMAT),
        "version": staged.token,
        "entity": table.entity,
        "groups": str(entry.groups),
        "keys": json.dumps(table.keys),
        "columns": json.dumps([[column.name, str(column.type)] for column in table.schema.columns]),
    }


def record_of(pairs: Sequence[bytes]) -> Record:
    """The answer to ``HGETALL``."""
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def is_published(record: Record) -> bool:
    """Whether the record is of this layout and says that something is live."""
    return b"version" in record and record.get(b"format") == str(LAYOUT_FORMAT).encode()


def pending(record: Record) -> Intention | None:
    """The publication that was decided and not finished."""
    text = record.get(b"publishing")
    return Intention.parse(text) if text else None


def lost_groups(record: Record) -> frozenset[int]:
    """Groups whose staged rows were gone when they should have become live; they still have what was live before."""
    return frozenset(json.loads(record.get(b"lost", b"[]")))


def publication(view: str, record: Record) -> Publication | None:
    """The record as a publication; None when nothing was published."""
    if not is_published(record):
        return None
    version, revision = record[b"version"].decode(), record.get(b"revision", b"").decode()
    return Publication(
        table=TableName("features", view),
        partition=None,
        version=f"{version}+{revision}" if revision else version,
        rows=int(record[b"rows"]),
        published_at=datetime.fromisoformat(record[b"published_at"].decode()),
        properties=json.loads(record[b"properties"]),
        event_time=datetime.fromisoformat(newest.decode()) if (newest := record[b"event_time"]) else None,
    )

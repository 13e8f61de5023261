"""Where things lie in Redis: names of keys, the meta hash, and the commands' bytes.

``docs/reference/redis-layout.md`` is the same for readers in other languages. All keys of one view share the hash tag
``{<view>}``, so that in a cluster they lie on one node and one script may touch all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zlib import crc32

from feature_platform.stores.online_encoding import FORMAT
from feature_platform.stores.protocols import MOMENT, Publication, StagedOnline, TableName

BUCKET_ROWS: Final = 16_384
"""Rows that a bucket is planned for: one hash that frees, expires and migrates in a few milliseconds."""
UNKNOWN_BUCKETS: Final = 64
"""Buckets of a first snapshot that is larger than one bucket: right for a million rows, good enough for fifty."""
MAX_BUCKETS: Final = 1_024


@dataclass(frozen=True, slots=True)
class ViewKeys:
    """The names of one view's keys."""

    prefix: str
    view: str

    @property
    def meta(self) -> bytes:
        """The hash that says what is live."""
        return f"{self.prefix}:{{{self.view}}}:meta".encode()

    @property
    def staged(self) -> bytes:
        """The hash of versions that were begun and neither published nor discarded."""
        return f"{self.prefix}:{{{self.view}}}:staged".encode()

    @property
    def base(self) -> str:
        """What every bucket's name begins with, before the version."""
        return f"{self.prefix}:{{{self.view}}}:"

    def bucket(self, version: str, number: int) -> bytes:
        """The hash that holds a part of a version's rows, by encoded entity key."""
        return f"{self.prefix}:{{{self.view}}}:{version}:{number}".encode()


@dataclass(frozen=True, slots=True)
class LiveVersion:
    """What a reader has to know to read a view: where its rows lie and of which schema they are."""

    version: bytes
    """The snapshot, part of its buckets' names."""
    revision: bytes
    """The changes that were made to it last; empty: none."""
    fingerprint: str
    buckets: int
    moment: datetime | None
    """The event time of every row; None: each has its own."""

    def has_rows_of(self, other: LiveVersion | None) -> bool:
        """Whether both are the same rows: what was read between two looks at the pointer is whole then."""
        return other is not None and (self.version, self.revision) == (other.version, other.revision)


LIVE_FIELDS: Final = (b"version", b"fingerprint", b"buckets", b"revision", b"moment")


def live_version(values: Iterable[bytes | None]) -> LiveVersion | None:
    """The answer to ``HMGET meta`` of :data:`LIVE_FIELDS`; None when nothing was published."""
    version, fingerprint, buckets, revision, moment = values
    if version is None or fingerprint is None or buckets is None:
        return None
    every = datetime.fromisoformat(moment.decode()) if moment else None
    return LiveVersion(version, revision or b"", fingerprint.decode(), int(buckets), every)


def bucket_of(field: bytes, buckets: int) -> int:
    """Which bucket a row lies in: CRC-32 (ISO-HDLC, as in zlib) of the field name, modulo the number of buckets."""
    return crc32(field) % buckets


def bucket_count(expected_rows: int | None) -> int:
    """A power of two that gives buckets of about :data:`BUCKET_ROWS` rows."""
    if expected_rows is None:
        return UNKNOWN_BUCKETS
    needed = -(-expected_rows // BUCKET_ROWS)
    return min(MAX_BUCKETS, 1 << max(0, needed - 1).bit_length())


def meta_fields(
    staged: StagedOnline, *, buckets: int, event_time: datetime | None, published_at: datetime
) -> dict[str, str]:
    """What the meta hash says about the staged snapshot once it is live. Every value is text."""
    table = staged.table
    return {
        "format": str(FORMAT),
        "version": staged.token,
        "revision": "",
        "moment": staged.properties.get(MOMENT, ""),
        "fingerprint": table.fingerprint,
        "buckets": str(buckets),
        "rows": str(staged.rows),
        "event_time": event_time.isoformat(timespec="microseconds") if event_time else "",
        "published_at": published_at.isoformat(timespec="microseconds"),
        "entity": table.entity,
        "keys": json.dumps(table.keys),
        "columns": json.dumps([[column.name, str(column.type)] for column in table.schema.columns]),
        "properties": json.dumps(dict(staged.properties), sort_keys=True),
    }


def change_fields(staged: StagedOnline, *, event_time: datetime | None, published_at: datetime) -> dict[str, str]:
    """What the meta hash says differently once staged changes are made; how many rows there are is counted then."""
    return {
        "revision": staged.token,
        "moment": staged.properties.get(MOMENT, ""),
        "event_time": event_time.isoformat(timespec="microseconds") if event_time else "",
        "published_at": published_at.isoformat(timespec="microseconds"),
        "properties": json.dumps(dict(staged.properties), sort_keys=True),
    }


def version_of(meta: Mapping[bytes, bytes]) -> str:
    """The version of a publication: of the snapshot, and of the changes that were made to it last."""
    version, revision = meta[b"version"].decode(), meta.get(b"revision", b"").decode()
    return f"{version}+{revision}" if revision else version


def publication(view: str, meta: Mapping[bytes, bytes]) -> Publication | None:
    """The meta hash as a publication; None when it is not there."""
    if b"version" not in meta:
        return None
    return Publication(
        table=TableName("features", view),
        partition=None,
        version=version_of(meta),
        rows=int(meta[b"rows"]),
        published_at=datetime.fromisoformat(meta[b"published_at"].decode()),
        properties=json.loads(meta[b"properties"]),
        event_time=datetime.fromisoformat(newest.decode()) if (newest := meta[b"event_time"]) else None,
    )


@dataclass(frozen=True, slots=True)
class StagedEntry:
    """A value of the ``staged`` hash: what was begun, and who would know whether it still goes on."""

    buckets: int
    used: int
    """Buckets that hold rows; -1 while they are being loaded."""
    event_time: str
    server: str
    """``run_id`` of the server that ``client`` is a connection of."""
    client: int
    begun_at: int
    """Seconds since 1970, by the server's clock."""

    def text(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def parse(cls, text: bytes) -> StagedEntry:
        fields: dict[str, Any] = json.loads(text)
        return cls(**{name: fields[name] for name in cls.__slots__})


def command_head(arguments: int, *first: bytes) -> bytes:
    """The beginning of one command in the Redis protocol: the number of its arguments and the first of them.

    >>> command_head(3, b"HGET", b"k")
    b'*3\\r\\n$4\\r\\nHGET\\r\\n$1\\r\\nk\\r\\n'
    """
    return b"".join([b"*%d\r\n" % arguments, *(b"$%d\r\n%b\r\n" % (len(text), text) for text in first)])

"""Where things lie in Redis: names of keys, what readers and writers find under them, and what rows fall where.

``docs/reference/redis-layout.md`` is the same for readers in other languages. An entity's encoded key decides on its
*group*; the pointers and rows of a group, for all views of the entity, share the hash tag ``{<entity>/<group>}``. So in
a cluster one node has all that is known of one entity, and one script may touch all of a group.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

from feature_platform.stores.online_reads import ttl_of

LAYOUT_FORMAT: Final = 2
"""Of keys and hashes. Packed rows have a format of their own."""
BUCKET_ROWS: Final = 16_384
"""Rows that a bucket is planned for: one hash that frees, expires and migrates in a few milliseconds."""
UNKNOWN_BUCKETS: Final = 64
"""Buckets of a first snapshot that is larger than one bucket: right for a million rows, good enough for fifty."""
MAX_BUCKETS: Final = 1_024
"""Of one group."""


@dataclass(frozen=True, slots=True)
class ViewKeys:
    """The names of the keys that a view has once: they say what is published and what is being written."""

    prefix: str
    view: str

    @property
    def meta(self) -> bytes:
        """The hash that says what was published."""
        return f"{self.prefix}:{{{self.view}}}:meta".encode()

    @property
    def staged(self) -> bytes:
        """The hash of versions that were begun and neither published nor removed."""
        return f"{self.prefix}:{{{self.view}}}:staged".encode()


class GroupKeys:
    """The names of one group's keys of a view."""

    __slots__ = ("base", "group", "live")

    def __init__(self, prefix: str, entity: str, view: str, group: int) -> None:
        self.group = group
        self.base = f"{prefix}:{{{entity}/{group}}}:{view}:".encode()
        self.live = self.base + b"live"
        """The pointer: a hash that says which version of the group's rows is live."""

    def bucket(self, version: str | bytes, number: int) -> bytes:
        """The hash that holds a part of a version's rows, by encoded entity key."""
        name = version.encode() if isinstance(version, str) else version
        return b"%b%b:%d" % (self.base, name, number)

    def buckets(self, version: str | bytes, count: int) -> list[bytes]:
        """All of a version's buckets; those without rows are not there."""
        return [self.bucket(version, number) for number in range(count)]


@lru_cache(maxsize=65_536)
def group_keys(prefix: str, entity: str, view: str, group: int) -> GroupKeys:
    """The keys of one group; remembered, since every read needs them."""
    return GroupKeys(prefix, entity, view, group)


def layout_key(prefix: str) -> bytes:
    """The hash that says how many groups there are, for all views."""
    return f"{prefix}:layout".encode()


@dataclass(frozen=True, slots=True)
class LivePointer:
    """Which of a group's rows of a view are live, and of which schema they are."""

    version: bytes
    """The snapshot, part of its buckets' names."""
    revision: bytes
    """The changes that were made to it last; empty: none."""
    fingerprint: str
    buckets: int
    moment: datetime | None
    """The event time of every row; None: each has its own."""
    number: int
    """Of the publication: a later one of the view has a higher one."""
    rows: int
    """Of this group."""
    ttl: timedelta | None
    """Rows that are older by more are not used; None: all are."""


LIVE_FIELDS: Final = (b"version", b"fingerprint", b"buckets", b"revision", b"moment", b"number", b"rows", b"ttl")


def live_pointer(values: Iterable[bytes | None]) -> LivePointer | None:
    """The answer to ``HMGET`` of :data:`LIVE_FIELDS`; None when the group has no rows of the view."""
    version, fingerprint, buckets, revision, moment, number, rows, ttl = values
    if version is None or fingerprint is None or buckets is None:
        return None
    every = datetime.fromisoformat(moment.decode()) if moment else None
    counts = int(number or 0), int(rows or 0)
    ends = ttl_of(ttl.decode() if ttl else None)
    return LivePointer(version, revision or b"", fingerprint.decode(), int(buckets), every, *counts, ends)


def group_of(field: bytes, groups: int) -> int:
    """Which group an entity falls into: CRC-32 (ISO-HDLC, as in zlib) of its encoded key, modulo their number."""
    return crc32(field) % groups


def bucket_of(field: bytes, groups: int, buckets: int) -> int:
    """Which of its group's buckets a row lies in: what the number of groups leaves of the CRC, modulo their number."""
    return crc32(field) // groups % buckets


def bucket_count(expected_rows: int | None, groups: int = 1) -> int:
    """Buckets of each group: a power of two that gives buckets of about :data:`BUCKET_ROWS` rows."""
    if expected_rows is None:
        return max(1, UNKNOWN_BUCKETS // groups)
    needed = -(-expected_rows // (BUCKET_ROWS * groups))
    return min(MAX_BUCKETS, 1 << max(0, needed - 1).bit_length())


@dataclass(frozen=True, slots=True)
class StagedEntry:
    """A value of the ``staged`` hash: what was begun, and who would know whether it still goes on."""

    entity: str
    groups: int
    buckets: int
    """Of each group; 0 while none may exist."""
    rows: tuple[int, ...] | None
    """By group, of changes with those that go; None while they are being loaded."""
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
        if "groups" not in fields:  # of format 1: its buckets vanish by themselves
            return cls("", 0, 0, None, "", "", 0, 0)
        rows = fields.pop("rows")
        return cls(**fields, rows=None if rows is None else tuple(rows))


def command_head(arguments: int, *first: bytes) -> bytes:
    """The beginning of one command in the Redis protocol: the number of its arguments and the first of them.

    >>> command_head(3, b"HGET", b"k")
    b'*3\\r\\n$4\\r\\nHGET\\r\\n$1\\r\\nk\\r\\n'
    """
    return b"".join([b"*%d\r\n" % arguments, *(b"$%d\r\n%b\r\n" % (len(text), text) for text in first)])

"""The online store in Redis (6.2 or later) or Valkey: one server, a cluster, or the master that sentinels name.

``docs/adr/0006-online-layout.md`` and ``0029-redis-clusters.md`` have the reasons and figures behind the layout,
``docs/reference/redis-layout.md`` the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from feature_platform.stores.online_encoding import RowDecoder, row_decoder
from feature_platform.stores.online_encoding_keys import KeyEncoder, key_encoder
from feature_platform.stores.online_order import check_order
from feature_platform.stores.online_protocol import TTL, OnlineChanges, OnlineRow, OnlineTable, StagedOnline
from feature_platform.stores.online_reads import PerTable, is_expired, time_of_read
from feature_platform.stores.online_writes import Counted, changes_moved, keys_only
from feature_platform.stores.protocols import Holdings, Publication, StreamSource
from feature_platform.stores.redis_errors import (
    newer_layout,
    older_layout,
    other_groups,
    parts_gone,
    replicas_lag,
    staged_rows_gone,
    store_errors,
)
from feature_platform.stores.redis_online_attempts import Attempts
from feature_platform.stores.redis_online_layout import (
    LAYOUT_FORMAT,
    ViewKeys,
    bucket_count,
    group_keys,
    layout_key,
    live_pointer,
)
from feature_platform.stores.redis_online_publish import Publisher, pointers_of
from feature_platform.stores.redis_online_read import Found, Lookup, SnapshotReader
from feature_platform.stores.redis_online_record import (
    Record,
    intention,
    is_published,
    lost_groups,
    pending,
    publication,
)
from feature_platform.stores.redis_online_remove import remove_view, views_of
from feature_platform.stores.redis_server_memory import check_room, memory_shares
from feature_platform.stores.redis_servers import Command, Part, open_servers, words
from feature_platform.stores.redis_settings import RedisSettings


class RedisOnlineStore:
    """Keeps each view's newest rows in buckets: hashes from an entity's key to its packed row.

    ``url`` is redis-py's: ``redis://``, ``rediss://`` or ``unix://``, with credentials and options; several hosts
    after commas for a cluster's nodes, or for sentinels. Every key begins with ``key_prefix``. Safe to use from several
    threads.

    Raises:
        ValueError: ``url`` is not such an address.
    """

    def __init__(self, name: str, url: str, *, key_prefix: str, settings: RedisSettings | None = None) -> None:
        self.name = name
        self._prefix = key_prefix
        self._settings = settings or RedisSettings()
        self._servers = open_servers(url, self._settings)
        self._publisher = Publisher(name, self._servers, key_prefix, self._settings.acknowledging_replicas)
        self._attempts = Attempts(self._servers, self._publisher)
        self._reader = SnapshotReader(self._servers, name, self._is_published)
        self._codecs: PerTable[tuple[KeyEncoder, RowDecoder]] = PerTable(lambda t: (key_encoder(t), row_decoder(t)))
        self._known_groups: int | None = None

    def stage(
        self,
        table: OnlineTable,
        rows: StreamSource,
        *,
        properties: Mapping[str, str] | None = None,
        expected_rows: int | None = None,
    ) -> StagedOnline:
        """Loads a full snapshot beside the live one; memory does not grow with its size. With ``expected_rows`` it is
        refused before anything is sent where the server has no room for so many.

        Raises:
            StoreError: wrong columns, a NULL or repeated key, the server has no room, would not keep the rows, is out
                of memory or gone, or a cluster moved keys meanwhile. Nothing is left behind, except where the server
                can't be told: then the next ``sweep``, or a day, removes it.
        """
        # Arrow and numpy load here, so that a process that only reads stays light.
        from feature_platform.stores.online_encoding_stream import CHUNK_ROWS, newest_event_time, snapshot_chunks
        from feature_platform.stores.redis_online_load import Load
        from feature_platform.stores.redis_online_memory import needed_bytes

        keys = ViewKeys(self._prefix, table.view)
        with store_errors(self.name, "load a snapshot"):
            key_encoder(table)
            groups = self._groups_to_write()
            with self._attempts.attempt(keys, table.entity, groups) as token:
                live = publication(table.view, self._publisher.record(keys))
                chunks = snapshot_chunks(table, rows)
                begin = [chunk for _, chunk in zip(range(2), chunks, strict=False)]
                expected = expected_rows if expected_rows is not None else live.rows if live else None
                if len(begin) < 2:
                    expected = sum(chunk.num_rows for chunk in begin)
                elif expected is not None:
                    expected = max(expected, 2 * CHUNK_ROWS)
                buckets, needed = bucket_count(expected, groups), None
                if begin and expected_rows is not None:
                    named, check = self._publisher.groups(table.entity, table.view, groups), self._settings.memory_check
                    size = expected_rows, buckets
                    needed = needed_bytes(self._servers, self.name, table, named, begin[0], *size, check=check)
                load = Load.begun(self._attempts, self._publisher, table, token, buckets)
                counted = Counted(chain(begin, chunks), newest_event_time)
                load.send(map(load.writer.payloads, counted))
                load.finished(counted.count, counted.newest)
        about = dict(properties or {})
        return StagedOnline(self.name, table, token, counted.count, about, estimated_bytes=needed)

    def stage_changes(
        self, table: OnlineTable, changes: OnlineChanges, *, properties: Mapping[str, str] | None = None
    ) -> StagedOnline:
        """Loads rows and removals beside the live rows, in buckets that correspond to theirs.

        Raises:
            StoreError: as :meth:`stage`; nothing is live that could be changed.
        """
        from feature_platform.stores.online_encoding_stream import snapshot_chunks
        from feature_platform.stores.redis_online_load import Load

        keys = ViewKeys(self._prefix, table.view)
        with store_errors(self.name, "load changes"):
            groups = self._groups_to_write()
            with self._attempts.attempt(keys, table.entity, groups) as token:
                live = self._publisher.record(keys)
                if not is_published(live) or live[b"entity"].decode() != table.entity:
                    raise changes_moved(table.view, self.name)
                if self._settings.memory_check:
                    named = self._publisher.groups(table.entity, table.view, groups)
                    for memory, _ in memory_shares(self._servers, named):
                        check_room(table.view, self.name, 0, memory)
                load = Load.begun(self._attempts, self._publisher, table, token, int(live[b"buckets"]))
                rows = Counted(snapshot_chunks(table, changes.rows))
                gone = Counted(snapshot_chunks(keys_only(table), changes.removed))
                load.send(chain(map(load.writer.payloads, rows), map(load.writer.removals, gone)))
                load.finished(rows.count + gone.count, changes.newest)
        properties = dict(properties or {})
        return StagedOnline(self.name, table, token, rows.count, properties, changes.base.version, gone.count)

    def changeable(self, table: OnlineTable) -> Publication | None:
        """What is live, if its rows are of this table's schema and as many as there should be. Carries a publication
        through that somebody left half done."""
        keys = ViewKeys(self._prefix, table.view)
        with store_errors(self.name, "look up a publication"):
            self._publisher.forward(keys)
            record = self._publisher.record(keys)
            live = publication(table.view, record)
            if live is None or record[b"fingerprint"].decode() != table.fingerprint or lost_groups(record):
                return None
            if record[b"entity"].decode() != table.entity or int(record[b"groups"]) != self._groups_to_write():
                return None
            rows, behind = self._counted(table.view, record, [b"HLEN"])
            return live if not behind and sum(counts[0] for counts in rows) == live.rows else None

    def publish(self, staged: StagedOnline, *, backwards: bool = False) -> Publication:
        """Directs readers to the staged snapshot and removes the old one, or makes the staged changes. On a server of
        its own that is one step, in a cluster one per group of entities. A second call changes nothing.

        Raises:
            StoreError: the staged rows are gone, something else is live than changes were made for, what is live is
                later, or the server refuses. What is live is as it was; unless the server goes away half-way: then the
                next sweep, publication or :meth:`changeable` carries it through.
        """
        view = staged.table.view
        keys = ViewKeys(self._prefix, view)
        with store_errors(self.name, "publish rows"):
            entry = self._attempts.entry(keys, staged.token)
            if entry is None:
                self._publisher.forward(keys)
                record = self._publisher.record(keys)
                if staged.token.encode() not in (record.get(b"version"), record.get(b"revision")):
                    raise staged_rows_gone(view, self.name)
                return self._finished(staged)
            sealed = self._publisher.seal(keys, staged.token, entry)
            if sealed == "alone":
                raise replicas_lag(view, self.name, self._settings.acknowledging_replicas)
            if sealed == "gone":
                raise staged_rows_gone(view, self.name)
            now = self._attempts.now(keys)
            wanted = intention(staged, entry, now, expires=self._expires(keys, staged))
            answer, lost = self._publisher.publish(
                keys,
                wanted,
                lambda record: check_order(staged, publication(view, record), now, backwards=backwards),
            )
            if answer == "moved":
                raise changes_moved(view, self.name)
            if answer == "gone":
                raise staged_rows_gone(view, self.name)
            if lost:
                raise parts_gone(view, self.name, len(lost), entry.groups)
            return self._finished(staged)

    def discard(self, staged: StagedOnline) -> None:
        """Removes a staged snapshot. Does nothing when it was published or removed before."""
        with store_errors(self.name, "discard a snapshot"):
            self._attempts.remove(ViewKeys(self._prefix, staged.table.view), staged.token)

    def read(
        self, table: OnlineTable, keys: Sequence[tuple[Any, ...]], *, at: datetime | None = None
    ) -> list[OnlineRow | None]:
        """The live rows of ``keys``, in their order, without those past the view's ttl; one round trip as long as
        nothing was published in between.

        Raises:
            StoreError: a key of another type, another schema is live, or the server is gone.
        """
        return self.read_many([(table, keys)], at=at)[0]

    def read_many(
        self, requests: Sequence[tuple[OnlineTable, Sequence[tuple[Any, ...]]]], *, at: datetime | None = None
    ) -> list[list[OnlineRow | None]]:
        """:meth:`read` for several views at once, still in one round trip; in a cluster, one to each node concerned."""
        with store_errors(self.name, "read rows"):
            groups = self._groups() or 1
            lookups = []
            for table, keys in requests:
                field = self._codecs(table)[0].field
                names = [field(key) for key in keys]
                group = partial(group_keys, self._prefix, table.entity, table.view)
                lookups.append(Lookup(table.view, table.fingerprint, names, group, groups))
            when = time_of_read(at)
            return [
                _decoded(found, self._codecs(table)[1].decode, when)
                for (table, _), found in zip(requests, self._reader.read(lookups), strict=True)
            ]

    def publication(self, view: str) -> Publication | None:
        """What is live for ``view``: the last publication that was carried through."""
        with store_errors(self.name, "look up a publication"):
            return publication(view, self._publisher.record(ViewKeys(self._prefix, view)))

    def holdings(self, view: str) -> Holdings:
        """The rows of the live snapshot, counted by bucket; memory by samples of each bucket."""
        with store_errors(self.name, "count rows"):
            record = self._publisher.record(ViewKeys(self._prefix, view))
            if not is_published(record):
                return Holdings(0, 0)
            counts, behind = self._counted(view, record, [b"HLEN"], [b"MEMORY", b"USAGE"])
        unfinished = ""
        if (going := pending(record)) is not None:
            unfinished = (
                f"publication {going.token} was decided and is not done: {len(behind)} of {going.groups} groups no "
                "longer have rows of the one before; the next run completes it"
            )
            behind = []
        rows, size = sum(count[0] for count in counts), sum(count[1] or 0 for count in counts)
        return Holdings(rows, size, tuple(f"group {group} of {view}" for group in behind), unfinished)

    def sweep(self, view: str) -> int:
        """Removes snapshots whose writers are dead: their connection is gone, or, where nobody tells, a day passed.
        Before that, a publication that was left half done is carried through."""
        keys = ViewKeys(self._prefix, view)
        with store_errors(self.name, "sweep"):
            self._publisher.forward(keys)
            return self._attempts.sweep(keys)

    def views(self) -> Sequence[str]:
        """Looks at the name of every key in the server, in small steps."""
        with store_errors(self.name, "look for views"):
            return views_of(self._servers, self._prefix)

    def remove(self, view: str) -> bool:
        """Group by group, each in one step; on a server of its own that is the whole view."""
        with store_errors(self.name, "remove rows"):
            keys = ViewKeys(self._prefix, view)
            remove_view(self._servers, self._publisher, self._attempts, keys, self.name)
        return True

    def close(self) -> None:
        """Gives connections back. What is staged and not published counts as left by a dead writer from now on."""
        self._attempts.release_all()
        self._servers.close()

    def _expires(self, keys: ViewKeys, staged: StagedOnline) -> bool:
        """Whether rows may be given an expiry: where a server makes room by what has one, they would go too early."""
        if TTL not in staged.properties:
            return False
        policy = self._publisher.eviction(keys)
        return policy is not None and not policy.startswith("volatile")

    def _finished(self, staged: StagedOnline) -> Publication:
        self._attempts.release(staged.token)
        live = self.publication(staged.table.view)
        assert live is not None
        return live

    def _counted(self, view: str, record: Record, *questions: list[bytes]) -> tuple[list[list[Any]], list[int]]:
        """The answers about each bucket of the groups that have what the record says; and the other groups."""
        groups = self._publisher.groups(record[b"entity"].decode(), view, int(record[b"groups"]))
        wanted = (record[b"version"], record.get(b"revision", b""))
        behind, parts = [], []
        for group, values in zip(groups, pointers_of(self._servers, groups), strict=True):
            live = live_pointer(values)
            if live is None or (live.version, live.revision) != wanted:
                behind.append(group.group)
                continue
            buckets = group.buckets(live.version, live.buckets)
            commands: list[Command] = [(*question, bucket) for bucket in buckets for question in questions]
            parts.append(Part(group.live, commands))
        step = len(questions)
        answers = [
            reply[place : place + step]
            for reply in self._servers.exchange(parts)
            for place in range(0, len(reply), step)
        ]
        return answers, behind

    def _groups(self) -> int | None:
        """Into how many groups keys fall, as was written down when the first rows came; None: none came."""
        if self._known_groups is None:
            key = layout_key(self._prefix)
            form, groups = self._servers.exchange([Part(key, [(b"HMGET", key, b"format", b"groups")])])[0][0]
            if form is not None and form != str(LAYOUT_FORMAT).encode():
                raise newer_layout(self.name, form.decode())
            self._known_groups = None if groups is None else int(groups)
        return self._known_groups

    def _groups_to_write(self) -> int:
        """As :meth:`_groups`, and writes down what the profile says where nobody did."""
        key, wanted = layout_key(self._prefix), self._settings.key_groups
        noted: list[Command] = [
            words("HSETNX", key, "groups", wanted),
            words("HSETNX", key, "format", LAYOUT_FORMAT),
        ]
        self._servers.exchange([Part(key, noted)])
        self._known_groups = None
        found = self._groups()
        assert found is not None, "it was written down just now"
        if self._settings.groups not in (None, found):
            raise other_groups(self.name, found, wanted)
        return found

    def _is_published(self, view: str) -> bool:
        """Whether the view has rows somewhere although one of its groups has no pointer."""
        record = self._publisher.record(ViewKeys(self._prefix, view))
        if b"version" in record and not is_published(record):
            raise older_layout(view, self.name)
        if not is_published(record):
            return False
        self._known_groups = None  # it may have been laid out anew
        return True


def _decoded(found: Found, decode: Callable[[bytes], OnlineRow], at: datetime) -> list[OnlineRow | None]:
    rows: list[OnlineRow | None] = []
    for encoded, moment, ttl in zip(found.rows, found.moments, found.ttls, strict=True):
        row = None if encoded is None else decode(encoded)
        if row is not None and moment is not None:
            row = OnlineRow(row.values, moment)
        rows.append(None if row is None or is_expired(row.event_time, ttl, at) else row)
    return rows

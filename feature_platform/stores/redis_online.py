"""The online store in Redis (6.2 or later) or Valkey: full snapshots, replaced in one step, read in one round trip.

``docs/adr/0006-online-layout.md`` has the figures behind the layout, ``docs/reference/redis-layout.md`` the layout.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import redis

from feature_platform.errors import StoreError
from feature_platform.stores.codes import (
    ONLINE_DUPLICATE_KEY,
    ONLINE_KEY_TYPE,
    ONLINE_REFUSED,
    ONLINE_ROW_UNREADABLE,
    STAGED_ROWS_GONE,
    STORE_UNREACHABLE,
)
from feature_platform.stores.online_encoding import CorruptRowError, RowDecoder, row_decoder
from feature_platform.stores.online_encoding_keys import KeyEncoder, KeyTypeError, key_encoder
from feature_platform.stores.online_order import check_order
from feature_platform.stores.online_reads import PerTable
from feature_platform.stores.online_writes import Counted, changes_moved, keys_only
from feature_platform.stores.protocols import (
    Holdings,
    OnlineChanges,
    OnlineRow,
    OnlineTable,
    Publication,
    StagedOnline,
    StreamSource,
)
from feature_platform.stores.redis_online_layout import (
    LIVE_FIELDS,
    StagedEntry,
    ViewKeys,
    bucket_count,
    change_fields,
    live_version,
    meta_fields,
    publication,
)
from feature_platform.stores.redis_online_read import Lookup, SnapshotReader
from feature_platform.stores.redis_online_scripts import CHANGE, PUBLISH, REMOVE

if TYPE_CHECKING:
    from feature_platform.stores.redis_online_load import BucketWriter, Payload

STAGING_TTL_SECONDS: Final = 24 * 3600
"""After so long an unpublished snapshot vanishes by itself, should nobody ever sweep."""
_ANSWER_SECONDS: Final = 5.0
_LOAD_SECONDS: Final = 60.0


class RedisOnlineStore:
    """Keeps each view's newest rows in buckets: hashes from an entity's key to its packed row.

    ``url`` is redis-py's: ``redis://``, ``rediss://`` or ``unix://``, with database, credentials and options. Every key
    begins with ``key_prefix``. Safe to use from several threads.
    """

    def __init__(self, name: str, url: str, *, key_prefix: str) -> None:
        self.name = name
        self._prefix = key_prefix
        self._pool = redis.ConnectionPool.from_url(url, protocol=2, **_timeouts(url, _ANSWER_SECONDS))
        self._load_pool = redis.ConnectionPool.from_url(url, protocol=2, **_timeouts(url, _LOAD_SECONDS))
        self._client: Any = redis.Redis(
            connection_pool=self._pool
        )  # redis-py types every answer for every mode at once
        self._publish_script = self._client.register_script(PUBLISH)
        self._change_script = self._client.register_script(CHANGE)
        self._remove_script = self._client.register_script(REMOVE)
        self._reader = SnapshotReader(self._exchange)
        self._codecs: PerTable[tuple[KeyEncoder, RowDecoder]] = PerTable(lambda t: (key_encoder(t), row_decoder(t)))
        self._holders: dict[str, Any] = {}
        self._holders_lock = threading.Lock()

    def stage(
        self, table: OnlineTable, rows: StreamSource, *, properties: Mapping[str, str] | None = None
    ) -> StagedOnline:
        """Loads a full snapshot beside the live one; memory does not grow with its size.

        Raises:
            StoreError: wrong columns, a NULL or repeated key, the server is out of memory or gone. Nothing is left
                behind, except where the server can't be told: then the next ``sweep``, or a day, removes it.
        """
        keys = ViewKeys(self._prefix, table.view)
        with self._store_errors("load a snapshot"), self._attempt(table, keys) as token:
            live = self.publication(table.view)
            count = self._load(keys, token, table, rows, expected=live.rows if live else None)
        return StagedOnline(self.name, table, token, count, dict(properties or {}))

    def stage_changes(
        self, table: OnlineTable, changes: OnlineChanges, *, properties: Mapping[str, str] | None = None
    ) -> StagedOnline:
        """Loads rows and removals beside the live rows, in buckets that correspond to theirs.

        Raises:
            StoreError: as :meth:`stage`; nothing is live that could be changed.
        """
        from feature_platform.stores.online_encoding_stream import snapshot_chunks

        keys = ViewKeys(self._prefix, table.view)
        with self._store_errors("load changes"), self._attempt(table, keys) as token:
            live = live_version(self._client.hmget(keys.meta, LIVE_FIELDS))
            if live is None:
                raise changes_moved(table.view, self.name)
            entry = self._buckets(keys, token, live.buckets)
            writer = self._writer(table, keys, token, live.buckets)
            removed = snapshot_chunks(keys_only(table), changes.removed)
            rows, gone = Counted(snapshot_chunks(table, changes.rows)), Counted(removed)
            payloads = chain(map(writer.payload, rows), map(writer.removals, gone))
            self._send(table, token, payloads, writer, lambda: rows.count + gone.count)
            newest = changes.newest.isoformat() if changes.newest else ""
            done = replace(entry, used=len(writer.used), event_time=newest)
            self._client.hset(keys.staged, token, done.text())
        properties = dict(properties or {})
        return StagedOnline(self.name, table, token, rows.count, properties, changes.base.version, gone.count)

    def changeable(self, table: OnlineTable) -> Publication | None:
        """What is live, if its rows are of this table's schema and as many as there should be."""
        keys = ViewKeys(self._prefix, table.view)
        with self._store_errors("look up a publication"):
            meta = self._client.hgetall(keys.meta)
            live = publication(table.view, meta)
            if live is None or meta[b"fingerprint"].decode() != table.fingerprint:
                return None
            with self._client.pipeline(transaction=False) as pipeline:
                for number in range(int(meta[b"buckets"])):
                    pipeline.hlen(keys.bucket(meta[b"version"].decode(), number))
                return live if sum(pipeline.execute()) == live.rows else None

    def publish(self, staged: StagedOnline, *, backwards: bool = False) -> Publication:
        """Directs readers to the staged snapshot and removes the old one, or makes the staged changes; in one step. A
        second call changes nothing.

        Raises:
            StoreError: the staged rows are gone, something else is live than changes were made for, or the server
                refuses. What is live is as it was.
        """
        keys = ViewKeys(self._prefix, staged.table.view)
        with self._store_errors("publish rows"):
            entry = self._entry(keys, staged.token)
            answer = b"gone"
            seconds, microseconds = self._client.time()
            now = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=microseconds)
            check_order(staged, self.publication(staged.table.view), now, backwards=backwards)
            if entry is None:
                answer = b"live" if self._live_token(keys, staged) == staged.token else b"gone"
            elif entry.used >= 0:
                answer = self._flip(keys, staged, entry) if staged.base is None else self._change(keys, staged, entry)
            if answer == b"moved":
                raise changes_moved(staged.table.view, self.name)
            if answer == b"gone":
                raise StoreError(
                    STAGED_ROWS_GONE.problem(
                        f"the snapshot of '{staged.table.view}' that was staged in '{self.name}' is not there any more",
                        mend="Materialize the view again.",
                    )
                )
            self._release(staged.token)
            live = self.publication(staged.table.view)
        assert live is not None
        return live

    def discard(self, staged: StagedOnline) -> None:
        """Removes a staged snapshot. Does nothing when it was published or removed before."""
        with self._store_errors("discard a snapshot"):
            self._remove(ViewKeys(self._prefix, staged.table.view), staged.token)

    def read(
        self, table: OnlineTable, keys: Sequence[tuple[Any, ...]], *, at: datetime | None = None
    ) -> list[OnlineRow | None]:
        """The live rows of ``keys``, in their order; one round trip as long as nothing was published in between.

        Raises:
            StoreError: a key of another type, another schema is live, or the server is gone.
        """
        return self.read_many([(table, keys)], at=at)[0]

    def read_many(
        self,
        requests: Sequence[tuple[OnlineTable, Sequence[tuple[Any, ...]]]],
        *,
        at: datetime | None = None,  # noqa: ARG002
    ) -> list[list[OnlineRow | None]]:
        """:meth:`read` for several views at once, still in one round trip."""
        with self._store_errors("read rows"):
            lookups = []
            for table, keys in requests:
                field = self._codecs(table)[0].field
                lookups.append(
                    Lookup(ViewKeys(self._prefix, table.view), table.fingerprint, [field(key) for key in keys])
                )
            encoded = self._reader.read(lookups)
            answers: list[list[OnlineRow | None]] = []
            for (table, _), rows in zip(requests, encoded, strict=True):
                decode = self._codecs(table)[1].decode
                answer = [None if row is None else decode(row) for row in rows.rows]
                if rows.moment is not None:
                    answer = [None if row is None else OnlineRow(row.values, rows.moment) for row in answer]
                answers.append(answer)
        return answers

    def publication(self, view: str) -> Publication | None:
        """What is live for ``view``."""
        with self._store_errors("look up a publication"):
            return publication(view, self._client.hgetall(ViewKeys(self._prefix, view).meta))

    def holdings(self, view: str) -> Holdings:
        """The rows of the live snapshot, counted by bucket; memory by samples of each bucket."""
        keys = ViewKeys(self._prefix, view)
        with self._store_errors("count rows"):
            live = live_version(self._client.hmget(keys.meta, LIVE_FIELDS))
            if live is None:
                return Holdings(0, 0)
            version = live.version.decode()
            with self._client.pipeline(transaction=False) as pipe:
                for number in range(live.buckets):
                    pipe.hlen(keys.bucket(version, number))
                    pipe.memory_usage(keys.bucket(version, number))
                answers = pipe.execute()
        return Holdings(sum(answers[::2]), sum(size or 0 for size in answers[1::2]))

    def sweep(self, view: str) -> int:
        """Removes snapshots whose writers are dead: their connection is gone, or, where nobody tells, a day passed."""
        keys = ViewKeys(self._prefix, view)
        with self._store_errors("sweep"):
            entries = {
                token.decode(): StagedEntry.parse(text) for token, text in self._client.hgetall(keys.staged).items()
            }
            return sum(self._remove(keys, token) for token, entry in entries.items() if not self._is_alive(entry))

    def close(self) -> None:
        """Gives connections back. What is staged and not published counts as left by a dead writer from now on."""
        with self._holders_lock:
            self._holders.clear()
        self._load_pool.disconnect()
        self._pool.disconnect()

    def _hold(self, keys: ViewKeys, token: str) -> None:
        """Opens the connection that loads the snapshot and whose life says that its writer lives."""
        connection = self._load_pool.get_connection()
        with self._holders_lock:
            self._holders[token] = connection
        server, client = self._identity(connection)
        entry = StagedEntry(0, -1, "", server, client, self._server_seconds())
        self._client.hset(keys.staged, token, entry.text())

    @contextlib.contextmanager
    def _attempt(self, table: OnlineTable, keys: ViewKeys) -> Iterator[str]:
        """The token of what is being loaded; nothing of it stays after an error."""
        key_encoder(table)
        token = token_hex(8)
        try:
            self._hold(keys, token)
            yield token
        except BaseException:
            with contextlib.suppress(redis.RedisError):
                self._remove(keys, token)
            raise

    def _load(self, keys: ViewKeys, token: str, table: OnlineTable, rows: StreamSource, *, expected: int | None) -> int:
        # Arrow and numpy load here, so that a process that only reads stays light.
        from feature_platform.stores.online_encoding_stream import CHUNK_ROWS, newest_event_time, snapshot_chunks

        chunks = snapshot_chunks(table, rows)
        begin = [chunk for _, chunk in zip(range(2), chunks, strict=False)]
        if len(begin) < 2:
            expected = sum(chunk.num_rows for chunk in begin)
        elif expected is not None:
            expected = max(expected, 2 * CHUNK_ROWS)
        entry = self._buckets(keys, token, bucket_count(expected))
        writer = self._writer(table, keys, token, entry.buckets)
        counted = Counted(chain(begin, chunks), newest_event_time)
        self._send(table, token, map(writer.payload, counted), writer, lambda: counted.count)
        newest = counted.newest.isoformat() if counted.newest else ""
        self._client.hset(keys.staged, token, replace(entry, used=len(writer.used), event_time=newest).text())
        return counted.count

    def _buckets(self, keys: ViewKeys, token: str, buckets: int) -> StagedEntry:
        """Writes down which buckets may exist, before the first of them does."""
        entry = self._entry(keys, token)
        assert entry is not None, "its holder was written first"
        entry = replace(entry, buckets=buckets)
        self._client.hset(keys.staged, token, entry.text())
        return entry

    def _writer(self, table: OnlineTable, keys: ViewKeys, token: str, buckets: int) -> BucketWriter:
        from feature_platform.stores.redis_online_load import BucketWriter

        return BucketWriter(table, keys, token, buckets, STAGING_TTL_SECONDS, set())

    def _send(
        self,
        table: OnlineTable,
        token: str,
        payloads: Iterator[Payload],
        writer: BucketWriter,
        counted: Callable[[], int],
    ) -> None:
        """Sends everything; ``counted`` says afterwards how many keys there were."""
        from feature_platform.stores.redis_online_load import PipelinedSend

        with PipelinedSend(self._holders[token]) as pipeline:
            for payload in payloads:
                pipeline.send(payload)
            added = pipeline.finish() - len(writer.used)
        count = counted()
        if added != count:
            raise StoreError(
                ONLINE_DUPLICATE_KEY.problem(
                    f"'{table.view}': {count - added} of {count} rows repeat the key of another",
                    mend="Make the view give one row per entity, e.g. the newest.",
                )
            )

    def _flip(self, keys: ViewKeys, staged: StagedOnline, entry: StagedEntry) -> bytes:
        fields = meta_fields(
            staged,
            buckets=entry.buckets,
            event_time=datetime.fromisoformat(entry.event_time) if entry.event_time else None,
            published_at=datetime.now(UTC).replace(tzinfo=None),
        )
        arguments: list[Any] = [
            staged.token,
            entry.buckets,
            entry.used,
            keys.base,
            *chain.from_iterable(fields.items()),
        ]
        answer: bytes = self._publish_script(keys=[keys.meta, keys.staged], args=arguments)
        return answer

    def _change(self, keys: ViewKeys, staged: StagedOnline, entry: StagedEntry) -> bytes:
        version, _, revision = (staged.base or "").partition("+")
        fields = change_fields(
            staged,
            event_time=datetime.fromisoformat(entry.event_time) if entry.event_time else None,
            published_at=datetime.now(UTC).replace(tzinfo=None),
        )
        arguments: list[Any] = [
            staged.token,
            entry.used,
            keys.base,
            version,
            revision,
            *chain.from_iterable(fields.items()),
        ]
        answer: bytes = self._change_script(keys=[keys.meta, keys.staged], args=arguments)
        return answer

    def _remove(self, keys: ViewKeys, token: str) -> int:
        self._release(token)
        removed: int = self._remove_script(keys=[keys.staged], args=[token, keys.base])
        return removed

    def _release(self, token: str) -> None:
        with self._holders_lock:
            connection = self._holders.pop(token, None)
        if connection is not None:
            connection.disconnect()  # replies of a broken load may still be on their way
            self._load_pool.release(connection)

    def _entry(self, keys: ViewKeys, token: str) -> StagedEntry | None:
        text = self._client.hget(keys.staged, token)
        return None if text is None else StagedEntry.parse(text)

    def _live_token(self, keys: ViewKeys, staged: StagedOnline) -> str | None:
        version = self._client.hget(keys.meta, "version" if staged.base is None else "revision")
        return None if version is None else version.decode()

    def _identity(self, connection: Any) -> tuple[str, int]:
        """Which server, and which of its clients, ``connection`` is; empty where the server doesn't tell."""
        try:
            connection.send_command("CLIENT", "ID")
            return str(self._client.info("server")["run_id"]), int(connection.read_response())
        except (redis.ResponseError, KeyError):
            return "", 0

    def _is_alive(self, entry: StagedEntry) -> bool:
        try:
            if not entry.server:
                return self._is_young(entry)
            if entry.server != self._client.info("server")["run_id"]:
                return False
            return bool(self._client.client_list(client_id=[str(entry.client)]))
        except (redis.ResponseError, KeyError):
            return self._is_young(entry)

    def _is_young(self, entry: StagedEntry) -> bool:
        return self._server_seconds() - entry.begun_at < STAGING_TTL_SECONDS

    def _server_seconds(self) -> int:
        return int(self._client.time()[0])

    def _exchange(self, payload: bytes, replies: int) -> list[Any]:
        """One round trip on a pooled connection. A connection that died while it lay in the pool is replaced once."""
        try:
            return self._exchange_once(payload, replies)
        except redis.TimeoutError:
            raise
        except redis.ConnectionError:
            return self._exchange_once(payload, replies)

    def _exchange_once(self, payload: bytes, replies: int) -> list[Any]:
        connection: Any = self._pool.get_connection()
        try:
            connection.send_packed_command([payload])
            return [connection.read_response() for _ in range(replies)]
        except BaseException:
            connection.disconnect()  # replies that nobody took must not meet the next reader
            raise
        finally:
            self._pool.release(connection)

    @contextlib.contextmanager
    def _store_errors(self, action: str) -> Iterator[None]:
        """Turns errors of driver and codecs into ours. The server's texts may quote arguments: only codes are kept."""
        try:
            yield
        except (redis.ConnectionError, redis.TimeoutError) as error:
            problem = STORE_UNREACHABLE.problem(
                f"online store '{self.name}' could not {action}: {type(error).__name__}",
                mend="Check that the server runs and that the profile's address and credentials are right.",
            )
            raise StoreError(problem) from error
        except redis.RedisError as error:
            problem = ONLINE_REFUSED.problem(
                f"online store '{self.name}' could not {action}: {_reason(error)}",
                mend="Look at the server's memory limit, role and permissions.",
            )
            raise StoreError(problem) from error
        except KeyTypeError as error:
            raise StoreError(ONLINE_KEY_TYPE.problem(str(error), mend="Pass keys of the entity's types.")) from None
        except CorruptRowError as error:
            problem = ONLINE_ROW_UNREADABLE.problem(
                f"online store '{self.name}': {error}", mend="Materialize the view again."
            )
            raise StoreError(problem) from None


def _timeouts(url: str, seconds: float) -> dict[str, Any]:
    """Defaults for what the URL leaves open."""
    wanted = {"socket_timeout": seconds, "socket_connect_timeout": _ANSWER_SECONDS}
    if url.startswith("unix:"):
        wanted.pop("socket_connect_timeout")
    return {name: value for name, value in wanted.items() if f"{name}=" not in url}


def _reason(error: redis.RedisError) -> str:
    """The error's code, e.g. ``READONLY``, without its text."""
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "it is out of memory (maxmemory)"
    code = re.match(r"[A-Z]{3,}\b", str(error))
    return code[0] if code else type(error).__name__

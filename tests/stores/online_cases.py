"""What the tests of both online stores share: tables, snapshots, and a look behind each store's interface."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import pyarrow as pa
import redis

from feature_platform.stores.online_protocol import OnlineChanges, OnlineStore, OnlineTable
from feature_platform.stores.online_writes import keys_only
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.protocols import StreamSource
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_settings import RedisSettings
from feature_platform.types import Column, DataType, TableSchema

NOON = datetime.fromisoformat("2026-06-30T12:00:00")


def online_table(
    view: str = "card_spend", *, keys: str = "card string", features: str = "amount bigint"
) -> OnlineTable:
    """A table from ``"name type, name type"``; its fingerprint follows from its columns."""
    key_columns, feature_columns = _columns(keys), _columns(features)
    columns = (*key_columns, Column("event_time", DataType.parse("timestamp")), *feature_columns)
    fingerprint = " ".join(f"{column.name}:{column.type}" for column in columns)
    return OnlineTable(view, "card", tuple(column.name for column in key_columns), TableSchema(columns), fingerprint)


def _columns(text: str) -> tuple[Column, ...]:
    pairs = (item.split(maxsplit=1) for item in text.split("; " if ";" in text or "map<" in text else ", "))
    return tuple(Column(name, DataType.parse(kind)) for name, kind in pairs)


def stream(table: OnlineTable, rows: Sequence[dict[str, Any]]) -> StreamSource:
    """The rows as a source; columns that a row leaves out are NULL, its event time is noon."""
    schema = table.schema.arrow()
    batch = pa.RecordBatch.from_pylist([{"event_time": NOON, **row} for row in rows], schema=schema)
    return lambda: pa.RecordBatchReader.from_batches(schema, [batch])


def numbered(
    table: OnlineTable, count: int, value: int, *, between: Callable[[int], None] = lambda _: None
) -> StreamSource:
    """``count`` rows in batches of 5,000: key ``str(i)``, features ``value``. ``between`` runs before each batch."""
    schema = table.schema.arrow()

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, count, 5_000):
            between(start)
            size = min(5_000, count - start)
            columns = [
                pa.array([str(start + place) for place in range(size)]),
                pa.array([NOON] * size, schema.field(1).type),
            ]
            columns += [pa.array([value] * size, schema.field(place).type) for place in range(2, len(schema))]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return lambda: pa.RecordBatchReader.from_batches(schema, batches())


def publish(store: OnlineStore, table: OnlineTable, rows: Sequence[dict[str, Any]]) -> None:
    """Stages and publishes the rows."""
    store.publish(store.stage(table, stream(table, rows)))


@dataclass(frozen=True)
class Kind:
    """One of the stores, with a prefix of the test's own."""

    name: str
    url: str
    prefix: str
    open: Callable[[], OnlineStore]
    leftovers: Callable[[], set[str]]
    """Names of what lies in the server beyond live snapshots and what every use leaves."""
    cut_connections: Callable[[], None]
    """Ends every connection to the server but its own."""
    settings: RedisSettings = field(default_factory=RedisSettings)

    @property
    def steps(self) -> bool:
        """Whether a view is published in several steps, each whole for its entities, and not in one."""
        return self.settings.key_groups > 1


def store_kind(name: str, url_of: Callable[[str], str]) -> Kind:
    """The store called ``name``; ``url_of`` starts a server by the name of its fixture."""
    if name == "redis":
        return redis_kind(url_of("redis_url"))
    if name == "redis cluster":
        return redis_kind(url_of("redis_cluster_url"), CLUSTERED)
    return postgres_kind(url_of("postgres_url"))


def redis_kind(url: str, settings: RedisSettings | None = None) -> Kind:
    prefix, chosen = f"t{uuid.uuid4().hex[:8]}", settings or RedisSettings()
    name = "redis" if chosen.mode == "server" else "redis cluster"

    def leftovers() -> set[str]:
        with contextlib.closing(redis_client(url, chosen)) as client:
            known = {f"{prefix}:layout"}
            found = set(client.scan_iter(f"{prefix}:*", count=5_000))
            for meta in (key for key in found if key.endswith(":meta")):
                known |= {meta, *_live_keys(client, prefix, meta)}
            return found - known

    def cut() -> None:
        for node in redis_nodes(url, chosen):
            with contextlib.closing(node) as client:
                own = client.client_id()
                for other in client.client_list():
                    if int(other["id"]) != own:
                        client.client_kill_filter(_id=other["id"])

    def connect() -> OnlineStore:
        return RedisOnlineStore("online", url, key_prefix=prefix, settings=chosen)

    return Kind(name, url, prefix, connect, leftovers, cut, chosen)


def redis_client(url: str, settings: RedisSettings) -> Any:
    """A client of redis-py's own that decodes."""
    if settings.mode == "cluster":
        return redis.RedisCluster.from_url(url.split(",", maxsplit=1)[0], decode_responses=True)
    return redis.Redis.from_url(url, decode_responses=True)


def redis_nodes(url: str, settings: RedisSettings) -> list[Any]:
    """Clients of every server."""
    if settings.mode == "server":
        return [redis.Redis.from_url(url, decode_responses=True)]
    return [redis.Redis.from_url(f"redis://{address}") for address in url.removeprefix("redis://").split(",")]


def _live_keys(client: Any, prefix: str, meta: str) -> set[str]:
    """The keys that a published view has: pointers, and the buckets that they name."""
    view = meta.removeprefix(f"{prefix}:{{").removesuffix("}:meta")
    entity, groups, version = client.hmget(meta, "entity", "groups", "version")
    keys = set()
    for group in range(int(groups)):
        base = f"{prefix}:{{{entity}/{group}}}:{view}:"
        live, buckets = client.hmget(f"{base}live", "version", "buckets")
        assert live == version, f"group {group} has another version"
        keys |= {f"{base}live", *(f"{base}{live}:{number}" for number in range(int(buckets)))}
    return keys


def postgres_kind(url: str) -> Kind:
    prefix = f"t{uuid.uuid4().hex[:8]}_"
    schema = f"{prefix}online"

    def leftovers() -> set[str]:
        with psycopg.connect(url) as connection:
            tables = {
                name
                for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
            }
            if not tables:
                return set()
            names = psycopg.sql.Identifier(schema)
            live = connection.execute(psycopg.sql.SQL("SELECT version FROM {}.publications").format(names)).fetchall()
            open_ = connection.execute(psycopg.sql.SQL("SELECT version FROM {}.versions").format(names)).fetchall()
        known = {"layout", "publications", "versions", *(f"snapshot_{version}" for (version,) in live)}
        return tables - known | {version for (version,) in open_}

    def cut() -> None:
        with psycopg.connect(url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND application_name = 'feature_platform'"  # not other tests' own
            )

    def connect() -> OnlineStore:
        return PostgresOnlineStore("online", url, schema_prefix=prefix)

    return Kind("postgres", url, prefix, connect, leftovers, cut)


CLUSTERED = RedisSettings(mode="cluster", groups=8)
"""Groups enough to lie on all nodes, few enough for short tests."""
KINDS = ("redis", "redis cluster", "postgres")
CHANGED_ROWS = 30_000


def opened(kind: str, url: str, prefix: str) -> OnlineStore:
    """The store called ``kind``, in another process."""
    if kind != "postgres":
        settings = CLUSTERED if kind == "redis cluster" else None
        return RedisOnlineStore("online", url, key_prefix=prefix, settings=settings)
    return PostgresOnlineStore("online", url, schema_prefix=prefix)


def changed_table() -> OnlineTable:
    """The table that :func:`changes_to` is about: ``CHANGED_ROWS`` rows, keys ``"0"`` and so on."""
    return online_table("changed")


def changes_to(store: OnlineStore, table: OnlineTable) -> OnlineChanges:
    """Every third row becomes 2, every seventh goes."""
    base = store.changeable(table)
    assert base is not None
    put = [{"card": str(number), "amount": 2} for number in range(0, CHANGED_ROWS, 3) if number % 7]
    return OnlineChanges(base, stream(table, put), removals(table, range(0, CHANGED_ROWS, 7)), NOON)


def removals(table: OnlineTable, numbers: Iterable[int]) -> StreamSource:
    """Keys of rows that go."""
    schema = keys_only(table).schema.arrow()
    batch = pa.RecordBatch.from_pylist([{table.keys[0]: str(number)} for number in numbers], schema=schema)
    return lambda: pa.RecordBatchReader.from_batches(schema, [batch])

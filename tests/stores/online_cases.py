"""What the tests of both online stores share: tables, snapshots, and a look behind each store's interface."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pyarrow as pa
import redis

from feature_platform.stores.online_writes import keys_only
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.protocols import OnlineChanges, OnlineStore, OnlineTable, StreamSource
from feature_platform.stores.redis_online import RedisOnlineStore
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
    """One of the two stores, with a prefix of the test's own."""

    name: str
    url: str
    prefix: str
    open: Callable[[], OnlineStore]
    leftovers: Callable[[], set[str]]
    """Names of what lies in the server beyond live snapshots and what every use leaves."""
    cut_connections: Callable[[], None]
    """Ends every connection to the server but its own."""


def redis_kind(url: str) -> Kind:
    prefix = f"t{uuid.uuid4().hex[:8]}"

    def leftovers() -> set[str]:
        with redis.Redis.from_url(url, decode_responses=True) as client:
            live: set[str] = set()
            for meta in client.keys(f"{prefix}:*:meta"):
                version, buckets = client.hmget(meta, "version", "buckets")
                live |= {meta, *(f"{meta.removesuffix('meta')}{version}:{number}" for number in range(int(buckets)))}
            return set(client.keys(f"{prefix}:*")) - live

    def cut() -> None:
        with redis.Redis.from_url(url) as client:
            own = client.client_id()
            for other in client.client_list():
                if int(other["id"]) != own:
                    client.client_kill_filter(_id=other["id"])

    return Kind("redis", url, prefix, lambda: RedisOnlineStore("online", url, key_prefix=prefix), leftovers, cut)


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


CHANGED_ROWS = 30_000


def opened(kind: str, url: str, prefix: str) -> OnlineStore:
    """The store called ``kind``, in another process."""
    if kind == "redis":
        return RedisOnlineStore("online", url, key_prefix=prefix)
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

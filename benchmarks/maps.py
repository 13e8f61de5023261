"""Maps: what a form of them costs in each store, and what computing them at query times costs. Prints JSON.

* Redis: bytes and microseconds to read, of a map of texts to decimals packed into the row, as JSON text, as two arrays,
  and with a field of its own per key.
* PostgreSQL: bytes and microseconds to read, of a ``jsonb`` of texts, a ``jsonb`` of numbers, and two arrays.
* DuckDB: training sets with a sum per category in two windows, beside the same without categories and beside a join of
  events and query times; and a maximum per category, which needs every event of a window.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import redis

from feature_platform.compiler.project import compile_project
from feature_platform.compiler.training import compile_training_set
from feature_platform.registry.load import load_registry
from feature_platform.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from feature_platform.stores.maps import reader
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.types import BIGINT, TIMESTAMP, Column, DataType, TableSchema

MAP = DataType.parse("map<string, decimal(38,2)>")
CATEGORIES = [f"category_{number}" for number in range(40)]
READS = 2_000
REPEATS = 3
DAYS = 90
PLATFORM = """
kind: platform
name: bench
purposes: {analysis: Measuring.}
profiles: {embedded: {stores: {warehouse: {type: duckdb_delta}}}}
---
kind: domain
name: cards
owner: team:cards
---
kind: entity
name: card
keys: [{name: card, type: bigint, pii: none}]
"""
VIEW = """
kind: source
name: payments
table: payments
event_time: happened
key: [id]
columns:
  id: {type: bigint, pii: none}
  card: {type: bigint, pii: none}
  happened: {type: timestamp, pii: none}
  category: {type: string, pii: none}
  amount: {type: "decimal(18,2)", pii: none}
---
kind: feature_view
name: spend
entity: card
source: payments
aggregations:
  - {function: sum, column: amount, windows: [7d, 30d]}
  - {function: sum, column: amount, group: category, windows: [7d, 30d], name: by_category}
  - {function: max, column: amount, group: category, windows: [7d, 30d], name: largest}
"""
JOINED = """
    SELECT fp_row, map(list(category ORDER BY category), list(total ORDER BY category)) AS m FROM (
      SELECT s.fp_row, p.category, sum(p.amount) AS total FROM inputs.spine AS s
      JOIN sources.payments AS p ON p.card = s.card AND p.happened < s.at
        AND p.happened >= s.at - INTERVAL '{days} days'
      GROUP BY ALL) GROUP BY fp_row
"""


def main() -> None:
    """``python benchmarks/maps.py [--rows 100000] [--keys 12] [--spine 100000] [--events 1000000]``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="entities in the stores")
    parser.add_argument("--keys", type=int, default=12, help="keys of each map")
    parser.add_argument("--spine", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    given = parser.parse_args()
    maps = some_maps(given.rows, given.keys)
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as folder, contextlib.ExitStack() as stack:
        redis_server = stack.enter_context(EmbeddedRedis(Path(folder) / "redis", keep_data=False))
        postgres_server = stack.enter_context(EmbeddedPostgres(Path(folder) / "postgres", keep_data=False))
        result = {
            "rows": given.rows,
            "keys": given.keys,
            "redis": in_redis(redis_server.url, maps),
            "postgres": in_postgres(postgres_server.url, maps),
            "training_set": {
                f"{entities}_entities": training_sets(entities, given.spine, given.events) for entities in (50_000, 100)
            },
        }
    print(json.dumps(result, indent=2))


def some_maps(rows: int, keys: int) -> list[dict[str, Decimal]]:
    """Categories that differ from row to row, in order, with amounts."""
    return [
        dict(sorted((CATEGORIES[(row * 7 + key * 3) % 40], Decimal(row * 31 + key) / 100) for key in range(keys)))
        for row in range(rows)
    ]


def in_redis(url: str, maps: Sequence[dict[str, Decimal]]) -> dict[str, Any]:
    texts = [json.dumps({key: str(value) for key, value in each.items()}) for each in maps]
    forms: dict[str, tuple[dict[str, tuple[str, list[Any]]], Callable[[Any], Any]]] = {
        "packed": ({"m": (str(MAP), [list(each.items()) for each in maps])}, lambda row: row.values["m"]),
        "json_text": ({"m": ("string", texts)}, lambda row: _decimals(json.loads(row.values["m"]))),
        "two_arrays": (
            {
                "k": ("array<string>", [list(each) for each in maps]),
                "v": ("array<decimal(38,2)>", [list(each.values()) for each in maps]),
            },
            lambda row: dict(zip(row.values["k"], row.values["v"], strict=True)),
        ),
    }
    found: dict[str, Any] = {}
    with redis.Redis.from_url(url) as client:
        for name, (columns, as_map) in forms.items():
            client.flushall()
            before = client.info("memory")["used_memory"]
            table, batch = _online(columns, len(maps))
            with contextlib.closing(RedisOnlineStore("bench", url, key_prefix="bench")) as store:

                def rows(batch: pa.RecordBatch = batch) -> pa.RecordBatchReader:
                    return pa.RecordBatchReader.from_batches(batch.schema, [batch])

                seconds = _seconds(lambda: store.publish(store.stage(table, rows)))  # noqa: B023 - called at once
                used = client.info("memory")["used_memory"] - before

                def read(row: int) -> Any:
                    (answer,) = store.read(table, [(row,)])  # noqa: B023 - as above
                    return as_map(answer)  # noqa: B023 - as above

                assert read(5) == maps[5]
                found[name] = {
                    "bytes_per_row": round(used / len(maps)),
                    "rows_per_second": round(len(maps) / seconds),
                    "read_us": _each(read, len(maps)),
                }
        found["field_per_key"] = _field_per_key(client, maps)
    return found


def _field_per_key(client: Any, maps: Sequence[dict[str, Decimal]]) -> dict[str, Any]:
    client.flushall()
    before = client.info("memory")["used_memory"]
    for start in range(0, len(maps), 1_000):
        pipeline = client.pipeline(transaction=False)
        for row in range(start, min(start + 1_000, len(maps))):
            pipeline.hset(f"bench:{row}", mapping={f"m:{key}": str(value) for key, value in maps[row].items()})
        pipeline.execute()
    used = client.info("memory")["used_memory"] - before

    def fields(row: int) -> Any:
        return {key[2:].decode(): Decimal(value.decode()) for key, value in client.hgetall(f"bench:{row}").items()}

    assert fields(5) == maps[5]
    return {"bytes_per_row": round(used / len(maps)), "read_us": _each(fields, len(maps))}


def in_postgres(url: str, maps: Sequence[dict[str, Decimal]]) -> dict[str, Any]:
    texts = [json.dumps({key: str(value) for key, value in each.items()}) for each in maps]
    numbers = [text.replace('": "', '": ').replace('", "', ', "').replace('"}', "}") for text in texts]
    as_map = reader(MAP)
    forms: dict[str, tuple[str, list[tuple[Any, ...]], Callable[..., Any]]] = {
        "jsonb_of_texts": ("m jsonb", [(text,) for text in texts], as_map),
        "jsonb_of_numbers": ("m jsonb", [(text,) for text in numbers], lambda m: m),
        "two_arrays": (
            "k text[], v numeric(38,2)[]",
            [(list(each), list(each.values())) for each in maps],
            lambda k, v: dict(zip(k, v, strict=True)),
        ),
    }
    found: dict[str, Any] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for name, (columns, rows, convert) in forms.items():
            connection.execute(f"CREATE TABLE {name} (id bigint, {columns})")
            with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
                for number, row in enumerate(rows):
                    copy.write_row((number, *row))
            connection.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (id)")
            (size,) = connection.execute("SELECT pg_table_size(%s::regclass)", [name]).fetchone() or (0,)
            wanted = ", ".join(each.split()[0] for each in columns.split(", "))

            def read(row: int) -> Any:
                statement = f"SELECT {wanted} FROM {name} WHERE id = %s"  # noqa: B023 - called at once
                values = connection.execute(statement, [row], prepare=True, binary=True).fetchone()
                return convert(*(values or ()))  # noqa: B023 - as above

            read(5)
            found[name] = {"bytes_per_row": round(size / len(maps)), "read_us": _each(read, len(maps))}
    return found


def training_sets(entities: int, spine: int, events: int) -> dict[str, float]:
    """Seconds, the least of three runs each."""
    with (
        duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as connection,
        tempfile.TemporaryDirectory() as folder,
    ):
        connection.execute("CREATE SCHEMA sources; CREATE SCHEMA inputs")
        connection.execute(
            f"""CREATE TABLE sources.payments AS
                SELECT i AS id, (hash(i) % {entities})::BIGINT AS card, {_moment("i * 7")} AS happened,
                       'category_' || (hash(i * 5) % 15) AS category,
                       ((hash(i * 3) % 1000000)::BIGINT / 100)::DECIMAL(18, 2) AS amount
                FROM range({events}) AS r(i)"""
        )
        connection.execute(
            f"""CREATE TABLE inputs.spine AS
                SELECT i AS fp_row, (hash(i * 13) % {entities})::BIGINT AS card, {_moment("i * 17")} AS at
                FROM range({spine}) AS r(i)"""
        )
        root = Path(folder)
        found = {
            "sum_s": _run(connection, _training_sql(root, ["amount_sum_7d", "amount_sum_30d"])),
            "sum_by_category_s": _run(connection, _training_sql(root, ["by_category_7d", "by_category_30d"])),
            "sum_by_category_joined_s": sum(_run(connection, JOINED.format(days=days)) for days in (7, 30)),
            "max_by_category_s": _run(connection, _training_sql(root, ["largest_7d", "largest_30d"])),
        }
    return {name: round(seconds, 2) for name, seconds in found.items()}


def _training_sql(folder: Path, features: Sequence[str]) -> str:
    (folder / "cards").mkdir(exist_ok=True)
    (folder / "platform.yaml").write_text(PLATFORM)
    (folder / "cards" / "spend.yaml").write_text(VIEW)
    registry = load_registry(folder)
    wanted = [("spend", feature) for feature in features]
    columns = TableSchema((Column("fp_row", BIGINT), Column("card", BIGINT), Column("at", TIMESTAMP)))
    return compile_training_set(registry, compile_project(registry), wanted, columns, time="at").sql["duckdb"]


def _run(connection: duckdb.DuckDBPyConnection, sql: str) -> float:
    def read() -> None:
        for _ in connection.execute(sql).to_arrow_reader(100_000):
            pass

    return min(_seconds(read) for _ in range(REPEATS))


def _moment(seed: str) -> str:
    return f"TIMESTAMP '2026-01-01' + to_microseconds((hash({seed}) % {DAYS * 86_400_000_000})::BIGINT)"


def _online(columns: dict[str, tuple[str, list[Any]]], rows: int) -> tuple[OnlineTable, pa.RecordBatch]:
    kinds = {"id": BIGINT, **{name: DataType.parse(kind) for name, (kind, _) in columns.items()}}
    schema = TableSchema(tuple(Column(name, kind) for name, kind in kinds.items()))
    values = {"id": list(range(rows)), **{name: values for name, (_, values) in columns.items()}}
    arrays = [pa.array(values[name], kind.arrow()) for name, kind in kinds.items()]
    return OnlineTable("bench", "card", ("id",), schema, str(kinds)), pa.record_batch(arrays, schema=schema.arrow())


def _decimals(texts: dict[str, str]) -> dict[str, Decimal]:
    return {key: Decimal(value) for key, value in texts.items()}


def _each(read: Callable[[int], Any], rows: int) -> int:
    """Median microseconds of reads one after the other."""
    times = []
    for number in range(READS):
        times.append(_seconds(lambda: read(number * 7_919 % rows)))  # noqa: B023 - called at once
    return round(statistics.median(times) * 1e6)


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

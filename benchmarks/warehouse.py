"""What staging and publishing cost beside the engine's own bulk writing, and that memory does not grow with rows. JSON.

``duckdb_delta``: a query over Parquet files, staged and published as a Delta table, against DuckDB's own ``COPY`` of
the same query to a Parquet file. ``postgres``: the same rows from DuckDB into PostgreSQL, against a binary ``COPY`` of
bytes that were encoded before; the swap that publishes is given apart, too. ``postgres_online``: a snapshot with its
key, and a tenth of it changed, against ``COPY`` and ``ADD PRIMARY KEY``, and ``COPY`` and ``INSERT … ON CONFLICT``, of
ready bytes. ``postgres_read``: rows of PostgreSQL as Arrow, against a binary ``COPY`` whose bytes nobody looks at. Both
sides run in turn and the best of three counts. ``peak_rss_mb`` is that of a process which only stages, publishes and
reads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import psycopg
import pyarrow as pa

from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.embedded import EmbeddedPostgres
from feature_platform.stores.online_protocol import OnlineChanges, OnlineTable
from feature_platform.stores.online_writes import keys_only
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import FilesTable, NativeTable, Query, StreamTable, TableName
from feature_platform.types import Column, DataType, TableSchema

SCHEMA = TableSchema(
    tuple(
        Column(name, DataType.parse(kind))
        for name, kind in {
            "customer_id": "bigint",
            "event_time": "timestamp",
            "available_at": "timestamp",
            "amount_sum_30d": "decimal(38,2)",
            "amount_avg_30d": "double",
            "count_30d": "bigint",
            "country": "string",
            "is_new": "boolean",
        }.items()
    )
)
GENERATE = """
SELECT i AS customer_id, TIMESTAMP '2026-01-01' + to_microseconds(i * 1000003) AS event_time,
    TIMESTAMP '2026-01-01' + to_microseconds(i * 1000003 + 500) AS available_at,
    CAST((i * 7919) % 1000003 / 100 AS DECIMAL(38, 2)) AS amount_sum_30d,
    CAST((i * 7919) % 1000003 / 700 AS DOUBLE) AS amount_avg_30d,
    (i * 31) % 97 AS count_30d, ['CZ', 'DE', 'PL', 'SK'][1 + i % 4] AS country, i % 9 = 0 AS is_new
FROM range($rows) AS t(i)
"""
ONLINE = OnlineTable("rows", "customer", ("customer_id",), SCHEMA, "bench")
MEASURED = ("duckdb_delta", "postgres", "postgres_online", "postgres_read")
SOURCE = TableName("sources", "rows")
TARGET = TableName("features", "rows")
EVERY = Query('SELECT * FROM "features"."rows"', "postgres", tables={TARGET: NativeTable(TARGET)})
ROUNDS = 3


def main() -> None:
    """``python benchmarks/warehouse.py [--rows 5000000] [--only postgres postgres_online]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", nargs="*", choices=MEASURED, default=MEASURED)
    parser.add_argument("--step", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, folder = options.step
        print(json.dumps(STEPS[step](Path(folder), options.rows)))
        return
    results = {f"{rows}_rows": measured(rows, options.only) for rows in (options.rows // 10, options.rows)}
    print(json.dumps({"cpus": os.cpu_count(), **results}, indent=2))


def measured(rows: int, names: Sequence[str]) -> dict[str, object]:
    """Every step in a process of its own, for its memory; speed and memory apart, since speed runs the engine too."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as folder:

        def run(step: str) -> Any:
            command = [sys.executable, __file__, "--step", step, folder, "--rows", str(rows)]
            return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

        run("generate")
        return {name: run(name) | run(f"{name}_memory") for name in names}


def generate(folder: Path, rows: int) -> None:
    with closing(duckdb.connect()) as connection:
        connection.execute(
            f"COPY ({GENERATE}) TO '{folder}/source.parquet' (FORMAT parquet)", {"rows": rows}
        ).fetchall()


def source(folder: Path) -> Query:
    files = FilesTable(f"{folder}/source.parquet", "parquet", SCHEMA)
    return Query('SELECT * FROM "sources"."rows"', "duckdb", tables={SOURCE: files})


def to_delta(folder: Path, rows: int) -> dict[str, object]:
    def own() -> None:
        with closing(duckdb.connect()) as connection:
            select = f"SELECT * FROM read_parquet('{folder}/source.parquet')"
            connection.execute(f"COPY ({select}) TO '{folder}/own.parquet' (FORMAT parquet)").fetchall()

    with closing(DuckDBDeltaWarehouse("warehouse", folder / "tables", data_root=folder)) as warehouse:
        return compared(own, lambda: warehouse.publish(warehouse.stage(TARGET, SCHEMA, source(folder))), rows)


def to_delta_memory(folder: Path, _rows: int) -> dict[str, object]:
    with closing(DuckDBDeltaWarehouse("warehouse", folder / "tables", data_root=folder)) as warehouse:
        warehouse.publish(warehouse.stage(TARGET, SCHEMA, source(folder)))
    return peak()


def to_postgres(folder: Path, rows: int) -> dict[str, object]:
    with filled_postgres(folder) as (postgres, connection, stream):
        encoded = folder / "rows.bin"
        with encoded.open("wb") as file:
            file.writelines(binary_rows(connection))

        def own() -> None:
            with connection.transaction():
                connection.execute("CREATE TABLE own (LIKE rows)")
                send(connection, "own", encoded)
            connection.execute("DROP TABLE own")

        swaps: list[float] = []

        def ours() -> None:
            staged = postgres.stage(TARGET, SCHEMA, stream)
            swaps.append(timed(lambda: postgres.publish(staged)))

        return compared(own, ours, rows) | {"swap_seconds": round(min(swaps), 3)}


def to_postgres_memory(folder: Path, _rows: int) -> dict[str, object]:
    with filled_postgres(folder):
        return peak()


def to_postgres_online(folder: Path, rows: int) -> dict[str, object]:
    """A tenth of the rows gets other values; all of them and that tenth lie as bytes beside."""
    with filled_postgres(folder) as (_, connection, stream), online_store(connection) as store:
        every, tenth = folder / "every.bin", folder / "tenth.bin"
        chosen = (
            "SELECT customer_id, event_time + interval '1 day' AS event_time, available_at, "
            "CAST(amount_sum_30d + 1 AS decimal(38, 2)) AS amount_sum_30d, amount_avg_30d, count_30d, country, is_new "
            "FROM rows WHERE customer_id % 10 = 0"
        )
        for file, relation in ((every, "rows"), (tenth, f"({chosen})")):
            with file.open("wb") as out:
                out.writelines(binary_rows(connection, relation))
        connection.execute(f"CREATE TABLE tenth AS {chosen}")

        def own_snapshot() -> None:
            with connection.transaction():
                connection.execute("DROP TABLE IF EXISTS own")
                connection.execute("CREATE TABLE own (LIKE rows)")
                send(connection, "own", every)
                connection.execute("ALTER TABLE own ADD PRIMARY KEY (customer_id)")

        def own_changes() -> None:
            with connection.transaction():
                connection.execute("CREATE TABLE changes (LIKE rows)")
                send(connection, "changes", tenth)
                values = ", ".join(f"{name} = excluded.{name}" for name in SCHEMA.names[1:])
                put = "INSERT INTO own SELECT * FROM changes ON CONFLICT (customer_id) DO UPDATE SET "
                connection.execute(f"{put}{values}")
                connection.execute("DROP TABLE changes")

        swaps: list[float] = []

        def snapshot() -> None:
            staged = store.stage(ONLINE, stream.open)
            swaps.append(timed(lambda: store.publish(staged)))

        def changes() -> None:
            base = store.changeable(ONLINE)
            assert base is not None
            found = OnlineChanges(base, tenth_of(connection), nothing, datetime.fromisoformat("2026-07-01T00:00:00"))
            store.publish(store.stage_changes(ONLINE, found))

        whole = compared(own_snapshot, snapshot, rows) | {"swap_seconds": round(min(swaps), 3)}
        return {"snapshot": whole, "changes": compared(own_changes, changes, rows // 10)}


def to_postgres_online_memory(folder: Path, _rows: int) -> dict[str, object]:
    with filled_postgres(folder) as (_, connection, stream), online_store(connection) as store:
        store.publish(store.stage(ONLINE, stream.open))
        return peak()


@contextmanager
def online_store(connection: psycopg.Connection[Any]) -> Iterator[PostgresOnlineStore]:
    url = f"postgresql://{connection.info.user}@/{connection.info.dbname}?host={quote(connection.info.host, safe='')}"
    with closing(PostgresOnlineStore("online", url, schema_prefix="fp")) as store:
        yield store


def tenth_of(connection: psycopg.Connection[Any]) -> Callable[[], pa.RecordBatchReader]:
    """The changed rows, in memory as they would come from the warehouse."""
    rows = connection.execute("SELECT * FROM tenth").fetchall()
    table = pa.Table.from_arrays(
        [
            pa.array(column, type=field.type)
            for column, field in zip(zip(*rows, strict=True), SCHEMA.arrow(), strict=True)
        ],
        schema=SCHEMA.arrow(),
    )
    return lambda: table.to_reader(max_chunksize=100_000)


def nothing() -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(keys_only(ONLINE).schema.arrow(), [])


def send(connection: psycopg.Connection[Any], table: str, file: Path) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
        for block in blocks(file):
            copy.write(block)


def from_postgres(folder: Path, rows: int) -> dict[str, object]:
    with filled_postgres(folder) as (postgres, connection, _):
        return compared(lambda: sum(map(len, binary_rows(connection))), lambda: postgres.execute(EVERY), rows)


def from_postgres_memory(folder: Path, _rows: int) -> dict[str, object]:
    with filled_postgres(folder) as (postgres, _, _):
        postgres.execute(EVERY)
        return peak()


STEPS: dict[str, Callable[[Path, int], object]] = {
    "generate": generate,
    "duckdb_delta": to_delta,
    "duckdb_delta_memory": to_delta_memory,
    "postgres": to_postgres,
    "postgres_memory": to_postgres_memory,
    "postgres_online": to_postgres_online,
    "postgres_online_memory": to_postgres_online_memory,
    "postgres_read": from_postgres,
    "postgres_read_memory": from_postgres_memory,
}


@contextmanager
def filled_postgres(folder: Path) -> Iterator[tuple[PostgresWarehouse, psycopg.Connection[tuple[str]], StreamTable]]:
    """A warehouse with the rows, a connection beside it with the same rows in a table ``rows``, and their stream."""
    with (
        closing(DuckDBDeltaWarehouse("warehouse", folder / "tables", data_root=folder)) as duckdb_delta,
        EmbeddedPostgres(folder / "postgres", keep_data=False) as server,
        closing(PostgresWarehouse("postgres", server.url)) as postgres,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        stream = StreamTable(lambda: duckdb_delta.read(source(folder)))
        postgres.publish(postgres.stage(TARGET, SCHEMA, stream))
        found = connection.execute("SELECT relation_schema || '.' || relation_name FROM fp_meta.writes").fetchone()
        assert found is not None
        connection.execute(f"CREATE TABLE rows AS SELECT * FROM {found[0]}")
        yield postgres, connection, stream


def binary_rows(connection: psycopg.Connection[tuple[str]], relation: str = "rows") -> Iterator[bytes]:
    with connection.cursor() as cursor, cursor.copy(f"COPY {relation} TO STDOUT (FORMAT binary)") as copy:
        for block in copy:
            yield bytes(block)


def compared(own: Callable[[], object], ours: Callable[[], object], rows: int) -> dict[str, object]:
    seconds = [(timed(own), timed(ours)) for _ in range(ROUNDS)]
    best_own, best_ours = (min(column) for column in zip(*seconds, strict=True))
    return {
        "engine_rows_per_second": round(rows / best_own),
        "rows_per_second": round(rows / best_ours),
        "share_of_engine": round(best_own / best_ours, 2),
    }


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def peak() -> dict[str, object]:
    return {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 18):
            yield block


if __name__ == "__main__":
    main()

"""What staging and publishing cost beside the engine's own bulk writing, and that memory does not grow with rows. JSON.

``duckdb_delta``: a query over Parquet files, staged and published as a Delta table, against DuckDB's own ``COPY`` of
the same query to a Parquet file. ``postgres``: the same rows from DuckDB into PostgreSQL, against a binary ``COPY`` of
bytes that were encoded before. ``postgres_read``: rows of PostgreSQL as Arrow, against a binary ``COPY`` whose bytes
nobody looks at. Both sides run in turn and the best of three counts. ``peak_rss_mb`` is the whole process.
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
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import psycopg

from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.embedded import EmbeddedPostgres
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
SOURCE = TableName("sources", "rows")
TARGET = TableName("features", "rows")
ROUNDS = 3


def main() -> None:
    """``python benchmarks/warehouse.py [--rows 5000000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", choices=[*MEASURES], help="one measure, in this process")
    options = parser.parse_args()
    if options.only:
        with tempfile.TemporaryDirectory(prefix="fp-bench-") as folder:
            result = MEASURES[options.only](Path(folder), options.rows)
        print(json.dumps({**result, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
        return
    results = {
        name: {"1x": measured(name, options.rows // 10), "10x": measured(name, options.rows)} for name in MEASURES
    }
    print(json.dumps({"rows_10x": options.rows, "cpus": os.cpu_count(), **results}, indent=2))


def measured(name: str, rows: int) -> dict[str, object]:
    """One measure in a process of its own, for its memory."""
    command = [sys.executable, __file__, "--only", name, "--rows", str(rows)]
    found: dict[str, object] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def to_delta(folder: Path, rows: int) -> dict[str, object]:
    query = source(folder, rows)
    target = folder / "own.parquet"
    with closing(DuckDBDeltaWarehouse("warehouse", folder / "tables", data_root=folder)) as warehouse:

        def own() -> None:
            with closing(duckdb.connect()) as connection:
                connection.execute("SET memory_limit = '1GB'")
                select = f"SELECT * FROM read_parquet('{folder}/source.parquet')"
                connection.execute(f"COPY ({select}) TO '{target}' (FORMAT parquet)").fetchall()

        return compared(own, lambda: warehouse.publish(warehouse.stage(TARGET, SCHEMA, query)), rows)


def to_postgres(folder: Path, rows: int) -> dict[str, object]:
    with filled_postgres(folder, rows) as (postgres, connection, table, stream):
        encoded = folder / "rows.bin"
        with encoded.open("wb") as file:
            file.writelines(binary_rows(connection, table))

        def own() -> None:
            with connection.transaction():
                connection.execute(f"CREATE TABLE own (LIKE {table})")
                with connection.cursor() as cursor, cursor.copy("COPY own FROM STDIN (FORMAT binary)") as copy:
                    for block in blocks(encoded):
                        copy.write(block)
            connection.execute("DROP TABLE own")

        return compared(own, lambda: postgres.publish(postgres.stage(TARGET, SCHEMA, stream)), rows)


def from_postgres(folder: Path, rows: int) -> dict[str, object]:
    with filled_postgres(folder, rows) as (postgres, connection, table, _):
        every = Query('SELECT * FROM "features"."rows"', "postgres", tables={TARGET: NativeTable(TARGET)})
        return compared(lambda: sum(map(len, binary_rows(connection, table))), lambda: postgres.execute(every), rows)


@contextmanager
def filled_postgres(
    folder: Path, rows: int
) -> Iterator[tuple[PostgresWarehouse, psycopg.Connection[tuple[str]], str, StreamTable]]:
    """A warehouse with the rows, a connection beside it, the rows' physical table, and where they came from."""
    query = source(folder, rows)
    with (
        closing(DuckDBDeltaWarehouse("warehouse", folder / "tables", data_root=folder)) as duckdb_delta,
        EmbeddedPostgres(folder / "postgres", keep_data=False) as server,
        closing(PostgresWarehouse("postgres", server.url)) as postgres,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        stream = StreamTable(lambda: duckdb_delta.read(query))
        postgres.publish(postgres.stage(TARGET, SCHEMA, stream))
        found = connection.execute("SELECT relation_schema || '.' || relation_name FROM fp_meta.writes").fetchone()
        assert found is not None
        connection.execute(f"CREATE TABLE rows AS SELECT * FROM {found[0]}")
        yield postgres, connection, "rows", stream


def binary_rows(connection: psycopg.Connection[tuple[str]], table: str) -> Iterator[bytes]:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
        for block in copy:
            yield bytes(block)


MEASURES: dict[str, Callable[[Path, int], dict[str, object]]] = {
    "duckdb_delta": to_delta,
    "postgres": to_postgres,
    "postgres_read": from_postgres,
}


def source(folder: Path, rows: int) -> Query:
    """Reads a Parquet file of ``rows`` rows."""
    path = folder / "source.parquet"
    with closing(duckdb.connect()) as connection:
        connection.execute(f"COPY ({GENERATE}) TO '{path}' (FORMAT parquet)", {"rows": rows}).fetchall()
    files = FilesTable(str(path), "parquet", SCHEMA)
    return Query('SELECT * FROM "sources"."rows"', "duckdb", tables={SOURCE: files})


def compared(own: Callable[[], object], ours: Callable[[], object], rows: int) -> dict[str, object]:
    seconds = [(timed(own), timed(ours)) for _ in range(ROUNDS)]
    best_own, best_ours = (min(column) for column in zip(*seconds, strict=True))
    return {
        "rows": rows,
        "engine_rows_per_second": round(rows / best_own),
        "rows_per_second": round(rows / best_ours),
        "share_of_engine": round(best_own / best_ours, 2),
    }


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 18):
            yield block


if __name__ == "__main__":
    main()

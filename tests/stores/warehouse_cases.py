"""What the tests of warehouses share: a kind of warehouse to open, tables, values of every type."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import sqlglot
from sqlglot.errors import ParseError

from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.doris.sessions import Sessions
from feature_platform.stores.doris.settings import DorisSettings, parse_url
from feature_platform.stores.doris.warehouse import DorisWarehouse
from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import (
    Binding,
    NativeTable,
    Partition,
    Query,
    StreamTable,
    TableName,
    Warehouse,
)
from feature_platform.types import Column, DataType, TableSchema
from tests.stores.doris.cases import StandingClock
from tests.stores.doris.double.cluster import Cluster

SPEND = TableName("features", "spend")
DAY = timedelta(days=1)
NOON = datetime.fromisoformat("2026-06-30T12:00:00")


@dataclass(frozen=True)
class Kind:
    """A warehouse that can be opened again and again over the same data."""

    name: str
    open: Callable[[], Warehouse]
    leftovers: Callable[[], Sequence[str]]
    """Every table or file that holds rows, live ones included."""
    arguments: tuple[str, ...]
    """For ``warehouse_writer``."""


def duckdb_kind(folder: Path) -> Kind:
    root = folder / "warehouse"

    def files() -> list[str]:
        kept = ("publish.lock",)
        found = [path for path in root.rglob("*") if path.is_file() and path.name not in kept]
        return [path.name for path in found if not {"_delta_log", "readers", "_spill"} & set(path.parts)]

    return Kind(
        "duckdb_delta",
        lambda: DuckDBDeltaWarehouse("warehouse", root, data_root=folder, memory_limit="300MB", threads=2),
        files,
        ("duckdb_delta", str(root), "-"),
    )


def postgres_kind(url: str) -> Kind:
    prefix = f"t{uuid.uuid4().hex[:12]}"

    def tables() -> list[str]:
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT tablename FROM pg_tables "
                "WHERE starts_with(schemaname, %s) AND tablename NOT IN ('layout', 'writes') "
                "UNION ALL SELECT tablename FROM pg_tables WHERE starts_with(schemaname, 'pg_temp')",
                (f"{prefix}_",),
            )
            return [row[0] for row in rows]

    return Kind(
        "postgres",
        lambda: PostgresWarehouse("warehouse", url, schema_prefix=prefix),
        tables,
        ("postgres", url, prefix),
    )


def doris_kind(url: str, settings: DorisSettings, cluster: Cluster) -> Kind:
    """Doris as its double; the ledger in a real PostgreSQL."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    settings = replace(settings, database_prefix=prefix)

    def parts() -> list[str]:
        """Partitions that an attempt filled, and tables of its own."""
        tables = [table for tables in cluster.databases.values() for table in tables.values()]
        return [
            name for table in tables for name in (*table.parts, *table.temporary) if table.by is None or "_" in name
        ]

    return Kind(
        "doris",
        lambda: DorisWarehouse("warehouse", settings, DorisLedger(url, prefix), clock=StandingClock()),
        parts,
        (),
    )


def live_doris_kind(url: str) -> Kind:
    """A real cluster, as ``docker compose --profile doris up doris-fe doris-be`` starts one; skips where none is."""
    address = os.environ.get("FP_TEST_DORIS_URL", "")
    if not address:
        pytest.skip("no Doris cluster: FP_TEST_DORIS_URL is not set")
    frontends, user, password = parse_url(address)
    prefix = f"t{uuid.uuid4().hex[:12]}"
    settings = DorisSettings(
        frontends, user, password, database_prefix=prefix, replicas=1, buckets=2,
        backend_addresses={"172.30.80.3": "127.0.0.1"},
    )  # fmt: skip
    sessions = Sessions(settings)

    def parts() -> list[str]:
        where = f"WHERE TABLE_SCHEMA LIKE '{prefix}_%'"
        tables = [str(row[0]) for row in sessions.rows(f"SELECT TABLE_NAME FROM information_schema.tables {where}")]
        found = sessions.rows(f"SELECT PARTITION_NAME FROM information_schema.partitions {where}")
        names = {str(row[0]) for row in found}
        return [name for name in tables if name in names] + [name for name in names if re.match(r"p\d{10}_", name)]

    return Kind("doris", lambda: DorisWarehouse("warehouse", settings, DorisLedger(url, prefix)), parts, ())


@contextmanager
def opened(kind: Kind) -> Iterator[Warehouse]:
    warehouse = kind.open()
    try:
        yield warehouse
    finally:
        warehouse.close()


def schema(**columns: str) -> TableSchema:
    """``schema(customer_id="bigint", amount="decimal(18,2)")``."""
    return TableSchema(tuple(Column(name, DataType.parse(kind)) for name, kind in columns.items()))


def day(text: str) -> Partition:
    start = datetime.fromisoformat(text)
    return Partition(text, start, start + DAY)


def stream(declared: TableSchema, rows: Sequence[Mapping[str, Any]]) -> StreamTable:
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=declared.arrow())
    return StreamTable(lambda: table.to_reader(max_chunksize=1_000))


def query(warehouse: Warehouse, sql: str, tables: Mapping[TableName, Binding] | None = None, **values: Any) -> Query:
    return Query(_in_dialect(warehouse, sql), warehouse.engine, values, tables or {})


def _in_dialect(warehouse: Warehouse, sql: str) -> str:
    """Tests write what DuckDB and PostgreSQL both read; Doris quotes names in its own way."""
    if warehouse.engine != "doris" or not re.match(r"(SELECT|WITH)\b", sql):
        return sql
    marked = re.sub(r"\$(\w+)", r"fp_parameter_\1", sql)
    try:
        translated = sqlglot.transpile(marked, read="duckdb", write="doris")
    except ParseError:
        return sql
    return re.sub(r"fp_parameter_(\w+)", r"$\1", "; ".join(translated))


def publish(
    warehouse: Warehouse,
    rows: Sequence[Mapping[str, Any]],
    declared: TableSchema,
    *,
    table: TableName = SPEND,
    partition: Partition | None = None,
) -> str:
    staged = warehouse.stage(table, declared, stream(declared, rows), partition=partition)
    return warehouse.publish(staged).version


def rows_of(warehouse: Warehouse, table: TableName = SPEND, order: str = "") -> list[dict[str, Any]]:
    """The live rows."""
    name = f'"{table.schema}"."{table.name}"'
    ordered = f" ORDER BY {order}" if order else ""
    reader = warehouse.read(query(warehouse, f"SELECT * FROM {name}{ordered}", {table: NativeTable(table)}))
    return list(reader.read_all().to_pylist())

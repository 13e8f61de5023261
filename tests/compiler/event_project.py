"""A small project over one physical table of events, declared in every way that matters to time, and engines to run
it on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg
import pyarrow as pa

from feature_platform.registry.graph import Registry
from feature_platform.registry.load import load_registry
from feature_platform.types import Column, DataType, Engine, TableSchema

Rows = Sequence[Mapping[str, Any]]

EVENT_COLUMNS: dict[str, str] = {
    "id": "string",
    "part": "int",
    "card": "string",
    "shop": "bigint",
    "happened": "timestamp",
    "day": "date",
    "told": "timestamp",
    "amount": "decimal(20,2)",
    "units": "bigint",
    "score": "double",
    "label": "string",
    "flag": "boolean",
    "seen_on": "date",
}
VARIANTS: dict[str, str] = {
    "corrected": "event_time: happened\navailable_at: told\nkey: [id, part]",
    "repeated": "event_time: happened\nkey: [id]",
    "late": "event_time: happened\navailable_at: told",
    "plain": "event_time: happened",
    "daily": "event_time: day\navailable_at: told\nkey: [id]",
}
"""Source → what it declares about time."""

WHERE_VIEW = "flag IS NULL OR NOT flag"
WHERE_LINE = "amount > 0"

_LINES = """
  - {{function: count, windows: {windows}}}
  - {{function: count, column: label, windows: {windows}, default: -1}}
  - {{function: count, name: positive, windows: {windows}, where: "amount > 0"}}
  - {{function: count_distinct, column: label, windows: {windows}}}
  - {{function: count_distinct, column: units, windows: {windows}, where: "amount > 0"}}
  - {{function: sum, column: amount, windows: {windows}}}
  - {{function: sum, column: units, windows: {windows}, default: 7}}
  - {{function: sum, column: score, windows: {windows}}}
  - {{function: avg, column: amount, windows: {windows}, where: "amount > 0", name: positive_mean}}
  - {{function: avg, column: score, windows: {windows}}}
  - {{function: min, column: units, windows: {windows}}}
  - {{function: max, column: label, windows: {windows}}}
  - {{function: min, column: seen_on, windows: {windows}}}
  - {{function: max, column: amount, windows: {windows}, where: "amount > 0"}}
  - {{function: stddev, column: amount, windows: {windows}}}
  - {{function: variance, column: score, windows: {windows}}}
  - {{function: time_since_last, windows: {windows}}}
  - {{function: time_since_last, column: label, windows: {windows}, where: "amount > 0", name: since_label}}
"""
_ORDERED = """
  - {{function: first, column: label, windows: {windows}}}
  - {{function: last, column: amount, windows: {windows}, default: 0.5}}
  - {{function: last, column: flag, windows: {windows}, where: "amount > 0"}}
"""
_GATHERED = """
  - {{function: median, column: score, windows: {windows}}}
  - {{function: percentile, column: amount, percentile: 0.95, windows: {windows}, where: "amount > 0"}}
  - {{function: approx_percentile, column: units, percentile: 0, windows: {windows}, name: units_least, default: 3}}
  - {{function: mode, column: label, windows: {windows}}}
  - {{function: mode, column: amount, windows: {windows}, where: "amount > 0", name: positive_mode}}
  - {{function: top_k, column: label, k: 2, windows: {windows}}}
  - {{function: entropy, column: shop, windows: {windows}}}
  - {{function: entropy, column: label, windows: {windows}}}
  - {{function: first_k, column: label, k: 3, windows: {windows}}}
  - {{function: last_k, column: amount, k: 2, windows: {windows}, where: "amount > 0"}}
  - {{function: last_distinct_k, column: label, k: 2, windows: {windows}}}
"""
_OTHERS = """
  - {{function: stddev_pop, column: amount, windows: {windows}}}
  - {{function: variance_pop, column: score, windows: {windows}}}
  - {{function: any, column: flag, windows: {windows}}}
  - {{function: all, column: flag, windows: {windows}, where: "amount > 0", name: all_positive}}
  - {{function: approx_count_distinct, column: label, windows: {windows}}}
  - {{function: time_since_first, windows: {windows}}}
  - {{function: time_since_first, column: label, windows: {windows}, default: -1}}
  - {{function: rate, windows: [1h, 30d], default: 0}}
  - {{function: ratio, windows: [1h, 1d], to: 30d}}
  - {{function: ratio, column: amount, windows: [1h], to: all, where: "amount > 0"}}
  - {{function: ratio, column: score, windows: [1h], to: 30d}}
"""
_SHIFTED = """
  - {{function: count, windows: {windows}, offset: 1h}}
  - {{function: sum, column: amount, windows: {windows}, offset: 1d}}
  - {{function: max, column: label, windows: {windows}, offset: 1d}}
  - {{function: count_distinct, column: label, windows: {windows}, offset: 1h, where: "amount > 0"}}
  - {{function: last, column: amount, windows: {windows}, offset: 1h}}
  - {{function: time_since_last, windows: {windows}, offset: 1d}}
  - {{function: last_k, column: label, k: 2, windows: {windows}, offset: 1h}}
  - {{function: count, windows: {windows}, name: now}}
"""
_TILED = """
  - {{function: count, windows: {windows}, hop: 7m, name: uneven}}
  - {{function: sum, column: units, windows: {windows}, hop: 1d, offset: 1h, name: coarse}}
"""
_GROUPED = """
  - {{function: count, group: label, windows: {windows}}}
  - {{function: count, column: label, group: shop, windows: {windows}, where: "amount > 0", max_keys: 1}}
  - {{function: sum, column: amount, group: label, windows: {windows}, max_keys: 2}}
  - {{function: sum, column: units, group: flag, windows: {windows}}}
  - {{function: sum, column: score, group: seen_on, windows: {windows}}}
  - {{function: avg, column: amount, group: label, windows: {windows}, where: "amount > 0"}}
  - {{function: count_distinct, column: label, group: shop, windows: {windows}}}
  - {{function: min, column: seen_on, group: label, windows: {windows}}}
  - {{function: max, column: label, group: flag, windows: {windows}}}
  - {{function: stddev, column: amount, group: label, windows: {windows}}}
  - {{function: variance_pop, column: score, group: flag, windows: {windows}}}
  - {{function: any, column: flag, group: label, windows: {windows}}}
  - {{function: rate, group: flag, windows: {windows}, where: "amount > 0"}}
  - {{function: time_since_first, group: label, windows: {windows}}}
  - {{function: time_since_last, column: amount, group: shop, windows: {windows}}}
"""
_GATHERED_BY_KEY = """
  - {{function: first, column: happened, group: label, windows: {windows}}}
  - {{function: last, column: amount, group: flag, windows: {windows}, where: "amount > 0"}}
  - {{function: median, column: score, group: label, windows: {windows}}}
  - {{function: percentile, column: amount, percentile: 0.9, group: flag, windows: {windows}, max_keys: 1}}
  - {{function: mode, column: label, group: flag, windows: {windows}}}
  - {{function: entropy, column: label, group: flag, windows: {windows}}}
  - {{function: histogram, column: label, windows: {windows}, max_keys: 2}}
  - {{function: histogram, column: units, windows: {windows}, where: "amount > 0"}}
  - {{function: histogram, column: happened, windows: {windows}, max_keys: 3}}
  - {{function: histogram, column: amount, windows: {windows}, bins: [-50, 0, 0.5, 20], name: amount_bins}}
  - {{function: histogram, column: score, windows: {windows}, bins: [0, 0.1, 0.2, 1000000000.5]}}
"""
LINES = {
    "plain": _LINES,
    "ordered": _LINES + _ORDERED,
    "gathered": _GATHERED,
    "others": _OTHERS,
    "shifted": _SHIFTED,
    "tiled": _SHIFTED + _TILED,
    "grouped": _GROUPED,
    "by_key": _GATHERED_BY_KEY,
    "grouped_tiled": """
  - {{function: sum, column: amount, group: label, windows: {windows}, offset: 1h, hop: 7m}}
  - {{function: last, column: label, group: flag, windows: {windows}, offset: 1d}}
  - {{function: histogram, column: shop, windows: {windows}}}
  - {{function: count, windows: {windows}}}
""",
}
"""Groups of aggregation lines; those with positions need a source with a key."""
PLATFORM = """
kind: platform
name: shop
purposes: {analysis: Looking at things.}
profiles: {embedded: {stores: {warehouse: {type: duckdb_delta}, postgres: {type: postgres}}}}
---
kind: domain
name: sales
owner: team:sales
---
kind: entity
name: card_at_shop
keys: [{name: card, type: string, pii: none}, {name: shop_id, type: bigint}]
---
kind: entity
name: card
keys: [{name: card, type: string, pii: none}]
"""


def source_yaml(name: str, time: str) -> str:
    columns = "".join(f'\n  {column}: {{type: "{of}", pii: none}}' for column, of in EVENT_COLUMNS.items())
    return f"kind: source\nname: {name}\ntable: {name}\n{time}\ncolumns:{columns}\n"


def view_yaml(name: str, source: str, *, windows: str, lines: str, rest: str = "") -> str:
    """An aggregation view; ``lines`` is a group of :data:`LINES`."""
    written = LINES[lines].format(windows=windows)
    head = f"kind: feature_view\nname: {name}\nentity: card_at_shop\nsource: {source}\nkeys: {{shop_id: shop}}\n"
    return f"{head}{rest}\naggregations:{written}"


def project(root: Path, *documents: str) -> Registry:
    """A linked project of the documents, in one domain, besides :data:`PLATFORM`."""
    folder = root / "sales"
    folder.mkdir(parents=True, exist_ok=True)
    (root / "platform.yaml").write_text(PLATFORM)
    (folder / "all.yaml").write_text("\n---\n".join(documents))
    return load_registry(root)


def schema_of(columns: Mapping[str, str]) -> TableSchema:
    return TableSchema(tuple(Column(name, DataType.parse(of)) for name, of in columns.items()))


SPINE_COLUMNS = {"fp_row": "bigint", "card": "string", "shop_id": "bigint", "at": "timestamp", "extra": "string"}


class Session(Protocol):
    """Somewhere to put rows and run SQL."""

    engine: Engine

    def put(self, schema: str, table: str, columns: Mapping[str, str], rows: Rows) -> None: ...

    def run(self, sql: str, **parameters: Any) -> list[dict[str, Any]]: ...


@dataclass
class DuckDBSession:
    connection: duckdb.DuckDBPyConnection
    engine: Engine = "duckdb"

    def put(self, schema: str, table: str, columns: Mapping[str, str], rows: Rows) -> None:
        self.connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        self.connection.execute(_create(schema, table, columns, self.engine))
        self.connection.execute(f'DELETE FROM "{schema}"."{table}"')
        if rows:
            given = pa.Table.from_pylist([dict(row) for row in rows], schema=schema_of(columns).arrow())
            self.connection.register("given", given)
            self.connection.execute(f'INSERT INTO "{schema}"."{table}" SELECT * FROM given')
            self.connection.unregister("given")

    def run(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        result = self.connection.execute(sql, parameters or None)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@dataclass
class PostgresSession:
    connection: psycopg.Connection[tuple[Any, ...]]
    engine: Engine = "postgres"

    def put(self, schema: str, table: str, columns: Mapping[str, str], rows: Rows) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            cursor.execute(_create(schema, table, columns, self.engine))
            cursor.execute(f'DELETE FROM "{schema}"."{table}"')
            with cursor.copy(f'COPY "{schema}"."{table}" FROM STDIN') as copy:
                for row in rows:
                    copy.write_row([row[name] for name in columns])
        self.connection.commit()

    def run(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        driver_sql = re.sub(r"\$([a-z_]+)", r"%(\1)s", sql.replace("%", "%%"))
        with self.connection.cursor() as cursor:
            cursor.execute(driver_sql, parameters)
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        self.connection.commit()
        return rows


@contextmanager
def open_sessions(postgres_url: str) -> Iterator[Sequence[Session]]:
    """One session per engine."""
    with (
        duckdb.connect(config={"threads": 1}) as in_memory,
        psycopg.connect(postgres_url, options="-c jit=off -c synchronous_commit=off") as server,
    ):
        yield (DuckDBSession(in_memory), PostgresSession(server))


def _create(schema: str, table: str, columns: Mapping[str, str], engine: Engine) -> str:
    listed = ", ".join(f'"{name}" {DataType.parse(of).sql(engine)}' for name, of in columns.items())
    return f'CREATE TABLE IF NOT EXISTS "{schema}"."{table}" ({listed})'


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def event(**values: Any) -> dict[str, Any]:
    """An event with every column; those not given are NULL."""
    row: dict[str, Any] = dict.fromkeys(EVENT_COLUMNS)
    row |= values
    if row["day"] is None and isinstance(row["happened"], datetime):
        row["day"] = date(row["happened"].year, row["happened"].month, row["happened"].day)
    return row

"""Both engines side by side: the same rows in, the same guarded query, the rows that come out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import psycopg

from feature_platform.compiler.catalog import CatalogTable
from feature_platform.compiler.guard import GuardedQuery
from feature_platform.types import ENGINES, DataType, Engine

Row = tuple[Any, ...]


@dataclass(frozen=True)
class SqlEngines:
    """One connection per engine, with tokens set up."""

    duckdb: duckdb.DuckDBPyConnection
    postgres: psycopg.Connection[Any]

    def load(self, table: CatalogTable, rows: Sequence[Row] = ()) -> None:
        """Puts ``rows`` in place of the table on both engines."""
        for engine in ENGINES:
            name = f'"{table.ref.schema}"."{table.ref.name}"'
            columns = ", ".join(f'"{column.name}" {column.type.sql(engine)}' for column in table.columns)
            mark = "?" if engine == "duckdb" else "%s"
            marks = ", ".join(mark for _ in table.columns)
            self.run(f'CREATE SCHEMA IF NOT EXISTS "{table.ref.schema}"', engine)
            self.run(f"DROP TABLE IF EXISTS {name}", engine)
            self.run(f"CREATE TABLE {name} ({columns})", engine)
            if rows:
                cursor = self.duckdb.cursor() if engine == "duckdb" else self.postgres.cursor()
                cursor.executemany(f"INSERT INTO {name} VALUES ({marks})", [list(row) for row in rows])

    def run(self, sql: str, engine: Engine) -> list[Row]:
        """The rows of one statement."""
        if engine == "duckdb":
            return self.duckdb.execute(sql).fetchall()
        cursor = self.postgres.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    def rows(self, query: GuardedQuery, engine: Engine) -> list[Row]:
        """The rows of a guarded query, in an order of their own."""
        return sorted(self.run(query.sql(engine), engine), key=repr)

    def types(self, query: GuardedQuery, engine: Engine) -> list[str]:
        """The types of its columns, as the engine says."""
        sql = query.sql(engine)
        if engine == "duckdb":
            return [row[1] for row in self.duckdb.execute(f"DESCRIBE {sql}").fetchall()]
        description = self.postgres.execute(f"SELECT * FROM ({sql}) AS described LIMIT 0".encode()).description
        assert description is not None
        wanted = ", ".join(f"format_type({column.type_code}, {column._fmod})" for column in description)
        return list(self.postgres.execute(f"SELECT {wanted}".encode()).fetchall()[0])


def type_name(type_: DataType, engine: Engine) -> str:
    """How the engine itself writes a type."""
    if engine == "duckdb":
        return type_.sql(engine).replace(", ", ",")
    names = {"timestamp": "timestamp without time zone", "decimal": f"numeric({type_.precision},{type_.scale})"}
    if type_.element is not None:
        return f"{type_name(type_.element, engine)}[]"
    return names.get(type_.kind, type_.sql(engine).lower())


def same(one: Any, two: Any, *, tolerance: bool) -> bool:
    """Whether two values are equal and of one type; doubles of tolerant functions to twelve digits."""
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(same(a, b, tolerance=tolerance) for a, b in zip(one, two, strict=True))
    if type(one) is not type(two):
        return False
    if tolerance and isinstance(one, float):
        return math.isclose(one, two, rel_tol=1e-12, abs_tol=1e-12)
    return bool(one == two)


def differences(one: Iterable[Row], two: Iterable[Row], *, tolerance: bool = False) -> list[tuple[Row, Row]]:
    """Pairs of rows that differ."""
    return [(a, b) for a, b in zip(one, two, strict=True) if not same(a, b, tolerance=tolerance)]

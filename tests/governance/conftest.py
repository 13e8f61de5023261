"""Both SQL engines with tokens set up, and a way to evaluate a governed call on many rows at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from sqlglot import exp

from feature_platform.governance.tokens import TokenKeys
from feature_platform.governance.transforms import render_governed
from feature_platform.types import DataType

KEY = bytes(range(100, 140))


@dataclass(frozen=True)
class Engines:
    """One connection per engine."""

    duckdb: duckdb.DuckDBPyConnection
    postgres: psycopg.Connection[Any]

    def evaluate(
        self, name: str, rows: Sequence[tuple[Any, ...]], types: Sequence[str], *, classification: str | None = None
    ) -> dict[str, list[Any]]:
        """Results of ``fp_<name>`` by engine, row by row; ``types`` are logical types of the columns."""
        schema = pa.schema([pa.field(f"a{i}", DataType.parse(kind).arrow()) for i, kind in enumerate(types)])
        columns = [pa.array([row[i] for row in rows], schema.field(i).type) for i in range(len(types))]
        arguments: list[exp.Expression] = [exp.column(f"a{i}", quoted=True) for i in range(len(types))]
        if classification is not None:
            arguments.insert(0, exp.Literal.string(classification))
        self.duckdb.register("argument_rows", pa.Table.from_arrays(columns, schema=schema))
        rendered = render_governed(name, arguments, "duckdb").sql("duckdb")
        in_duckdb = self.duckdb.execute(f"SELECT {rendered} FROM argument_rows").fetchall()
        arrays = ", ".join(f"%s::{DataType.parse(kind).sql('postgres')}[]" for kind in types)
        names = ", ".join(f"a{i}" for i in range(len(types)))
        rendered = render_governed(name, arguments, "postgres").sql("postgres").replace("%", "%%")
        in_postgres = self.postgres.execute(
            f"SELECT {rendered} FROM unnest({arrays}) WITH ORDINALITY AS rows({names}, position) ORDER BY position",
            [[row[i] for row in rows] for i in range(len(types))],
        ).fetchall()
        return {"duckdb": [row[0] for row in in_duckdb], "postgres": [row[0] for row in in_postgres]}


@pytest.fixture(scope="session")
def keys() -> TokenKeys:
    return TokenKeys(KEY)


@pytest.fixture(scope="session")
def engines(postgres_url: str, keys: TokenKeys) -> Iterator[Engines]:
    with (
        duckdb.connect(config={"threads": 1}) as in_memory,
        psycopg.connect(postgres_url, autocommit=True) as server,
    ):
        keys.duckdb(in_memory)
        keys.postgres(server)
        yield Engines(in_memory, server)

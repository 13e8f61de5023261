"""Every function, operator and cast: the text for Doris, run on DuckDB through macros, gives what the dialect means."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pytest

from feature_platform.compiler.doris.render import render
from feature_platform.compiler.functions.catalogue import CATALOGUE
from feature_platform.compiler.guard import GuardedQuery
from tests.compiler.doris.portable import as_duckdb, set_up
from tests.compiler.function_examples import AGGREGATES, EDGES, FRAMES, OPERATORS, SCALARS, TRY_CASTS, WINDOWS, rows
from tests.compiler.sql_catalogs import catalog, guarded
from tests.compiler.sql_engines import differences

OVER = catalog(EDGES)
WITHOUT = {
    "arg_max", "arg_min", "array_agg", "strftime(day, '%j/%G-%V-%u %y')", "regexp_matches(s, '\\d|\\s')",
    "split_part(s, 'bc', 2)", "regexp_full_match(s, '.*')", "string_agg(DISTINCT s, ',' ORDER BY s)", "~(i + 1) + 1",
}  # fmt: skip
"""Functions and single examples without a form."""


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect(config={"threads": 1})
    set_up(made)
    columns = ", ".join(f'"{column.name}" {column.type.sql("duckdb")}' for column in EDGES.columns)
    made.execute(f'CREATE SCHEMA "sources"; CREATE TABLE "sources"."edges" ({columns})')
    marks = ", ".join("?" for _ in EDGES.columns)
    made.executemany(f'INSERT INTO "sources"."edges" VALUES ({marks})', [list(row) for row in rows()])
    return made


def by_row(expressions: Sequence[str]) -> GuardedQuery:
    return guarded(f"SELECT id, {_named(expressions)} FROM edges", over=OVER)


def by_group(expressions: Sequence[str]) -> GuardedQuery:
    return guarded(f"SELECT grp, {_named(expressions)} FROM edges GROUP BY grp", over=OVER)


def _named(expressions: Sequence[str]) -> str:
    return ", ".join(f"{expression} AS x{number}" for number, expression in enumerate(expressions))


def check(query: GuardedQuery, connection: duckdb.DuckDBPyConnection, *, tolerance: bool = False) -> None:
    text = render(query.tree)
    found, wanted = (
        sorted(connection.execute(sql).fetchall(), key=lambda row: row[0])
        for sql in (as_duckdb(text), query.sql("duckdb"))
    )
    assert len(wanted) > 1
    assert differences(found, wanted, tolerance=tolerance) == [], text


def _with_form(name: str, expressions: Sequence[str]) -> list[str]:
    return [each for each in expressions if each not in WITHOUT and name not in WITHOUT]


@pytest.mark.parametrize("name", [name for name in SCALARS if _with_form(name, SCALARS[name])])
def test_a_scalar_function_means_the_same(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    check(by_row(_with_form(name, SCALARS[name])), connection, tolerance=CATALOGUE[name].tolerance)


@pytest.mark.parametrize("name", [name for name in AGGREGATES if _with_form(name, AGGREGATES[name])])
def test_an_aggregate_means_the_same(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    check(by_group(_with_form(name, AGGREGATES[name])), connection, tolerance=CATALOGUE[name].tolerance)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_function_means_the_same(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    check(by_row(WINDOWS[name]), connection, tolerance=CATALOGUE[name].tolerance)


@pytest.mark.parametrize("expression", [*OPERATORS, *TRY_CASTS, *(each for each in FRAMES if "INTERVAL" not in each)])
def test_an_operator_a_cast_or_a_frame_means_the_same(expression: str, connection: duckdb.DuckDBPyConnection) -> None:
    check(by_row([expression]), connection, tolerance="OVER" in expression)

"""Every function, operator and cast of the dialect gives the same value on DuckDB and on PostgreSQL, of exactly the
inferred type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.compiler.calls import SIGNATURE
from feature_platform.compiler.functions.catalogue import CATALOGUE, call_of
from feature_platform.compiler.functions.reference import PAGE, functions_page
from feature_platform.compiler.guard import GuardedQuery
from feature_platform.registry.graph import TableRef
from feature_platform.types import ENGINES
from tests.compiler.function_examples import (
    AGGREGATES,
    EDGES,
    FRAMES,
    OPERATORS,
    SCALARS,
    TRY_CASTS,
    WINDOWS,
    rows,
)
from tests.compiler.nested_examples import FUNCTIONS, GROUPS
from tests.compiler.sql_catalogs import catalog, guarded
from tests.compiler.sql_engines import SqlEngines, differences, same, type_name

OVER = catalog(EDGES)
EXAMPLES = [*SCALARS.items(), *AGGREGATES.items(), *WINDOWS.items(), *FUNCTIONS.items(), *GROUPS.items()]
GROUPED = {**AGGREGATES, **GROUPS}


@pytest.fixture(scope="module")
def engines(sql_engines: SqlEngines) -> SqlEngines:
    sql_engines.load(EDGES, rows())
    return sql_engines


def by_row(expressions: Sequence[str]) -> GuardedQuery:
    columns = ", ".join(f"{expression} AS x{number}" for number, expression in enumerate(expressions))
    return guarded(f"SELECT id, {columns} FROM edges", over=OVER)


def by_group(expressions: Sequence[str]) -> GuardedQuery:
    columns = ", ".join(f"{expression} AS x{number}" for number, expression in enumerate(expressions))
    return guarded(f"SELECT grp, {columns} FROM edges GROUP BY grp", over=OVER)


def check(engines: SqlEngines, query: GuardedQuery, *, tolerance: bool = False) -> None:
    in_duckdb, in_postgres = (engines.rows(query, engine) for engine in ENGINES)
    assert len(in_duckdb) > 1
    keyed = [sorted(found, key=lambda row: row[0]) for found in (in_duckdb, in_postgres)]
    assert differences(*keyed, tolerance=tolerance) == []
    for engine in ENGINES:
        assert engines.types(query, engine) == [type_name(column.type, engine) for column in query.columns]


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_function_gives_the_same_on_both_engines(name: str, engines: SqlEngines) -> None:
    check(engines, by_row(SCALARS[name]), tolerance=CATALOGUE[name].tolerance)


@pytest.mark.parametrize("name", AGGREGATES)
def test_an_aggregate_gives_the_same_on_both_engines(name: str, engines: SqlEngines) -> None:
    check(engines, by_group(AGGREGATES[name]), tolerance=CATALOGUE[name].tolerance)


@pytest.mark.parametrize("name", AGGREGATES)
def test_an_aggregate_over_no_rows_gives_the_same_on_both_engines(name: str, engines: SqlEngines) -> None:
    columns = ", ".join(f"{expression} AS x{number}" for number, expression in enumerate(AGGREGATES[name]))
    query = guarded(f"SELECT {columns} FROM edges WHERE id < 0", over=OVER)
    in_duckdb, in_postgres = (engines.rows(query, engine) for engine in ENGINES)
    assert in_duckdb == in_postgres


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_function_gives_the_same_on_both_engines(name: str, engines: SqlEngines) -> None:
    check(engines, by_row(WINDOWS[name]), tolerance=CATALOGUE[name].tolerance)


@pytest.mark.parametrize("expression", FRAMES)
def test_a_frame_gives_the_same_on_both_engines(expression: str, engines: SqlEngines) -> None:
    check(engines, by_row([expression]), tolerance=True)


@pytest.mark.parametrize("expression", OPERATORS)
def test_an_operator_or_cast_gives_the_same_on_both_engines(expression: str, engines: SqlEngines) -> None:
    check(engines, by_row([expression]))


TEXTS = [
    "0",
    "-0",
    "+5",
    "12",
    " 12",
    "12 ",
    "1_000",
    "1e3",
    "0x10",
    "2147483647",
    "2147483648",
    "-2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "1.5",
    "1.005",
    "-.5",
    "5.",
    ".",
    "",
    "abc",
    "99999999.994",
    "99999999.995",
    "123456789.00",
    "1e99",
    "nan",
    "infinity",
    "2024-02-29",
    "2023-02-29",
    "2024-2-9",
    "0000-01-01",
    "9999-12-31",
    "2024-01-01 10:00",
    "2024-01-01T10:00:59.123456",
    "2024-01-01 24:00:00",
    "2024-01-01 10:00:00Z",
    "true",
    "TRUE",
    "False",
    "t",
    "yes",
    "1" * 40,
    None,
]


@pytest.mark.parametrize("expression", TRY_CASTS)
def test_try_cast_reads_the_same_texts_on_both_engines(expression: str, sql_engines: SqlEngines) -> None:
    filler = [None] * 5
    sql_engines.load(EDGES, [(number, 0, *filler, text, *filler) for number, text in enumerate(TEXTS)])
    try:
        check(sql_engines, by_row([expression]))
    finally:
        sql_engines.load(EDGES, rows())


def test_every_function_and_signature_has_an_example() -> None:
    seen: set[tuple[str, str]] = set()
    for name, expressions in EXAMPLES:
        whole = [f"coalesce({each}, [1])" if each == "[]" else each for each in expressions]
        tree = (by_group if name in GROUPED else by_row)(whole).tree
        for node in tree.walk():
            call = call_of(node)
            if call is not None and (key := node.meta_get(SIGNATURE)) is not None:
                seen.add((call.function.name, key))
    wanted = {(function.name, signature.key) for function in CATALOGUE.values() for signature in function.signatures}
    assert sorted(wanted - seen - ELSEWHERE) == []


ELSEWHERE = {("array_extract", "stored map"), ("map_contains", "stored map")}
"""Of columns of maps, which the table here has none of: both engines are asked in ``test_training.py``."""


EXACT = [
    expression
    for name, expressions in SCALARS.items()
    for expression in expressions
    if not CATALOGUE[name].tolerance and "epoch_ms(b" not in expression
]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
moments = st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2200-01-01"))
some_rows = st.tuples(
    st.just(0),
    st.just(0),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(2**53), 2**53),
    st.none() | st.decimals(-(10**15), 10**15, places=2),
    st.none() | st.decimals(-(10**20), 10**20, places=9),
    st.none() | st.floats(-1e15, 1e15),
    st.none() | texts,
    st.none() | texts,
    st.none() | st.booleans(),
    st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    st.none() | moments,
    st.none() | moments,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(some_rows, min_size=1, max_size=6))
def test_scalar_functions_agree_on_any_values(made: list[tuple[Any, ...]], sql_engines: SqlEngines) -> None:
    table = replace(EDGES, ref=TableRef("source", "drawn"))
    sql_engines.load(table, [(number, *row[1:]) for number, row in enumerate(made)])
    columns = ", ".join(f"{expression} AS x{number}" for number, expression in enumerate(EXACT))
    query = guarded(f"SELECT id, {columns} FROM drawn", over=catalog(table))
    in_duckdb, in_postgres = (sql_engines.rows(query, engine) for engine in ENGINES)
    for one, two in zip(in_duckdb, in_postgres, strict=True):
        different = [
            (expression, a, b)
            for expression, a, b in zip(EXACT, one[1:], two[1:], strict=True)
            if not same(a, b, tolerance=False)
        ]
        assert different == []


def test_the_reference_page_is_that_of_the_catalogue() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / PAGE
    assert page.read_text() == functions_page(), "run `make docs`"

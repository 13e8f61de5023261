"""A guarded query over tables without anything personal is the query as DuckDB runs it by itself, on every engine."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from feature_platform.compiler.guard import guard
from feature_platform.errors import GuardError
from feature_platform.types import ENGINES
from tests.compiler.sql_catalogs import FRAUD, catalog, source
from tests.compiler.sql_engines import Row, SqlEngines

FIXTURES = Path(__file__).parent / "fixtures"
AS_DUCKDB = (FIXTURES / "as_duckdb.sql").read_text().splitlines()
NOT_IN_DUCKDB = (FIXTURES / "not_in_duckdb.sql").read_text().splitlines()

TABLES = {
    source("t", a="int", b="string", c="double", k="int", ts="timestamp", l="array<int>"): [
        (1, "x", 1.5, 1, datetime.fromisoformat("2020-01-01"), [1, 2]),
        (1, "y", 2.5, 2, datetime.fromisoformat("2020-01-02"), []),
        (2, "x", None, 1, datetime.fromisoformat("2020-01-03"), None),
        (None, "x", 4.0, 3, datetime.fromisoformat("2020-01-04"), [None]),
        (3, "z", 0.5, 5, datetime.fromisoformat("2020-01-05"), [7]),
    ],
    source("u", k="int", a="int", z="string", d="decimal(10,2)"): [
        (1, 10, "p", Decimal("1.25")),
        (2, 20, "q", Decimal(2)),
        (5, 50, "r", None),
        (7, None, "s", Decimal(0)),
    ],
    source("ticks", k="int", ts="timestamp", price="double"): [
        (1, datetime.fromisoformat("2020-01-01"), 1.0),
        (1, datetime.fromisoformat("2020-01-02 12:00"), 2.0),
        (2, datetime.fromisoformat("2020-01-01"), 3.0),
        (3, datetime.fromisoformat("2020-01-09"), 4.0),
    ],
}
CLEAN = catalog(*TABLES)


@pytest.fixture(scope="module")
def engines(sql_engines: SqlEngines) -> SqlEngines:
    for table, rows in TABLES.items():
        sql_engines.load(table, rows)
    return sql_engines


@pytest.mark.parametrize("sql", AS_DUCKDB)
def test_a_query_over_clean_tables_is_the_query_as_duckdb_runs_it(sql: str, engines: SqlEngines) -> None:
    names, rows = as_written(engines, sql)
    query = guard(sql, CLEAN, FRAUD)
    assert comparable(engines.rows(query, "duckdb")) == rows
    given = [column.name.lower() for column in query.columns]
    if len(set(names)) == len(names) and not any("(" in name for name in names):
        assert given == names
    for engine in query.engines:
        assert comparable(engines.rows(query, engine)) == rows


@pytest.mark.parametrize("sql", NOT_IN_DUCKDB)
def test_what_duckdb_does_not_understand_does_not_compile(sql: str, engines: SqlEngines) -> None:
    with pytest.raises(duckdb.Error):
        as_written(engines, sql)
    with pytest.raises(GuardError):
        guard(sql, CLEAN, FRAUD)


def test_nearly_all_of_it_runs_on_every_engine() -> None:
    alone = [sql for sql in AS_DUCKDB if guard(sql, CLEAN, FRAUD).engines != ENGINES]
    assert len(alone) <= len(AS_DUCKDB) // 20, alone


def test_a_join_in_parentheses_reads_no_column_that_nobody_asks_for() -> None:
    query = guard("SELECT x.a FROM u AS x LEFT JOIN (u AS y JOIN ticks USING (k)) ON x.k = y.k", CLEAN, FRAUD)
    assert "price" not in query.sql("duckdb")


def as_written(engines: SqlEngines, sql: str) -> tuple[list[str], list[Row]]:
    """Column names in lower case and rows of the author's own text."""
    connection = engines.duckdb.cursor()
    connection.execute("SET search_path = 'sources'")
    found = connection.execute(sql)
    return [entry[0].lower() for entry in found.description], comparable(found.fetchall())


def comparable(rows: list[Row]) -> list[Row]:
    """Rows in an order of their own; numbers by their value, whatever type an engine or a cast gave them."""
    return sorted((tuple(map(_comparable, row)) for row in rows), key=repr)


def _comparable(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    return round(float(value), 12)

"""In which way columns flow: OpenLineage's subtypes."""

from __future__ import annotations

import pytest
import sqlglot

from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.lineage.subtypes import DIRECT, INDIRECT, TableColumn, subtypes
from tests.compiler.interference.oracle import guarded
from tests.compiler.sql_catalogs import FRAUD, catalog
from tests.compiler.sql_fixtures import read

CASES = {
    "a column as it is": ("SELECT amount AS x FROM sources.p", {"amount": {"IDENTITY"}}),
    "a cast": ("SELECT CAST(amount AS DOUBLE) AS x FROM sources.p", {"amount": {"CAST"}}),
    "arithmetic": (
        "SELECT amount * rate AS x FROM sources.p",
        {"amount": {"TRANSFORMATION"}, "rate": {"TRANSFORMATION"}},
    ),
    "an aggregate of a cast": ("SELECT SUM(CAST(amount AS DOUBLE)) AS x FROM sources.p", {"amount": {"AGGREGATION"}}),
    "a transformation after an aggregate": ("SELECT 2 * SUM(amount) AS x FROM sources.p", {"amount": {"AGGREGATION"}}),
    "where": (
        "SELECT amount AS x FROM sources.p WHERE status = 'paid'",
        {"amount": {"IDENTITY"}, "status": {"FILTER"}},
    ),
    "group by and having": (
        "SELECT SUM(amount) AS x FROM sources.p GROUP BY card HAVING MAX(risk) > 1",
        {"amount": {"AGGREGATION"}, "card": {"GROUP_BY"}, "risk": {"FILTER"}},
    ),
    "a join": (
        "SELECT p.amount AS x FROM sources.p AS p JOIN sources.q AS q ON p.card = q.id",
        {"amount": {"IDENTITY"}, "card": {"JOIN"}, "id": {"JOIN"}},
    ),
    "order and limit": (
        "SELECT amount AS x FROM sources.p ORDER BY day LIMIT 1",
        {"amount": {"IDENTITY"}, "day": {"SORT"}},
    ),
    "distinct": ("SELECT DISTINCT amount AS x FROM sources.p", {"amount": {"IDENTITY", "GROUP_BY"}}),
    "a window": (
        "SELECT SUM(amount) OVER (PARTITION BY card ORDER BY day) AS x FROM sources.p",
        {"amount": {"AGGREGATION"}, "card": {"WINDOW"}, "day": {"WINDOW"}},
    ),
    "a case": (
        "SELECT CASE WHEN status = 'paid' THEN amount ELSE fee END AS x FROM sources.p",
        {"amount": {"TRANSFORMATION"}, "fee": {"TRANSFORMATION"}, "status": {"CONDITIONAL"}},
    ),
    "an aggregate's filter": (
        "SELECT COUNT(*) FILTER (WHERE declined) AS x FROM sources.p",
        {"declined": {"FILTER"}},
    ),
    "the value at the greatest key": (
        "SELECT ARG_MAX(amount, day) AS x FROM sources.p",
        {"amount": {"AGGREGATION"}, "day": {"SORT"}},
    ),
    "an ordered aggregate": (
        "SELECT FIRST(amount ORDER BY day) AS x FROM sources.p",
        {"amount": {"AGGREGATION"}, "day": {"SORT"}},
    ),
    "through a subquery and a CTE": (
        "WITH c AS (SELECT amount + 1 AS a, day FROM sources.p WHERE ok) SELECT s.a AS x FROM (SELECT a FROM c) AS s",
        {"amount": {"TRANSFORMATION"}, "ok": {"FILTER"}},
    ),
    "what a governed transform does inside": (
        "SELECT t.mail AS x FROM (SELECT CASE WHEN mail LIKE '%@%' THEN mail END AS mail FROM sources.p) AS t",
        {"mail": {"TRANSFORMATION"}},
    ),
    "a star over a subquery": (
        "SELECT d.* FROM (SELECT amount AS x, day FROM sources.p) AS d",
        {"amount": {"IDENTITY"}},
    ),
    "a union by value": (
        "SELECT amount AS x FROM sources.p UNION SELECT fee FROM sources.q",
        {"amount": {"IDENTITY", "GROUP_BY"}, "fee": {"IDENTITY", "GROUP_BY"}},
    ),
    "a correlated EXISTS": (
        "SELECT amount AS x FROM sources.p AS p WHERE EXISTS (SELECT 1 FROM sources.q AS q WHERE q.id = p.card)",
        {"amount": {"IDENTITY"}, "id": {"FILTER"}, "card": {"FILTER"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_construct_has_its_subtype(case: str) -> None:
    sql, expected = CASES[case]
    found = subtypes(sqlglot.parse_one(sql, dialect="duckdb"))["x"]
    assert {column.name: set(ways) for column, ways in found.items()} == expected


def test_a_construct_that_nobody_knows_costs_the_subtype_alone() -> None:
    sql = "SELECT t.v AS x, amount AS y FROM sources.p AS p, UNNEST(p.things) AS t(v)"
    found = subtypes(sqlglot.parse_one(sql, dialect="duckdb"))
    assert {column.name for column in found["y"]} <= {"amount", "things"}


def test_the_walk_follows_the_constructs_of_the_compilers_fixtures() -> None:
    """It fails on none. An edge may stay without a subtype, for instance of a construct that is new; few do."""
    silent, edges = [], 0
    queries = [(block, guard(block.sql, catalog(), FRAUD)) for block in read("compiled.sql")]
    queries += [
        (block, query) for block in read("bypasses.sql") if isinstance(query := guarded(block.sql), GuardedQuery)
    ]
    assert len(queries) > 50
    for block, query in queries:
        engine = query.engines[0]
        found = subtypes(sqlglot.parse_one(query.sql(engine), dialect=engine))
        for column in query.columns:
            for refs, allowed in ((column.direct, DIRECT), (column.indirect, INDIRECT)):
                for ref in refs:
                    edges += 1
                    ways = found[column.name].get(
                        TableColumn(ref.table.schema, ref.table.name, ref.column), frozenset()
                    )
                    if not ways & set(allowed):
                        silent.append((block.title, column.name, str(ref)))
    assert len(silent) <= edges // 20, silent

"""Tables of a query by its text alone."""

from __future__ import annotations

import pytest

from feature_platform.registry.references import tables_read


def _names(sql: str) -> list[str]:
    reads = tables_read(sql)
    assert reads.fault is None
    return [table.name for table in reads.tables]


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT 1", []),
        ("SELECT * FROM a", ["a"]),
        ("SELECT * FROM a, b JOIN c ON true LEFT JOIN a AS again ON true", ["a", "b", "c"]),
        ("SELECT * FROM Cards", ["cards"]),
        ('SELECT * FROM "Cards"', ["cards"]),
        ("FROM a SELECT x", ["a"]),
        ("SELECT * FROM (SELECT * FROM a)", ["a"]),
        ("SELECT (SELECT max(x) FROM a) FROM b WHERE y IN (SELECT z FROM c)", ["a", "b", "c"]),
        ("SELECT * FROM a UNION ALL SELECT * FROM b EXCEPT SELECT * FROM c", ["a", "b", "c"]),
        ("WITH t AS (SELECT * FROM a) SELECT * FROM t", ["a"]),
        ("WITH t AS (SELECT * FROM a), u AS (SELECT * FROM T) SELECT * FROM u", ["a"]),
        ("WITH cards AS (SELECT * FROM cards) SELECT * FROM cards", ["cards"]),
        ("WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM t) SELECT * FROM t", []),
        ("WITH RECURSIVE t AS (SELECT * FROM t UNION ALL SELECT * FROM t) SELECT * FROM t", ["t"]),
        ("WITH RECURSIVE t AS (SELECT * FROM t) SELECT * FROM t", ["t"]),
        ("WITH RECURSIVE t AS (WITH b AS (FROM a) FROM b UNION ALL SELECT * FROM t JOIN b ON x) FROM t", ["a"]),
        ("PIVOT cards ON country IN ('CZ') USING count(*)", ["cards"]),
        ("VALUES (1)", []),
        ("WITH u AS (SELECT * FROM t), t AS (SELECT 1) SELECT * FROM t, u", ["t"]),
        ("SELECT * FROM (WITH t AS (SELECT * FROM a) SELECT * FROM t) JOIN t ON true", ["a", "t"]),
        ("SELECT * FROM sources.a", ["sources.a"]),
        ("WITH a AS (SELECT 1) SELECT * FROM sources.a", ["sources.a"]),
        ("SELECT * FROM read_csv('x.csv')", []),
        ("SELECT * FROM a -- FROM b\n/* FROM c */", ["a"]),
        ("SELECT 'FROM b' FROM a", ["a"]),
    ],
)
def test_the_tables_of_a_query(sql: str, names: list[str]) -> None:
    assert _names(sql) == names


def test_a_table_has_the_place_of_its_first_letter() -> None:
    (first, second) = tables_read("SELECT x\nFROM a\n  JOIN bb\nUSING (x)").tables
    assert (first.line, first.column) == (2, 6)
    assert (second.line, second.column) == (3, 8)


@pytest.mark.parametrize("sql", ["DROP TABLE a", "SELECT 1; SELECT 2", "INSERT INTO a SELECT * FROM b", ""])
def test_what_is_no_single_query_is_left_to_the_guard(sql: str) -> None:
    assert tables_read(sql).tables == ()


@pytest.mark.parametrize(
    ("sql", "line", "column"),
    [("SELECT FROM WHERE", 1, 13), ("SELECT a\nFROM b\nGROUP a", 3, 7), ("SELECT 'a", 1, 1)],
)
def test_what_cannot_be_parsed_has_a_place(sql: str, line: int, column: int) -> None:
    fault = tables_read(sql).fault
    assert fault is not None
    assert (fault.line, fault.column) == (line, column)


def test_deep_nesting_is_a_fault_not_a_crash() -> None:
    assert tables_read("SELECT " + "(" * 20_000 + "1" + ")" * 20_000).fault is not None

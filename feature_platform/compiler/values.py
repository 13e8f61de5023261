"""VALUES in FROM → a UNION ALL of SELECTs without FROM, so that types and labels follow from the rules of those.

>>> import sqlglot
>>> select = sqlglot.parse_one("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (x, y)", read="duckdb")
>>> as_union(select.find(exp.Values)).sql("duckdb")
"(SELECT 1 AS col0, 'a' AS col1 UNION ALL SELECT 2 AS col0, 'b' AS col1) AS v(x, y)"
"""

from __future__ import annotations

from sqlglot import exp


def as_union(values: exp.Values) -> exp.Subquery:
    """Puts a subquery in the place of ``values``; gives it."""
    query = union_of([_row(row) for row in values.expressions])
    subquery = exp.Subquery(this=query, alias=values.args.get("alias"))
    if values.parent is not None:
        values.replace(subquery)
    return subquery


def union_of(selects: list[exp.Select]) -> exp.Query:
    """``UNION ALL`` of all, as a tree that is not deep."""
    if len(selects) == 1:
        return selects[0]
    middle = (len(selects) + 1) // 2
    left, right = union_of(selects[:middle]), union_of(selects[middle:])
    return exp.Union(
        this=left if isinstance(left, exp.Select) else exp.Subquery(this=left),
        expression=right if isinstance(right, exp.Select) else exp.Subquery(this=right),
        distinct=False,
    )


def _row(row: exp.Expr) -> exp.Select:
    values = row.expressions if isinstance(row, exp.Tuple) else [row]
    return exp.Select(
        expressions=[exp.alias_(value.copy(), f"col{number}", quoted=False) for number, value in enumerate(values)]
    )

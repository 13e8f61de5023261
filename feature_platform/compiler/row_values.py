"""Row values, ``(a, b)`` and ``row(a, b)``: comparisons take them apart, and elsewhere they are structs.

``(a, b) = (c, d)`` is ``a IS NOT DISTINCT FROM c AND b IS NOT DISTINCT FROM d``; ``x = ANY (SELECT ...)`` is an IN.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.report import Report
from feature_platform.compiler.table_constructs import is_list_of_columns

_COMPARISONS: Final = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ, exp.In)
QUANTIFIABLE: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
"""Comparisons that ANY and ALL may stand behind."""


def is_row(node: exp.Expr) -> bool:
    """Whether it is a row value: ``(a, b)`` or ``row(a, b)``."""
    return isinstance(node, exp.Tuple) or (isinstance(node, exp.Anonymous) and str(node.this).lower() == "row")


def row_value(node: exp.Expr, _report: Report) -> exp.Expr:
    """The struct that a row value is, unless what it stands in takes it apart."""
    if isinstance(node.parent, _COMPARISONS) or is_list_of_columns(node):
        return node  # the comparison takes it apart; elsewhere it only lists columns
    return _struct(node)


def comparison(node: exp.Binary, _report: Report) -> exp.Expr:
    """A comparison of values, not of rows, and without ANY and ALL where IN says the same."""
    left, right = node.this, node.expression
    if isinstance(right, exp.Any | exp.All):
        return _quantified(node, right)
    if not (is_row(left) and is_row(right) and len(left.expressions) == len(right.expressions)):
        for side in (left, right):
            if is_row(side):
                side.replace(_struct(side))
        return node
    # Rows compare as DuckDB's structs do: two NULLs are equal.
    pairs = [
        exp.NullSafeEQ(this=one, expression=two) for one, two in zip(left.expressions, right.expressions, strict=True)
    ]
    equal = exp.Paren(this=exp.and_(*pairs, copy=False))
    return exp.Not(this=equal) if isinstance(node, exp.NEQ | exp.NullSafeNEQ) else equal


def membership(node: exp.In, report: Report) -> exp.Expr:
    """``IN`` over a query or values; over a list it is ``list_contains``."""
    if isinstance(node.parent, exp.Pivot):
        return node  # UNPIVOT lists columns
    listed = node.args.get("field")
    query = node.args.get("query")
    if query is not None and is_row(node.this):
        node.set("this", exp.Tuple(expressions=node.this.expressions))
        return node
    if listed is not None:
        if is_row(node.this):
            node.set("this", _struct(node.this))
        return exp.ArrayContains(this=listed, expression=node.this)
    if is_row(node.this) and node.expressions:
        rows = node.expressions
        if all(is_row(row) and len(row.expressions) == len(node.this.expressions) for row in rows):
            tests = [comparison(exp.EQ(this=node.this.copy(), expression=row.copy()), report) for row in rows]
            return exp.Paren(this=exp.or_(*tests, copy=False))
    for value in [node.this, *node.expressions]:
        if is_row(value):
            value.replace(_struct(value))
    return node


def _quantified(node: exp.Binary, quantified: exp.Expr) -> exp.Expr:
    """``= ANY (SELECT ...)`` is IN, ``<> ALL (SELECT ...)`` is NOT IN; the others stay."""
    query = quantified.this
    if isinstance(quantified, exp.Any) and isinstance(node, exp.EQ) and isinstance(query, exp.Query):
        return exp.In(this=node.this, query=_subquery(query))
    if isinstance(quantified, exp.All) and isinstance(node, exp.NEQ) and isinstance(query, exp.Query):
        return exp.Not(this=exp.In(this=node.this, query=_subquery(query)))
    if is_row(node.this):
        node.set("this", _struct(node.this))
    return node


def _subquery(query: exp.Expr) -> exp.Expr:
    while isinstance(query, exp.Subquery) and isinstance(query.this, exp.Subquery):
        query = query.this
    return query if isinstance(query, exp.Subquery) else exp.Subquery(this=query)


def _struct(row: exp.Expr) -> exp.Expr:
    # The names are those that DuckDB itself gives the fields where it hands rows out.
    fields = [
        exp.PropertyEQ(this=exp.Identifier(this=f"element{number}", quoted=True), expression=value)
        for number, value in enumerate(row.expressions, start=1)
    ]
    return exp.Struct(expressions=fields)

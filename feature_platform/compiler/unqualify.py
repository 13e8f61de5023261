"""QUALIFY → a WHERE around the query: PostgreSQL has none.

``SELECT a FROM t QUALIFY row_number() OVER (...) = 1 ORDER BY b`` becomes
``SELECT q.a FROM (SELECT a, b AS fp_order_1, row_number() OVER (...) = 1 AS fp_qualified FROM t) AS q WHERE
q.fp_qualified ORDER BY q.fp_order_1``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlglot import exp

from feature_platform.compiler.names import Resolution
from feature_platform.compiler.ordering import is_output_reference
from feature_platform.compiler.trees import nodes

_CONDITION: Final = "fp_qualified"
_OUTSIDE: Final = ("with_", "distinct", "order", "limit", "offset")


def unqualify(tree: exp.Query, state: Resolution) -> exp.Query:
    """Rewrites every QUALIFY of a resolved tree; gives the root."""
    for select in reversed(nodes(tree)):
        if not isinstance(select, exp.Select) or select.args.get("qualify") is None:
            continue
        outer = _rewritten(select, state.unique("qualified"))
        if select is tree:
            tree = outer
    return tree


def _rewritten(select: exp.Select, alias: str) -> exp.Select:
    condition = select.args["qualify"].this
    select.set("qualify", None)
    return wrapped(select, alias, _CONDITION, condition, lambda column: column)


def wrapped(
    inner: exp.Select, alias: str, name: str, value: exp.Expr, test: Callable[[exp.Column], exp.Expr]
) -> exp.Select:
    """Puts a SELECT of the same columns around ``inner``, which keeps the rows whose ``value`` passes the test. What
    comes behind the choice of rows moves outside: DISTINCT, ORDER BY, LIMIT."""
    outer = exp.Select(
        expressions=[
            exp.alias_(_column(projection.alias, alias), projection.alias, quoted=True)
            for projection in inner.expressions
        ]
    )
    if inner.parent is not None:
        inner.replace(outer)
    for part in _OUTSIDE:
        clause = inner.args.get(part)
        if clause is not None:
            inner.set(part, None)
            outer.set(part, clause)
    inner.append("expressions", exp.alias_(value, name, quoted=True, copy=False))
    for number, expression in enumerate(_beside(outer), start=1):
        carried = f"fp_order_{number}"
        expression.replace(_column(carried, alias))
        inner.append("expressions", exp.alias_(expression, carried, quoted=True, copy=False))
    table_alias = exp.TableAlias(this=exp.Identifier(this=alias, quoted=True))
    outer.set("from_", exp.From(this=exp.Subquery(this=inner, alias=table_alias)))
    outer.set("where", exp.Where(this=test(_column(name, alias))))
    return outer


def _beside(select: exp.Select) -> list[exp.Expr]:
    """What ORDER BY and DISTINCT ON read and is no output."""
    order, distinct = select.args.get("order"), select.args.get("distinct")
    read = [ordered.this for ordered in order.expressions] if order is not None else []
    on = distinct.args.get("on") if distinct is not None else None
    read += on.expressions if on is not None else []
    return [node for node in read if not is_output_reference(node)]


def _column(name: str, table: str) -> exp.Column:
    column = exp.column(exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=table, quoted=True))
    column.meta["resolved"] = True
    return column

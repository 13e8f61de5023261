"""QUALIFY → a WHERE around the query: PostgreSQL has none.

``SELECT a FROM t QUALIFY row_number() OVER (...) = 1 ORDER BY b`` becomes
``SELECT q.a FROM (SELECT a, b AS fp_order_1, row_number() OVER (...) = 1 AS fp_qualified FROM t) AS q WHERE
q.fp_qualified ORDER BY q.fp_order_1``.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.names import Resolution
from feature_platform.compiler.ordering import is_output_reference

_CONDITION: Final = "fp_qualified"
_OUTSIDE: Final = ("with_", "distinct", "order", "limit", "offset")


def unqualify(tree: exp.Query, state: Resolution) -> exp.Query:
    """Rewrites every QUALIFY of a resolved tree; gives the root."""
    for select in reversed(list(tree.find_all(exp.Select))):
        if select.args.get("qualify") is None:
            continue
        outer = _rewritten(select, state.unique("qualified"))
        if select is tree:
            tree = outer
    return tree


def _rewritten(inner: exp.Select, alias: str) -> exp.Select:
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
    condition = inner.args["qualify"].this
    inner.set("qualify", None)
    inner.append("expressions", exp.alias_(condition, _CONDITION, quoted=True, copy=False))
    order = outer.args.get("order")
    for number, ordered in enumerate(order.expressions if order is not None else (), start=1):
        if is_output_reference(ordered.this):
            continue
        name = f"fp_order_{number}"
        expression = ordered.this
        expression.replace(_column(name, alias))
        inner.append("expressions", exp.alias_(expression, name, quoted=True, copy=False))
    table_alias = exp.TableAlias(this=exp.Identifier(this=alias, quoted=True))
    outer.set("from_", exp.From(this=exp.Subquery(this=inner, alias=table_alias)))
    outer.set("where", exp.Where(this=_column(_CONDITION, alias)))
    return outer


def _column(name: str, table: str) -> exp.Column:
    column = exp.column(exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=table, quoted=True))
    column.meta["resolved"] = True
    return column

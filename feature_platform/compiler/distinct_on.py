"""DISTINCT ON → the rows with number 1 of their group: so it means the same with every engine's order.

``SELECT DISTINCT ON (a) b FROM t ORDER BY a, c`` becomes ``SELECT q.b FROM (SELECT b, a AS fp_order_1, c AS fp_order_2,
row_number() OVER (PARTITION BY a ORDER BY a, c) AS fp_rank FROM t) AS q WHERE q.fp_rank = 1 ORDER BY q.fp_order_1,
q.fp_order_2``.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.names import Resolution
from feature_platform.compiler.ordering import is_output_reference
from feature_platform.compiler.trees import nodes
from feature_platform.compiler.unqualify import wrapped

_RANK: Final = "fp_rank"


def keep_first(tree: exp.Query, state: Resolution) -> exp.Query:
    """Rewrites every DISTINCT ON of a resolved tree without QUALIFY; gives the root."""
    for select in reversed(nodes(tree)):
        if not isinstance(select, exp.Select):
            continue
        distinct = select.args.get("distinct")
        if distinct is None or distinct.args.get("on") is None:
            continue
        outer = _rewritten(select, distinct, state.unique("first_rows"))
        if select is tree:
            tree = outer
    return tree


def _rewritten(select: exp.Select, distinct: exp.Expr, alias: str) -> exp.Select:
    select.set("distinct", None)
    values = {projection.alias: projection.this for projection in select.expressions}
    order = exp.Order(
        expressions=[
            exp.Ordered(
                this=(values[each.this.name] if is_output_reference(each.this) else each.this).copy(),
                desc=each.args.get("desc"),
                nulls_first=each.args.get("nulls_first"),
            )
            for each in select.args["order"].expressions
        ]
    )
    keys = [(values[key.name] if is_output_reference(key) else key).copy() for key in distinct.args["on"].expressions]
    rank = exp.Window(this=exp.RowNumber(), partition_by=keys, order=order, over="OVER")
    return wrapped(select, alias, _RANK, rank, lambda column: exp.EQ(this=column, expression=exp.Literal.number(1)))

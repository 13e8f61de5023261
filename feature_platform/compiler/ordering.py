"""ORDER BY, LIMIT and OFFSET.

Ordinals and names of outputs become references to the output, ``ORDER BY "name"``; everything else stays an expression
over the tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from feature_platform.compiler.codes import LITERAL, OUTPUT_NAMES, UNKNOWN_COLUMN
from feature_platform.compiler.functions.constants import whole_value
from feature_platform.compiler.names import Resolution, Resolver
from feature_platform.compiler.scopes import bare, first_select, output_names


def resolve_order(query: exp.Select | exp.SetOperation, resolve: Resolver | None, state: Resolution) -> None:
    """Resolves the query's ORDER BY; without ``resolve`` (for a set operation) it may name outputs only."""
    order = query.args.get("order")
    if order is None:
        return
    outputs = {name.lower(): name for name in output_names(query)}
    for ordered in order.expressions:
        _resolve_ordered(ordered, outputs, resolve, state)
    if isinstance(query, exp.Select) and query.args.get("distinct") is not None:
        _refer_to_outputs(query, order, state)


def is_output_reference(node: exp.Expr) -> bool:
    """Whether ``node`` names an output column of its own query."""
    return isinstance(node, exp.Column) and bool(node.meta_get("output"))


def rename_output_references(query: exp.Expr, renamed: Mapping[str, exp.Identifier]) -> None:
    """Lets ORDER BY follow the columns of ``query`` to their new names."""
    inner: exp.Expr = bare(query)
    while True:
        order = inner.args.get("order")
        for ordered in order.expressions if order is not None else ():
            if is_output_reference(ordered.this) and ordered.this.name in renamed:
                ordered.this.this.set("this", renamed[ordered.this.name].name)
        if isinstance(inner, exp.Select):
            return
        inner = bare(inner.this)


def check_limits(query: exp.Select | exp.SetOperation, state: Resolution) -> None:
    """LIMIT and OFFSET take constants: anything else would make the number of rows depend on data."""
    for part in ("limit", "offset"):
        clause = query.args.get(part)
        if clause is None:
            continue
        value = whole_value(clause.expression)
        if value is None or value < 0:
            state.report.add(LITERAL, clause, f"{part.upper()} takes a whole number", f"write {part.upper()} 100")


def _resolve_ordered(ordered: exp.Expr, outputs: dict[str, str], resolve: Resolver | None, state: Resolution) -> None:
    node = ordered.this
    ordinal = whole_value(node)
    if ordinal is not None:
        names = list(outputs.values())
        if 1 <= ordinal <= len(names):
            node.replace(_reference(names[ordinal - 1], node))
        else:
            state.report.add(
                UNKNOWN_COLUMN, node, f"there is no column number {ordinal}", f"there are {len(names)} columns"
            )
        return
    if isinstance(node, exp.Column) and not node.table and node.name.lower() in outputs:
        node.replace(_reference(outputs[node.name.lower()], node))
    elif isinstance(node, exp.Literal):
        state.report.add(LITERAL, node, "ordering by a constant orders nothing", "name a column")
    elif resolve is not None:
        resolve(ordered)
    else:
        state.report.add(
            UNKNOWN_COLUMN,
            node,
            "ORDER BY of a set operation names one of its columns",
            f"its columns are {', '.join(outputs.values())}",
        )


def _refer_to_outputs(select: exp.Select, order: exp.Order, state: Resolution) -> None:
    by_expression = {projection.this: projection.alias for projection in first_select(select).expressions}
    for ordered in order.expressions:
        node = ordered.this
        if is_output_reference(node):
            continue
        name = by_expression.get(node)
        if name is None:
            state.report.add(
                OUTPUT_NAMES,
                node,
                "with DISTINCT, ORDER BY names columns of the SELECT",
                "add the expression to the SELECT, or group by it",
            )
        else:
            node.replace(_reference(name, node))


def _reference(name: str, origin: exp.Expr) -> exp.Column:
    column = exp.column(exp.Identifier(this=name, quoted=True))
    column.meta.update({"resolved": True, "output": True})
    starts = [start for part in origin.walk() if (start := part.meta_get("start")) is not None]
    if starts:
        column.this.meta["start"] = min(starts)
    return column

"""ORDER BY, LIMIT and OFFSET.

Ordinals and names of outputs become references to the output, ``ORDER BY "name"``; everything else stays an expression
over the tables.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from feature_platform.compiler.codes import LITERAL, NOT_REPRODUCIBLE, OUTPUT_NAMES, UNKNOWN_COLUMN
from feature_platform.compiler.engines import limit
from feature_platform.compiler.functions.constants import whole_value
from feature_platform.compiler.names import Resolution, Resolver
from feature_platform.compiler.scopes import first_select, output_names


def resolve_order(query: exp.Select | exp.SetOperation, resolve: Resolver | None, state: Resolution) -> None:
    """Resolves the query's ORDER BY; without ``resolve`` (for a set operation) it may name outputs only."""
    order = query.args.get("order")
    if order is None:
        return
    outputs = {name.lower(): name for name in output_names(query)}
    if len(order.expressions) == 1 and _is_all(order.expressions[0].this):
        _order_by_all(order, outputs.values())
    for ordered in order.expressions:
        _resolve_ordered(ordered, outputs, resolve, state)
    distinct = query.args.get("distinct") if isinstance(query, exp.Select) else None
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on") is None:
        _refer_to_outputs(query, order, state)


def resolve_distinct_on(select: exp.Select, resolve: Resolver, state: Resolution) -> None:
    """Resolves the keys of DISTINCT ON, which may be ordinals and names of outputs, as in ORDER BY."""
    distinct = select.args.get("distinct")
    if distinct is None or distinct.args.get("on") is None:
        return
    if select.args.get("order") is None:
        state.report.add(
            NOT_REPRODUCIBLE, distinct, "DISTINCT ON without an order", "write ORDER BY, which says what is first"
        )
    outputs = {name.lower(): name for name in output_names(select)}
    for key in list(distinct.args["on"].expressions):
        holder = exp.Ordered(this=exp.null())
        key.replace(holder)
        holder.set("this", key)
        _resolve_ordered(holder, outputs, resolve, state)
        holder.replace(holder.this)


def is_output_reference(node: exp.Expr) -> bool:
    """Whether ``node`` names an output column of its own query."""
    return isinstance(node, exp.Column) and bool(node.meta_get("output"))


def check_limits(query: exp.Select | exp.SetOperation, state: Resolution) -> None:
    """LIMIT and OFFSET take constants: anything else would make the number of rows depend on data."""
    for part in ("limit", "offset"):
        clause = query.args.get(part)
        if clause is None:
            continue
        value = _constant(clause.expression)
        if value is None or value < 0:
            state.report.add(LITERAL, clause, f"{part.upper()} takes a whole number", f"write {part.upper()} 100")
        elif not isinstance(clause.expression, exp.Literal):
            clause.set("expression", exp.Literal.number(value))
        if clause.args.get("limit_options"):
            limit(clause, "LIMIT in per cent", "number the rows with row_number(), or write a whole number of rows")


def _constant(node: exp.Expr) -> int | None:
    """The whole number that an expression of constants gives; None if it is anything else."""
    if isinstance(node, exp.Paren):
        return _constant(node.this)
    if isinstance(node, exp.Add | exp.Sub | exp.Mul):
        one, two = _constant(node.this), _constant(node.expression)
        if one is None or two is None:
            return None
        return one + two if isinstance(node, exp.Add) else one - two if isinstance(node, exp.Sub) else one * two
    return whole_value(node)


def _is_all(node: exp.Expr) -> bool:
    return isinstance(node, exp.Var) and node.name.upper() == "ALL"


def _order_by_all(order: exp.Order, names: Iterable[str]) -> None:
    """``ORDER BY ALL DESC``: by every column, from the left."""
    only = order.expressions[0]
    parts = {key: value for key, value in only.args.items() if key != "this"}
    order.set("expressions", [exp.Ordered(this=_reference(name, only), **parts) for name in names])


def _resolve_ordered(ordered: exp.Expr, outputs: dict[str, str], resolve: Resolver | None, state: Resolution) -> None:
    node = ordered.this
    if is_output_reference(node):
        return
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


def _refer_to_outputs(select: exp.Expr, order: exp.Order, state: Resolution) -> None:
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

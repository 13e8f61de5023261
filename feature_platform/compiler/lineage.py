"""Column lineage and labels: one pass over the query, for all columns together.

Each expression has a *flow*: the columns whose values flow into it (DIRECT), those that only decide (INDIRECT, in
OpenLineage's sense), the labels of its value, and the governed transforms on the way. Each query level has a *path*:
what decides which rows there are — WHERE, ON, GROUP BY, HAVING, ORDER BY, DISTINCT.

Labels follow values:

* through CASE, COALESCE, arithmetic, comparison and text functions they stay, those of conditions included;
* count, sum, avg and their like make them ``aggregated``; min, max, arg_max and the like keep them;
* IS NULL, and the equality of two tokens, leave ``derived``: a fact that names nobody;
* what decides about rows (except tokens, which are there to link) leaves ``derived`` on every column.

A token is good for equality with a token of its own class, and for nothing else; other uses are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlglot import exp

from feature_platform.compiler.codes import SET_OPERATION
from feature_platform.compiler.comparison_flows import (
    case_flow,
    comparison_flow,
    if_flow,
    membership_flow,
    nullif_flow,
    test_flow,
)
from feature_platform.compiler.flows import (
    NO_PARTS,
    NO_REFS,
    NOTHING,
    Flow,
    QueryFlows,
    decided,
    deciding,
    derived,
    settled,
    union,
)
from feature_platform.compiler.functions.catalogue import Call, call_of
from feature_platform.compiler.group_by import keys_of
from feature_platform.compiler.lambdas import LAMBDA_CALLS, NO_TABLE
from feature_platform.compiler.nested_flows import (
    call_flow,
    check_names,
    field_flow,
    lambda_flow,
    map_flow,
    struct_flow,
)
from feature_platform.compiler.ordering import is_output_reference
from feature_platform.compiler.paths import element, list_of, shape, whole
from feature_platform.compiler.recursion import is_recursive, recursive_flows
from feature_platform.compiler.report import Report
from feature_platform.compiler.scan_columns import Scan, ScanColumn
from feature_platform.compiler.scopes import bare, ctes, from_items, is_null_column
from feature_platform.compiler.token_use import are_apart, check_mixture, refuse_token
from feature_platform.compiler.trees import children
from feature_platform.compiler.unnesting import unnested
from feature_platform.governance.labels import Label


@dataclass
class _Pass:
    """What the walk has found so far; aliases and CTE names are unique in the query."""

    report: Report
    scans: frozenset[str]
    """Aliases of the guarded scans: their columns are known from the start."""
    relations: dict[str, Mapping[str, Flow]] = field(default_factory=dict)
    ctes: dict[str, QueryFlows] = field(default_factory=dict)
    parameters: dict[str, Flow] = field(default_factory=dict)
    """Of the lambdas around, by name."""

    def __post_init__(self) -> None:
        self.relations[NO_TABLE] = self.parameters

    def walk(self, node: exp.Expr) -> Flow:
        return _flow(node, self)

    def columns(self, query: exp.Expr) -> list[Flow]:
        """Of a subquery."""
        found = _query(query, self)
        return [settled(flow, found.path) for flow in found.columns.values()]


def trace(tree: exp.Expr, scans: Mapping[str, Scan], report: Report) -> QueryFlows:
    """The flows of every output column of a guarded tree. Misuse of tokens is noted."""
    state = _Pass(report, frozenset(scans))
    for alias, scan in scans.items():
        state.relations[alias] = {name: _scanned(column) for name, column in scan.columns.items()}
    return _query(tree, state)


def _scanned(column: ScanColumn) -> Flow:
    flow = Flow(column.sources, NO_REFS, column.labels, column.transforms)
    return list_of(flow, flow) if column.type.kind == "array" else flow


def _query(query: exp.Expr, state: _Pass) -> QueryFlows:
    inner = bare(query)
    for cte in ctes(inner):
        state.ctes[cte.alias] = _recursion(cte, state) if is_recursive(cte) else _query(cte.this, state)
    if isinstance(inner, exp.Select):
        return _select(inner, state)
    return _set_operation(inner, state)


def _recursion(cte: exp.CTE, state: _Pass) -> QueryFlows:
    operation = bare(cte.this)
    assert isinstance(operation, exp.SetOperation)
    for inner in ctes(operation):
        state.ctes[inner.alias] = _query(inner.this, state)

    def again(known: QueryFlows) -> QueryFlows:
        state.ctes[cte.alias] = known
        return _set_operation(operation, state)

    return recursive_flows(_query(operation.this, state), again)


def _set_operation(operation: exp.SetOperation, state: _Pass) -> QueryFlows:
    left, right = _query(operation.this, state), _query(operation.expression, state)
    columns = {}
    for place, ((name, one), two) in enumerate(zip(left.columns.items(), right.columns.values(), strict=False)):
        if are_apart(one, two) and not any(
            is_null_column(branch, place) for branch in (operation.this, operation.expression)
        ):
            state.report.add(
                SET_OPERATION,
                operation,
                f"column '{name}' is a token of another class, or no token, in the other branch",
                "give the branches columns of the same class, or name them apart",
            )
        columns[name] = union([one, two])
    path = union([left.path, right.path])
    compares = bool(operation.args.get("distinct")) or not isinstance(operation, exp.Union)
    if compares:
        path = union([path, *(deciding(flow) for flow in columns.values())])
    return QueryFlows(columns, union([path, *_order(operation, columns, state)]))


def _select(select: exp.Select, state: _Pass) -> QueryFlows:
    path: list[Flow] = []
    for item, join in from_items(select):
        path.append(_relation(item, state))
        if join is not None and join.args.get("on") is not None:
            path.append(deciding(_flow(join.args["on"], state)))
    for part in ("where", "having"):
        clause = select.args.get(part)
        if clause is not None:
            path.append(deciding(_flow(clause.this, state)))
    group = select.args.get("group")
    path.extend(deciding(_flow(key, state)) for key in (keys_of(group.expressions) if group is not None else ()))
    columns = {projection.alias: _flow(projection.this, state) for projection in select.expressions}
    path.extend(deciding(shape(_flow(node.this, state))) for node in unnested(select))
    path.extend(_order(select, columns, state))
    if select.args.get("distinct") is not None:
        path.extend(deciding(flow) for flow in columns.values())
    return QueryFlows(columns, union(path))


def _relation(item: exp.Expr, state: _Pass) -> Flow:
    """Registers the columns of a table or subquery; gives what its path adds to the query's."""
    alias = item.alias
    if alias in state.scans:
        return NOTHING
    if isinstance(item, exp.Unnest):
        return _unnested(item, state)
    found = state.ctes[item.name] if isinstance(item, exp.Table) else _query(item.this, state)
    state.relations[alias] = {name: settled(flow, found.path) for name, flow in found.columns.items()}
    return found.path


def _unnested(item: exp.Unnest, state: _Pass) -> Flow:
    """The elements carry what the list carries; how many there are is decided by it."""
    flow = _flow(item.expressions[0], state)
    names = [column.name for column in item.args["alias"].columns]
    count = deciding(shape(flow))
    state.relations[item.alias] = {names[0]: element(flow), **dict.fromkeys(names[1:], count)}
    return count


def _order(select: exp.Query, columns: Mapping[str, Flow], state: _Pass) -> Iterator[Flow]:
    order = select.args.get("order")
    for ordered in order.expressions if order is not None else ():
        flow = columns[ordered.this.name] if is_output_reference(ordered.this) else _flow(ordered.this, state)
        refuse_token(flow, ordered.this, "ordered", state.report)
        yield deciding(flow)


def _flow(node: exp.Expr, state: _Pass) -> Flow:
    """The flow of an expression."""
    rule = _RULES.get(type(node))
    if rule is not None:
        return rule(node, state)
    if isinstance(node, exp.Query):
        return _scalar_subquery(node, state)
    call = call_of(node)
    if call is not None:
        return _call(call, state)
    flow = whole(_parts(node, state))
    refuse_token(flow, node, "calculated with, cast or matched", state.report)
    return flow


def _column(node: exp.Column, state: _Pass) -> Flow:
    equal = node.meta_get("equals")
    if equal is not None:  # a merged column of a join: both sides say the same
        return union([_named_column(node, state), _flow(equal, state)])
    return _named_column(node, state)


def _named_column(node: exp.Column, state: _Pass) -> Flow:
    return state.relations.get(node.table, {}).get(node.name, NOTHING)


def _comparison(node: exp.Expr, state: _Pass) -> Flow:
    return comparison_flow(node, state.walk, state.report)


def _nothing(_node: exp.Expr, _state: _Pass) -> Flow:
    return NOTHING


def _inside(node: exp.Expr, state: _Pass) -> Flow:
    return _flow(node.this, state)


def _parts(node: exp.Expr, state: _Pass) -> Flow:
    return union(_flow(child, state) for child in children(node))


def _exists(node: exp.Exists, state: _Pass) -> Flow:
    found = _query(node.this, state)
    whole = union([found.path, *found.columns.values()])
    return Flow(NO_REFS, whole.direct | whole.indirect, derived(whole.labels))


def _filter(node: exp.Filter, state: _Pass) -> Flow:
    return decided(_flow(node.this, state), deciding(_flow(node.expression.this, state)))


def _cast(node: exp.Cast, state: _Pass) -> Flow:
    """What a nested value becomes keeps its parts as long as it is nested; of text no part is known."""
    flow = _flow(node.this, state)
    nested = node.to.args.get("nested") or node.to.this == exp.DType.JSON
    if node.to.this == exp.DType.JSON:
        check_names(flow, node, state.report)
    if not (nested and flow.parts):
        refuse_token(flow, node, "calculated with, cast or matched", state.report)
    return flow if nested else whole(flow)


def _quantified(node: exp.Expr, state: _Pass) -> Flow:
    """Of ``ANY (...)`` and ``ALL (...)``: what the other side is compared with."""
    inner = node.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Query):
        return _scalar_subquery(inner, state)
    return element(_flow(inner, state))


def _call(call: Call, state: _Pass) -> Flow:
    function = call.function
    if function.name == "nullif":
        return nullif_flow(call.arguments, state.walk, state.report)
    flows = [_flow(argument, state) for argument in call.arguments]
    inside = [_flow(ordered.this, state) for ordered in call.order]
    for flow, ordered in zip(inside, call.order, strict=True):
        refuse_token(flow, ordered.this, "ordered", state.report)
    nested = call_flow(call, flows, state.report)
    if nested is not None:
        return decided(nested, deciding(union(inside)))
    for index, (flow, argument) in enumerate(zip(flows, call.arguments, strict=True)):
        if index not in function.tokens:
            refuse_token(flow, argument, f"an argument of {function.name}", state.report)
    if function.name == "coalesce":
        check_mixture(call.arguments, flows, state.report)
    flow = union(flows)
    if function.name in ("arg_max", "arg_min") and len(flows) == 2:
        flow = decided(flows[0], deciding(flows[1]))
    labels = flow.labels
    if function.labels == "aggregated":
        labels = frozenset(
            Label("aggregated", label.classification) if label.kind != "derived" else label for label in labels
        )
    elif function.labels == "derived":
        labels = derived(labels, tokens=True)
    parts = flow.parts if function.name in _HANDING_ON else NO_PARTS
    return decided(Flow(flow.direct, flow.indirect, labels, flow.transforms, parts), deciding(union(inside)))


_HANDING_ON: Final = frozenset(
    {"coalesce", "arg_max", "arg_min", "first", "last", "lag", "lead", "first_value", "last_value", "nth_value"}
)
"""Functions whose result is one of their arguments as it is, with all of its parts."""


def _window(node: exp.Window, state: _Pass) -> Flow:
    value = _flow(node.this, state)
    picked = [deciding(_flow(key, state)) for key in node.args.get("partition_by") or ()]
    order = node.args.get("order")
    for ordered in order.expressions if order is not None else ():
        flow = _flow(ordered.this, state)
        refuse_token(flow, ordered.this, "ordered", state.report)
        picked.append(deciding(flow))
    return decided(value, union(picked))


def _scalar_subquery(node: exp.Query, state: _Pass) -> Flow:
    found = _query(node, state)
    first = next(iter(found.columns.values()), NOTHING)
    return settled(first, found.path)


Rule = Callable[[Any, _Pass], Flow]
_RULES: Final[dict[type[exp.Expr], Rule]] = {
    exp.Column: _column,
    exp.Literal: _nothing,
    exp.Boolean: _nothing,
    exp.Null: _nothing,
    exp.Interval: _nothing,
    exp.DataType: _nothing,
    exp.Grouping: _nothing,
    exp.Var: _nothing,
    exp.Alias: _inside,
    exp.Paren: _inside,
    exp.Collate: _inside,
    exp.And: _parts,
    exp.Or: _parts,
    exp.Not: _parts,
    exp.Exists: _exists,
    exp.EQ: _comparison,
    exp.NEQ: _comparison,
    exp.NullSafeEQ: _comparison,
    exp.NullSafeNEQ: _comparison,
    exp.In: lambda node, state: membership_flow(node, state.walk, state.columns, state.report),
    exp.Is: lambda node, state: test_flow(node, state.walk, state.report),
    exp.Case: lambda node, state: case_flow(node, state.walk, state.report),
    exp.If: lambda node, state: if_flow(node, state.walk, state.report),
    exp.Window: _window,
    exp.Filter: _filter,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Any: _quantified,
    exp.All: _quantified,
    exp.IgnoreNulls: _inside,
    exp.Try: _inside,
    exp.Struct: lambda node, state: struct_flow(node, state.walk),
    exp.ToMap: lambda node, state: map_flow(node, state.walk, state.report),
    exp.Map: lambda node, state: map_flow(node, state.walk, state.report),
    exp.StructExtract: lambda node, state: field_flow(node, state.walk),
    **{
        kind: lambda node, state: lambda_flow(node, state.walk, state.parameters, state.report) for kind in LAMBDA_CALLS
    },
}

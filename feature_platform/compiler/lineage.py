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

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlglot import exp

from feature_platform.compiler.codes import SET_OPERATION, TOKEN_CLASSES, TOKEN_USE
from feature_platform.compiler.functions.catalogue import Call, call_of
from feature_platform.compiler.ordering import is_output_reference
from feature_platform.compiler.report import Report
from feature_platform.compiler.scan import Scan
from feature_platform.compiler.scopes import bare, ctes, from_items
from feature_platform.governance.labels import CLEAN, Label, Labels
from feature_platform.registry.graph import ColumnRef

_Refs = frozenset[ColumnRef]
_NO_REFS: Final[_Refs] = frozenset()


@dataclass(frozen=True, slots=True)
class Flow:
    """What flows into an expression."""

    direct: _Refs = _NO_REFS
    indirect: _Refs = _NO_REFS
    labels: Labels = CLEAN
    transforms: frozenset[str] = frozenset()

    @property
    def token(self) -> bool:
        return any(label.kind == "token" for label in self.labels)


NOTHING: Final = Flow()


@dataclass
class QueryFlows:
    """The flows of a query's columns, by name in order, and its path."""

    columns: dict[str, Flow]
    path: Flow


@dataclass
class _Pass:
    """What the walk has found so far; aliases and CTE names are unique in the query."""

    report: Report
    relations: dict[str, Mapping[str, Flow]] = field(default_factory=dict)
    ctes: dict[str, QueryFlows] = field(default_factory=dict)


def trace(tree: exp.Expr, scans: Mapping[str, Scan], report: Report) -> QueryFlows:
    """The flows of every output column of a guarded tree. Misuse of tokens is noted."""
    state = _Pass(report)
    for alias, scan in scans.items():
        state.relations[alias] = {
            name: Flow(column.sources, _NO_REFS, column.labels, column.transforms)
            for name, column in scan.columns.items()
        }
    return _query(tree, state)


def settled(flow: Flow, path: Flow) -> Flow:
    """A column's flow with what the path of its query adds."""
    return Flow(
        flow.direct,
        flow.indirect | path.direct | path.indirect,
        flow.labels | _derived(path.labels),
        flow.transforms,
    )


def _query(query: exp.Expr, state: _Pass) -> QueryFlows:
    inner = bare(query)
    for cte in ctes(inner):
        state.ctes[cte.alias] = _query(cte.this, state)
    if isinstance(inner, exp.Select):
        return _select(inner, state)
    return _set_operation(inner, state)


def _set_operation(operation: exp.SetOperation, state: _Pass) -> QueryFlows:
    left, right = _query(operation.this, state), _query(operation.expression, state)
    columns = {}
    for (name, one), two in zip(left.columns.items(), right.columns.values(), strict=False):
        if _tokens(one) != _tokens(two) and (one.token or two.token):
            state.report.add(
                SET_OPERATION,
                operation,
                f"column '{name}' is a token of another class, or no token, in the other branch",
                "give the branches columns of the same class, or name them apart",
            )
        columns[name] = _union([one, two])
    path = _union([left.path, right.path])
    compares = bool(operation.args.get("distinct")) or not isinstance(operation, exp.Union)
    if compares:
        path = _union([path, *(_deciding(flow) for flow in columns.values())])
    return QueryFlows(columns, path)


def _select(select: exp.Select, state: _Pass) -> QueryFlows:
    path: list[Flow] = []
    for item, join in from_items(select):
        path.append(_relation(item, state))
        if join is not None and join.args.get("on") is not None:
            path.append(_deciding(_flow(join.args["on"], state)))
    for part in ("where", "having"):
        clause = select.args.get(part)
        if clause is not None:
            path.append(_deciding(_flow(clause.this, state)))
    group = select.args.get("group")
    path.extend(_deciding(_flow(key, state)) for key in (group.expressions if group is not None else ()))
    columns = {projection.alias: _flow(projection.this, state) for projection in select.expressions}
    path.extend(_order(select, columns, state))
    if select.args.get("distinct") is not None:
        path.extend(_deciding(flow) for flow in columns.values())
    return QueryFlows(columns, _union(path))


def _relation(item: exp.Expr, state: _Pass) -> Flow:
    """Registers the columns of a table or subquery; gives what its path adds to the query's."""
    alias = item.alias
    if alias in state.relations:  # a guarded scan
        return NOTHING
    found = state.ctes[item.name] if isinstance(item, exp.Table) else _query(item.this, state)
    state.relations[alias] = {name: settled(flow, found.path) for name, flow in found.columns.items()}
    return found.path


def _order(select: exp.Select, columns: Mapping[str, Flow], state: _Pass) -> Iterator[Flow]:
    order = select.args.get("order")
    for ordered in order.expressions if order is not None else ():
        flow = columns[ordered.this.name] if is_output_reference(ordered.this) else _flow(ordered.this, state)
        _refuse_token(flow, ordered.this, "ordered", state)
        yield _deciding(flow)


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
    flow = _parts(node, state)
    _refuse_token(flow, node, "calculated with, cast or matched", state)
    return flow


def _column(node: exp.Column, state: _Pass) -> Flow:
    return state.relations.get(node.table, {}).get(node.name, NOTHING)


def _nothing(_node: exp.Expr, _state: _Pass) -> Flow:
    return NOTHING


def _inside(node: exp.Expr, state: _Pass) -> Flow:
    return _flow(node.this, state)


def _parts(node: exp.Expr, state: _Pass) -> Flow:
    return _union(_flow(child, state) for child in node.iter_expressions())


def _exists(node: exp.Exists, state: _Pass) -> Flow:
    found = _query(node.this, state)
    whole = _union([found.path, *found.columns.values()])
    return Flow(_NO_REFS, whole.direct | whole.indirect, _derived(whole.labels))


def _comparison(node: exp.Expr, state: _Pass) -> Flow:
    return _equality(node, [node.this, node.expression], state)


def _test(node: exp.Is, state: _Pass) -> Flow:
    tested = _flow(node.this, state)
    if isinstance(node.expression, exp.Null):
        return Flow(tested.direct, tested.indirect, _derived(tested.labels, tokens=True), tested.transforms)
    _refuse_token(tested, node, "compared", state)
    return tested


def _if(node: exp.If, state: _Pass) -> Flow:
    return _choice([(node.this, node.args["true"])], node.args.get("false"), state)


def _filter(node: exp.Filter, state: _Pass) -> Flow:
    return _decided(_flow(node.this, state), _deciding(_flow(node.expression.this, state)))


def _call(call: Call, state: _Pass) -> Flow:
    function, flows = call.function, []
    if function.name == "nullif":
        return _equality(None, list(call.arguments), state)
    for index, argument in enumerate(call.arguments):
        flow = _flow(argument, state)
        if index not in function.tokens:
            _refuse_token(flow, argument, f"an argument of {function.name}", state)
        flows.append(flow)
    inside = [_flow(ordered.this, state) for ordered in call.order]
    for flow, ordered in zip(inside, call.order, strict=True):
        _refuse_token(flow, ordered.this, "ordered", state)
    if function.name == "coalesce":
        _check_mixture(call.arguments, flows, state)
    flow = _union(flows)
    if function.name in ("arg_max", "arg_min") and len(flows) == 2:
        flow = _decided(flows[0], _deciding(flows[1]))
    labels = flow.labels
    if function.labels == "aggregated":
        labels = frozenset(
            Label("aggregated", label.classification) if label.kind != "derived" else label for label in labels
        )
    elif function.labels == "derived":
        labels = _derived(labels, tokens=True)
    return _decided(Flow(flow.direct, flow.indirect, labels, flow.transforms), _deciding(_union(inside)))


def _equality(node: exp.Expr | None, sides: list[exp.Expr], state: _Pass) -> Flow:
    left, right = _flow(sides[0], state), _flow(sides[1], state)
    _check_comparison(node or sides[0], sides, [left, right], state)
    if node is None:  # NULLIF: the left side, or NULL
        return _decided(left, _deciding(right))
    both = _union([left, right])
    return Flow(both.direct, both.indirect, _without_tokens(both.labels), both.transforms)


def _check_comparison(node: exp.Expr, sides: list[exp.Expr], flows: list[Flow], state: _Pass) -> None:
    if not any(flow.token for flow in flows):
        return
    plain = next((side for side, flow in zip(sides, flows, strict=True) if not flow.token), None)
    if plain is not None:
        constant = not any(isinstance(part, exp.Column) for part in plain.walk())
        if isinstance(plain, exp.Null):
            state.report.add(TOKEN_USE, node, "a comparison with NULL is never true", "write IS NULL or IS NOT NULL")
        elif constant:
            state.report.add(
                TOKEN_USE,
                node,
                f"{_named(flows)} is compared with a constant, which would ask whether a known person is in the data",
                "compare it with another column of the same classification; pass persons in through a spine",
            )
        else:
            state.report.add(
                TOKEN_CLASSES,
                node,
                f"{_named(flows)} is compared with a value that is no token; they are never equal",
                "compare columns of the same classification; declare `pii:` of the other column if it holds the same",
            )
    elif len(set(map(_tokens, flows))) > 1 or len(_tokens(flows[0])) > 1:
        state.report.add(
            TOKEN_CLASSES,
            node,
            f"tokens of two classes are compared ({_named(flows)}); they are never equal",
            "compare columns of the same classification",
        )


def _membership(node: exp.In, state: _Pass) -> Flow:
    tested = _flow(node.this, state)
    query = node.args.get("query")
    if query is not None:
        found = _query(query, state)
        members = [settled(flow, found.path) for flow in found.columns.values()][:1]
        sides: list[exp.Expr] = [node.this, query]
    else:
        members = [_flow(member, state) for member in node.expressions]
        sides = [node.this, *node.expressions]
    for side, member in zip(sides[1:], members, strict=False):
        _check_comparison(node, [node.this, side], [tested, member], state)
    flow = _union([tested, *members])
    return Flow(flow.direct, flow.indirect, _without_tokens(flow.labels), flow.transforms)


def _case(node: exp.Case, state: _Pass) -> Flow:
    branches = [(branch.this, branch.args["true"]) for branch in node.args["ifs"]]
    if node.this is not None:
        subject = _flow(node.this, state)
        for value, _ in branches:
            _check_comparison(value, [node.this, value], [subject, _flow(value, state)], state)
        decided = _union([subject, *(_flow(value, state) for value, _ in branches)])
        results = [result for _, result in branches] + (
            [node.args["default"]] if node.args.get("default") is not None else []
        )
        flows = [_flow(result, state) for result in results]
        _check_mixture(results, flows, state)
        return _kept(_union(flows), decided)
    return _choice(branches, node.args.get("default"), state)


def _choice(branches: list[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None, state: _Pass) -> Flow:
    conditions = _union(_flow(condition, state) for condition, _ in branches)
    results = [result for _, result in branches] + ([default] if default is not None else [])
    flows = [_flow(result, state) for result in results]
    _check_mixture(results, flows, state)
    return _kept(_union(flows), conditions)


def _check_mixture(results: Iterable[exp.Expr], flows: list[Flow], state: _Pass) -> None:
    """The branches of a choice are tokens of one class all, or none is; NULL goes with everything."""
    seen = {
        (_tokens(flow)): result for result, flow in zip(results, flows, strict=True) if not isinstance(result, exp.Null)
    }
    if len(seen) > 1 and any(tokens for tokens in seen):
        state.report.add(
            TOKEN_CLASSES,
            list(seen.values())[-1],
            f"{_named(flows)} is mixed with values that are no tokens of its class",
            "give all branches the same classification; for a missing token leave NULL",
        )


def _window(node: exp.Window, state: _Pass) -> Flow:
    value = _flow(node.this, state)
    deciding = [_deciding(_flow(key, state)) for key in node.args.get("partition_by") or ()]
    order = node.args.get("order")
    for ordered in order.expressions if order is not None else ():
        flow = _flow(ordered.this, state)
        _refuse_token(flow, ordered.this, "ordered", state)
        deciding.append(_deciding(flow))
    return _decided(value, _union(deciding))


def _scalar_subquery(node: exp.Query, state: _Pass) -> Flow:
    found = _query(node, state)
    first = next(iter(found.columns.values()), NOTHING)
    return settled(first, found.path)


def _deciding(flow: Flow) -> Flow:
    """A flow that decides about rows or branches and gives no value."""
    return Flow(_NO_REFS, flow.direct | flow.indirect, _derived(flow.labels), frozenset())


def _decided(value: Flow, deciding: Flow) -> Flow:
    """A value that was picked by something else: its labels, and that something was decided by others."""
    return Flow(
        value.direct, value.indirect | deciding.indirect, value.labels | _derived(deciding.labels), value.transforms
    )


def _kept(value: Flow, conditions: Flow) -> Flow:
    """A choice: what the conditions carry stays, since a chain of CASE can spell out what it tests."""
    return Flow(
        value.direct,
        value.indirect | conditions.direct | conditions.indirect,
        value.labels | _without_tokens(conditions.labels),
        value.transforms | conditions.transforms,
    )


def _union(flows: Iterable[Flow]) -> Flow:
    several = [flow for flow in flows if flow is not NOTHING]
    if not several:
        return NOTHING
    if len(several) == 1:
        return several[0]
    return Flow(
        frozenset().union(*(flow.direct for flow in several)),
        frozenset().union(*(flow.indirect for flow in several)),
        frozenset().union(*(flow.labels for flow in several)),
        frozenset().union(*(flow.transforms for flow in several)),
    )


def _derived(labels: Labels, *, tokens: bool = False) -> Labels:
    return (
        frozenset(Label("derived", label.classification) for label in labels if tokens or label.kind != "token")
        if labels
        else CLEAN
    )


def _without_tokens(labels: Labels) -> Labels:
    """Of a comparison: two tokens are equal or not, which names nobody; everything else stays."""
    return frozenset(Label("derived", label.classification) if label.kind == "token" else label for label in labels)


def _tokens(flow: Flow) -> frozenset[str]:
    return frozenset(label.classification for label in flow.labels if label.kind == "token")


def _named(flows: Iterable[Flow]) -> str:
    flow = _union(flows)
    columns = ", ".join(str(ref) for ref in sorted(flow.direct))
    return f"the token of {' and '.join(sorted(_tokens(flow)))} ({columns})"


def _refuse_token(flow: Flow, node: exp.Expr, how: str, state: _Pass) -> None:
    if flow.token:
        state.report.add(
            TOKEN_USE,
            node,
            f"{_named([flow])} is {how}; a token tells only whether two values are equal",
            "use it in =, IN, JOIN, GROUP BY or count(DISTINCT ...), or read the column by a governed transform",
        )


Rule = Callable[[Any, _Pass], Flow]
_RULES: Final[dict[type[exp.Expr], Rule]] = {
    exp.Column: _column,
    exp.Literal: _nothing,
    exp.Boolean: _nothing,
    exp.Null: _nothing,
    exp.Interval: _nothing,
    exp.DataType: _nothing,
    exp.Var: _nothing,
    exp.Alias: _inside,
    exp.Paren: _inside,
    exp.And: _parts,
    exp.Or: _parts,
    exp.Not: _parts,
    exp.Exists: _exists,
    exp.EQ: _comparison,
    exp.NEQ: _comparison,
    exp.NullSafeEQ: _comparison,
    exp.NullSafeNEQ: _comparison,
    exp.In: _membership,
    exp.Is: _test,
    exp.Case: _case,
    exp.If: _if,
    exp.Window: _window,
    exp.Filter: _filter,
}

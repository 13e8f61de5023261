"""Flows of the functions that make, open and compare nested values; what :mod:`.paths` says is put together here.

A token inside a list may be looked for with a token of its class; a token in JSON stays one under its key. Sorting,
adding up and joining into text are for values, not for tokens, as elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.flows import NOTHING, Flow, kept, union
from feature_platform.compiler.functions.catalogue import Call
from feature_platform.compiler.lambdas import lambda_of
from feature_platform.compiler.paths import (
    ELEMENT,
    KEYS,
    at_path,
    at_position,
    element,
    entry,
    extracted,
    fact,
    keys,
    list_of,
    made_of_members,
    map_of,
    shape,
    values,
    whole,
)
from feature_platform.compiler.report import Report
from feature_platform.compiler.token_use import check_comparison, check_mixture, refuse_token
from feature_platform.governance.labels import Label

Walk = Callable[[exp.Expr], Flow]
Rule = Callable[[Call, Sequence[Flow], Report], Flow]


def call_flow(call: Call, flows: Sequence[Flow], report: Report) -> Flow | None:
    """The flow of a call of a function of nested values; None of any other function."""
    rule = _RULES.get(call.function.name)
    return rule(call, flows, report) if rule is not None and flows else None


def struct_flow(node: exp.Struct, walk: Walk) -> Flow:
    """Of ``{'a': x, 'b': y}``."""
    return made_of_members((field.name, walk(field.expression)) for field in node.expressions)


def map_flow(node: exp.Expr, walk: Walk, report: Report) -> Flow:
    """Of ``MAP {'k': v}`` and ``map(keys, values)``."""
    if isinstance(node, exp.Map):
        listed, held = (walk(node.args[part]) if node.args.get(part) else NOTHING for part in ("keys", "values"))
        return kept(map_of(element(listed), element(held)), fact(union([shape(listed), shape(held)])))
    pairs_ = node.this.expressions
    key_flows = [walk(pair.this) for pair in pairs_]
    value_flows = [walk(pair.expression) for pair in pairs_]
    check_mixture([pair.this for pair in pairs_], key_flows, report)
    entries: dict[str, Flow] = {}
    if all(isinstance(pair.this, exp.Literal) and pair.this.is_string for pair in pairs_):
        entries = {entry(pair.this.name): flow for pair, flow in zip(pairs_, value_flows, strict=True)}
    return map_of(union(key_flows), union(value_flows), entries)


def field_flow(node: exp.StructExtract, walk: Walk) -> Flow:
    """Of ``s.f``."""
    return extracted(walk(node.this), node.expression)


def lambda_flow(node: exp.Expr, walk: Walk, parameters: dict[str, Flow], report: Report) -> Flow:
    """Of a call with a lambda. ``parameters`` holds the flows of parameters in sight, by their own names."""
    listed = walk(node.this)
    held = lambda_of(node)
    if isinstance(node, exp.Reduce):
        return _reduced(node, listed, walk, parameters, report)
    body = _with(parameters, held, [element(listed), fact(shape(listed))], walk)
    if isinstance(node, exp.ArrayFilter):
        return kept(listed, body)
    return list_of(body, fact(shape(listed)))


def _reduced(node: exp.Reduce, listed: Flow, walk: Walk, parameters: dict[str, Flow], report: Report) -> Flow:
    # What has been gathered flows into itself: walk the body until nothing new comes out of it.
    initial = node.args.get("initial")
    gathered = union([element(listed), walk(initial)]) if initial is not None else element(listed)
    position = fact(shape(listed))
    while True:
        body = _with(parameters, node.args["merge"], [gathered, element(listed), position], walk)
        grown = union([gathered, body])
        if grown == gathered:
            break
        gathered = grown
    if gathered.token:
        parts = [node.this] if initial is None else [node.this, initial]
        check_mixture(parts, [gathered, *([walk(initial)] if initial is not None else [])], report)
    return kept(gathered, position)


def _with(parameters: dict[str, Flow], held: exp.Lambda, flows: Sequence[Flow], walk: Walk) -> Flow:
    """The flow of a lambda's body with its parameters in sight."""
    before = dict(parameters)
    parameters.update({parameter.name: flow for parameter, flow in zip(held.expressions, flows, strict=False)})
    try:
        return walk(held.this)
    finally:
        parameters.clear()
        parameters.update(before)


def _values(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    check_mixture(call.arguments, list(flows), report)
    return list_of(union(flows))


def _json_values(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    for argument, flow in zip(call.arguments, flows, strict=True):
        check_names(flow, argument, report)
    return list_of(union(flows))


def _extracted(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    held, index = flows[0], flows[1]
    accessed = call.arguments[1]
    if KEYS in held.parts:
        check_comparison(accessed, list(call.arguments[:2]), [keys(held), index], report)
    else:
        refuse_token(index, accessed, "a position", report)
    if not held.parts:
        refuse_token(held, call.arguments[0], "cut", report)
    return kept(extracted(held, accessed), fact(union([index, held.parts.get(KEYS, NOTHING)])))


def _map_values(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    return list_of(_extracted(call, flows, report))


def _cut(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    for argument, flow in zip(call.arguments[1:], flows[1:], strict=True):
        refuse_token(flow, argument, f"an argument of {call.function.name}", report)
    if ELEMENT not in flows[0].parts:
        refuse_token(flows[0], call.arguments[0], "cut", report)  # a text, as far as one can see
    return kept(flows[0], union(flows[1:])) if len(flows) > 1 else flows[0]


def _ordered(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    refuse_token(flows[0], call.arguments[0], "ordered", report)
    return list_of(_placed(element(flows[0])), shape(flows[0]))


def _distinct(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    """How many are left tells how many were equal. They come in order."""
    return list_of(_placed(element(flows[0])), fact(flows[0]))


def _placed(flow: Flow) -> Flow:
    """Elements in the order of their values: every part of one tells where the other parts put it."""
    return kept(flow, fact(flow)) if flow.parts else flow


def _same(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    return flows[0]


def _flattened(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    inner = element(flows[0])
    return kept(inner, fact(shape(flows[0]))) if inner.parts else whole(flows[0])


def _joined(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    lists = [flow for flow in flows if flow is not NOTHING]
    if any(ELEMENT not in flow.parts for flow in lists):
        for argument, flow in zip(call.arguments, flows, strict=True):
            refuse_token(flow, argument, f"an argument of {call.function.name}", report)
        return union(flows)
    check_mixture(call.arguments, [element(flow) for flow in flows], report)
    return union(flows)


def _appended(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    held, added = (1, 0) if call.function.name == "list_prepend" else (0, 1)
    parts = [element(flows[held]), flows[added]]
    check_mixture([call.arguments[held], call.arguments[added]], parts, report)
    return list_of(union(parts), shape(flows[held]))


def _looked_up(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    sought = keys(flows[0]) if call.function.name == "map_contains" else element(flows[0])
    check_comparison(call.arguments[0], list(call.arguments[:2]), [sought, flows[1]], report)
    return fact(union(flows))


def _compared(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    check_comparison(call.arguments[0], list(call.arguments[:2]), [element(flow) for flow in flows[:2]], report)
    return fact(union(flows))


def _common(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    return list_of(_placed(element(flows[0])), _compared(call, flows, report))


def _length(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    if not flows[0].parts and call.function.name == "length":
        refuse_token(flows[0], call.arguments[0], "an argument of length", report)
    counts_values = call.function.name in ("list_count", "list_unique")
    return fact(flows[0] if counts_values else shape(flows[0]))


def _summed(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    refuse_token(flows[0], call.arguments[0], f"an argument of {call.function.name}", report)
    held = whole(flows[0])
    labels = frozenset(
        Label("aggregated", label.classification) if label.kind != "derived" else label for label in held.labels
    )
    return Flow(held.direct, held.indirect, labels, held.transforms)


def _chosen(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    refuse_token(flows[0], call.arguments[0], "ordered", report)
    return at_position(flows[0])


def _at_end(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    return at_position(flows[0])


def _element(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    return element(flows[0])


def _keys(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    return list_of(keys(flows[0]), fact(keys(flows[0])))


def _held(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    """How many there are tells how many keys differed."""
    return list_of(values(flows[0]), fact(keys(flows[0])))


def _entries(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    pair = made_of_members([("key", keys(flows[0])), ("value", values(flows[0]))])
    return list_of(pair, fact(keys(flows[0])))


def _from_entries(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    pair = element(flows[0])
    found = [
        next((pair.parts[step] for step in steps if step in pair.parts), whole(pair))
        for steps in ((".key", ".element1"), (".value", ".element2"))
    ]
    return kept(map_of(found[0], found[1]), fact(shape(flows[0])))


def _at_path(call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    return at_path(flows[0], call.arguments[1])


def _json(call: Call, flows: Sequence[Flow], report: Report) -> Flow:
    check_names(flows[0], call.arguments[0], report)
    return flows[0]


def check_names(flow: Flow, node: exp.Expr, report: Report) -> None:
    """Notes a token that would be a name in JSON: whoever writes a path asks for a known one."""
    for step, part in flow.parts.items():
        if step == KEYS:
            refuse_token(part, node, "a name in JSON", report)
        else:
            check_names(part, node, report)


def _json_keys(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    return list_of(whole(flows[0]), fact(whole(flows[0])))


def _path_fact(call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    return fact(at_path(flows[0], call.arguments[1]) if len(flows) > 1 else flows[0])


def _counted(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    aggregated = frozenset(Label("aggregated", label.classification) for label in flows[0].labels)
    return map_of(flows[0], Flow(flows[0].direct, flows[0].indirect, aggregated, flows[0].transforms))


def _gathered(_call: Call, flows: Sequence[Flow], _report: Report) -> Flow:
    return list_of(flows[0])


_RULES: Final[Mapping[str, Rule]] = {
    "list_value": _values,
    "array_extract": _extracted,
    "map_extract": _map_values,
    "list_slice": _cut,
    "list_reverse": _same,
    "list_distinct": _distinct,
    "list_sort": _ordered,
    "list_reverse_sort": _ordered,
    "flatten": _flattened,
    "list_concat": _joined,
    "||": _joined,
    "list_append": _appended,
    "list_prepend": _appended,
    "list_contains": _looked_up,
    "list_position": _looked_up,
    "map_contains": _looked_up,
    "list_has_any": _compared,
    "list_has_all": _compared,
    "list_intersect": _common,
    "length": _length,
    "array_length": _length,
    "list_count": _length,
    "list_unique": _length,
    "cardinality": _length,
    "list_sum": _summed,
    "list_avg": _summed,
    "list_bool_and": _summed,
    "list_bool_or": _summed,
    "list_min": _chosen,
    "list_max": _chosen,
    "list_first": _at_end,
    "list_last": _at_end,
    "unnest": _element,
    "map_keys": _keys,
    "map_values": _held,
    "map_entries": _entries,
    "map_from_entries": _from_entries,
    "to_json": _json,
    "json_array": _json_values,
    "json_extract": _at_path,
    "json_extract_string": _at_path,
    "json_array_length": _path_fact,
    "json_type": _path_fact,
    "json_exists": _path_fact,
    "json_valid": _path_fact,
    "json_keys": _json_keys,
    "histogram": _counted,
    "array_agg": _gathered,
}

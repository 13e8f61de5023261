"""Labels per path: what flows into the parts of structs, lists, maps and JSON, and out of them again.

A flow names the parts of its value by steps: ``.amount`` a field or member, ``[]`` an element of a list, ``#`` what
decides how many there are, ``=k`` the value of one known key of a map, ``{k}`` its keys and ``{v}`` its values. What
is not known part by part carries everything that the whole does: labels may be too many, never too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from sqlglot import exp

from feature_platform.compiler.flows import NO_PARTS, NOTHING, Flow, kept, union, without_tokens
from feature_platform.compiler.functions.constants import json_steps, whole_value

ELEMENT: Final = "[]"
KEYS: Final = "{k}"
VALUES: Final = "{v}"
SHAPE: Final = "#"


def member(name: str) -> str:
    """The step to a struct's field or a JSON object's member. Names that differ in case only share it."""
    return f".{name.lower()}"


def entry(key: str) -> str:
    """The step to the value of a map's key that is known as text."""
    return f"={key}"


def whole(flow: Flow) -> Flow:
    """The flow as that of one value."""
    return replace(flow, parts=NO_PARTS) if flow.parts else flow


def element(flow: Flow) -> Flow:
    """Of a list's elements."""
    return flow.parts.get(ELEMENT, whole(flow))


def shape(flow: Flow) -> Flow:
    """Of how many elements a list has."""
    return flow.parts.get(SHAPE, whole(flow))


def keys(flow: Flow) -> Flow:
    """Of a map's keys."""
    return flow.parts.get(KEYS, whole(flow))


def values(flow: Flow) -> Flow:
    """Of a map's values."""
    return flow.parts.get(VALUES, whole(flow))


def made_of(parts: Mapping[str, Flow]) -> Flow:
    """A value of these parts."""
    return replace(whole(union(parts.values())), parts=dict(parts))


def made_of_members(named: Iterable[tuple[str, Flow]]) -> Flow:
    """A struct or JSON object of these members."""
    parts: dict[str, Flow] = {}
    for name, flow in named:
        step = member(name)
        parts[step] = union([parts[step], flow]) if step in parts else flow
    return made_of(parts)


def list_of(flow: Flow, shape: Flow = NOTHING) -> Flow:
    """A list of such elements; ``shape`` decides how many there are."""
    return made_of({ELEMENT: flow, SHAPE: shape})


def map_of(key: Flow, value: Flow, entries: Mapping[str, Flow] = NO_PARTS) -> Flow:
    """A map; ``entries`` by their steps, where the keys are constants."""
    return replace(whole(union([key, value, *entries.values()])), parts={KEYS: key, VALUES: value, **entries})


def extracted(flow: Flow, accessed: exp.Expr) -> Flow:
    """``flow[accessed]``, before types are known: a field, an element, or the value of a key."""
    if isinstance(accessed, exp.Literal) and accessed.is_string:
        steps = [member(accessed.name), entry(accessed.name), VALUES]
    elif (position := whole_value(accessed)) is not None:
        steps = [ELEMENT, member(f"element{position}"), VALUES]
    else:
        steps = [ELEMENT, VALUES]
    found = next((step for step in steps if step in flow.parts), None)
    if found is None:
        return whole(flow)
    return at_position(flow) if found == ELEMENT else flow.parts[found]


def at_position(flow: Flow) -> Flow:
    """Of the element at some place of a list: whether there is one, and which, its length tells."""
    return kept(element(flow), fact(flow.parts[SHAPE])) if SHAPE in flow.parts else element(flow)


def at_path(flow: Flow, path: exp.Expr) -> Flow:
    """``flow -> path``, of JSON."""
    for step in json_steps(path):
        candidates = [ELEMENT] if isinstance(step, int) else [member(step), entry(step), VALUES]
        found = next((flow.parts[candidate] for candidate in candidates if candidate in flow.parts), None)
        if found is None:
            return whole(flow)
        # whether there is such a key or element tells of the keys, or of the length
        known = union(flow.parts[step] for step in (KEYS, SHAPE) if step in flow.parts)
        flow = kept(found, fact(known))
    return flow


def fact(flow: Flow) -> Flow:
    """A number or truth about a nested value: its length, whether it holds something. Tokens are told apart only; the
    rest can be spelled out by a filter before, and stays."""
    return Flow(flow.direct, flow.indirect, without_tokens(flow.labels), flow.transforms)

"""What flows into an expression, and how flows come together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from feature_platform.governance.labels import CLEAN, Label, Labels
from feature_platform.registry.graph import ColumnRef

Refs = frozenset[ColumnRef]
NO_REFS: Final[Refs] = frozenset()
Parts = Mapping[str, "Flow"]
NO_PARTS: Final[Parts] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Flow:
    """What flows into an expression."""

    direct: Refs = NO_REFS
    indirect: Refs = NO_REFS
    labels: Labels = CLEAN
    transforms: frozenset[str] = frozenset()
    parts: Parts = field(default_factory=lambda: NO_PARTS, hash=False)
    """Of a nested value, what flows into its parts, by their steps (:mod:`.paths`), where that is known; the rest of
    the flow is that of all parts together."""

    @property
    def token(self) -> bool:
        return any(label.kind == "token" for label in self.labels)


NOTHING: Final = Flow()


@dataclass
class QueryFlows:
    """The flows of a query's columns, by name in order, and its path."""

    columns: dict[str, Flow]
    path: Flow


def settled(flow: Flow, path: Flow) -> Flow:
    """A column's flow with what the path of its query adds."""
    return Flow(
        flow.direct,
        flow.indirect | path.direct | path.indirect,
        flow.labels | derived(path.labels),
        flow.transforms,
        _each(flow, lambda part: settled(part, path)),
    )


def union(flows: Iterable[Flow]) -> Flow:
    """Everything that flows into one of several."""
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
        _common([flow.parts for flow in several]),
    )


def deciding(flow: Flow) -> Flow:
    """A flow that decides about rows or branches and gives no value."""
    return Flow(NO_REFS, flow.direct | flow.indirect, derived(flow.labels), frozenset())


def decided(value: Flow, by: Flow) -> Flow:
    """A value that was picked by something else: its labels, and that something was decided by others."""
    return Flow(
        value.direct,
        value.indirect | by.indirect,
        value.labels | derived(by.labels),
        value.transforms,
        _each(value, lambda part: decided(part, by)),
    )


def kept(value: Flow, conditions: Flow) -> Flow:
    """A choice: what the conditions carry stays, since a chain of CASE can spell out what it tests."""
    return Flow(
        value.direct,
        value.indirect | conditions.direct | conditions.indirect,
        value.labels | without_tokens(conditions.labels),
        value.transforms | conditions.transforms,
        _each(value, lambda part: kept(part, conditions)),
    )


def derived(labels: Labels, *, tokens: bool = False) -> Labels:
    """What is left of labels in a fact about the value; ``tokens`` says whether theirs count."""
    return (
        frozenset(Label("derived", label.classification) for label in labels if tokens or label.kind != "token")
        if labels
        else CLEAN
    )


def without_tokens(labels: Labels) -> Labels:
    """Of a comparison: two tokens are equal or not, which names nobody; everything else stays."""
    return frozenset(Label("derived", label.classification) if label.kind == "token" else label for label in labels)


def _each(flow: Flow, change: Callable[[Flow], Flow]) -> Parts:
    return {step: change(part) for step, part in flow.parts.items()} if flow.parts else NO_PARTS


def _common(several: list[Parts]) -> Parts:
    """The parts of values of one shape; of several shapes nothing is known."""
    first = several[0]
    if not first or any(parts.keys() != first.keys() for parts in several):
        return NO_PARTS
    return {step: union(parts[step] for parts in several) for step in first}

"""Values that are sums of doubles: the same events give the same value to the last digits, which depend on the order
in which an engine's threads add.

Where a dataset is made again such values are compared to :data:`TOLERANCE`, and all others to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, Final

from feature_platform.compiler.measures import adds_doubles
from feature_platform.registry.graph import ColumnRef

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.compiler.plan import CompiledView
    from feature_platform.project.project import Project
    from feature_platform.sdk.selection import Selected

TOLERANCE: Final = 1e-9
"""Relative. Sums of one sign are far nearer; the deviation of values that lie close together around a large mean, a
balance of 40,000 give or take 10, has lost a few digits more.
"""


@dataclass(frozen=True, slots=True)
class Rounded:
    """How far values of one column are from those that were kept, by the order of additions alone."""

    rows: int
    largest: float
    """The largest difference, relative to the value."""


def rounds(project: Project, selected: Selected) -> bool:
    """Whether the feature is a sum of doubles, or derived from one."""
    return _rounds(project, selected.view, selected.feature.name)


def compare(one: pa.Array, other: pa.Array, *, rounded: bool) -> tuple[int, Rounded]:
    """Rows whose values differ, and those of them aside that differ by rounding, where that is allowed for. NaN is
    NaN.
    """
    if one.equals(other):
        return 0, Rounded(0, 0.0)
    differing, rows, largest = 0, 0, 0.0
    for left, right in zip(one.to_pylist(), other.to_pylist(), strict=True):
        distance = max(_distances(left, right), default=0.0)
        if distance == 0.0:
            continue
        if rounded and distance <= TOLERANCE:
            rows, largest = rows + 1, max(largest, distance)
        else:
            differing += 1
    return differing, Rounded(rows, largest)


def _distances(left: Any, right: Any) -> Iterator[float]:
    """Relative distances of the doubles in two values; infinity for whatever else is not the same."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        for one, other in zip(left, right, strict=True):
            yield from _distances(one, other)
    elif not isinstance(left, float) or not isinstance(right, float):
        yield 0.0 if left == right else float("inf")
    elif left != right and not (isnan(left) and isnan(right)):
        distance = abs(left - right) / max(abs(left), abs(right))
        yield float("inf") if isnan(distance) else distance


def _rounds(project: Project, view: CompiledView, feature: str) -> bool:
    if view.form == "sql":
        return False  # read as published
    if view.form == "derived":
        found = view.feature(feature)
        parts = found.column.direct | found.column.indirect if found else frozenset[ColumnRef]()
        inputs = [(project.compiled.views[each.table.name], each.column) for each in parts if each.table.kind == "view"]
        return any(_rounds(project, of, name) for of, name in inputs)
    spec = project.registry.views[view.name].spec
    source = project.registry.sources[spec.source or ""].spec
    return any(
        adds_doubles(line.function, source.columns[line.column].type if line.column else None)
        for line in spec.aggregations
        if feature in {line.feature_name(window) for window in line.windows}
    )

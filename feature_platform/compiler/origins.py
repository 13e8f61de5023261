"""Where a column comes from in the end: classified columns of sources, at whatever distance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from feature_platform.compiler.plan import CompiledView, Feature, OutputColumn
from feature_platform.governance.access import Access
from feature_platform.governance.labels import Labels
from feature_platform.governance.policies import Decision
from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.registry.graph import ColumnRef, Registry


@dataclass(frozen=True)
class Origins:
    """The way back through all views. ``compiled`` may grow while it is used."""

    registry: Registry
    compiled: Mapping[str, CompiledView]
    _columns: dict[str, Mapping[str, OutputColumn]] = field(default_factory=dict, init=False, repr=False)

    def of(self, column: OutputColumn) -> Iterator[tuple[ColumnRef, str]]:
        """The classified source columns that ``column`` depends on, with their classifications: those whose values
        flow into it before those that only decide.
        """
        stack, seen = _parents(column), set[ColumnRef]()
        while stack:
            ref = stack.pop()
            if ref in seen:
                continue
            seen.add(ref)
            if ref.table.kind == "source":
                source = self.registry.sources.get(ref.table.name)
                declared = source.spec.columns.get(ref.column) if source is not None else None
                if declared is not None and declared.pii not in (None, "none"):
                    yield ref, declared.pii
            elif (other := self._known(ref)) is not None:
                stack.extend(_parents(other))

    def behind(self, column: OutputColumn) -> frozenset[str]:
        """The classifications of all of them."""
        return frozenset(classification for _, classification in self.of(column))

    def closed(self, column: OutputColumn, access: Access) -> Iterator[tuple[ColumnRef, str, Decision]]:
        """The origins of which nothing at all is open to the asker, one for each classification."""
        told = {label.classification for label in column.labels}
        for ref, classification in self.of(column):
            decision = access.decide(classification)
            if not decision.opens and classification not in told:
                told.add(classification)
                yield ref, classification, decision

    def _known(self, ref: ColumnRef) -> OutputColumn | None:
        name = ref.table.name
        if name not in self._columns and name in self.compiled:
            view = self.compiled[name]
            columns = view.materialize.columns if view.materialize is not None else ()
            self._columns[name] = {each.name: each for each in (*(each.column for each in view.features), *columns)}
        return self._columns.get(name, {}).get(ref.column)


def together(features: Iterable[tuple[CompiledView, Feature]], registry: Registry) -> Labels:
    """What somebody has who gets these features and the keys that they are known by."""
    found: set[str | None] = set()
    labels: Labels = frozenset()
    for view, feature in features:
        labels |= feature.column.labels
        found.update(key.pii for key in registry.entities[view.entity].keys)
    personal = [classification for classification in found if classification not in (None, "none")]
    return labels.union(*(TRANSFORMS["token"].labels(classification) for classification in personal if classification))


def _parents(column: OutputColumn) -> list[ColumnRef]:
    return sorted(column.indirect, reverse=True) + sorted(column.direct, reverse=True)

"""What a query can see: sources and feature views with typed, classified, labelled columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from feature_platform.compiler.origins import Origins
from feature_platform.compiler.plan import CompiledView
from feature_platform.governance.detection.finding import Finding
from feature_platform.governance.detection.profiles import NO_PROFILES, Profiles, suspicions
from feature_platform.governance.labels import CLEAN, Labels
from feature_platform.registry.graph import Registry, TableRef
from feature_platform.types import DataType


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column of a table. Sources classify, views label: never both."""

    name: str
    type: DataType
    classification: str | None = None
    """Of a source's column: what it holds; ``none`` for "looked at, not personal"; None for unclassified."""
    labels: Labels = CLEAN
    """Of a view's column: what its values carry."""
    behind: frozenset[str] = frozenset()
    """Of a view's column: the classifications of all source columns that it depends on, at whatever distance."""
    description: str = ""
    pii_reason: str = ""
    """Of a source's column: why ``none`` is right where detection says otherwise."""
    suspicion: Finding | None = None
    """Of a source's column: what its values look like, by the source's profile."""


@dataclass(frozen=True)
class CatalogTable:
    """A source, or the published rows of a view."""

    ref: TableRef
    columns: tuple[CatalogColumn, ...]
    purposes: tuple[str, ...] | None = None
    """Of a view: what it may be used for, all that it is built on included. None: no limit."""

    @cached_property
    def by_name(self) -> Mapping[str, CatalogColumn]:
        """Columns by lower-case name: engines compare names without regard to case."""
        return {column.name.lower(): column for column in self.columns}


@dataclass(frozen=True)
class Catalog:
    """Everything that a query may name. ``tables`` is keyed by lower-case name."""

    tables: Mapping[str, CatalogTable]
    strict_pii: bool = True


class Tables(Mapping[str, CatalogTable]):
    """The tables of a project by name, made when they are asked for. Sees the views that ``compiled`` has at that
    moment."""

    def __init__(self, registry: Registry, compiled: Mapping[str, CompiledView], profiles: Profiles) -> None:
        self._registry = registry
        self._profiles = profiles
        self._compiled = compiled
        self._made: dict[str, CatalogTable] = {}
        self._origins = Origins(registry, compiled)

    def __getitem__(self, name: str) -> CatalogTable:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._registry.sources
        yield from (name for name, view in self._compiled.items() if view.materialize is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _make(self, name: str) -> CatalogTable:
        if name in self._registry.sources:
            return source_table(self._registry, name, self._profiles)
        view = self._compiled[name]
        if view.materialize is None:  # derived views have no rows
            raise KeyError(name)
        return view_table(view, self._registry.views[name].purposes, self._origins)


def catalog_of(registry: Registry, compiled: Mapping[str, CompiledView], profiles: Profiles = NO_PROFILES) -> Catalog:
    """All sources, with what detection found in them, and those views of ``compiled`` whose rows are published."""
    return Catalog(Tables(registry, compiled, profiles), registry.platform.strict_pii)


def source_table(registry: Registry, name: str, profiles: Profiles = NO_PROFILES) -> CatalogTable:
    """A source as it was declared, and as its profile knows it."""
    source = registry.sources[name].spec
    found = suspicions(profiles, name, source)
    columns = [
        CatalogColumn(
            column,
            spec.type,
            spec.pii,
            description=spec.description,
            pii_reason=spec.pii_reason,
            suspicion=found.get(column),
        )
        for column, spec in source.columns.items()
    ]
    return CatalogTable(TableRef("source", name), tuple(columns))


def view_table(view: CompiledView, purposes: tuple[str, ...], origins: Origins) -> CatalogTable:
    """The published rows of a view: keys, ``event_time``, ``available_at``, features, with their labels."""
    assert view.materialize is not None, f"{view.name} has no published rows"
    columns = tuple(
        CatalogColumn(column.name, column.type, None, column.labels, origins.behind(column), column.description)
        for column in view.materialize.columns
    )
    return CatalogTable(TableRef("view", view.name), columns, purposes)

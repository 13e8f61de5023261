"""The linked, immutable graph of a project: what every later stage reads.

Made by :func:`feature_platform.registry.link.link` and by nothing else, so holding a ``Registry`` means that
every reference in it resolves, names are unique, and views have no cycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from feature_platform.specs.models import (
    Domain,
    Entity,
    FeatureService,
    FeatureView,
    Platform,
    Policy,
    Source,
)
from feature_platform.specs.origins import Origin

__all__ = [
    "ColumnRef",
    "LinkedService",
    "LinkedSource",
    "LinkedView",
    "Origin",
    "Registry",
    "TableKind",
    "TableRef",
]

TableKind = Literal["source", "view"]


@dataclass(frozen=True, slots=True, order=True)
class TableRef:
    """A table that a query may read: a source, or the published rows of a feature view.

    In rendered SQL it is ``"sources"."<name>"`` or ``"features"."<name>"``; the executing store binds that to files or
    tables.
    """

    kind: TableKind
    name: str

    @property
    def schema(self) -> str:
        return "sources" if self.kind == "source" else "features"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class ColumnRef:
    """A column of a source or of a feature view."""

    table: TableRef
    column: str

    def __str__(self) -> str:
        return f"{self.table.name}.{self.column}"


@dataclass(frozen=True)
class LinkedView:
    """A feature view with everything that linking found out about it."""

    spec: FeatureView
    origin: Origin
    domain: str
    owner: str
    purposes: tuple[str, ...]
    """Purposes the view may be used for: its own, else its domain's, else all of the platform's."""
    reads: tuple[TableRef, ...]
    """Tables that the definition reads directly, sorted."""


@dataclass(frozen=True)
class LinkedSource:
    """A source with domain and owner filled in."""

    spec: Source
    origin: Origin
    domain: str
    owner: str


@dataclass(frozen=True)
class LinkedService:
    """A feature service with its features spelled out."""

    spec: FeatureService
    origin: Origin
    domain: str
    owner: str
    features: tuple[tuple[str, str], ...]
    """(view, feature) in the order written; ``view:*`` expanded where names are known without compiling.

    For an SQL view's ``*`` the feature is ``"*"`` here; the compiler expands it from the view's output columns.
    """


@dataclass(frozen=True)
class Registry:
    """One project, linked. All mappings are by name and read-only."""

    root: Path
    platform: Platform
    domains: Mapping[str, Domain]
    entities: Mapping[str, Entity]
    sources: Mapping[str, LinkedSource]
    views: Mapping[str, LinkedView]
    """In topological order: a view comes after the views that it reads."""
    services: Mapping[str, LinkedService]
    policies: Mapping[str, Policy]
    origins: Mapping[tuple[str, str], Origin]
    """(kind, name) → where it was written."""

    def entity_of(self, view: str) -> Entity:
        """The entity of a view."""
        return self.entities[self.views[view].spec.entity]

    def upstream(self, view: str) -> tuple[str, ...]:
        """Views that ``view`` reads, directly or not, in topological order, without itself."""
        seen: set[str] = set()
        stack = [view]
        while stack:
            for ref in self.views[stack.pop()].reads:
                if ref.kind == "view" and ref.name not in seen:
                    seen.add(ref.name)
                    stack.append(ref.name)
        return tuple(name for name in self.views if name in seen)

    def tables(self) -> Iterator[TableRef]:
        """Every source and every view."""
        yield from (TableRef("source", name) for name in self.sources)
        yield from (TableRef("view", name) for name in self.views)

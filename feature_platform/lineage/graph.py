"""Column lineage of a whole project, in both directions: edges between columns, labels, and what serves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from feature_platform.governance.labels import Labels
from feature_platform.registry.graph import ColumnRef, TableRef

if TYPE_CHECKING:
    from feature_platform.compiler.plan import CompiledProject, CompiledView, OutputColumn
    from feature_platform.lineage.subtypes import TableColumn, Ways
    from feature_platform.registry.graph import Registry
    from feature_platform.types import DataType

EdgeKind = Literal["DIRECT", "INDIRECT"]
"""``DIRECT``: its value flows into the column. ``INDIRECT``: it decides which rows or branches there are."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One column that another one depends on, and how."""

    origin: ColumnRef
    kind: EdgeKind
    subtypes: tuple[str, ...]
    """OpenLineage's subtypes, e.g. ``AGGREGATION`` or ``FILTER``, ``JOIN``; empty where the way is not known."""
    masking: bool
    """Whether a token or governed transform is on the way, so that nothing of the original value arrives."""


@dataclass(frozen=True)
class Lineage:
    """All column lineage of a project. How columns flow is looked at view by view, when somebody asks."""

    registry: Registry
    compiled: CompiledProject
    _ways: dict[str, Mapping[str, Ways]] = field(default_factory=dict)

    @cached_property
    def columns(self) -> Mapping[ColumnRef, OutputColumn]:
        """Every column of every view: keys and times too."""
        return {
            view_column(view.name, column.name): column
            for view in self.compiled.views.values()
            for column in columns_of(view)
        }

    @cached_property
    def users(self) -> Mapping[ColumnRef, tuple[ColumnRef, ...]]:
        """Columns of views that depend on a column, directly."""
        found: dict[ColumnRef, list[ColumnRef]] = {}
        for ref, column in self.columns.items():
            for origin in column.direct | column.indirect:
                found.setdefault(origin, []).append(ref)
        return {ref: tuple(sorted(users)) for ref, users in found.items()}

    @cached_property
    def services(self) -> Mapping[ColumnRef, tuple[str, ...]]:
        """Services that serve a feature."""
        found: dict[ColumnRef, list[str]] = {}
        for service in self.compiled.services.values():
            for view, feature in service.features:
                found.setdefault(view_column(view, feature), []).append(service.name)
        return {ref: tuple(sorted(names)) for ref, names in found.items()}

    def edges(self, ref: ColumnRef) -> tuple[Edge, ...]:
        """What a view's column depends on: values first, then what decides. Empty for a source's column."""
        column = self.columns.get(ref)
        if column is None:
            return ()
        direct = [self._edge(ref, column, origin, "DIRECT") for origin in sorted(column.direct)]
        return (*direct, *(self._edge(ref, column, origin, "INDIRECT") for origin in sorted(column.indirect)))

    def service_labels(self, service: str) -> Labels:
        """What a vector of the service carries as a whole."""
        found = [self.columns[view_column(*feature)].labels for feature in self.compiled.services[service].features]
        return frozenset().union(*found)

    def classification(self, ref: ColumnRef) -> str | None:
        """What a source's column was declared to hold; None where it is not personal, and for columns of views."""
        source = self.registry.sources.get(ref.table.name) if ref.table.kind == "source" else None
        column = source.spec.columns.get(ref.column) if source else None
        return column.pii if column is not None and column.pii != "none" else None

    def origins(self, ref: ColumnRef) -> tuple[ColumnRef, ...]:
        """The classified columns of sources behind a column, at whatever distance, by either kind of edge."""
        found, seen, stack = set[ColumnRef](), set[ColumnRef](), [ref]
        while stack:
            each = stack.pop()
            if each in seen:
                continue
            seen.add(each)
            if self.classification(each):
                found.add(each)
            column = self.columns.get(each)
            stack.extend(column.direct | column.indirect if column is not None else ())
        return tuple(sorted(found))

    def _edge(self, ref: ColumnRef, column: OutputColumn, origin: ColumnRef, kind: EdgeKind) -> Edge:
        from feature_platform.lineage.subtypes import DIRECT, INDIRECT

        classification = self.classification(origin)
        # Whatever a classified column gives went through a token or a transform, unless it was handed out raw.
        raw = any(label.kind == "raw" and label.classification == classification for label in column.labels)
        found = self._subtypes(ref).get(_as_read(origin, self.compiled.views[ref.table.name]), frozenset())
        known: tuple[str, ...] = tuple(each for each in (DIRECT if kind == "DIRECT" else INDIRECT) if each in found)
        if kind == "DIRECT":
            strongest = known[0] if known else "TRANSFORMATION"
            if strongest == "CAST":
                same = classification is None and self._type(origin) == column.type
                strongest = "IDENTITY" if same else "TRANSFORMATION"
            known = (strongest,)
        return Edge(origin, kind, known, classification is not None and not raw)

    def _subtypes(self, ref: ColumnRef) -> Ways:
        view = ref.table.name
        if view not in self._ways:
            from sqlglot import parse_one  # heavy, and needed by nobody who asks for labels alone

            from feature_platform.lineage.subtypes import subtypes

            compiled = self.compiled.views[view]
            query = compiled.materialize or compiled.derive
            assert query is not None, "a view has one of the two"
            engine, text = next(iter(query.sql.items()))  # which one makes no difference: both are of one tree
            self._ways[view] = subtypes(parse_one(text, dialect=engine))
        return self._ways[view].get(ref.column, {})

    def _type(self, ref: ColumnRef) -> DataType | None:
        if ref.table.kind == "view":
            column = self.columns.get(ref)
            return column.type if column is not None else None
        declared = self.registry.sources[ref.table.name].spec.columns.get(ref.column)
        return declared.type if declared is not None else None


def columns_of(view: CompiledView) -> tuple[OutputColumn, ...]:
    """The columns of a view's published table; of a derived view, its features."""
    if view.materialize is not None:
        return view.materialize.columns
    return tuple(feature.column for feature in view.features)


def view_column(view: str, column: str) -> ColumnRef:
    """A column of a feature view."""
    return ColumnRef(TableRef("view", view), column)


def _as_read(origin: ColumnRef, reader: CompiledView) -> TableColumn:
    """The name of a column in the reader's SQL: a derived view has all its inputs in one table of rows."""
    from feature_platform.lineage.subtypes import TableColumn

    if reader.derive is not None:
        return TableColumn("inputs", "rows", f"{origin.table.name}__{origin.column}")
    return TableColumn(origin.table.schema, origin.table.name, origin.column)

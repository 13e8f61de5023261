"""Column lineage as trees: where a feature comes from, and what it goes into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from feature_platform.governance.labels import describe
from feature_platform.registry.graph import ColumnRef, TableRef

if TYPE_CHECKING:
    from rich.tree import Tree

    from feature_platform.compiler.plan import CompiledProject, OutputColumn
    from feature_platform.registry.graph import Registry

Edge = Literal["value", "decides"]
"""``value``: flows into the column; ``decides``: which rows or branches there are."""


@dataclass(frozen=True)
class Node:
    """A column or service, how it is reached, and what lies beyond it."""

    name: str
    note: str = ""
    edge: Edge | None = None
    children: tuple[Node, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        plain: dict[str, Any] = {"name": self.name, "note": self.note}
        if self.edge:
            plain["edge"] = self.edge
        return plain | {"children": [child.as_dict() for child in self.children]}


@dataclass(frozen=True)
class Lineage:
    """All column lineage of a project, in both directions."""

    registry: Registry
    columns: Mapping[ColumnRef, OutputColumn]
    users: Mapping[ColumnRef, tuple[tuple[ColumnRef, Edge], ...]]
    services: Mapping[ColumnRef, tuple[str, ...]]

    @classmethod
    def of(cls, registry: Registry, compiled: CompiledProject) -> Lineage:
        """Reads every column of every view once."""
        columns = dict(_columns(compiled))
        users: dict[ColumnRef, list[tuple[ColumnRef, Edge]]] = {}
        for ref, column in columns.items():
            for parent, edge in _parents(column):
                users.setdefault(parent, []).append((ref, edge))
        services: dict[ColumnRef, list[str]] = {}
        for service in compiled.services.values():
            for view, feature in service.features:
                services.setdefault(view_column(view, feature), []).append(service.name)
        return cls(
            registry,
            columns,
            {ref: tuple(sorted(found)) for ref, found in users.items()},
            {ref: tuple(sorted(found)) for ref, found in services.items()},
        )

    def upstream(self, ref: ColumnRef, edge: Edge | None = None) -> Node:
        """``ref`` and what it comes from, down to columns of sources."""
        column = self.columns.get(ref)
        if column is None:
            return Node(str(ref), self._source_note(ref), edge)
        children = tuple(self.upstream(parent, kind) for parent, kind in _parents(column))
        return Node(str(ref), _note(column), edge, children)

    def downstream(self, ref: ColumnRef, edge: Edge | None = None) -> Node:
        """``ref`` and what it goes into: columns of other views, then services."""
        column = self.columns.get(ref)
        users = [self.downstream(user, kind) for user, kind in self.users.get(ref, ())]
        served = [
            Node(f"service {name}", self.registry.services[name].spec.purpose) for name in self.services.get(ref, ())
        ]
        note = self._source_note(ref) if column is None else _note(column)
        return Node(str(ref), note, edge, (*users, *served))

    def _source_note(self, ref: ColumnRef) -> str:
        source = self.registry.sources.get(ref.table.name) if ref.table.kind == "source" else None
        column = source.spec.columns.get(ref.column) if source else None
        if column is None:
            return ""
        classified = column.pii is not None and column.pii != "none"
        return f"{column.type}, pii: {column.pii}" if classified else str(column.type)


def view_column(view: str, column: str) -> ColumnRef:
    """A column of a feature view."""
    return ColumnRef(TableRef("view", view), column)


def rich_tree(node: Node) -> Tree:
    """The tree as the terminal shows it: what only decides about rows is dim."""
    from rich.text import Text
    from rich.tree import Tree

    def label(node: Node) -> Text:
        text = Text(node.name, style="dim" if node.edge == "decides" else "bold")
        if node.edge == "decides":
            text.append("  decides", style="dim italic")
        if node.note:
            text.append(f"  {node.note}", style="cyan")
        return text

    def grow(tree: Tree, children: tuple[Node, ...]) -> None:
        for child in children:
            grow(tree.add(label(child)), child.children)

    root = Tree(label(node))
    grow(root, node.children)
    return root


def _columns(compiled: CompiledProject) -> Iterator[tuple[ColumnRef, OutputColumn]]:
    for view in compiled.views.values():
        for column in view.materialize.columns if view.materialize else ():
            yield view_column(view.name, column.name), column
        for feature in view.features:
            yield view_column(view.name, feature.name), feature.column


def _parents(column: OutputColumn) -> Iterator[tuple[ColumnRef, Edge]]:
    for parent in sorted(column.direct):
        yield parent, "value"
    for parent in sorted(column.indirect - column.direct):
        yield parent, "decides"


def _note(column: OutputColumn) -> str:
    transforms = f", by {', '.join(sorted(column.transforms))}" if column.transforms else ""
    return f"{column.type}, {describe(column.labels)}{transforms}"

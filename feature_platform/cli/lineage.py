"""Lineage as trees, for the terminal and as JSON: where a feature comes from, and what it goes into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feature_platform.governance.labels import describe
from feature_platform.lineage.graph import Edge, Lineage

if TYPE_CHECKING:
    from rich.tree import Tree

    from feature_platform.compiler.plan import OutputColumn
    from feature_platform.registry.graph import ColumnRef


@dataclass(frozen=True)
class Node:
    """A column or service, how it is reached, and what lies beyond it."""

    name: str
    note: str = ""
    facts: tuple[tuple[str, Any], ...] = ()
    """What machines get besides: type, labels, classification, purposes, …"""
    edge: Edge | None = None
    children: tuple[Node, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        plain: dict[str, Any] = {"name": self.name, "note": self.note, **dict(self.facts)}
        if self.edge:
            plain |= {"edge": self.edge.kind, "subtypes": list(self.edge.subtypes), "masking": self.edge.masking}
        return plain | {"children": [child.as_dict() for child in self.children]}


def upstream(lineage: Lineage, ref: ColumnRef, edge: Edge | None = None) -> Node:
    """``ref`` and what it comes from, down to columns of sources."""
    children = tuple(upstream(lineage, each.origin, each) for each in _once(lineage.edges(ref)))
    return _column(lineage, ref, edge, children)


def downstream(lineage: Lineage, ref: ColumnRef, edge: Edge | None = None) -> Node:
    """``ref`` and what it goes into: columns of other views, then services."""
    users = [
        downstream(lineage, user, each)
        for user in lineage.users.get(ref, ())
        for each in _once(lineage.edges(user))
        if each.origin == ref
    ]
    served = [_service(lineage, name) for name in lineage.services.get(ref, ())]
    return _column(lineage, ref, edge, (*users, *served))


def rich_tree(node: Node) -> Tree:
    """The tree as the terminal shows it: what only decides about rows is dim."""
    from rich.text import Text
    from rich.tree import Tree

    def label(node: Node) -> Text:
        decides = node.edge is not None and node.edge.kind == "INDIRECT"
        text = Text(node.name, style="dim" if decides else "bold")
        if node.edge is not None:
            how = ", ".join(each.lower().replace("_", " ") for each in node.edge.subtypes)
            text.append(
                f"  decides ({how})" if decides and how else "  decides" if decides else f"  {how}", "dim italic"
            )
        if node.note:
            text.append(f"  {node.note}", style="cyan")
        return text

    def grow(tree: Tree, children: tuple[Node, ...]) -> None:
        for child in children:
            grow(tree.add(label(child)), child.children)

    title = label(node)
    if purposes := dict(node.facts).get("purposes"):
        title.append(f"  for {', '.join(purposes)}", style="dim")
    root = Tree(title)
    grow(root, node.children)
    return root


def _once(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """A column whose value flows in decides about nothing that is worth a second branch of the tree."""
    valued = {edge.origin for edge in edges if edge.kind == "DIRECT"}
    return tuple(edge for edge in edges if edge.kind == "DIRECT" or edge.origin not in valued)


def _column(lineage: Lineage, ref: ColumnRef, edge: Edge | None, children: tuple[Node, ...]) -> Node:
    column = lineage.columns.get(ref)
    if column is None:
        return _source_column(lineage, ref, edge, children)
    facts = (
        ("kind", "view"),
        ("type", str(column.type)),
        ("labels", [str(label) for label in sorted(column.labels)]),
        ("transforms", sorted(column.transforms)),
        ("purposes", list(lineage.registry.views[ref.table.name].purposes)),
    )
    return Node(str(ref), _note(column), facts, edge, children)


def _source_column(lineage: Lineage, ref: ColumnRef, edge: Edge | None, children: tuple[Node, ...]) -> Node:
    source = lineage.registry.sources.get(ref.table.name)
    declared = source.spec.columns.get(ref.column) if source else None
    if declared is None:
        return Node(str(ref), edge=edge, children=children)
    classification = lineage.classification(ref)
    note = f"{declared.type}, pii: {classification}" if classification else str(declared.type)
    facts = (("kind", "source"), ("type", str(declared.type)), ("classification", classification))
    return Node(str(ref), note, facts, edge, children)


def _service(lineage: Lineage, name: str) -> Node:
    """A service with its purpose, and what its vector carries as a whole."""
    compiled, labels = lineage.compiled.services[name], lineage.service_labels(name)
    facts = (
        ("kind", "service"),
        ("purpose", compiled.purpose),
        ("version", compiled.version),
        ("labels", [str(label) for label in sorted(labels)]),
    )
    return Node(f"service {name}", f"{compiled.purpose}, whole vector: {describe(labels)}", facts)


def _note(column: OutputColumn) -> str:
    transforms = f", by {', '.join(sorted(column.transforms))}" if column.transforms else ""
    return f"{column.type}, {describe(column.labels)}{transforms}"

"""Which store computes a query whose tables lie in several: the one that holds most of their rows.

What lies elsewhere is streamed there, so the choice keeps the smaller part moving. Sizes come from metadata (the Delta
log, footers of Parquet files, PostgreSQL's catalogue), never from reading rows; see
``docs/adr/0027-where-training-sets-are-computed.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_platform.errors import StoreError
from feature_platform.registry.graph import TableRef
from feature_platform.stores.protocols import Size, Sized, TableName

if TYPE_CHECKING:
    from feature_platform.project.project import Project


@dataclass(frozen=True, slots=True)
class Held:
    """A table, the store that holds it, and its size there, if that is known without reading it."""

    table: TableRef
    store: str
    size: Size | None = None


@dataclass(frozen=True)
class Placement:
    """Where a query is computed, and why."""

    store: str
    why: str
    tables: tuple[Held, ...]

    @property
    def moved(self) -> tuple[Held, ...]:
        """Tables that are streamed to the store."""
        return tuple(held for held in self.tables if held.store != self.store)


def placed(project: Project, reads: Iterable[TableRef], default: str = "warehouse") -> Placement:
    """The store for a query over ``reads``; ``default`` if they weigh the same, or nothing is read.

    Sizes are asked for only where there is a choice.
    """
    homes = [(ref, home) for ref in sorted(set(reads)) if (home := project.home(ref)) is not None]
    if len({home for _, home in homes}) < 2:
        held = tuple(Held(ref, home) for ref, home in homes)
        why = "it holds everything that is read" if held else "nothing is read"
        return Placement(held[0].store if held else default, why, held)
    return chosen([Held(ref, home, _size(project, ref, home)) for ref, home in homes], default)


def chosen(tables: Sequence[Held], default: str) -> Placement:
    """The store that holds most: of the rows, where they are known of every table, else of the bytes, else of the
    tables.
    """
    sizes = [held.size for held in tables]
    if all(size is not None and size.rows is not None for size in sizes):
        unit, weights = "rows", [size.rows or 0 for size in sizes if size is not None]
    elif all(size is not None for size in sizes):
        unit, weights = "bytes", [size.bytes for size in sizes if size is not None]
    else:
        unit, weights = "tables", [1] * len(tables)
    totals: dict[str, int] = {}
    for held, weight in zip(tables, weights, strict=True):
        totals[held.store] = totals.get(held.store, 0) + weight
    store = max(totals, key=lambda name: (totals[name], name == default, name))
    parts = ", ".join(f"{name} {total:,}" for name, total in sorted(totals.items(), key=lambda each: -each[1]))
    return Placement(store, f"{unit} that are read: {parts}", tuple(tables))


def _size(project: Project, ref: TableRef, home: str) -> Size | None:
    """None where it can't be told, also because the table is not there: the query itself will say that better."""
    warehouse = project.warehouse(home)
    if not isinstance(warehouse, Sized):
        return None
    try:
        binding = project.bindings([ref], home)[TableName(ref.schema, ref.name)]
        return warehouse.size(binding)
    except StoreError:
        return None

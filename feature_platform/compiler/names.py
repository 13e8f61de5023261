"""What names mean inside a query: relations, scopes, and the state of resolving one query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from feature_platform.compiler.catalog import Catalog, CatalogTable
from feature_platform.compiler.report import Report

Resolver = Callable[[exp.Expr], None]
"""Resolves the columns below a node, in place, in the scope that it was made for."""

CTEs = Mapping[str, exp.CTE]
"""The CTEs that a query can see, by lower-case name."""


@dataclass
class Relation:
    """Something that a SELECT reads: a table of the catalogue, a CTE or a subquery."""

    alias: str
    written: str
    """The name that the author gives it, in lower case."""
    columns: Mapping[str, str]
    """Lower-case name → the column's name in the tree, in order."""
    table: CatalogTable | None = None
    node: exp.Expr | None = None
    shown: Mapping[str, str] = field(default_factory=dict)
    """Lower-case name → the name that stars give the column, where that is another one than in the tree."""

    def name(self, lower: str) -> str:
        """The column's name as the author sees it."""
        return self.shown.get(lower, self.columns[lower])

    @property
    def names(self) -> list[str]:
        """The columns' names as the author sees them, in order."""
        return [self.name(lower) for lower in self.columns]

    def column(self, lower: str, origin: exp.Expr | None = None) -> exp.Column:
        """A resolved reference to a column, that stands where ``origin`` stood."""
        column = exp.Column(
            this=exp.Identifier(this=self.columns[lower], quoted=True),
            table=exp.Identifier(this=self.alias, quoted=True),
        )
        column.meta["resolved"] = True
        start = origin.meta_get("start") if origin is not None else None
        if start is not None:
            column.this.meta["start"] = start
        return column


@dataclass(frozen=True)
class Merged:
    """A column that USING or NATURAL made of several: what it is, and which (alias, name in the tree) it stands for."""

    expression: exp.Expr
    covers: frozenset[tuple[str, str]]
    ambiguous: bool = False
    """Two joins beside each other merged columns of this name."""


@dataclass
class Scope:
    """What names mean inside one SELECT."""

    relations: list[Relation] = field(default_factory=list)
    outer: Scope | None = None
    merged: dict[str, Merged] = field(default_factory=dict)
    """Columns that USING made one, by lower-case name."""
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    """Expressions of the projections so far, by lower-case name."""
    group: int = 0
    """Where the relations behind the last comma begin: a condition of a join looks among them first."""
    right: int = 0
    """Where the right side of the last join begins: a table, or the tables of a join in parentheses."""
    right_merged: dict[str, Merged] = field(default_factory=dict)
    """Columns that a join in parentheses made one, while it is the right side."""
    filters: list[exp.Expr] = field(default_factory=list)
    """Resolved conditions that semi and anti joins leave for WHERE."""
    touched: bool = False
    """Whether a column of this scope was named from inside."""

    def relation(self, written: str) -> Relation | None:
        return next((relation for relation in self.relations if relation.written == written), None)

    def joined(self) -> Scope:
        """What the condition of the last join can see: its two sides, and around them what stands before the comma."""
        before = Scope(self.relations[: self.group], self.outer, self._merged_of(0, self.group))
        around = before if self.group else self.outer
        return Scope(self.relations[self.group :], around, _beside(self.left_merged(), self.right_merged))

    def left_merged(self) -> dict[str, Merged]:
        """Merged columns of the left side of the last join."""
        return self._merged_of(self.group, self.right)

    def _merged_of(self, first: int, end: int) -> dict[str, Merged]:
        aliases = {relation.alias for relation in self.relations[first:end]}
        return {name: one for name, one in self.merged.items() if any(alias in aliases for alias, _ in one.covers)}

    def end_join(self) -> None:
        """Makes the right side part of what the next join has on its left."""
        self.merged = _beside(self.merged, self.right_merged)
        self.right_merged = {}


def _beside(one: Mapping[str, Merged], two: Mapping[str, Merged]) -> dict[str, Merged]:
    both = {**one, **two}
    return {
        name: Merged(merged.expression, merged.covers, merged.ambiguous or (name in one and name in two))
        for name, merged in both.items()
    }


@dataclass
class Resolution:
    """The state of resolving one query: what it may name, the names it has used up, and the tables it reads."""

    catalog: Catalog
    report: Report
    bases: dict[str, Relation] = field(default_factory=dict)
    """Tables of the catalogue that the query reads, by alias."""
    used: set[str] = field(default_factory=set)
    nested: list[tuple[str, exp.Select]] = field(default_factory=list)
    """Joins in parentheses that became subqueries, innermost first; they give only what somebody asks for."""
    renamed: dict[str, list[exp.Expr]] = field(default_factory=dict)
    """New names for the columns of CTEs, ``WITH t (a, b)``, by the CTE's name in the tree."""

    def unique(self, name: str) -> str:
        """``name``, or with a number behind it, so that no relation of the query has it yet."""
        candidate, number = name, 1
        while candidate.lower() in self.used:
            number += 1
            candidate = f"{name}_{number}"
        self.used.add(candidate.lower())
        return candidate


@dataclass(frozen=True)
class Queries:
    """The ways back into resolution, for what stands in FROM of one query."""

    visible: CTEs
    state: Resolution
    whole: Callable[[exp.Expr, Scope | None], None]
    """Resolves a query of any level, with the columns around it that it can see."""
    tables: Callable[[exp.Select, Scope], None]
    """Resolves FROM and the joins of a SELECT into a scope."""
    clauses: Callable[[exp.Select, Scope], None]
    """Resolves everything else of a SELECT, whose tables are in the scope."""


def distinct_names(names: Iterable[str]) -> list[str]:
    """Names as DuckDB makes them differ, without regard to case.

    >>> distinct_names(["a", "A", "a_1"])
    ['a', 'A_1', 'a_1_1']
    """
    seen: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 0
        while candidate.lower() in seen:
            number += 1
            candidate = f"{name}_{number}"
        seen.add(candidate.lower())
        result.append(candidate)
    return result


def quoted(name: str, origin: exp.Expr | None = None) -> exp.Identifier:
    """An identifier that stands where ``origin`` stood."""
    identifier = exp.Identifier(this=name, quoted=True)
    start = origin.meta_get("start") if origin is not None else None
    if start is not None:
        identifier.meta["start"] = start
    return identifier

"""What names mean inside a query: relations, scopes, and the state of resolving one query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from feature_platform.compiler.catalog import Catalog, CatalogTable
from feature_platform.compiler.report import Report

Resolver = Callable[[exp.Expr], None]
"""Resolves the columns below a node, in place, in the scope that it was made for."""


@dataclass
class Relation:
    """Something that a SELECT reads: a table of the catalogue, a CTE or a subquery."""

    alias: str
    written: str
    """The name that the author gives it, in lower case."""
    columns: Mapping[str, str]
    """Lower-case name → name, in order."""
    table: CatalogTable | None = None
    node: exp.Expr | None = None


@dataclass
class Scope:
    """What names mean inside one SELECT."""

    relations: list[Relation] = field(default_factory=list)
    outer: Scope | None = None
    merged: dict[str, exp.Expr] = field(default_factory=dict)
    """Columns that USING made one, by lower-case name."""
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    """Expressions of the projections so far, by lower-case name."""

    def relation(self, written: str) -> Relation | None:
        return next((relation for relation in self.relations if relation.written == written), None)


@dataclass
class Resolution:
    """The state of resolving one query: what it may name, the names it has used up, and the tables it reads."""

    catalog: Catalog
    report: Report
    bases: dict[str, Relation] = field(default_factory=dict)
    """Tables of the catalogue that the query reads, by alias."""
    used: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """``name``, or with a number behind it, so that no relation of the query has it yet."""
        candidate, number = name, 1
        while candidate.lower() in self.used:
            number += 1
            candidate = f"{name}_{number}"
        self.used.add(candidate.lower())
        return candidate

"""What the grammar writes with: choices, names that are new, and what is in scope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from feature_platform.compiler.catalog import CatalogTable
from tests.compiler.interference.catalogue import TABLES
from tests.compiler.interference.choices import Choices

Kind = str
"""``int num text bool time date list``: as much of a type as keeps most queries valid."""

_KINDS: Final = {
    "bigint": "int",
    "int": "int",
    "decimal": "num",
    "double": "num",
    "string": "text",
    "boolean": "bool",
    "timestamp": "time",
    "date": "date",
    "array": "list",
}
DENIED: Final = frozenset({"phone", "free_text", "birth_date", "ip_address"})
"""Classes whose columns do not compile by themselves."""
TOKENS: Final = frozenset({"email", "payment_card", "device_id"})
"""Classes whose columns become tokens."""


@dataclass(frozen=True)
class Col:
    """A column in scope. ``person`` is its class if it holds raw values, or tokens of a view."""

    name: str
    kind: Kind
    person: str = ""
    source: bool = False
    """Whether governed transforms may read it where it is in scope."""

    @property
    def written(self) -> str:
        return self.name if self.name.isidentifier() and self.name.islower() else f'"{self.name}"'


@dataclass(frozen=True)
class Rel:
    """Something in FROM."""

    alias: str
    columns: tuple[Col, ...]
    at: str = ""
    """A column of times for ages, if it is a source with birth dates."""
    key: str = ""
    """A column that no two rows share, if it is known."""

    @property
    def clear(self) -> tuple[Col, ...]:
        return tuple(column for column in self.columns if not column.person)


@dataclass
class Scope:
    """The relations of one SELECT, the one around it, and the CTEs that both can see."""

    ctes: dict[str, tuple[Col, ...]] = field(default_factory=dict)
    outer: Scope | None = None
    relations: list[Rel] = field(default_factory=list)
    merged: set[str] = field(default_factory=set)
    """Columns that USING or NATURAL made one."""

    def columns(self, *, outside: bool = False) -> Iterator[tuple[Rel, Col]]:
        for relation in self.relations:
            for column in relation.columns:
                yield relation, column
        if outside and self.outer is not None:
            yield from self.outer.columns(outside=True)


def columns_of(table: CatalogTable) -> tuple[Col, ...]:
    """The columns of a declared table."""
    found = []
    for column in table.columns:
        person = column.classification if column.classification not in (None, "none") else ""
        tokens = [label.classification for label in column.labels if label.kind == "token"]
        found.append(Col(column.name, _KINDS[column.type.kind], person or (tokens[0] if tokens else ""), bool(person)))
    return tuple(found)


KEYS: Final = {
    "transactions": "transaction_id",
    "customers": "customer_id",
    "merchants": "merchant_id",
    "Logins": "login_id",
}
BASE: Final = {table.ref.name: columns_of(table) for table in TABLES}
BY_KIND: Final = ("text", "int", "num", "bool", "time", "date")


def base(name: str, alias: str = "") -> Rel:
    """A declared table as a relation."""
    return Rel(alias, BASE[name], "updated_at" if name == "customers" else "", KEYS.get(name, ""))


Columns = tuple[Col, ...]


@dataclass(frozen=True)
class Item:
    """One expression of a SELECT list."""

    sql: str
    column: Col

    @property
    def named(self) -> str:
        return f"{self.sql} AS {self.column.written}"


def is_key(sql: str) -> bool:
    """Whether it can stand in GROUP BY as it is: not a literal, which would be an ordinal, and not a subquery."""
    return not sql[:1].isdigit() and not sql.startswith(("'", "-")) and "SELECT" not in sql


def listed(items: Sequence[Item]) -> str:
    return ", ".join(item.named for item in items)


def columns_given(items: Sequence[Item]) -> Columns:
    return tuple(replace(item.column, source=False) for item in items)


class Writer:
    """Choices with memory: which constructs were used, which names are taken, how much may still be written."""

    def __init__(self, choices: Choices, *, personal: bool) -> None:
        self.choices = choices
        self.personal = personal
        """Whether classified columns may occur at all."""
        self.slips = 0
        """In how many of a hundred cases to do what the policy forbids."""
        self.used: set[str] = set()
        self.bare: set[str] = set()
        """Tables that are read without an alias, each once."""
        self._names = 0

    def name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def mark(self, construct: str) -> None:
        """Notes that the query has a construct, for figures by construct."""
        self.used.add(construct)

    def of(self, options: Sequence[str]) -> str:
        return self.choices.of(options)

    def chance(self, percent: int) -> bool:
        return self.choices.chance(percent)

    def slip(self) -> bool:
        """Whether to do now what the policy forbids."""
        return self.slips > 0 and self.chance(self.slips)

    def ref(self, scope: Scope, relation: Rel, column: Col) -> str:
        """A column, qualified or not, in one of the spellings that mean the same."""
        alone = sum(other.name.lower() == column.name.lower() for _, other in scope.columns()) == 1
        local = relation in scope.relations
        spelled = column.written
        if self.chance(4):
            self.mark("quoted identifier")
            spelled = f'"{column.name}"'
        elif self.chance(4) and spelled == column.name:
            self.mark("case-folded identifier")
            spelled = column.name.upper()
        if (alone and local and self.chance(15)) or column.name in scope.merged:
            return spelled
        return f"{relation.alias}.{spelled}"


def unsourced(columns: Sequence[Col]) -> tuple[Col, ...]:
    """The columns as a query around sees them: no longer a source's."""
    return tuple(replace(column, source=False) for column in columns)

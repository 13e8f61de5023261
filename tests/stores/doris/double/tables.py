"""What a cluster is made of: tables and their partitions, transactions, answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.stores.doris.double.values import shown


class RefusedError(Exception):
    """What the server answers instead of a result."""

    def __init__(self, message: str, number: int = 1105) -> None:
        super().__init__(message)
        self.number = number
        self.message = message if number != 1105 else f"errCode = 2, detailMessage = {message}"


@dataclass
class Result:
    names: list[str] = field(default_factory=list)
    values: list[tuple[Any, ...]] = field(default_factory=list)
    affected: int = 0

    @property
    def rows(self) -> list[tuple[str | None, ...]]:
        """As the text protocol shows them."""
        return [shown(row) for row in self.values]


@dataclass
class Part:
    name: str
    start: str | None
    end: str | None
    id: int
    version: int = 1

    @property
    def data(self) -> str:
        return f"part_{self.id}"


@dataclass
class Column:
    name: str
    type: str
    nullable: bool
    comment: str = ""


@dataclass
class Table:
    columns: list[Column]
    keys: tuple[str, ...]
    unique: bool
    by: str | None
    comment: str
    parts: dict[str, Part] = field(default_factory=dict)
    temporary: dict[str, Part] = field(default_factory=dict)


@dataclass
class Transaction:
    """Of a label."""

    id: int
    label: str
    state: str
    """PREPARE, PRECOMMITTED, COMMITTED, VISIBLE, ABORTED"""
    pending: list[str] = field(default_factory=list)
    """Statements that make its rows visible."""
    coming: list[str] = field(default_factory=list)
    """States that it goes through, one with each look at it."""

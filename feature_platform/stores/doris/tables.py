"""What a table in Doris is: columns, model, partitions, buckets, properties; and the rules that the server holds it to.

The rules are checked here, all at once and with a mend, before a server sees the table. They are those of Doris 4.0;
``CreateTableInfo`` and ``ColumnDefinition`` in its source say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import DORIS_TABLE
from feature_platform.stores.doris.names import COLUMN_NAME, TABLE_NAME
from feature_platform.stores.protocols import TableName
from feature_platform.types import DataType

VARCHAR_BYTES: Final = 65_533
_PARTITIONS: Final = 4_096
_NOT_IN_KEYS: Final = frozenset({"double", "array", "map", "struct", "json"})
_SEQUENCES: Final = frozenset({"int", "bigint", "date", "timestamp"})
_UNITS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class DorisColumn:
    """A column. A string is ``STRING`` unless ``text_bytes`` makes it ``VARCHAR``, as keys must be: bytes, not
    characters."""

    name: str
    type: DataType
    nullable: bool = True
    text_bytes: int | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Keeps every row. ``keys`` only sort; with none the rows stay as they came."""

    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unique:
    """Keeps one row per key, merged when it is written: the one with the highest ``sequence``, else the last."""

    keys: tuple[str, ...]
    sequence: str | None = None


Model = Duplicate | Unique


@dataclass(frozen=True, slots=True)
class RangePartition:
    """``[start, end)`` of UTC."""

    name: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class RangePartitioning:
    """By a time column, in the platform's own steps."""

    column: str
    unit: Literal["hour", "day"]
    partitions: tuple[RangePartition, ...] = ()


@dataclass(frozen=True, slots=True)
class Buckets:
    """How rows of a partition spread over tablets: by hash of ``columns``, or at random without any."""

    number: int
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class DorisTable:
    """A table to be made. ``name.schema`` is the database."""

    name: TableName
    columns: tuple[DorisColumn, ...]
    model: Model
    buckets: Buckets
    partitioning: RangePartitioning | None = None
    comment: str = ""
    replicas: int = 3
    properties: Mapping[str, str] = field(default_factory=dict)
    """Further ones, e.g. ``compression``; those that follow from the model are set by the builder."""

    def column(self, name: str) -> DorisColumn | None:
        return next((column for column in self.columns if column.name == name), None)

    def checked(self) -> DorisTable:
        """The table itself.

        Raises:
            StoreError: Doris would refuse it, or lose something; every reason is named.
        """
        if problems := [*self._names(), *self._types(), *self._keys(), *self._spread(), *self._ranges()]:
            raise StoreError(problems)
        return self

    def _problem(self, what: str, mend: str) -> Problem:
        return DORIS_TABLE.problem(f"{self.name}: {what}", mend=mend)

    def _names(self) -> Iterator[Problem]:
        for name in (self.name.schema, self.name.name):
            if not TABLE_NAME.fullmatch(name):
                yield self._problem(
                    f"'{name}' is no name of a table or database there",
                    "begin with a letter, go on with letters, digits and _, 64 at most",
                )
        seen: set[str] = set()
        for column in self.columns:
            if not COLUMN_NAME.fullmatch(column.name) or column.name.upper().startswith("__DORIS_"):
                yield self._problem(
                    f"'{column.name}' is no name of a column there",
                    "use letters, digits and _, and do not begin with __DORIS_",
                )
            if column.name.lower() in seen:
                yield self._problem(
                    f"two columns are called '{column.name.lower()}': Doris does not tell capitals apart", "rename one"
                )
            seen.add(column.name.lower())

    def _types(self) -> Iterator[Problem]:
        for column in self.columns:
            if column.text_bytes is not None and not (
                column.type.kind == "string" and 1 <= column.text_bytes <= VARCHAR_BYTES
            ):
                yield self._problem(
                    f"'{column.name}' cannot be VARCHAR({column.text_bytes})",
                    f"give a string 1 to {VARCHAR_BYTES:,} bytes, or no length",
                )

    def _keys(self) -> Iterator[Problem]:
        keys, names = self.model.keys, tuple(column.name for column in self.columns)
        if keys != names[: len(keys)]:
            yield self._problem(
                f"the keys {', '.join(keys)} are not the first columns in this order", "put key columns first"
            )
        if len(keys) >= len(names):
            yield self._problem("every column is a key", "leave at least one column out of the keys")
        for key in keys:
            column = self.column(key)
            if column is not None and not _may_be_key(column):
                yield self._problem(
                    f"'{key}' is {column.type}, which cannot be a key",
                    "give a string `text_bytes` (VARCHAR); doubles and nested values cannot be keys",
                )
        if isinstance(self.model, Unique):
            if not keys:
                yield self._problem("a UNIQUE table has no key", "name its key columns")
            yield from self._sequence(self.model)

    def _sequence(self, model: Unique) -> Iterator[Problem]:
        if model.sequence is None:
            return
        column = self.column(model.sequence)
        if column is None or column.type.kind not in _SEQUENCES or model.sequence in model.keys:
            yield self._problem(
                f"'{model.sequence}' cannot be the sequence column",
                "name an integer, date or timestamp column that is no key",
            )

    def _spread(self) -> Iterator[Problem]:
        unique = isinstance(self.model, Unique)
        if self.buckets.number < 1 or self.replicas < 1:
            yield self._problem("a table has at least one bucket and one replica", "raise the number")
        if unique and not self.buckets.columns:
            yield self._problem("rows of a UNIQUE table cannot be spread at random", "name key columns to hash")
        for name in self.buckets.columns:
            column = self.column(name)
            if column is None or not _may_be_key(column):
                yield self._problem(f"rows cannot be spread by '{name}'", "hash integers, dates or VARCHAR columns")
            elif unique and name not in self.model.keys:
                yield self._problem(f"a UNIQUE table cannot be spread by '{name}'", "hash key columns only")

    def _ranges(self) -> Iterator[Problem]:
        if self.partitioning is None:
            return
        name = self.partitioning.column
        column = self.column(name)
        if column is None or column.nullable or column.type.kind != "timestamp":
            yield self._problem(f"'{name}' cannot part the table", "part by a timestamp that is never NULL")
        if isinstance(self.model, Unique) and name not in self.model.keys:
            yield self._problem(f"a UNIQUE table cannot be parted by '{name}'", "part by a key column")
        yield from self._steps(self.partitioning)

    def _steps(self, parting: RangePartitioning) -> Iterator[Problem]:
        if len(parting.partitions) > _PARTITIONS:
            yield self._problem(f"{len(parting.partitions):,} partitions", f"make at most {_PARTITIONS:,}")
        for part in parting.partitions:
            if not TABLE_NAME.fullmatch(part.name):
                yield self._problem(f"'{part.name}' is no name of a partition there", "use letters, digits and _")
            if part.end - part.start != _UNITS[parting.unit] or not _aligned(part.start, parting.unit):
                yield self._problem(f"partition '{part.name}' is not one whole {parting.unit}", "use its exact bounds")
        for before, after in _neighbours(parting.partitions):
            if before.end > after.start:
                yield self._problem(f"partitions '{before.name}' and '{after.name}' overlap", "leave one out")


def _may_be_key(column: DorisColumn) -> bool:
    if column.type.kind == "string":
        return column.text_bytes is not None
    return column.type.kind not in _NOT_IN_KEYS


def _aligned(at: datetime, unit: str) -> bool:
    return at.replace(minute=0, second=0, microsecond=0) == at and (unit == "hour" or at.hour == 0)


def _neighbours(partitions: Sequence[RangePartition]) -> Iterator[tuple[RangePartition, RangePartition]]:
    ordered = sorted(partitions, key=lambda part: part.start)
    yield from pairwise(ordered)

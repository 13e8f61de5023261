"""Which tables in Doris hold what the platform publishes, and how they are told apart.

====================================  =============================================================================
database                              ``<prefix>_<schema>``, e.g. ``fp_features``
table                                 the view's name; of an attempt that brings a table of its own, ``<name>__<token>``
partition, before anything is in it   ``p2026063000``: the start, to the hour
partition, live or temporary          ``p2026063000_<token>``: whose rows these are
table without partitions              its comment ends in ``[fp:<token>]``
====================================  =============================================================================

So what is live can be read off Doris itself, whatever a crash left undone elsewhere. Rows of a partition carry its
start in the column ``fp_partition``, which parts the table: a row's own time need not lie inside (the rows of an
aggregation view stand for the partition's end).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from feature_platform.stores.doris.ddl import comment, described, qualified
from feature_platform.stores.doris.names import physical, quoted
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.tables import (
    VARCHAR_BYTES,
    Buckets,
    DorisColumn,
    DorisTable,
    Duplicate,
    RangePartition,
    RangePartitioning,
    Unique,
)
from feature_platform.stores.protocols import Partition, TableName
from feature_platform.types import TIMESTAMP, Column, TableSchema

PARTITION_COLUMN: Final = "fp_partition"
_TOKEN: Final = re.compile(r"\[fp:([0-9a-f]+)\]$")


@dataclass(frozen=True)
class Shape:
    """What is known of a table's rows besides their columns."""

    keys: tuple[str, ...] = ()
    """Of the entity: rows are spread by them and sorted by them first."""
    order: str | None = None
    """A time to sort by after the keys."""
    unique: bool = False
    """Rows are unique by keys and ``order``: Doris keeps one row of each, so a doubled one is noticed by counting."""
    description: str = ""
    comments: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Column → description and PII label."""


Shapes = Callable[[TableName], Shape]


def no_shape(_: TableName) -> Shape:
    """Nothing is known: rows stay as they come."""
    return Shape()


def database(settings: DorisSettings, schema: str) -> str:
    return physical(f"{settings.database_prefix}_{schema}")


def table_name(settings: DorisSettings, table: TableName, token: str = "") -> TableName:
    """The live table, or with ``token`` one that an attempt brings."""
    return TableName(database(settings, table.schema), physical(table.name, f"__{token}" if token else ""))


def empty_partition(partition: Partition) -> RangePartition:
    """The partition that stands there before anything is published."""
    return RangePartition(_start(partition), partition.start, partition.end)


def own_partition(partition: Partition, token: str) -> RangePartition:
    """An attempt's partition."""
    return RangePartition(f"{_start(partition)}_{token}", partition.start, partition.end)


def is_of(name: str, partition: Partition) -> bool:
    """Whether a partition in Doris, by its name, is this one."""
    return name.partition("_")[0] == _start(partition)


def token_of_comment(said: str) -> str | None:
    found = _TOKEN.search(said)
    return found[1] if found else None


Part = tuple[Partition, RangePartition | None]
"""What parts a table: a partition whose length is that of all, and the partition to begin with."""


def made(
    settings: DorisSettings, name: TableName, schema: TableSchema, shape: Shape, *, part: Part | None
) -> DorisTable:
    """The table for rows of ``schema``, with ``part`` one that has partitions."""
    _, _, token = name.name.partition("__")
    sort = _sort(schema, shape)
    keys = tuple(key.lower() for key in sort)
    parted = (PARTITION_COLUMN,) if part else ()
    unique = shape.unique and bool(sort)
    first = [DorisColumn(PARTITION_COLUMN, TIMESTAMP, nullable=False, comment="partition's start")] if part else []
    sorted_by = [_column(schema, key, shape, is_key=True) for key in sort]
    rest = [_column(schema, column.name, shape) for column in schema.columns if column.name not in sort]
    spread = tuple(key.lower() for key in shape.keys if key in sort) or (keys[:1] if unique else ())
    return DorisTable(
        name,
        (*first, *sorted_by, *rest),
        Unique((*parted, *keys)) if unique else Duplicate((*parted, *keys)),
        Buckets(settings.buckets, spread),
        _parting(part),
        comment=f"{comment(shape.description)[:1_900]}{f' [fp:{token}]' if token else ''}".strip(),
        replicas=settings.replicas,
        properties=settings.properties,
    )


def _sort(schema: TableSchema, shape: Shape) -> tuple[str, ...]:
    """The columns to sort by, where all may be keys and something else is left."""
    wanted = (*shape.keys, *([shape.order] if shape.order else []))
    fits = all(_sortable(schema, name) for name in wanted) and len(wanted) < len(schema.columns)
    return wanted if fits else ()


def selected(name: TableName, schema: TableSchema, part: str = "") -> str:
    """What stands in FROM for the rows of a table, or of a temporary partition, under the names of ``schema``."""
    columns = ", ".join(
        quoted(column.name) if column.name.islower() else f"{quoted(column.name.lower())} AS {quoted(column.name)}"
        for column in schema.columns
    )
    temporary = f" TEMPORARY PARTITION ({quoted(part)})" if part else ""
    return f"(SELECT {columns} FROM {qualified(name)}{temporary})"  # noqa: S608 - quoted names


def lower(schema: TableSchema) -> TableSchema:
    """The columns as Doris has them: it does not tell capitals apart."""
    return TableSchema(tuple(Column(column.name.lower(), column.type) for column in schema.columns))


def _start(partition: Partition) -> str:
    return f"p{partition.start:%Y%m%d%H}"


def _parting(part: Part | None) -> RangePartitioning | None:
    if part is None:
        return None
    partition, own = part
    unit: Literal["hour", "day"] = "day" if (partition.end - partition.start).days else "hour"
    return RangePartitioning(PARTITION_COLUMN, unit, (own,) if own else ())


def _sortable(schema: TableSchema, name: str) -> bool:
    column = schema.column(name)
    return column is not None and not column.type.is_nested and column.type.kind != "double"


def _column(schema: TableSchema, name: str, shape: Shape, *, is_key: bool = False) -> DorisColumn:
    column = schema.column(name)
    assert column is not None  # a name of the schema's
    length = VARCHAR_BYTES if is_key and column.type.kind == "string" else None
    said = described(*shape.comments.get(name, ("", "")))
    return DorisColumn(name.lower(), column.type, text_bytes=length, comment=said)

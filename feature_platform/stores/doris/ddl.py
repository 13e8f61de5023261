"""Statements that make and change tables, from the typed model of :mod:`tables`. No other module writes DDL.

Every identifier is back-quoted, times are ``DATETIME(6)``, buckets and replicas always stand there: what a server or a
session would otherwise choose differs between versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from feature_platform.stores.doris.names import quoted, text
from feature_platform.stores.doris.tables import (
    Buckets,
    DorisColumn,
    DorisTable,
    Duplicate,
    RangePartition,
    RangePartitioning,
    Unique,
)
from feature_platform.stores.protocols import TableName

_COMMENT_LENGTH: Final = 2_048
_BOUND_FORMAT: Final = "%Y-%m-%d %H:%M:%S"


def create_database(name: str) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {quoted(name)}"


def create_table(table: DorisTable, *, if_not_exists: bool = False) -> str:
    """``CREATE TABLE`` for a table.

    Raises:
        StoreError: Doris would refuse it, see :meth:`DorisTable.checked`.
    """
    table.checked()
    columns = ",\n  ".join(_column(column) for column in table.columns)
    lines = [
        f"CREATE TABLE {'IF NOT EXISTS ' if if_not_exists else ''}{qualified(table.name)} (\n  {columns}\n)",
        "ENGINE = OLAP",
        *_key_clause(table),
        *([f"COMMENT {text(comment(table.comment))}"] if table.comment else []),
        *(_partition_clause(table.partitioning) if table.partitioning else []),
        _distribution(table.buckets),
        _properties(_all_properties(table)),
    ]
    return "\n".join(lines)


def drop_table(name: TableName) -> str:
    """For good: ``FORCE`` leaves nothing in the recycle bin, whose names would be in the way of the next one."""
    return f"DROP TABLE IF EXISTS {qualified(name)} FORCE"


def add_partition(name: TableName, partition: RangePartition) -> str:
    return f"ALTER TABLE {qualified(name)} ADD PARTITION IF NOT EXISTS {_values(partition)}"


def drop_partition(name: TableName, partition: str) -> str:
    return f"ALTER TABLE {qualified(name)} DROP PARTITION IF EXISTS {quoted(partition)} FORCE"


def add_temporary_partition(name: TableName, partition: RangePartition) -> str:
    return f"ALTER TABLE {qualified(name)} ADD TEMPORARY PARTITION {_values(partition)}"


def drop_temporary_partition(name: TableName, partition: str) -> str:
    return f"ALTER TABLE {qualified(name)} DROP TEMPORARY PARTITION {quoted(partition)}"


def replace_partition(name: TableName, live: str, temporary: str) -> str:
    """One atomic step. The live partition has the temporary one's name afterwards, so its name says what it holds."""
    return (
        f"ALTER TABLE {qualified(name)} REPLACE PARTITION ({quoted(live)}) "
        f"WITH TEMPORARY PARTITION ({quoted(temporary)}) "
        "PROPERTIES ('strict_range' = 'true', 'use_temp_partition_name' = 'true')"
    )


def replace_table(live: TableName, other: TableName) -> str:
    """One atomic step; the old rows go. Sent twice it does nothing the second time, as ``other`` is gone then; with
    ``swap`` the second time would undo the first."""
    return f"ALTER TABLE {qualified(live)} REPLACE WITH TABLE {quoted(other.name)} PROPERTIES ('swap' = 'false')"


def rename_table(name: TableName, new: str) -> str:
    return f"ALTER TABLE {qualified(name)} RENAME {quoted(new)}"


def add_columns(name: TableName, columns: Sequence[DorisColumn]) -> str:
    """Metadata only: rows that are there read NULL in the new columns."""
    return f"ALTER TABLE {qualified(name)} ADD COLUMN ({', '.join(_column(column) for column in columns)})"


def widen_column(name: TableName, column: DorisColumn) -> str:
    """Metadata only where a VARCHAR that is no key gets longer."""
    return f"ALTER TABLE {qualified(name)} MODIFY COLUMN {_column(column)}"


def comment_column(name: TableName, column: DorisColumn) -> str:
    said = text(comment(column.comment))
    return f"ALTER TABLE {qualified(name)} MODIFY COLUMN {quoted(column.name)} COMMENT {said}"


def qualified(name: TableName) -> str:
    return f"{quoted(name.schema)}.{quoted(name.name)}"


def column_type(column: DorisColumn) -> str:
    """The type's name in DDL. Strings inside of arrays and maps are ``STRING``."""
    if column.text_bytes is not None:
        return f"VARCHAR({column.text_bytes})"
    return column.type.sql("doris")


def comment(words: str) -> str:
    """One line of at most 2,048 bytes."""
    line = " ".join(words.split())
    return line.encode()[:_COMMENT_LENGTH].decode(errors="ignore")


def described(description: str, personal: str = "") -> str:
    """A column's comment: what it holds, and its PII label where it has one.

    >>> described("Where the customer lives", "address: raw")
    'Where the customer lives [pii: address: raw]'
    """
    return " ".join(part for part in (description.strip(), f"[pii: {personal}]" if personal else "") if part)


def _column(column: DorisColumn) -> str:
    null = "NULL" if column.nullable else "NOT NULL"
    said = f" COMMENT {text(comment(column.comment))}" if column.comment else ""
    return f"{quoted(column.name)} {column_type(column)} {null}{said}"


def _key_clause(table: DorisTable) -> list[str]:
    keys = ", ".join(quoted(key) for key in table.model.keys)
    if isinstance(table.model, Unique):
        return [f"UNIQUE KEY ({keys})"]
    return [f"DUPLICATE KEY ({keys})"] if keys else []


def _partition_clause(parting: RangePartitioning) -> list[str]:
    ranges = ",".join(f"\n  PARTITION {_values(each)}" for each in parting.partitions)
    return [f"PARTITION BY RANGE ({quoted(parting.column)}) ({ranges})"]


def _values(partition: RangePartition) -> str:
    start, end = (text(at.strftime(_BOUND_FORMAT)) for at in (partition.start, partition.end))
    return f"{quoted(partition.name)} VALUES [({start}), ({end}))"


def _distribution(buckets: Buckets) -> str:
    columns = ", ".join(quoted(name) for name in buckets.columns)
    how = f"HASH ({columns})" if columns else "RANDOM"
    return f"DISTRIBUTED BY {how} BUCKETS {buckets.number}"


def _all_properties(table: DorisTable) -> dict[str, str]:
    derived = {"replication_num": str(table.replicas), "light_schema_change": "true"}
    if isinstance(table.model, Unique):
        derived["enable_unique_key_merge_on_write"] = "true"
        if table.model.sequence is not None:
            derived["function_column.sequence_col"] = table.model.sequence
    elif isinstance(table.model, Duplicate) and not table.model.keys:
        derived["enable_duplicate_without_keys_by_default"] = "true"
    return {**dict(table.properties), **derived}


def _properties(properties: dict[str, str]) -> str:
    listed = ",\n  ".join(f"{text(name)} = {text(value)}" for name, value in properties.items())
    return f"PROPERTIES (\n  {listed}\n)"

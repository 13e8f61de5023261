"""Which columns rows have, and whether they are the declared ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from feature_platform.errors import StoreError
from feature_platform.stores.codes import COLUMNS_DIFFER
from feature_platform.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INT,
    STRING,
    TIMESTAMP,
    Column,
    DataType,
    TableSchema,
    map_of,
)

if TYPE_CHECKING:
    import pyarrow as pa


def check_columns(present: Mapping[str, str], declared: Mapping[str, str]) -> None:
    """Compares names and types, in the engine's notation; the order of columns does not matter.

    Raises:
        StoreError: they differ; every difference is named.
    """
    problems = [
        COLUMNS_DIFFER.problem(
            f"column '{name}' is {present.get(name, 'missing')}, declared {declared.get(name, 'nowhere')}",
            mend="cast the column to its declared type, or declare what the query gives",
        )
        for name in dict.fromkeys([*declared, *present])
        if present.get(name) != declared.get(name)
    ]
    if problems:
        raise StoreError(problems)


def by_name(schema: TableSchema) -> dict[str, str]:
    """Column names and logical types, for :func:`check_columns`."""
    return {column.name: str(column.type) for column in schema.columns}


def stream_schema(arrow: pa.Schema) -> TableSchema:
    """The logical columns of a stream. Narrower kinds of a type count as the type: ``int16`` is ``int``.

    Raises:
        StoreError: a column has a type without a counterpart.
    """
    kinds = {field.name: _logical(field.type) for field in arrow}
    problems = [
        COLUMNS_DIFFER.problem(
            f"column '{field.name}' of the stream is {field.type}, which has no counterpart",
            mend="cast it to a type that the platform has",
        )
        for field in arrow
        if kinds[field.name] is None
    ]
    if problems:
        raise StoreError(problems)
    return TableSchema(tuple(Column(name, kind) for name, kind in kinds.items() if kind))


def _logical(kind: pa.DataType) -> DataType | None:
    import pyarrow.types as are

    if are.is_decimal(kind) and kind.precision <= 38:
        return DataType("decimal", kind.precision, kind.scale)
    if are.is_list(kind) or are.is_large_list(kind):
        element = _logical(kind.value_type)
        return DataType("array", element=element) if element and not element.is_nested else None
    if are.is_map(kind):
        key, item = _logical(kind.key_type), _logical(kind.item_type)
        return map_of(key, item) if key and item and map_of(key, item).is_stored else None
    checks = (
        (are.is_boolean, BOOLEAN),
        (are.is_int8, INT),
        (are.is_int16, INT),
        (are.is_int32, INT),
        (are.is_uint8, INT),
        (are.is_uint16, INT),
        (are.is_uint32, BIGINT),
        (are.is_int64, BIGINT),
        (are.is_floating, DOUBLE),
        (are.is_string, STRING),
        (are.is_large_string, STRING),
        (are.is_string_view, STRING),
        (are.is_date32, DATE),
        (are.is_timestamp, TIMESTAMP),
        (are.is_null, STRING),
    )
    return next((logical for check, logical in checks if check(kind)), None)

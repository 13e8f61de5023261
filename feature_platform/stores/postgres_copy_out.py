"""Rows of a query as Arrow batches, through ``COPY … TO STDOUT (FORMAT csv)`` and Arrow's CSV reader.

The server's text of a value is exact for every type in use, and Arrow reads it without a Python object per value. NULL
is an empty field, the empty string a quoted one. Arrays and maps travel as JSON.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import QUERY_FAILED
from feature_platform.stores.maps import from_json
from feature_platform.types import Column, DataType, TableSchema

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

_BLOCK_BYTES: Final = 1 << 20
_TYPES: Final = {
    16: "boolean",
    21: "int",
    23: "int",
    20: "bigint",
    700: "double",
    701: "double",
    25: "string",
    1043: "string",
    1042: "string",
    19: "string",
    1082: "date",
    1114: "timestamp",
}
_ARRAYS: Final = {
    1000: 16,
    1005: 21,
    1007: 23,
    1016: 20,
    1021: 700,
    1022: 701,
    1009: 25,
    1015: 1043,
    1182: 1082,
    1115: 1114,
    1231: 1700,
}
_NUMERIC: Final = 1700
_JSONB: Final = 3802


def result_schema(description: list[psycopg.Column], maps: Mapping[str, DataType] | None = None) -> TableSchema:
    """The columns of a result. ``maps`` says what the columns of ``jsonb`` hold; the server can't.

    Raises:
        StoreError: a column has a type that is not in use here, or is a numeric without a declared precision.
    """
    problems = []
    columns = []
    for each in description:
        kind = (maps or {}).get(each.name) if each.type_code == _JSONB else _type(each)
        if kind is None:
            problems.append(
                QUERY_FAILED.problem(
                    f"column '{each.name}' has the type {each.type_display}, which has no exact counterpart",
                    mend="cast it to one of the platform's types, e.g. CAST(… AS decimal(38, 9))",
                )
            )
        else:
            columns.append(Column(each.name, kind))
    if problems:
        raise StoreError(problems)
    return TableSchema(tuple(columns))


class CopySource:
    """A file for Arrow over the blocks of a ``COPY``.

    Arrow reads ahead in a thread of its own: ``stop`` waits for that before the session is used for anything else.
    """

    closed = False

    def __init__(self, copy: psycopg.Copy) -> None:
        self._copy = copy
        self._left = b""
        self._stopped = False
        self._reading = threading.Lock()

    def is_empty(self) -> bool:
        self._left = bytes(self._copy.read())
        return not self._left

    def read(self, size: int) -> bytes:
        parts = [self._left]
        length = len(self._left)
        with self._reading:
            while length < size and not self._stopped and (block := self._copy.read()):
                parts.append(bytes(block))
                length += len(block)
        whole = b"".join(parts)
        self._left = whole[size:]
        return whole[:size]

    def stop(self) -> None:
        """Ends reading, now."""
        self._stopped = True
        with self._reading:
            pass

    def close(self) -> None:
        """Arrow asks for it; the cursor's owner ends the ``COPY``."""


def copy_out(source: CopySource, schema: TableSchema) -> Iterator[pa.RecordBatch]:
    """The batches of a CSV ``COPY`` whose columns of arrays and maps are JSON; about 1 MB of text each."""
    import pyarrow as pa
    from pyarrow import csv

    if source.is_empty():
        return
    texts = {column.name: pa.string() for column in schema.columns if column.type.is_nested}
    reader = csv.open_csv(
        pa.PythonFile(source, mode="r"),
        read_options=csv.ReadOptions(column_names=list(schema.names), block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types={column.name: texts.get(column.name, column.type.arrow()) for column in schema.columns},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    for batch in reader:
        yield _with_nested(batch, schema) if texts else batch


def _type(column: psycopg.Column) -> DataType | None:
    element = _ARRAYS.get(column.type_code)
    if element is not None:
        inner = _scalar(element, column)
        return None if inner is None else DataType("array", element=inner)
    return _scalar(column.type_code, column)


def _scalar(oid: int, column: psycopg.Column) -> DataType | None:
    if oid == _NUMERIC:
        modifier = column._fmod  # the public properties leave arrays of numeric out
        if modifier < 4:
            return None
        return DataType("decimal", (modifier - 4) >> 16, (modifier - 4) & 0x7FF)
    return DataType.parse(_TYPES[oid]) if oid in _TYPES else None


def _with_nested(batch: pa.RecordBatch, schema: TableSchema) -> pa.RecordBatch:
    import pyarrow as pa

    columns: list[Any] = []
    for column in schema.columns:
        values = batch.column(column.name)
        if column.type.is_nested:
            values = from_json(values, column.type) if column.type.kind == "map" else _arrays(values, column.type)
        columns.append(values)
    return pa.record_batch(columns, schema=schema.arrow())


def _arrays(texts: pa.Array, kind: DataType) -> pa.Array:
    import pyarrow as pa

    lists = [None if text is None else json.loads(text, parse_int=str, parse_float=str) for text in texts.to_pylist()]
    assert kind.element is not None
    as_read = pa.bool_() if kind.element.kind == "boolean" else pa.string()
    return pa.array(lists, type=pa.list_(as_read)).cast(kind.arrow())

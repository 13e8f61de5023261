"""Binary COPY from Arrow: layouts that Arrow allows and that a naive encoder reads wrongly."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from feature_platform.stores.postgres_copy_in import copy_in, encoded
from tests.stores.warehouse_cases import schema


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(postgres_url, autocommit=True) as found:
        yield found


def through_server(
    connection: psycopg.Connection[tuple[object, ...]], kind: str, column: pa.Array | pa.ChunkedArray
) -> list[object]:
    """``column`` sent to a table of its own, as the server gives it back."""
    declared = schema(row="bigint", value=kind)
    table = sql.Identifier(f"t{uuid.uuid4().hex}")
    rows = pa.table({"row": list(range(len(column))), "value": column})
    connection.execute(
        sql.SQL("CREATE TABLE {} (row bigint, value {})").format(
            table, sql.SQL(declared.columns[1].type.sql("postgres"))
        )
    )
    with connection.cursor() as cursor:
        sent = copy_in(cursor, sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(table), declared, rows.to_reader())
    assert sent == len(column)
    return [row[0] for row in connection.execute(sql.SQL("SELECT value FROM {} ORDER BY row").format(table))]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [1, None, 3, 4, None]),
        ("string", ["a", None, "", "long" * 50, "ü𝄞"]),
        ("boolean", [True, None, False, True, None]),
        ("decimal(38,9)", [Decimal("1.5"), None, Decimal(-(10**28)), Decimal("1E-9"), Decimal(0)]),
        ("array<string>", [["a", None], None, [], ["", "b"], [None]]),
        ("array<decimal(9,2)>", [[Decimal("1.50")], None, [], [Decimal("-9999999.99"), None], [Decimal(0)]]),
    ],
)
def test_a_slice_is_sent_as_it_is_seen(
    connection: psycopg.Connection[tuple[object, ...]], kind: str, values: list[object]
) -> None:
    whole = pa.array([*values, *values], schema(value=kind).arrow().field(0).type)
    assert through_server(connection, kind, whole.slice(2, 6)) == [*values, *values][2:8]


def test_what_lies_under_a_null_is_not_sent(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    valid, offsets, data = b"\x05", b"\0\0\0\0\x01\0\0\0\x07\0\0\0\x08\0\0\0", b"asecretb"
    hidden = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(part) for part in (valid, offsets, data)])
    assert through_server(connection, "string", hidden) == ["a", None, "b"]


def test_values_under_a_null_list_are_not_sent(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    offsets = pa.array([0, 1, 3, 4], pa.int32())
    hidden = pa.ListArray.from_arrays(offsets, pa.array([1, 2, 3, 4]), mask=pa.array([False, True, False]))
    assert through_server(connection, "array<bigint>", hidden) == [[1], None, [4]]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("bigint", pa.array([1, 2], pa.int16())),
        ("string", pa.array(["a", "b"], pa.large_string())),
        ("string", pa.array(["a", "b"], pa.string_view())),
        ("int", pa.array([1, 2], pa.uint8())),
        ("decimal(18,2)", pa.array([Decimal("1.50")], pa.decimal64(9, 2))),
        ("array<bigint>", pa.array([[1], []], pa.large_list(pa.int32()))),
        ("string", pa.nulls(3)),
    ],
)
def test_a_narrower_or_wider_layout_of_a_type_is_taken(
    connection: psycopg.Connection[tuple[object, ...]], kind: str, column: pa.Array
) -> None:
    assert through_server(connection, kind, column) == column.to_pylist()


@pytest.mark.parametrize("digits", [1, 4, 5, 8, 17, 18, 19, 20, 28, 37, 38])
@pytest.mark.parametrize("scale", [0, 1, 4, 7, 9, 38])
def test_decimals_of_any_size_keep_every_digit(
    connection: psycopg.Connection[tuple[object, ...]], digits: int, scale: int
) -> None:
    number = int(("1234567890" * 4)[:digits])
    values = [Decimal(f"{sign * number}E-{scale}") for sign in (1, -1)] + [Decimal(f"0E-{scale}")]
    kind = f"decimal(38,{scale})"
    column = pa.array(values, pa.decimal128(38, scale))
    assert list(map(str, through_server(connection, kind, column))) == list(map(str, column.to_pylist()))


@pytest.mark.parametrize("length", [1, 2, 45, 300])
def test_texts_of_one_length_come_back_in_their_order(
    connection: psycopg.Connection[tuple[object, ...]], length: int
) -> None:
    values = [f"{number:0{length}}"[-length:] for number in range(1_000)]
    assert through_server(connection, "string", pa.array(values).slice(3)) == values[3:]


def test_wide_rows_are_sent_in_pieces_of_few() -> None:
    batch = pa.record_batch({"row": list(range(1_000)), "value": ["x" * 100_000] * 1_000})
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
    pieces = [(rows, len(piece)) for rows, piece in encoded(schema(row="bigint", value="string"), reader)]
    assert sum(rows for rows, _ in pieces) == 1_000
    assert max(size for _, size in pieces) < 8 << 20

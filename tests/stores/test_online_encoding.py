"""Packed rows and encoded keys: what is written column by column is read back value by value."""

from __future__ import annotations

import decimal
import math
import struct
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.stores.online_encoding import CorruptRowError, row_decoder
from feature_platform.stores.online_encoding_arrow import encode_rows
from feature_platform.stores.online_encoding_keys import encode_fields, key_encoder
from feature_platform.stores.online_encoding_stream import CHUNK_ROWS, snapshot_chunks
from feature_platform.stores.online_protocol import OnlineTable
from tests.stores.online_cases import NOON, online_table


def _encoded(table: OnlineTable, rows: list[dict[str, Any]]) -> list[bytes]:
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema.arrow())
    values: list[bytes] = encode_rows(table, batch).to_pylist()
    return values


def test_a_row_lies_in_the_documented_layout() -> None:
    table = online_table(features="n int, note string, amount decimal(18,2)")
    row = {"card": "a", "event_time": NOON, "n": None, "note": "é", "amount": Decimal("-1.50")}
    microseconds = int((NOON - datetime.fromisoformat("1970-01-01")).total_seconds()) * 10**6
    assert _encoded(table, [row]) == [struct.pack("<BBqiIq", 1, 0b0010, microseconds, 0, 2, -150) + "é".encode()]


def test_doubles_keep_every_bit() -> None:
    table = online_table(features="x double")
    odd = [-0.0, 5e-324, math.inf, -math.inf, struct.unpack("<d", b"\x01\x00\x00\x00\x00\x00\xf8\x7f")[0]]
    rows = [{"card": "a", "event_time": NOON, "x": value} for value in odd]
    decode = row_decoder(table).decode
    assert [struct.pack("<d", decode(row).values["x"]) for row in _encoded(table, rows)] == [
        struct.pack("<d", value) for value in odd
    ]


def test_decimals_do_not_depend_on_the_threads_decimal_context() -> None:
    table = online_table(features="big decimal(38,0), small decimal(38,38)")
    values = {"big": Decimal(10**38 - 1), "small": Decimal((1, (9,) * 38, -38))}
    with decimal.localcontext(prec=3):
        (row,) = _encoded(table, [{"card": "a", "event_time": NOON, **values}])
        found = row_decoder(table).decode(row).values
    assert {name: str(value) for name, value in found.items()} == {name: str(value) for name, value in values.items()}


@given(st.lists(st.none() | st.text(max_size=5), min_size=4, max_size=30), st.integers(0, 3), st.integers(0, 3))
def test_a_slice_of_a_batch_gives_the_bytes_of_its_rows(notes: list[str | None], skipped: int, cut: int) -> None:
    table = online_table(features="note string; flag boolean; sums array<decimal(38,9)>; words array<string>; n bigint")
    rows = [
        {
            "card": str(place),
            "event_time": None if note is None else NOON,
            "note": note,
            "flag": None if note is None else len(note) > 2,
            "sums": None if note is None else [Decimal(len(note)), None],
            "words": None if note is None else [note, None, note[:1]],
            "n": None if note == "" else place,
        }
        for place, note in enumerate(notes)
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema.arrow())
    end = max(skipped, len(rows) - cut)
    part = encode_rows(table, batch.slice(skipped, end - skipped)).to_pylist()
    assert part == [_encoded(table, [row])[0] for row in rows[skipped:end]]


def test_what_lies_under_a_null_does_not_reach_the_bytes() -> None:
    table = online_table(features="n bigint")
    numbers = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer(np.array([77, 5]))], null_count=1
    )
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["a", "b"]), pa.array([NOON, NOON], pa.timestamp("us")), numbers], schema=table.schema.arrow()
    )
    assert encode_rows(table, batch).to_pylist()[0][-8:] == bytes(8)


@given(st.binary(max_size=40).filter(lambda raw: not raw.startswith(b"\x01")))
def test_foreign_bytes_are_refused_and_not_quoted(raw: bytes) -> None:
    table = online_table(features="note string; words array<string>")
    with pytest.raises(CorruptRowError, match=rf"^{len(raw)} bytes that are not a row of 2 features$"):
        row_decoder(table).decode(raw)


@pytest.mark.parametrize("damage", [lambda row: row[:-1], lambda row: row + b"x", lambda row: b"\x02" + row[1:]])
def test_a_damaged_row_is_refused(damage: Any) -> None:
    table = online_table(features="note string")
    (row,) = _encoded(table, [{"card": "a", "event_time": NOON, "note": "abc"}])
    with pytest.raises(CorruptRowError):
        row_decoder(table).decode(damage(row))


@given(st.lists(st.tuples(st.text(max_size=6), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20, unique=True))
def test_keys_are_encoded_alike_one_by_one_and_in_columns_and_never_collide(keys: list[tuple[str, int]]) -> None:
    table = online_table(keys="a string, b bigint")
    batch = pa.RecordBatch.from_pylist([{"a": a, "b": b} for a, b in keys], schema=table.schema.arrow())
    fields = encode_fields(table, batch).to_pylist()
    assert fields == [key_encoder(table).field(key) for key in keys]
    assert len(set(fields)) == len(keys)


@given(st.datetimes().map(lambda moment: moment.replace(fold=0)), st.dates(), st.booleans())
def test_temporal_and_boolean_keys_are_encoded_alike_both_ways(moment: datetime, day: Any, flag: bool) -> None:
    table = online_table(keys="a timestamp, b date, c boolean")
    batch = pa.RecordBatch.from_pylist([{"a": moment, "b": day, "c": flag}], schema=table.schema.arrow())
    assert encode_fields(table, batch).to_pylist() == [key_encoder(table).field((moment, day, flag))]


def test_a_composite_key_is_a_row_of_netstrings() -> None:
    assert key_encoder(online_table(keys="a string, b bigint")).field(("ü", -5)) == "2:ü,2:-5,".encode()


def test_numpy_keys_are_taken_for_what_they_are() -> None:
    encoder = key_encoder(online_table(keys="a bigint, b boolean"))
    assert encoder.field((np.int64(5), np.bool_(True))) == encoder.field((5, True))


def test_chunks_have_a_steady_size_whatever_the_batches() -> None:
    table = online_table()
    schema = table.schema.arrow()
    sizes = [1, 5_000, 70_000, 0, 3]

    def batches() -> Any:
        for size in sizes:
            rows = {"card": ["a"] * size, "event_time": [NOON] * size, "amount": [1] * size}
            yield pa.RecordBatch.from_pydict(rows, schema=schema)

    chunks = list(snapshot_chunks(table, lambda: pa.RecordBatchReader.from_batches(schema, batches())))
    assert sum(chunk.num_rows for chunk in chunks) == sum(sizes)
    assert max(chunk.num_rows for chunk in chunks) == CHUNK_ROWS


def test_strings_may_come_in_any_of_arrows_layouts() -> None:
    table = online_table(features="note string")
    schema = pa.schema(
        [
            ("note", pa.large_string()),
            ("event_time", pa.timestamp("us")),
            ("card", pa.string_view()),
        ]
    )
    batch = pa.RecordBatch.from_pylist([{"note": "n", "event_time": NOON, "card": "a"}], schema=schema)
    (chunk,) = snapshot_chunks(table, lambda: pa.RecordBatchReader.from_batches(schema, [batch]))
    assert chunk.schema == table.schema.arrow()


def test_a_map_lies_in_the_documented_layout() -> None:
    table = online_table(features="m map<string, bigint>")
    (row,) = _encoded(table, [{"card": "a", "event_time": NOON, "m": [("z", None), ("é", 7)]}])
    tail = struct.pack("<II", 2, 1) + b"z\x00" + struct.pack("<I", 2) + "é".encode() + struct.pack("<Bq", 1, 7)
    assert row.endswith(struct.pack("<I", len(tail)) + tail)


@given(
    st.lists(st.none() | st.dictionaries(st.text(max_size=4), st.none() | st.integers(0, 9), max_size=3), min_size=4)
)
def test_a_slice_of_maps_gives_the_bytes_of_its_rows(maps: list[dict[str, int | None] | None]) -> None:
    table = online_table(features="m map<string, int>")
    rows = [{"card": "a", "event_time": NOON, "m": None if each is None else list(each.items())} for each in maps]
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema.arrow())
    part = encode_rows(table, batch.slice(1, len(rows) - 2)).to_pylist()
    assert part == [_encoded(table, [row])[0] for row in rows[1:-1]]
    decode = row_decoder(table).decode
    assert [decode(row).values["m"] for row in _encoded(table, rows)] == maps

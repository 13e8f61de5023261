"""Arrow batches as PostgreSQL's binary COPY format, a column at a time.

Every value crosses exactly: integers and doubles bit by bit, decimals digit by digit, timestamps in microseconds, NULL
apart from the empty string. Nothing is formatted as text and no Python object is made per value, so encoding keeps
pace with the server (see ``benchmarks/warehouse.py``). The format is described in PostgreSQL's manual under COPY; the
layout of values is that of the types' ``*_recv`` functions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_platform.stores.maps import as_json
from feature_platform.types import DataType, TableSchema

if TYPE_CHECKING:
    import numpy.typing as npt
    import psycopg
    import pyarrow as pa

    Bytes = npt.NDArray[np.uint8]
    Numbers = npt.NDArray[np.int64]

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_PIECE_ROWS: Final = 16_384
_PIECE_BYTES: Final = 4 << 20
_PIECES_AHEAD: Final = 8
"""Engines give some 100,000 rows at a time, then nothing for a while."""
_SHORT_TEXT_BYTES: Final = 32
_MICROSECONDS_1970_TO_2000: Final = 946_684_800_000_000
_DAYS_1970_TO_2000: Final = 10_957
_ELEMENT_OIDS: Final = {
    "boolean": 16,
    "bigint": 20,
    "int": 23,
    "string": 25,
    "double": 701,
    "date": 1082,
    "timestamp": 1114,
    "decimal": 1700,
}


def copy_in(
    cursor: psycopg.Cursor[Any], statement: psycopg.sql.Composed, schema: TableSchema, rows: pa.RecordBatchReader
) -> int:
    """Sends ``rows``, which have the columns of ``schema``, to a ``COPY … (FORMAT binary)``; gives their number.

    Some pieces are encoded while those before are sent, so that the server does not wait while a batch comes about;
    memory grows neither with the number of rows nor with their width.
    """
    sent = 0
    with ThreadPoolExecutor(1, thread_name_prefix="fp-copy-in") as encoder, cursor.copy(statement) as copy:
        copy.write(_SIGNATURE)
        pieces = encoded(schema, rows)
        ahead = deque(encoder.submit(next, pieces, None) for _ in range(_PIECES_AHEAD))
        try:
            while (piece := ahead.popleft().result()) is not None:
                ahead.append(encoder.submit(next, pieces, None))
                copy.write(piece[1])
                sent += piece[0]
        finally:
            encoder.shutdown(cancel_futures=True)
        copy.write(_TRAILER)
    return sent


def encoded(schema: TableSchema, rows: pa.RecordBatchReader) -> Iterator[tuple[int, memoryview]]:
    """Pieces of some megabytes, however wide rows are: how many, and the rows as :func:`encode_batch` has them."""
    for batch in rows:
        size = min(_PIECE_ROWS, max(1, _PIECE_BYTES * batch.num_rows // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, size):
            part = batch.slice(start, size)
            yield part.num_rows, encode_batch(schema, part)


def encode_batch(schema: TableSchema, batch: pa.RecordBatch) -> memoryview:
    """The rows of ``batch`` in the binary format, without the file's header and trailer."""
    fields = [_field(column.type, batch.column(column.name)) for column in schema.columns]
    sizes = np.full(batch.num_rows, 2, dtype=np.int64)
    for field in fields:
        sizes += 4 + field.sizes
    starts, total = _starts(sizes)
    out = np.empty(total, dtype=np.uint8)
    _put(out, starts, np.full(batch.num_rows, len(fields), dtype=">i2"))
    _write_fields(out, starts + 2, fields)
    return out.data


@dataclass(frozen=True)
class _Field:
    """A column, ready to be scattered into rows: fixed ``items``, then ``data`` of varying length."""

    sizes: Numbers
    """Bytes of each value; 0 for NULL."""
    valid: npt.NDArray[np.bool_] | None
    """None: no NULL."""
    items: npt.NDArray[Any] | None
    """Values of one size each, in the server's byte order."""
    offsets: Numbers | None = None
    """Where each value begins in ``data``, and where the last one ends."""
    data: Bytes | None = None

    @property
    def is_plain(self) -> bool:
        """Whether every value is there and has the same size."""
        return self.items is not None and self.data is None and self.valid is None


def _field(kind: DataType, column: pa.Array) -> _Field:
    import pyarrow as pa

    valid = None if column.null_count == 0 else column.is_valid().to_numpy(zero_copy_only=False)
    if kind.kind == "map":
        return _text(as_jsonb(column), valid)
    column = column.cast(kind.arrow())
    if kind.kind == "string":
        return _text(column, valid)
    if kind.kind == "array":
        assert kind.element is not None
        return _array(kind.element, column, valid)
    if kind.kind == "boolean":
        column = column.cast(pa.uint8())
    items = _items(kind, column)
    sizes = np.full(len(column), items.dtype.itemsize, dtype=np.int64)
    return _Field(sizes if valid is None else sizes * valid, valid, items)


def _items(kind: DataType, column: pa.Array) -> npt.NDArray[Any]:
    if kind.kind == "decimal":
        return _numerics(kind, column)
    stored = {
        "boolean": (np.uint8, 0, "u1"),
        "int": (np.int32, 0, ">i4"),
        "bigint": (np.int64, 0, ">i8"),
        "double": (np.int64, 0, ">i8"),  # bits, so that the sign of zero and the payload of NaN stay
        "date": (np.int32, -_DAYS_1970_TO_2000, ">i4"),
        "timestamp": (np.int64, -_MICROSECONDS_1970_TO_2000, ">i8"),
    }
    native, shift, wire = stored[kind.kind]
    values = _buffer(column, native)
    return (values + shift if shift else values).astype(wire)


def _numerics(kind: DataType, column: pa.Array) -> npt.NDArray[Any]:
    """Base-10,000 digits around the decimal point, as many for each value as the largest of the batch needs.

    The lowest group of the fraction holds the odd digits of the scale, so it is divided off first. The server strips
    zeros on either side.
    """
    words = _buffer(column, np.uint64, width=2)
    low, high = words[:, 0].copy(), words[:, 1].copy()
    negative = (high >> np.uint64(63)).astype(bool)
    low[negative] = ~low[negative] + np.uint64(1)
    high[negative] = ~high[negative] + (low[negative] == 0)
    limbs, largest = _limbs(low, high)
    fraction = (kind.scale + 3) // 4
    groups = fraction + (max(len(str(largest)) - kind.scale, 0) + 3) // 4
    items = np.empty(len(column), dtype=[("head", ">u2", (4,)), ("digits", ">u2", (groups,))])
    for group in range(groups - 1, -1, -1):
        width = kind.scale % 4 if kind.scale % 4 and group == groups - 1 else 4
        items["digits"][:, group] = _divide(limbs, 10**width) * np.uint64(10 ** (4 - width))
    items["head"] = (groups, (groups - fraction - 1) % 65536, 0, kind.scale)
    items["head"][:, 2] = np.where(negative, 0x4000, 0)
    return items


def _limbs(low: npt.NDArray[np.uint64], high: npt.NDArray[np.uint64]) -> tuple[list[npt.NDArray[np.uint64]], int]:
    """A magnitude as numbers that can be divided in place, most significant first, and the largest magnitude.

    One number where all fit into 64 bits, else four of 32 bits. What lies under a NULL counts too: it is encoded.
    """
    if not len(low):
        return [low], 0
    top = int(high.max())
    if top == 0:
        return [low], int(low.max())
    mask = np.uint64(0xFFFFFFFF)
    return [high >> np.uint64(32), high & mask, low >> np.uint64(32), low & mask], (top << 64) | 0xFFFFFFFFFFFFFFFF


def _divide(limbs: list[npt.NDArray[np.uint64]], divisor: int) -> npt.NDArray[np.uint64]:
    """Divides in place; gives the remainder. Of several limbs each has 32 bits, of a single one 64."""
    by = np.uint64(divisor)
    rest: npt.NDArray[np.uint64] | None = None
    for position, limb in enumerate(limbs):
        current = limb if rest is None else (rest << np.uint64(32)) | limb
        limbs[position] = current // by
        rest = current - limbs[position] * by
    assert rest is not None
    return rest


def as_jsonb(maps: pa.MapArray) -> pa.StringArray:
    """What ``jsonb_recv`` takes: the number of the format, 1, and the JSON."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise("\x01", as_json(maps), "")


def _text(column: pa.Array, valid: npt.NDArray[np.bool_] | None) -> _Field:
    import pyarrow.compute as pc

    filled = pc.fill_null(column, "") if valid is not None else column  # what lies under a NULL is undefined
    buffers = filled.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int32)[filled.offset : filled.offset + len(filled) + 1].astype(
        np.int64
    )
    data = np.frombuffer(buffers[2], dtype=np.uint8) if buffers[2] else np.empty(0, dtype=np.uint8)
    return _Field(np.diff(offsets), valid, None, offsets, data)


def _array(element: DataType, column: pa.Array, valid: npt.NDArray[np.bool_] | None) -> _Field:
    """Number of dimensions, flags, element type; then length and lower bound of the one dimension, and its values."""
    if valid is not None:
        import pyarrow as pa

        column = pa.array(column.to_pylist(), type=column.type) if _hides_values(column, valid) else column
    lists = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    lists = lists.astype(np.int64)
    inner = _field(element, column.values)
    starts, total = _starts(inner.sizes + 4)
    data = np.empty(total, dtype=np.uint8)
    _write_fields(data, starts, [inner])
    lengths = np.diff(lists)
    items = np.zeros(len(column), dtype=[("head", ">i4", (3,)), ("size", ">i4"), ("lower", ">i4")])
    items["head"] = (1, int(inner.valid is not None), _ELEMENT_OIDS[element.kind])
    items["head"][lengths == 0, 0] = 0
    items["size"], items["lower"] = lengths, 1
    offsets = np.append(starts, total)[lists]
    sizes = np.where(lengths == 0, 12, 20) + np.diff(offsets)
    return _Field(sizes if valid is None else sizes * valid, valid, items, offsets, data)


def _hides_values(column: pa.Array, valid: npt.NDArray[np.bool_]) -> bool:
    """Whether values lie under NULL lists, which Arrow allows."""
    lists = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return bool(np.any(np.diff(lists)[~valid]))


def _write_fields(out: Bytes, positions: Numbers, fields: list[_Field]) -> None:
    """Writes length and value of each field, those of neighbouring plain fields in one go: each go costs as much."""
    for plain, group in groupby(fields, key=lambda field: field.is_plain):
        if plain:
            run = _run([field.items for field in group])
            _put(out, positions, run)
            positions = positions + run.dtype.itemsize
            continue
        for field in group:
            lengths = field.sizes.astype(">i4")
            if field.valid is not None:
                lengths[~field.valid] = -1
            _put(out, positions, lengths)
            _write_values(out, positions + 4, field)
            positions = positions + 4 + field.sizes


def _run(columns: list[npt.NDArray[Any] | None]) -> npt.NDArray[Any]:
    """Lengths and values of several columns side by side."""
    known = [items for items in columns if items is not None]
    parts = [part for index, items in enumerate(known) for part in ((f"n{index}", ">i4"), (f"v{index}", items.dtype))]
    first = np.zeros(1, dtype=parts)
    for index, items in enumerate(known):
        first[f"n{index}"] = items.dtype.itemsize
    run = np.repeat(first, len(known[0]))  # the lengths are the same in every row
    for index, items in enumerate(known):
        run[f"v{index}"] = items
    return run


def _write_values(out: Bytes, positions: Numbers, field: _Field) -> None:
    present = slice(None) if field.valid is None else field.valid
    if field.items is not None and field.data is None:
        _put(out, positions[present], field.items[present])
        return
    if field.items is not None:  # an array: what stands before its values is shorter where there are none
        empty = field.items["size"] == 0
        filled = ~empty if field.valid is None else ~empty & field.valid
        empty = empty if field.valid is None else empty & field.valid
        _put(out, positions[empty], np.ascontiguousarray(field.items["head"][empty]).view("V12").reshape(-1))
        _put(out, positions[filled], field.items[filled])
        positions = positions + 20
    assert field.offsets is not None
    assert field.data is not None
    _scatter(out, positions, field.data, field.offsets)


def _scatter(out: Bytes, positions: Numbers, data: Bytes, offsets: Numbers) -> None:
    """Copies ``data[offsets[i]:offsets[i + 1]]`` to ``out[positions[i]:]``."""
    lengths = np.diff(offsets)
    total = int(offsets[-1] - offsets[0])
    if total and (lengths == lengths[0]).all():  # codes, tokens
        _put(out, positions, data[offsets[0] : offsets[-1]].view(f"V{lengths[0]}"))
        return
    if total <= _SHORT_TEXT_BYTES * len(lengths):
        targets = np.repeat(positions - (offsets[:-1] - offsets[0]), lengths)
        targets += np.arange(total)
        out[targets] = data[offsets[0] : offsets[-1]]
        return
    for position, start, end in zip(positions.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        out[position : position + end - start] = data[start:end]


def _put(out: Bytes, positions: Numbers, items: npt.NDArray[Any]) -> None:
    """Copies items of one size to their positions, aligned or not."""
    size = items.dtype.itemsize
    if len(items) == 0:
        return
    anywhere = np.ndarray((len(out) - size + 1,), dtype=f"V{size}", buffer=out, strides=(1,))
    anywhere[positions] = items.view(f"V{size}")


def _starts(sizes: Numbers) -> tuple[Numbers, int]:
    ends = np.cumsum(sizes)
    return ends - sizes, int(ends[-1]) if len(ends) else 0


def _buffer(column: pa.Array, dtype: type[Any], width: int = 1) -> npt.NDArray[Any]:
    """The values as Arrow holds them; whatever lies under a NULL included."""
    values = np.frombuffer(column.buffers()[1], dtype=dtype)
    part = values[column.offset * width : (column.offset + len(column)) * width]
    return part.reshape(-1, width) if width > 1 else part

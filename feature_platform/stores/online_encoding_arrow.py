"""Rows of whole Arrow batches as bytes, column by column: the writing side of :mod:`online_encoding`.

No Python object is made per value. Slots are filled as a packed numpy structure, tails come from Arrow's own buffers,
and one Arrow kernel joins the pieces of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_platform.stores.maps import entries
from feature_platform.stores.online_encoding import FORMAT, has_tail, slot_format, value_columns
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.types import DataType

_EMPTY = pa.scalar(b"", pa.binary())
_NUMPY = {"?": "?", "i": "<i4", "q": "<i8", "d": "<f8", "I": "<u4", "16s": "V16"}


def encode_rows(table: OnlineTable, batch: pa.RecordBatch) -> pa.BinaryArray:
    """One binary value per row of ``batch``, which has ``table``'s columns in any order."""
    columns = value_columns(table)
    slots = np.zeros(
        batch.num_rows,
        dtype=[("format", "u1"), ("nulls", "u1", (-(-len(columns) // 8),))]
        + [(f"{index}", _NUMPY[slot_format(column.type)]) for index, column in enumerate(columns)],
    )
    slots["format"] = FORMAT
    tails: list[pa.BinaryArray] = []
    for index, column in enumerate(columns):
        values = batch.column(column.name)
        if values.null_count:
            slots["nulls"][:, index // 8] |= _is_null(values).astype(np.uint8) << (index % 8)
        if has_tail(column.type):
            tails.append(_tails(values, column.type))
            slots[f"{index}"] = pc.binary_length(tails[-1]).to_numpy()
        else:
            slots[f"{index}"] = _fixed(values, column.type)
    return join_rows([_as_binary(slots), *tails])


def join_rows(pieces: list[Any]) -> pa.BinaryArray:
    """The bytes of ``pieces`` one after the other, row by row; scalars repeat for each row."""
    return pieces[0] if len(pieces) == 1 else pc.binary_join_element_wise(*pieces, _EMPTY)


def _as_binary(structure: npt.NDArray[Any]) -> pa.BinaryArray:
    """Each element of a packed structure as a binary value."""
    width, rows = structure.dtype.itemsize, len(structure)
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.BinaryArray.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(structure)])


def _is_null(values: pa.Array) -> npt.NDArray[np.bool_]:
    is_null: npt.NDArray[np.bool_] = values.is_null().to_numpy(zero_copy_only=False)
    return is_null


def _fixed(values: pa.Array, kind: DataType) -> npt.NDArray[Any]:
    """Slot values, zeros where NULL."""
    if kind.kind == "boolean":
        flags: npt.NDArray[Any] = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
        return flags
    if kind.kind == "decimal":
        return _unscaled(values, kind)
    code = _NUMPY[slot_format(kind)]
    numbers = np.frombuffer(values.buffers()[1], dtype=code, count=len(values) + values.offset)[values.offset :]
    # What lies under a NULL in Arrow's buffer is undefined; equal rows shall have equal bytes.
    return np.where(_is_null(values), np.zeros(1, code), numbers) if values.null_count else numbers


def _unscaled(values: pa.Array, kind: DataType) -> npt.NDArray[Any]:
    """Unscaled integers of a decimal128 array: its lower half where the precision leaves only the sign to the rest."""
    end = values.offset + len(values)
    halves = np.frombuffer(values.buffers()[1], dtype="<i8", count=2 * end).reshape(-1, 2)[values.offset :]
    if values.null_count:
        halves = np.where(_is_null(values)[:, None], 0, halves)
    if slot_format(kind) == "q":
        return halves[:, 0]
    return np.ascontiguousarray(halves).view("V16")[:, 0]


def _tails(values: pa.Array, kind: DataType) -> pa.BinaryArray:
    if kind.kind == "string":
        return pc.fill_null(values.cast(pa.binary()), _EMPTY)
    assert kind.element is not None
    if kind.key is not None:
        return _map_tails(values, kind.key, kind.element)
    return _array_tails(values, kind.element)


def _array_tails(lists: pa.ListArray, element: DataType) -> pa.BinaryArray:
    """Elements are encoded all at once; those of one list then lie side by side, so that only the offsets change."""
    lists = _compact(lists)
    tails = _together(lists.offsets.to_numpy(), _elements(lists.values, element))
    return pc.if_else(lists.is_valid(), tails, _EMPTY) if lists.null_count else tails


def _map_tails(maps: pa.MapArray, key: DataType, element: DataType) -> pa.BinaryArray:
    inside = entries(maps)
    pairs = join_rows([_present(inside.keys, key), _elements(inside.values, element)])
    tails = _together(inside.offsets, pairs)
    return pc.if_else(maps.is_valid(), tails, _EMPTY) if maps.null_count else tails


def _together(offsets: npt.NDArray[np.int32], elements: pa.BinaryArray) -> pa.BinaryArray:
    """Per row the number of its elements, and their bytes."""
    ends = np.frombuffer(elements.buffers()[1], dtype=np.int32, count=len(elements) + 1)
    places = ends[offsets].astype(np.int32)
    contents = pa.BinaryArray.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(places), elements.buffers()[2]]
    )
    return join_rows([_as_binary(np.diff(offsets).astype("<u4")), contents])


def _compact(lists: pa.ListArray) -> pa.ListArray:
    """The same lists with offsets that begin at zero and no elements hidden under NULLs or before a slice."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = np.concatenate([[0], np.cumsum(lengths.to_numpy())]).astype(np.int32)
    mask = lists.is_null() if lists.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), lists.flatten(), mask=mask)


def _elements(values: pa.Array, element: DataType) -> pa.BinaryArray:
    """Per element one byte for its presence, then its slot; a string's bytes follow their length."""
    full = _present(values, element, [("present", "?")])
    return pc.if_else(values.is_valid(), full, pa.scalar(b"\x00", pa.binary())) if values.null_count else full


def _present(values: pa.Array, kind: DataType, flags: Sequence[tuple[str, str]] = ()) -> pa.BinaryArray:
    """Per value its slot, and the bytes of a string; before them ``flags``, all true."""
    tails = _tails(values, kind) if has_tail(kind) else None
    structure = np.zeros(len(values), dtype=[*flags, ("slot", _NUMPY[slot_format(kind)])])
    for flag, _ in flags:
        structure[flag] = True
    structure["slot"] = _fixed(values, kind) if tails is None else pc.binary_length(tails).to_numpy()
    return join_rows([_as_binary(structure), *([tails] if tails is not None else [])])

"""Columns of the demonstration data as Arrow arrays, made without a Python object per value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_platform.demo.randomness import Flags, Integers
from feature_platform.demo.tables import DemoTable

_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype="S2")


def arrow_table(shape: DemoTable, columns: Mapping[str, pa.Array]) -> pa.Table:
    """The columns in the order and with the types of ``shape``."""
    return pa.table([columns[name] for name in shape.schema.names], schema=shape.schema.arrow())


def integers(values: Integers) -> pa.Array:
    """``bigint``."""
    return pa.array(values, pa.int64())


def small_integers(values: Integers) -> pa.Array:
    """``int``."""
    return pa.array(values.astype(np.int32), pa.int32())


def booleans(values: Flags) -> pa.Array:
    """``boolean``."""
    return pa.array(values, pa.bool_())


def timestamps(microseconds: Integers) -> pa.Array:
    """``timestamp``, from microseconds since 1970."""
    return pa.array(microseconds, pa.int64()).cast(pa.timestamp("us"))


def dates(days: Integers) -> pa.Array:
    """``date``, from days since 1970."""
    return pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32())


def money(cents: Integers, *, missing: Flags | None = None) -> pa.Array:
    """``decimal(18,2)``, from hundredths."""
    halves = np.empty((len(cents), 2), dtype=np.int64)
    halves[:, 0] = cents
    halves[:, 1] = cents >> 63
    values = pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(halves)])
    return with_missing(values, missing)


def words(vocabulary: Sequence[str], positions: Integers) -> pa.Array:
    """``vocabulary[position]`` per row."""
    return pa.array(vocabulary, pa.string()).take(pa.array(positions))


def digits(values: Integers, width: int = 0) -> pa.Array:
    """Whole numbers as text, with leading zeros up to ``width``."""
    text = pa.array(values, pa.int64()).cast(pa.string())
    return pc.utf8_lpad(text, width, "0") if width else text


def hexadecimal(*halves: np.ndarray[Any, np.dtype[np.uint64]]) -> pa.Array:
    """16 hexadecimal digits per half."""
    raw = np.stack(halves, axis=1).astype(">u8").view(np.uint8)
    text = np.ascontiguousarray(_HEX[raw])
    width = 16 * len(halves)
    offsets = np.arange(len(raw) + 1, dtype=np.int32) * width
    return pa.Array.from_buffers(pa.string(), len(raw), [None, pa.py_buffer(offsets), pa.py_buffer(text)])


def joined(*pieces: Any) -> pa.Array:
    """Texts one after the other, row by row; a plain text repeats."""
    return pc.binary_join_element_wise(*pieces, "")


def either(condition: Flags, yes: Any, no: Any) -> pa.Array:
    """``yes`` where the condition holds."""
    return pc.if_else(pa.array(condition), yes, no)


def with_missing(values: pa.Array, missing: Flags | None) -> pa.Array:
    """``values`` with NULL where ``missing``."""
    return values if missing is None else pc.if_else(pa.array(missing), pa.scalar(None, values.type), values)

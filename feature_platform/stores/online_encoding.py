"""One entity's row as bytes: the layout that ``docs/reference/redis-layout.md`` describes, and its decoder.

A row holds the columns of an :class:`~feature_platform.stores.online_protocol.OnlineTable` that are not keys, in order,
little-endian, without padding::

    format   1 byte, 1
    nulls    ceil(columns / 8) bytes; bit i (counted from the least significant bit of the first byte) is set: NULL
    slots    one per column, of a width that its type fixes; zeros where NULL
    tails    the bytes of strings, arrays and maps, in column order; the slot holds their length

Encoding is done for whole Arrow batches, by :mod:`feature_platform.stores.online_encoding_arrow`. Decoding is done row
by row while somebody waits for an answer, so it needs neither Arrow nor numpy and does the least that gives values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, Inexact
from typing import Any, Final

from feature_platform.stores.online_protocol import OnlineRow, OnlineTable
from feature_platform.types import Column, DataType

FORMAT: Final = 1
"""The first byte of every row. Another number is another layout."""

EVENT_TIME: Final = "event_time"
LENGTH: Final = struct.Struct("<I")

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - stores hold UTC without a zone
_EXACT: Final = Context(prec=76, traps=[Inexact])
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_SLOTS: Final[Mapping[str, str]] = {
    "boolean": "?",
    "int": "i",
    "bigint": "q",
    "double": "d",
    "date": "i",
    "timestamp": "q",
    "string": "I",
    "array": "I",
    "map": "I",
}

Convert = Callable[[Any], Any]


class CorruptRowError(ValueError):
    """Bytes that are not a row of the expected columns. The text never quotes them: they are feature values."""


def value_columns(table: OnlineTable) -> tuple[Column, ...]:
    """The columns that a row's bytes hold: all but the keys, in the table's order."""
    return tuple(column for column in table.schema.columns if column.name not in table.keys)


def slot_format(kind: DataType) -> str:
    """The ``struct`` code of a column's slot: fixed values as they are, others by the length of their tail.

    >>> slot_format(DataType.parse("decimal(18,2)")), slot_format(DataType.parse("decimal(38,9)"))
    ('q', '16s')
    """
    if kind.kind == "decimal":
        return "q" if kind.precision <= 18 else "16s"
    return _SLOTS[kind.kind]


def has_tail(kind: DataType) -> bool:
    """Whether values lie behind the slots because their size varies."""
    return kind.kind in ("string", "array", "map")


@dataclass(frozen=True, slots=True)
class RowDecoder:
    """Turns the bytes of one table's rows into values. Made by :func:`row_decoder`; holds no state."""

    _slots: struct.Struct
    _features: tuple[str, ...]
    _event_time: int | None
    """Its place among the values; they have one more than ``_features`` then."""
    _conversions: tuple[tuple[int, Convert], ...]
    _tails: tuple[tuple[int, Convert], ...]

    def decode(self, row: bytes) -> OnlineRow:
        """The values of one row: ``int``, ``float``, ``bool``, ``str``, ``Decimal`` with the column's scale, ``date``,
        ``datetime`` (UTC, no zone), ``list``, ``dict``, or None.

        Raises:
            CorruptRowError: the bytes are not a row of these columns.
        """
        try:
            return self._decode(row)
        except (struct.error, ValueError, OverflowError, IndexError) as error:
            raise CorruptRowError(f"{len(row)} bytes that are not a row of {len(self._features)} features") from error

    def _decode(self, row: bytes) -> OnlineRow:
        version, nulls, *values = self._slots.unpack_from(row)
        if version != FORMAT:
            raise ValueError("another row format")
        position = self._slots.size
        for index, convert in self._tails:
            end = position + values[index]
            values[index] = convert(row[position:end])
            position = end
        if position != len(row):
            raise ValueError("another length")
        for index, convert in self._conversions:
            values[index] = convert(values[index])
        missing = int.from_bytes(nulls, "little")
        while missing:
            lowest = missing & -missing
            values[lowest.bit_length() - 1] = None
            missing ^= lowest
        event_time = values.pop(self._event_time) if self._event_time is not None else None
        return OnlineRow(dict(zip(self._features, values, strict=True)), event_time)


def row_decoder(table: OnlineTable) -> RowDecoder:
    """The decoder of ``table``'s rows."""
    columns = value_columns(table)
    names = tuple(column.name for column in columns)
    slots = "".join(slot_format(column.type) for column in columns)
    return RowDecoder(
        _slots=struct.Struct(f"<B{-(-len(columns) // 8)}s{slots}"),
        _features=tuple(name for name in names if name != EVENT_TIME),
        _event_time=names.index(EVENT_TIME) if EVENT_TIME in names else None,
        _conversions=tuple(
            (index, convert)
            for index, column in enumerate(columns)
            if (convert := _conversion(column.type)) and not has_tail(column.type)
        ),
        _tails=tuple((index, _tail(column.type)) for index, column in enumerate(columns) if has_tail(column.type)),
    )


def unscaled_decimal(unscaled: int, scale: int) -> Decimal:
    """``unscaled / 10**scale`` with exactly ``scale`` decimals, whatever the thread's decimal context.

    >>> unscaled_decimal(-1500, 3)
    Decimal('-1.500')
    """
    return Decimal(unscaled).scaleb(-scale, _EXACT)


def _conversion(kind: DataType) -> Convert | None:
    """From the slot's number to the Python value; None where the number is the value."""
    if kind.kind == "timestamp":
        return lambda microseconds: _EPOCH + timedelta(microseconds=microseconds)
    if kind.kind == "date":
        return lambda days: date.fromordinal(days + _EPOCH_DAY)
    if kind.kind == "decimal":
        scale = kind.scale
        if slot_format(kind) == "q":
            return lambda unscaled: unscaled_decimal(unscaled, scale)
        return lambda raw: unscaled_decimal(int.from_bytes(raw, "little", signed=True), scale)
    return None


def _tail(kind: DataType) -> Convert:
    if kind.kind == "string":
        return lambda raw: raw.decode("utf-8")
    assert kind.element is not None
    return _array_tail(kind.element) if kind.key is None else _map_tail(kind.key, kind.element)


def _array_tail(element: DataType) -> Convert:
    """An array's tail: the number of elements, then per element one byte (0: NULL, 1: a value follows) and the
    value.
    """
    following = _following(element)

    def decode(raw: bytes) -> list[Any]:
        if not raw:  # the tail of a NULL; an empty array has its count
            return []
        (count,), position = LENGTH.unpack_from(raw), LENGTH.size
        values: list[Any] = []
        for _ in range(count):
            present, position = raw[position], position + 1
            value = None
            if present:
                value, position = following(raw, position)
            values.append(value)
        if position != len(raw):
            raise ValueError("another length")
        return values

    return decode


def _map_tail(key: DataType, element: DataType) -> Convert:
    """A map's tail: the number of entries, then per entry the key, one byte (0: NULL, 1: a value follows) and the
    value.
    """
    following_key, following = _following(key), _following(element)

    def decode(raw: bytes) -> dict[Any, Any]:
        if not raw:  # the tail of a NULL; an empty map has its count
            return {}
        (count,), position = LENGTH.unpack_from(raw), LENGTH.size
        found: dict[Any, Any] = {}
        for _ in range(count):
            name, position = following_key(raw, position)
            present, position = raw[position], position + 1
            value = None
            if present:
                value, position = following(raw, position)
            found[name] = value
        if position != len(raw):
            raise ValueError("another length")
        return found

    return decode


def _following(kind: DataType) -> Callable[[bytes, int], tuple[Any, int]]:
    """Reads a value at a position, and gives the position behind it. A value is its slot; a string's is its length and
    its bytes.
    """
    slot = struct.Struct("<" + slot_format(kind))
    unpack, size, convert = slot.unpack_from, slot.size, _conversion(kind)

    def text(raw: bytes, position: int) -> tuple[Any, int]:
        start = position + size
        end = start + unpack(raw, position)[0]
        return raw[start:end].decode("utf-8"), end

    def plain(raw: bytes, position: int) -> tuple[Any, int]:
        return unpack(raw, position)[0], position + size

    def converted(raw: bytes, position: int) -> tuple[Any, int]:
        return convert(unpack(raw, position)[0]) if convert else None, position + size

    if kind.kind == "string":
        return text
    return converted if convert else plain

"""Single values that a caller gives: keys and request values, in the types that definitions declare."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from feature_platform.types import DataType


def as_type(value: Any, to: DataType) -> Any:
    """``value`` as the platform holds a ``to``: int, float, Decimal, str, bool, date, naive UTC datetime, list,
    dict; None stays None.

    Converts between numbers and between dates and times where nothing is lost; never between numbers and text.

    Raises:
        ValueError: it is no value of that type. The message does not quote it: it may be personal.
    """
    if value is None:
        return None
    converted = _converted(value, to)
    if converted is None:
        raise ValueError(f"needed is a {to}, given was a {type(value).__name__}")
    return converted


def parse_text(text: str, to: DataType) -> Any:
    """The value that ``text`` names on a command line; an empty text is None unless a string is asked for.

    Raises:
        ValueError: it names no value of that type.
    """
    if to.kind == "string":
        return text
    if not text:
        return None
    try:
        if to.kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if to.kind == "timestamp":
            return as_type(datetime.fromisoformat(text), to)
        if to.kind == "date":
            return date.fromisoformat(text)
        if to.is_numeric:
            return as_type(Decimal(text), to)
    except (KeyError, ValueError, InvalidOperation):
        raise ValueError(f"this is no {to}") from None
    raise ValueError(f"a {to} can't be given on a command line")


def _converted(value: Any, to: DataType) -> Any:
    if hasattr(value, "as_py"):  # an Arrow scalar
        value = value.as_py()
    elif hasattr(value, "item") and not isinstance(value, str):  # a numpy scalar
        value = value.item()
    if to.kind == "boolean":
        return value if isinstance(value, bool) else None
    if to.is_numeric:
        return _number(value, to)
    if to.kind == "string":
        return str(value) if isinstance(value, str) else None
    if to.kind == "date":
        return _date(value)
    if to.kind == "timestamp":
        return _timestamp(value)
    assert to.element is not None
    if to.key is not None:
        return _map(value, to.key, to.element)
    return [as_type(item, to.element) for item in value] if isinstance(value, list | tuple) else None


def _map(value: Any, key: DataType, element: DataType) -> dict[Any, Any] | None:
    """Of a mapping or of pairs, in the order of keys; no key is missing or there twice."""
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        return None
    found = {as_type(name, key): as_type(each, element) for name, each in pairs}
    return dict(sorted(found.items())) if len(found) == len(pairs) and None not in found else None


def _number(value: Any, to: DataType) -> int | float | Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if to.kind == "double":
        return float(value)
    try:
        exact = Decimal(str(value))  # of a float: the digits that people see, 0.1 and not 0.1000000000000000055
        whole = exact.to_integral_value()
        if to.kind == "decimal":
            fits = exact == round(exact, to.scale) and abs(exact) < Decimal(10) ** (to.precision - to.scale)
            return round(exact, to.scale) if fits else None
    except InvalidOperation:  # NaN, infinities, beyond all digits
        return None
    bits = 31 if to.kind == "int" else 63
    return int(whole) if whole == exact and -(2**bits) <= whole < 2**bits else None


def _date(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date() if value.time() == time() else None
    return value if isinstance(value, date) else None


def _timestamp(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return datetime.combine(value, time()) if isinstance(value, date) else None

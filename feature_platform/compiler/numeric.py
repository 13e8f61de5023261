"""Types of literals, arithmetic and mixtures: the rules that engines keep because casts make them.

==============================  ==================================================================================
``int``/``bigint`` ``+ - *``    ``bigint``; beyond 64 bits the run stops, never wraps
``decimal(p,s) ± decimal``      scale ``max(s)``, one digit more than the longer integer part, at most 38 digits
``decimal(p,s) * decimal``      ``decimal(p1+p2, s1+s2)``, at most 38 digits; more than 38 decimals do not compile
integer with decimal            the integer counts as ``decimal(10,0)`` or ``decimal(19,0)``, a literal by its digits
anything with ``double``        ``double``
``/``                           ``double``; NULL where the divisor is zero
``//``                          ``bigint`` of integers, towards zero; NULL where the divisor is zero
``%``                           integers and decimals, sign of the dividend; NULL where the divisor is zero
==============================  ==================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feature_platform.types import BIGINT, DATE, DOUBLE, INT, TIMESTAMP, DataType, decimal

MOST_DIGITS: Final = 38


@dataclass(frozen=True, slots=True)
class Special:
    """Types that exist inside expressions only: NULL without a type, and intervals."""

    name: str

    def __str__(self) -> str:
        return self.name


NULL: Final = Special("NULL")
INTERVAL: Final = Special("interval")

Inferred = DataType | Special


class NoTypeError(Exception):
    """There is no type for this combination; the message says why."""


def number_literal(text: str) -> DataType:
    """The type of a number as written: ``7`` is an int, ``1.50`` a ``decimal(3,2)``, ``1e3`` a double.

    >>> str(number_literal("12.50"))
    'decimal(4,2)'
    """
    if "e" in text.lower():
        return DOUBLE
    whole, _, fraction = text.partition(".")
    if not fraction and "." not in text:
        value = int(whole)
        if value < 2**31:
            return INT
        return BIGINT if value < 2**63 else _decimal(len(str(value)), 0)
    whole = whole.lstrip("0")
    return _decimal(max(len(whole) + len(fraction), 1), len(fraction))


def literal_digits(text: str) -> DataType:
    """A whole-number literal as a decimal, by its digits: next to decimals it needs no more."""
    return _decimal(len(str(int(text))), 0)


def as_decimal(type_: DataType) -> DataType:
    """An exact type as a decimal that holds all of its values."""
    if type_.kind == "decimal":
        return type_
    return decimal(10, 0) if type_ == INT else decimal(19, 0)


def addition(left: DataType, right: DataType) -> DataType:
    """Of ``+`` and ``-`` between numbers."""
    return _common_number(left, right, carried=1)


def multiplication(left: DataType, right: DataType) -> DataType:
    """Of ``*`` between numbers."""
    if DOUBLE in (left, right):
        return DOUBLE
    if left.is_integer and right.is_integer:
        return BIGINT
    one, two = as_decimal(left), as_decimal(right)
    scale = one.scale + two.scale
    if scale > MOST_DIGITS:
        raise NoTypeError(
            f"{one} * {two} would have {scale} decimals; there are at most {MOST_DIGITS}. Round one of them first"
        )
    return decimal(min(one.precision + two.precision, MOST_DIGITS), scale)


def remainder(left: DataType, right: DataType) -> DataType:
    """Of ``%`` between exact numbers."""
    return _common_number(left, right)


def supertype(types: list[Inferred]) -> Inferred:
    """The one type that CASE, COALESCE, IN, UNION and the like bring several to.

    Numbers meet in the smallest that holds all, a date and a timestamp in ``timestamp``, everything else only itself.
    NULL fits all.

    Raises:
        NoTypeError: they don't meet.
    """
    common: Inferred = NULL
    for type_ in types:
        common = _meet(common, type_)
    return common


def comparable(left: Inferred, right: Inferred) -> bool:
    """Whether ``=`` and ``<`` are defined between the two."""
    try:
        supertype([left, right])
    except NoTypeError:
        return False
    return True


def _meet(left: Inferred, right: Inferred) -> Inferred:
    if right in (left, NULL):
        return left
    if left == NULL:
        return right
    if isinstance(left, DataType) and isinstance(right, DataType):
        if left.is_numeric and right.is_numeric:
            return _common_number(left, right)
        if left.is_temporal and right.is_temporal:
            return TIMESTAMP if TIMESTAMP in (left, right) else DATE
        if left.kind == right.kind and left.is_nested:
            return _meet_nested(left, right)
    raise NoTypeError(f"{left} and {right} have no common type")


def _meet_nested(left: DataType, right: DataType) -> DataType:
    """Lists and maps by what they hold, structs field by field, by name."""

    def met(one: DataType | None, two: DataType | None) -> DataType | None:
        if one is None or two is None:
            return None
        common = _meet(one, two)
        assert isinstance(common, DataType)
        return common

    if {name.lower() for name, _ in left.fields} != {name.lower() for name, _ in right.fields}:
        raise NoTypeError(f"{left} and {right} have other fields")
    fields = []
    for name, type_ in left.fields:
        other = right.field(name)
        common = met(type_, other[1] if other else None)
        assert common is not None
        fields.append((name, common))
    return DataType(
        left.kind, element=met(left.element, right.element), fields=tuple(fields), key=met(left.key, right.key)
    )


def _common_number(left: DataType, right: DataType, carried: int = 0) -> DataType:
    """A type for the values of both; with digits to carry over if they are decimals."""
    if DOUBLE in (left, right):
        return DOUBLE
    if left.is_integer and right.is_integer:
        return BIGINT
    one, two = as_decimal(left), as_decimal(right)
    scale = max(one.scale, two.scale)
    whole = max(one.precision - one.scale, two.precision - two.scale)
    return decimal(min(whole + scale + carried, MOST_DIGITS), scale)


def _decimal(precision: int, scale: int) -> DataType:
    if precision > MOST_DIGITS:
        raise NoTypeError(f"a number has at most {MOST_DIGITS} digits")
    return decimal(max(precision, 1), scale)

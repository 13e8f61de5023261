"""Payment cards, and the ends of numbers that people recognise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import Canonical, apply, apply_expression, canonical, canonical_expression
from feature_platform.types import Engine

_PAN: Final = "[0-9]{12,19}"
_NUMBER: Final = "[+]?[0-9A-Z]{8,34}"
_ANY_NUMBER: Final = Canonical(drop=" -./()", fold="upper")
_DOUBLED: Final = "0246813579"
"""The digit sum of twice a digit, by digit: how Luhn counts every second one."""


def last4(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The last four characters of a number of at least eight; the rest stays unknown."""
    value = apply_expression(_ANY_NUMBER, args[0], engine)
    return sql.extract(value, "^[+]?[0-9A-Z]{4,30}([0-9A-Z]{4})$", engine)


def last4_python(value: Any) -> str | None:
    text = None if value is None else apply(_ANY_NUMBER, value)
    return text[-4:] if text is not None and re.fullmatch(_NUMBER, text) else None


def bin6(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The issuer's part of a card number, in the six digits that PCI DSS 3.5.1 lets one keep beside the last four."""
    value = canonical_expression("payment_card", args[0], engine)
    return sql.extract(value, "^([0-9]{6})[0-9]{6,13}$", engine)


def bin6_python(value: Any) -> str | None:
    text = None if value is None else canonical("payment_card", value)
    return text[:6] if text is not None and re.fullmatch(_PAN, text) else None


def luhn_valid(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """Whether 12 to 19 digits have a right check digit (ISO/IEC 7812-1 annex B). Other text is false, NULL is NULL."""
    value = canonical_expression("payment_card", args[0], engine)
    padded = sql.call("lpad", value, sql.number(20), sql.text("0"))
    doubled = sql.translate(sql.replace_all(padded, "(.).", r"\1"), "0123456789", _DOUBLED)
    single = sql.replace_all(padded, ".(.)", r"\1")
    remainder = exp.Mod(this=_digit_sum(sql.concat(doubled, single)), expression=sql.number(10))
    verdict = sql.when(sql.matches(value, f"^{_PAN}$"), exp.EQ(this=remainder, expression=sql.number(0)), exp.false())
    return sql.when(value.copy().is_(exp.null()).not_(), verdict)


def _digit_sum(digits: exp.Expression) -> exp.Expression:
    """Every digit becomes as many strokes as it counts, and the strokes are counted: the text stands in the SQL
    once.
    """
    strokes = digits
    for digit in range(10):
        strokes = sql.call("replace", strokes, sql.text(str(digit)), sql.text("|" * digit))
    return sql.call("length", strokes)


def luhn_valid_python(value: Any) -> bool | None:
    if value is None:
        return None
    text = canonical("payment_card", value)
    return re.fullmatch(_PAN, text) is not None and luhn(text)


def luhn(digits: str) -> bool:
    """Whether the last of these ASCII digits is the check digit of the others.

    >>> luhn("4111111111111111")
    True
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0

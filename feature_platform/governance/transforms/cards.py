"""Payment cards, and the ends of numbers that people recognise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import Canonical, apply, apply_expression, canonical, canonical_expression
from feature_platform.types import BIGINT, Engine

_PAN: Final = "^[0-9]{12,19}$"
_NUMBER: Final = "^[+]?[0-9A-Z]{8,34}$"
_ANY_NUMBER: Final = Canonical(drop=" -./()", fold="upper")
_DOUBLED: Final = "0516273849"
"""Position of a digit here is the digit sum of its double: how Luhn counts every second digit."""


def last4(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The last four characters of a number of at least eight; the rest stays unknown."""
    value = apply_expression(_ANY_NUMBER, args[0], engine)
    return sql.when(sql.matches(value, _NUMBER), sql.call("right", value, sql.number(4)))


def last4_python(value: Any) -> str | None:
    text = None if value is None else apply(_ANY_NUMBER, value)
    return text[-4:] if text is not None and _full(_NUMBER, text) else None


def bin6(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The issuer's part of a card number, in the six digits that PCI DSS 3.5.1 lets one keep beside the last four."""
    value = canonical_expression("payment_card", args[0], engine)
    return sql.when(sql.matches(value, _PAN), sql.call("substr", value, sql.number(1), sql.number(6)))


def bin6_python(value: Any) -> str | None:
    text = None if value is None else canonical("payment_card", value)
    return text[:6] if text is not None and _full(_PAN, text) else None


def luhn_valid(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """Whether 12 to 19 digits have a right check digit (ISO/IEC 7812-1 annex B). Other text is false, NULL is NULL."""
    value = canonical_expression("payment_card", args[0], engine)
    padded = sql.call("lpad", value, sql.number(20), sql.text("0"))
    digits = [
        exp.Sub(
            this=sql.call(
                "strpos",
                sql.text("0123456789" if position % 2 == 0 else _DOUBLED),
                sql.call("substr", padded, sql.number(position), sql.number(1)),
            ),
            expression=sql.number(1),
        )
        for position in range(1, 21)
    ]
    total = sql.cast(sql.number(0), BIGINT, engine)
    for digit in digits:
        total = exp.Add(this=total, expression=exp.paren(digit, copy=False))
    checks = exp.EQ(
        this=exp.Mod(this=exp.paren(total, copy=False), expression=sql.number(10)), expression=sql.number(0)
    )
    return sql.when(value.copy().is_(exp.null()), exp.null(), sql.when(sql.matches(value, _PAN), checks, exp.false()))


def luhn_valid_python(value: Any) -> bool | None:
    if value is None:
        return None
    text = canonical("payment_card", value)
    return _full(_PAN, text) and luhn(text)


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


def _full(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None

"""Postal codes, bank account numbers and addresses of machines: where, roughly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import canonical, canonical_expression
from feature_platform.types import INT, Engine

_IBAN: Final = "[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}"
_POSTCODE: Final = "[A-Z0-9]{4,10}"
_OCTET: Final = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4: Final = f"{_OCTET}([.]{_OCTET}){{3}}"
_GROUP: Final = "[0-9a-f]{1,4}"
_V6: Final = "|".join(
    [f"({_GROUP}:){{7}}{_GROUP}", f"({_GROUP}:){{1,7}}:", f":(:{_GROUP}){{1,7}}", "::"]
    + [f"({_GROUP}:){{1,{left}}}(:{_GROUP}){{1,{7 - left}}}" for left in range(1, 7)]
)
_MAPPED: Final = "::ffff:"
"""An IPv4 address written as IPv6 (RFC 4291, 2.5.5.2)."""


def iban_country(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The country code at the start of a text that has the shape of an IBAN (ISO 13616)."""
    value = canonical_expression("iban", args[0], engine)
    country = sql.call("substr", value, sql.number(1), sql.number(2))
    return sql.when(sql.matches(value, f"^{_IBAN}$"), country)


def iban_country_python(value: Any) -> str | None:
    text = None if value is None else canonical("iban", value)
    return text[:2] if text is not None and re.fullmatch(_IBAN, text) else None


def postcode_prefix(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The first three characters, the first two of a four-digit code: always at least two are left out."""
    value = canonical_expression("postcode", args[0], engine)
    short = sql.call("substr", value, sql.number(1), sql.number(2))
    usual = sql.call("substr", value, sql.number(1), sql.number(3))
    return sql.when(sql.matches(value, f"^{_POSTCODE}$"), sql.when(sql.matches(value, "^.{4}$"), short, usual))


def postcode_prefix_python(value: Any) -> str | None:
    text = None if value is None else canonical("postcode", value)
    if text is None or not re.fullmatch(_POSTCODE, text):
        return None
    return text[: 2 if len(text) == 4 else 3]


def ip_prefix(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The /24 of an IPv4 address, the /48 of an IPv6 address: a site, not a line."""
    value = canonical_expression("ip_address", args[0], engine)
    inner = sql.call("substr", value, sql.number(len(_MAPPED) + 1))
    case = exp.case().when(sql.matches(value, f"^{_V4}$"), _slash_24(value))
    case = case.when(sql.matches(value, f"^{_MAPPED}{_V4}$"), _slash_24(inner))
    return case.when(sql.matches(value, f"^({_V6})$"), _slash_48(value, engine))


def ip_prefix_python(value: Any) -> str | None:
    text = None if value is None else canonical("ip_address", value)
    if text is None:
        return None
    inner = text.removeprefix(_MAPPED)
    if re.fullmatch(_V4, inner):
        return inner.rsplit(".", 1)[0] + ".0/24"
    if not re.fullmatch(_V6, text):
        return None
    first, second, third = IPv6Address(text).exploded.split(":")[:3]
    return f"{int(first, 16):x}:{int(second, 16):x}:{int(third, 16):x}::/48"


def _slash_24(value: exp.Expression) -> exp.Expression:
    first, second, third = (sql.call("split_part", value, sql.text("."), sql.number(part)) for part in (1, 2, 3))
    dot = sql.text(".")
    return sql.concat(first, dot, second, dot, third, sql.text(".0/24"))


def _slash_48(value: exp.Expression, engine: Engine) -> exp.Expression:
    parts = [_group(value, position, engine) for position in (1, 2, 3)]
    return sql.concat(parts[0], sql.text(":"), parts[1], sql.text(":"), parts[2], sql.text("::/48"))


def _group(value: exp.Expression, position: int, engine: Engine) -> exp.Expression:
    """The group at ``position`` (1 to 3) without leading zeros, with ``::`` written out.

    ``::`` stands for 8 - left - right groups of zeros, so a group is on its left, in it, or, when six or seven groups
    follow it, on its right.
    """
    gap = sql.text("::")
    left, right = (sql.call("split_part", value, gap, sql.number(part)) for part in (1, 2))
    from_left = sql.call("split_part", left, sql.text(":"), sql.number(position))
    colons = exp.Sub(
        this=sql.call("length", right),
        expression=sql.call("length", sql.call("replace", right, sql.text(":"), sql.text(""))),
    )
    index = sql.cast(
        exp.paren(exp.Add(this=exp.paren(colons, copy=False), expression=sql.number(position - 7)), copy=False),
        INT,
        engine,
    )
    following = exp.case()
    for place in range(1, position + 1):
        found = sql.call("split_part", right, sql.text(":"), sql.number(place))
        following = following.when(exp.EQ(this=index.copy(), expression=sql.number(place)), found)
    on_right = sql.both(
        exp.NEQ(this=right.copy(), expression=sql.text("")), exp.GTE(this=index.copy(), expression=sql.number(1))
    )
    group = (
        exp.case()
        .when(exp.NEQ(this=from_left.copy(), expression=sql.text("")), sql.call("ltrim", from_left, sql.text("0")))
        .when(on_right, sql.call("ltrim", following, sql.text("0")))
        .else_(sql.text(""))
    )
    return sql.when(exp.EQ(this=group.copy(), expression=sql.text("")), sql.text("0"), group)

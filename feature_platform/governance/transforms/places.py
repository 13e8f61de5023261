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

_IBAN: Final = "([A-Z]{2})[0-9]{2}[A-Z0-9]{11,30}"
_POSTCODE: Final = "([0-9A-Z]{2,3})[0-9A-Z]{2,7}"
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4: Final = f"((?:{_OCTET}[.]){{3}}){_OCTET}"
_GROUP: Final = "[0-9a-f]{1,4}"
_V6: Final = "|".join(
    [f"({_GROUP}:){{7}}{_GROUP}", f"({_GROUP}:){{1,7}}:", f":(:{_GROUP}){{1,7}}", "::"]
    + [f"({_GROUP}:){{1,{left}}}(:{_GROUP}){{1,{7 - left}}}" for left in range(1, 7)]
)
_MAPPED: Final = "::ffff:"
"""An IPv4 address written as IPv6 (RFC 4291, 2.5.5.2)."""


def iban_country(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The country code at the start of a text that has the shape of an IBAN (ISO 13616)."""
    return sql.extract(canonical_expression("iban", args[0], engine), f"^{_IBAN}$", engine)


def iban_country_python(value: Any) -> str | None:
    match = None if value is None else re.fullmatch(_IBAN, canonical("iban", value))
    return match[1] if match else None


def postcode_prefix(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The first three characters, the first two of a four-digit code: always at least two are left out."""
    return sql.extract(canonical_expression("postcode", args[0], engine), f"^{_POSTCODE}$", engine)


def postcode_prefix_python(value: Any) -> str | None:
    text = None if value is None else canonical("postcode", value)
    if text is None or not re.fullmatch("[0-9A-Z]{4,10}", text):
        return None
    return text[: 2 if len(text) == 4 else 3]


def ip_prefix(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The /24 of an IPv4 address, the /48 of an IPv6 address: a site, not a line."""
    value = canonical_expression("ip_address", args[0], engine)
    network = sql.extract(value, f"^(?:{_MAPPED})?{_V4}$", engine)
    return sql.when(
        sql.matches(value, f"^({_V6})$"),
        _slash_48(value, engine),
        sql.concat(network, sql.text("0/24")),
    )


def ip_prefix_python(value: Any) -> str | None:
    text = None if value is None else canonical("ip_address", value)
    if text is None:
        return None
    inner = text.removeprefix(_MAPPED)
    if match := re.fullmatch(_V4, inner):
        return f"{match[1]}0/24"
    if not re.fullmatch(_V6, text):
        return None
    first, second, third = IPv6Address(text).exploded.split(":")[:3]
    return f"{int(first, 16):x}:{int(second, 16):x}:{int(third, 16):x}::/48"


def _slash_48(value: exp.Expression, engine: Engine) -> exp.Expression:
    """``::`` is written out as ``:0:`` and so on, leading zeros go, the first three groups stay.

    With c colons there are 8 - c groups of zeros between those of ``::``; a group that is empty because ``::`` stands
    at the start gets the zero that is put before the whole text.
    """
    colon = sql.text(":")
    colons = exp.Sub(
        this=sql.call("length", value),
        expression=sql.call("length", sql.call("replace", value, colon, sql.text(""))),
    )
    missing = exp.Sub(this=sql.number(8), expression=exp.paren(colons, copy=False))
    zeros = sql.call("repeat", sql.text("0:"), sql.cast(exp.paren(missing, copy=False), INT, engine))
    written_out = sql.call("replace", value, sql.text("::"), sql.concat(colon, zeros))
    groups = sql.replace_all(sql.concat(sql.text("0"), written_out), "(^|:)0+([0-9a-f])", r"\1\2")
    return sql.concat(sql.extract(groups, "^((?:[0-9a-f]+:){3})", engine), sql.text(":/48"))

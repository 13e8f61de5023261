"""The canonical text of a personal value: what a token is made of, and what transforms look at.

Two spellings of one card number, one address of a mailbox in capitals and without: equal persons must get equal
tokens, in Python, DuckDB and PostgreSQL alike. So every classification has one small rule, applied in this order:

1. text of the value: a string as it is, an integer or decimal in digits, a date as ``YYYY-MM-DD``;
2. separators are dropped, ASCII letters folded; other letters stay, since engines disagree on them;
3. white space (space, tab, line ends, no-break space) is removed at both ends, also where a separator hid it;
4. for names and addresses, runs of white space become one space;
5. ``00`` at the start of a telephone number becomes ``+``; of a birth date the first ten characters stay.

A text that is no value of its class (``n/a`` as a card number) goes through the same steps; it keeps a token of its
own. The empty string is a value too. NULL stays NULL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.types import Engine, Kind

_ISO_DAY: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_RUNS: Final = f"[{sql.WHITESPACE_CLASS}]+"


@dataclass(frozen=True, slots=True)
class Canonical:
    """The rule of one classification."""

    drop: str = ""
    fold: Literal["", "lower", "upper"] = ""
    squeeze: bool = False
    finish: Literal["", "plus", "day"] = ""

    @property
    def translation(self) -> tuple[str, str]:
        """From and to of the one character-by-character replacement."""
        pairs = {
            "": ("", ""),
            "lower": (sql.ASCII_UPPER, sql.ASCII_LOWER),
            "upper": (sql.ASCII_LOWER, sql.ASCII_UPPER),
        }
        source, target = pairs[self.fold]
        return source + self.drop, target


_SEPARATORS: Final = " -./"

CANONICAL: Final[Mapping[str, Canonical]] = {
    "payment_card": Canonical(drop=" -."),
    "email": Canonical(fold="lower"),
    "person_name": Canonical(squeeze=True),
    "birth_date": Canonical(finish="day"),
    "phone": Canonical(drop=_SEPARATORS + "()", finish="plus"),
    "ip_address": Canonical(fold="lower"),
    "national_id": Canonical(drop=_SEPARATORS, fold="upper"),
    "birth_number": Canonical(drop=_SEPARATORS),
    "address": Canonical(squeeze=True),
    "postcode": Canonical(drop=" -", fold="upper"),
    "iban": Canonical(drop=" -", fold="upper"),
    "device_id": Canonical(fold="lower"),
    "free_text": Canonical(),
}
"""Every classification but ``none``."""

TOKENISABLE: Final[frozenset[Kind]] = frozenset({"string", "int", "bigint", "decimal", "date"})
"""Column types with a canonical text that is the same in every engine. ``timestamp`` is one for birth dates only."""


def column_kinds(classification: str) -> frozenset[Kind]:
    """The types that a column of this classification may have so that it can be tokenised."""
    return TOKENISABLE | {"timestamp"} if classification == "birth_date" else TOKENISABLE


def canonical(classification: str, value: Any) -> str:
    """The canonical text of a value that is not None.

    Raises:
        TypeError: a value that has no canonical text: a float, a bool, a list.
        KeyError: no such classification.

    >>> canonical("payment_card", "4111 1111-1111 1111")
    '4111111111111111'
    """
    return apply(CANONICAL[classification], value)


def canonical_expression(classification: str, value: exp.Expression, engine: Engine) -> exp.Expression:
    """The same as :func:`canonical` as an expression of ``engine``; NULL for NULL."""
    return apply_expression(CANONICAL[classification], value, engine)


def quick_canonical_expression(classification: str, value: exp.Expression, engine: Engine) -> exp.Expression:
    """The same as :func:`canonical_expression`, faster in DuckDB for texts that are canonical already, or are once
    their separators are gone.

    Translating and trimming cost as much there as the hash of a token; one pattern that looks whether they are needed
    costs a sixth.
    """
    slow = canonical_expression(classification, value, engine)
    if engine != "duckdb":
        return slow
    rule = CANONICAL[classification]
    text = sql.as_text(value, engine)
    pattern = sql.text(unchanged_pattern(rule))
    case = exp.case().when(sql.call("regexp_full_match", text, pattern), text)
    if rule.drop and not rule.fold:
        joined = text
        for separator in rule.drop:
            joined = sql.call("replace", joined, sql.text(separator), sql.text(""))
        case = case.when(sql.call("regexp_full_match", joined, pattern), joined)
    return case.else_(slow)


def unchanged_pattern(rule: Canonical) -> str:
    """Matches (whole) only texts that ``rule`` leaves as they are; not necessarily all of them."""
    source, _ = rule.translation
    folded = {sql.ASCII_UPPER: "A-Z", sql.ASCII_LOWER: "a-z"}.get(source[:26], "")
    dropped = re.sub(r"([-.\]\[^\\])", r"\\\1", rule.drop)
    kept = f"[^{folded}{dropped}{sql.WHITESPACE_CLASS}]"
    if rule.squeeze:
        return f"{kept}+(?: {kept}+)*"
    if rule.finish == "day":
        return f"{kept}{{0,10}}"
    if rule.finish == "plus":
        return f"(?:0?{kept.replace('[^', '[^0', 1)}{kept}*)?"
    return f"{kept}*"


def apply(rule: Canonical, value: Any) -> str:
    """The text of ``value`` by any rule."""
    source, target = rule.translation
    text = value_text(value).translate(str.maketrans(source[: len(target)], target, source[len(target) :]))
    text = text.strip(sql.WHITESPACE)
    if rule.squeeze:
        text = re.sub(_RUNS, " ", text)
    if rule.finish == "plus" and text.startswith("00"):
        return "+" + text[2:]
    if rule.finish == "day" and re.match(_ISO_DAY, text):
        return text[:10]
    return text


def apply_expression(rule: Canonical, value: exp.Expression, engine: Engine) -> exp.Expression:
    """The same as :func:`apply` as an expression of ``engine``."""
    result = sql.as_text(value, engine)
    source, target = rule.translation
    if source:
        result = sql.translate(result, source, target)
    result = sql.strip(result)
    if rule.squeeze:
        result = sql.replace_all(result, _RUNS, " ")
    if rule.finish == "plus":
        return sql.replace_all(result, "^00", "+")
    if rule.finish == "day":
        day = sql.call("substr", result, sql.number(1), sql.number(10))
        return sql.when(sql.matches(result, _ISO_DAY), day, result)
    return result


def value_text(value: Any) -> str:
    """Step 1: the text of a value, as DuckDB and PostgreSQL print it.

    Raises:
        TypeError: the value is of a type that has no such text.
    """
    match value:
        case str():
            return value
        case bool() | float():
            raise TypeError(f"a {type(value).__name__} has no canonical text")
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.date().isoformat()
        case date():
            return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no canonical text")

"""Calls whose text depends on their constants: patterns, sets of characters, formats, widths, shifts.

Each takes the arguments as nodes and as texts, and gives a template for the texts, or raises :class:`NoFormError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.doris.functions import template_of
from feature_platform.compiler.doris.text import (
    microseconds,
    number,
    remainder,
    text_literal,
    time_of,
)
from feature_platform.compiler.fragments import Sql, listed, sql
from feature_platform.compiler.functions.constants import interval_parts, whole_value
from feature_platform.compiler.inference import INPUT_KIND


class NoFormError(Exception):
    """There is no exact form in Doris; ``str()`` says of what, :attr:`mend` what to write instead."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend


Arguments = Sequence[exp.Expr]
Special = Callable[[exp.Expr, Arguments, Sequence[Sql]], Sql]
"""(call, arguments, their texts) → text."""


def _greatest(function: str) -> Special:
    """Doris gives NULL where one is NULL: each argument is itself or another that is not."""

    def said(_call: exp.Expr, _arguments: Arguments, texts: Sequence[Sql]) -> Sql:
        if len(texts) == 1:
            return texts[0]
        filled = [
            sql("COALESCE(:all)", all=listed(text, *texts[:place], *texts[place + 1 :]))
            for place, text in enumerate(texts)
        ]
        return Sql(f"{function}({listed(*filled)})")

    return said


def _array(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    if not arguments:
        raise NoFormError("an empty list", "leave it out")
    return Sql(f"ARRAY({listed(*texts)})")


def _round(call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    if call.meta_get(INPUT_KIND) in ("int", "bigint"):
        return texts[0]  # ROUND would go by way of a double
    digits = texts[1] if len(arguments) > 1 else number(0)
    return sql("ROUND(:x, :digits)", x=texts[0], digits=digits)


def _trimmed(start: bool, end: bool) -> Special:
    """TRIM takes a text to remove, not a set of characters: a pattern, which is RE2's."""

    def said(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
        among = "".join(f"\\{char}" if char in "\\]^-[" else char for char in arguments[1].name)
        patterns = [f"^[{among}]+"] * start + [f"[{among}]+$"] * end
        pattern = text_literal("|".join(patterns))
        return sql("REGEXP_REPLACE(:text, :pattern, '')", text=texts[0], pattern=pattern)

    return said


def _split_part(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    delimiter, index = arguments[1].name, whole_value(arguments[2])
    assert index is not None
    if len(delimiter) != 1:
        raise NoFormError("split_part with a delimiter of several characters", "replace it by one character first")
    # Without a delimiter in the text SPLIT_PART has no part at all, so one is added where counting ends.
    whole = "CONCAT(:text, :delimiter)" if index > 0 else "CONCAT(:delimiter, :text)"
    return sql(
        f"CASE WHEN :text IS NOT NULL THEN COALESCE(SPLIT_PART({whole}, :delimiter, :index), '') END",
        text=texts[0],
        delimiter=texts[1],
        index=texts[2],
    )


def _matches(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    """REGEXP may be matched by Hyperscan, whose ``$`` also stands before a last line end; REGEXP_EXTRACT is RE2's, and
    gives an empty text where nothing is found: exact for patterns that never match an empty text.
    """
    pattern = arguments[1].name
    if re.search(pattern, "") is not None:
        raise NoFormError("a pattern that an empty text matches", "compare with '' by =, and write + instead of *")
    return sql("REGEXP_EXTRACT(:text, :whole, 0) <> ''", text=texts[0], whole=text_literal(f"({pattern})"))


def _shifted_left(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    places = whole_value(arguments[1])
    assert places is not None
    most = number((2**63 - 1) >> places)
    return sql("CASE WHEN :a >= 0 AND :a <= :most THEN :a * :by END", a=texts[0], most=most, by=number(1 << places))


def _shifted_right(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    places = whole_value(arguments[1])  # BIT_SHIFT_RIGHT loses the sign
    assert places is not None
    size = 1 << places
    return sql("(:a - :rest) DIV :size", a=texts[0], rest=remainder(texts[0], size), size=number(size))


_DATE_FORMAT: Final = {
    "%Y": "%Y", "%m": "%m", "%d": "%d", "%H": "%H", "%M": "%i", "%S": "%s", "%f": "%f", "%j": "%j", "%y": "%y",
    "%G": "%x", "%V": "%v",
}  # fmt: skip
"""The dialect's format codes in those of DATE_FORMAT."""


def _formatted(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    parts = re.split("(%[A-Za-z])", arguments[1].name)
    for part in parts:
        if part.startswith("%") and part not in _DATE_FORMAT:
            raise NoFormError(f"the format code {part}", "put it together with concat and isodow(time)")
    pattern = text_literal("".join(_DATE_FORMAT.get(part, part) for part in parts))
    return sql("DATE_FORMAT(:time, :pattern)", time=texts[0], pattern=pattern)


_MONDAY: Final = 946_857_600_000_000
"""2000-01-03, where buckets are counted from, in microseconds since 1970."""


def _bucket(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    parts = interval_parts(arguments[0])
    assert parts is not None
    since = sql("(:now - :monday)", now=microseconds(texts[1]), monday=number(_MONDAY))
    start = sql("(:now - :rest)", now=microseconds(texts[1]), rest=remainder(since, parts[1]))
    return time_of(start)


def _mod(_call: exp.Expr, arguments: Arguments, texts: Sequence[Sql]) -> Sql:
    divisor = texts[1] if is_nonzero(arguments[1]) else sql("NULLIF(:y, 0)", y=texts[1])
    return sql(":x % :y", x=texts[0], y=divisor)


def is_nonzero(node: exp.Expr) -> bool:
    """Whether it is a number as written, other than zero."""
    return isinstance(node, exp.Literal) and not node.is_string and float(node.name) != 0


SPECIAL: Final[Mapping[tuple[str, str], Special]] = {
    ("greatest", ""): _greatest("GREATEST"),
    ("least", ""): _greatest("LEAST"),
    ("list_value", ""): _array,
    ("mod", ""): _mod,
    ("round", ""): _round,
    ("round", "digits"): _round,
    ("trim", "characters"): _trimmed(True, True),
    ("ltrim", "characters"): _trimmed(True, False),
    ("rtrim", "characters"): _trimmed(False, True),
    ("split_part", ""): _split_part,
    ("regexp_matches", ""): _matches,
    ("regexp_full_match", ""): _matches,
    ("<<", ""): _shifted_left,
    (">>", ""): _shifted_right,
    ("strftime", ""): _formatted,
    ("time_bucket", ""): _bucket,
}
"""(function, key of the signature) → how it is said."""


def has_form(function: str, key: str) -> bool:
    """Whether a signature has a form in Doris, for some constants at least."""
    return template_of(function, key) is not None or (function, key) in SPECIAL or function == "string_agg"

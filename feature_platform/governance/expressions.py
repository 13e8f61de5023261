"""Small sqlglot building blocks that mean the same in DuckDB and PostgreSQL.

Everything here is total: NULL in gives NULL out, and no value makes an engine raise. Patterns use ASCII character
classes written out (``[0-9]``, never ``\\d`` or ``\\s``), no back-references and no look-around, so RE2, PostgreSQL
and Python agree on them.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.types import DataType, Engine

WHITESPACE: Final = " \t\r\n\u00a0"
"""What counts as white space around a personal value: the same five characters in every engine."""

WHITESPACE_CLASS: Final = r" \t\r\n\xa0"
"""The same inside a bracket expression, in escapes that RE2, PostgreSQL and Python share: SQL text stays printable."""

ASCII_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ASCII_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"


def call(name: str, *arguments: exp.Expression) -> exp.Expression:
    """A function that DuckDB and PostgreSQL know by this name."""
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def text(value: str) -> exp.Expression:
    """A text literal."""
    return exp.Literal.string(value)


def number(value: int) -> exp.Expression:
    """An integer literal."""
    return exp.Literal.number(value)


def concat(*parts: exp.Expression) -> exp.Expression:
    """``a || b || …``; NULL when one of them is."""
    result = parts[0].copy()
    for part in parts[1:]:
        result = exp.DPipe(this=result, expression=part.copy())
    return exp.paren(result, copy=False)


def matches(value: exp.Expression, pattern: str) -> exp.Expression:
    """Whether ``pattern`` (anchor it yourself) is found in ``value``."""
    return exp.RegexpLike(this=value.copy(), expression=text(pattern))


def both(one: exp.Expression, other: exp.Expression) -> exp.Expression:
    """``(one AND other)``."""
    return exp.paren(exp.And(this=one, expression=other), copy=False)


def either(one: exp.Expression, other: exp.Expression) -> exp.Expression:
    """``(one OR other)``."""
    return exp.paren(exp.Or(this=one, expression=other), copy=False)


def extract(value: exp.Expression, pattern: str, engine: Engine) -> exp.Expression:
    """What the first group of ``pattern`` matched, NULL where the pattern is not found. Other groups have to be
    ``(?:…)``.

    Checks and cuts in one step, so ``value`` stands in the SQL once.
    """
    if engine == "duckdb":
        return call("nullif", call("regexp_extract", value, text(pattern), number(1)), text(""))
    return call("substring", value, text(pattern))


def replace_all(value: exp.Expression, pattern: str, replacement: str) -> exp.Expression:
    """Every match of ``pattern`` replaced; ``\\1`` to ``\\9`` in ``replacement`` are groups."""
    return call("regexp_replace", value, text(pattern), text(replacement), text("g"))


def when(condition: exp.Expression, result: exp.Expression, otherwise: exp.Expression | None = None) -> exp.Expression:
    """``CASE WHEN condition THEN result [ELSE otherwise] END``."""
    case = exp.case().when(condition, result)
    return case.else_(otherwise) if otherwise is not None else case


def cast(value: exp.Expression, to: DataType, engine: Engine) -> exp.Expression:
    """A plain CAST. Only for values that are known to fit, or NULL."""
    return exp.cast(value.copy(), to.sql(engine), dialect=engine)


def whole_quotient(value: exp.Expression, divisor: int, engine: Engine) -> exp.Expression:
    """Integer division of an integer that is not negative."""
    if engine == "duckdb":
        return exp.paren(exp.IntDiv(this=value.copy(), expression=number(divisor)), copy=False)
    return exp.paren(exp.Div(this=value.copy(), expression=number(divisor), typed=True, safe=False), copy=False)


def as_text(value: exp.Expression, engine: Engine) -> exp.Expression:
    """The text of a string, integer, decimal or date, whatever the column's type is.

    PostgreSQL's cast follows the session's DateStyle, its JSON form is ISO 8601 always; for strings and numbers both
    are the same.
    """
    if engine == "duckdb":
        return exp.cast(value.copy(), "VARCHAR", dialect="duckdb")
    return exp.paren(exp.JSONBExtractScalar(this=call("to_jsonb", value), expression=text("{}")), copy=False)


def translate(value: exp.Expression, source: str, target: str) -> exp.Expression:
    """Replaces characters one by one; those without a partner in ``target`` are removed."""
    return call("translate", value, text(source), text(target))


def strip(value: exp.Expression) -> exp.Expression:
    """Without white space at both ends."""
    return call("trim", value, concat(text(" "), *(call("chr", number(ord(other))) for other in WHITESPACE[1:])))


def upper(value: exp.Expression) -> exp.Expression:
    """Upper case, ASCII letters only: what the rest becomes depends on the engine's locale."""
    return translate(value, ASCII_LOWER, ASCII_UPPER)


def lower(value: exp.Expression) -> exp.Expression:
    """Lower case, ASCII letters only."""
    return translate(value, ASCII_UPPER, ASCII_LOWER)


def one_of(value: exp.Expression, choices: tuple[str, ...]) -> exp.Expression:
    """``value IN ('…', …)``."""
    return exp.In(this=value.copy(), expressions=[text(choice) for choice in choices])

"""Forms of arguments that have to be constants: checked while compiling, so that no engine meets a value it would take
differently."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions.model import Constant, NotFittingError

UNITS: Final = ("microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
_MICROSECONDS: Final = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}

STRFTIME: Final = {
    "%Y": "YYYY",
    "%m": "MM",
    "%d": "DD",
    "%H": "HH24",
    "%M": "MI",
    "%S": "SS",
    "%f": "US",
    "%j": "DDD",
    "%G": "IYYY",
    "%V": "IW",
    "%u": "ID",
    "%y": "YY",
}
"""Format codes that mean the same in DuckDB and, in its own letters, in PostgreSQL."""


def whole(least: int = -(2**31), most: int = 2**31 - 1, *, but: int | None = None) -> Constant:
    """A whole number between bounds."""

    def check(argument: exp.Expr) -> exp.Expr:
        value = whole_value(argument)
        if value is None or not least <= value <= most or value == but:
            bounds = f"from {least}" if most == 2**31 - 1 else f"from {least} to {most}"
            if least == -(2**31):
                bounds = f"other than {but}" if but is not None else ""
            raise NotFittingError(f"a whole number {bounds} written as a constant".replace("  ", " "))
        return argument

    return check


def fraction(argument: exp.Expr) -> exp.Expr:
    """A number from 0 to 1."""
    if isinstance(argument, exp.Literal) and not argument.is_string and 0 <= float(argument.name) <= 1:
        return argument
    raise NotFittingError("a number from 0 to 1 written as a constant")


def power_of_ten(argument: exp.Expr) -> exp.Expr:
    """A number of digits; gives the power of ten as a double."""
    return exp.Literal.number(f"1e{whole(0, 15)(argument).name}")


def text(argument: exp.Expr) -> exp.Expr:
    """A text that is not empty."""
    if isinstance(argument, exp.Literal) and argument.is_string and argument.name:
        return argument
    raise NotFittingError("a text that is not empty, written as a constant")


def one_unit(*units: str) -> Constant:
    """A unit of time, as text or bare word; gives it as lower-case text."""

    def check(argument: exp.Expr) -> exp.Expr:
        name = argument.name.lower().removesuffix("s") if argument.name.lower() != "dow" else "dow"
        if isinstance(argument, exp.Literal | exp.Var | exp.Column) and name in units:
            return exp.Literal.string(name)
        raise NotFittingError(f"one of {', '.join(units)}")

    return check


def strftime(argument: exp.Expr) -> exp.Expr:
    """A format of known codes and plain punctuation."""
    if isinstance(argument, exp.Literal) and argument.is_string:
        rest = re.sub("%[A-Za-z]", lambda found: "" if found[0] in STRFTIME else "%", argument.name)
        if not re.search('[%"\\\\A-Za-z]', rest):
            return argument
    raise NotFittingError(f"a constant format of {' '.join(STRFTIME)} and punctuation")


def to_char_format(strftime_format: str) -> str:
    """PostgreSQL's ``to_char`` format for a checked strftime format."""
    parts = re.split("(%[A-Za-z])", strftime_format)
    return "".join(STRFTIME.get(part, f'"{part}"' if part else "") for part in parts)


_CLASS: Final = r"\[\^?(?:[A-Za-z0-9 _@.,:;/#&=+!?'\"<>~%$*(){}|-]|\\[\\\]\[^.-])+\]"
_ATOM: Final = rf"(?:{_CLASS}|\\[dws.\\+*?()\[\]{{}}|^$/-]|[^\\\[\]{{}}()*+?|^$.\x00-\x1f]|\.|\^|\$)"
_TOKEN: Final = re.compile(rf"{_ATOM}|\(\?:|\(|\)|\||[*+?]|\{{\d{{1,3}}(?:,\d{{0,3}})?\}}")
_SPELLED: Final = {".": "[^\n]", r"\d": "[0-9]", r"\w": "[A-Za-z0-9_]", r"\s": "[ \t\n\r\f\v]"}


def regex(argument: exp.Expr) -> exp.Expr:
    """A regular expression of the part that RE2 and PostgreSQL read alike; gives it with ASCII classes and ``.``
    spelled out.

    Literals, ``.``, ``[...]`` of ASCII characters, ``^ $ | ( ) (?: )``, ``* + ? {m,n}``, ``\\d \\w \\s`` and escaped
    punctuation.
    """
    form = (
        "a constant regular expression of literals, [...], . ^ $ | ( ) * + ? {m,n} \\d \\w \\s and escaped punctuation"
    )
    if not (isinstance(argument, exp.Literal) and argument.is_string and argument.name):
        raise NotFittingError(form)
    pattern, spelled, position, after_repeat = argument.name, [], 0, True
    while position < len(pattern):
        found = _TOKEN.match(pattern, position)
        if found is None:
            raise NotFittingError(form)
        part = found[0]
        repeats = part in ("*", "+", "?") or (part[0] == "{" and len(part) > 1)
        if repeats and after_repeat:  # lazy and possessive forms, or nothing to repeat
            raise NotFittingError(form)
        after_repeat = repeats or part in ("(", "(?:", "|", "^")
        spelled.append(_SPELLED.get(part, part))
        position = found.end()
    result = "".join(spelled)
    try:
        re.compile(result)
    except re.error:
        raise NotFittingError(form) from None
    return exp.Literal.string(result)


def whole_regex(argument: exp.Expr) -> exp.Expr:
    """The same, anchored at both ends."""
    return exp.Literal.string(f"^(?:{regex(argument).name})$")


def short_interval(argument: exp.Expr) -> exp.Expr:
    """A positive interval without months."""
    parts = interval_parts(argument)
    if parts is None or parts[0] or parts[1] <= 0:
        raise NotFittingError(
            "a positive interval of seconds, minutes, hours, days or weeks, such as INTERVAL 15 MINUTES"
        )
    return interval(argument)


def interval(argument: exp.Expr) -> exp.Expr:
    """A constant interval of months or of smaller units, not of both; gives it as a number of months or of one smaller
    unit."""
    parts = interval_parts(argument)
    if parts is None or (parts[0] and parts[1]):
        raise NotFittingError("a constant interval in one unit, such as INTERVAL 7 DAYS or INTERVAL '3' MONTH")
    months, microseconds = parts
    if months:
        amount, unit = months, "MONTH"
    else:
        unit, size = next(
            (name, size)
            for name, size in sorted(_MICROSECONDS.items(), key=lambda item: -item[1])
            if name != "week" and microseconds % size == 0
        )
        amount = microseconds // size
    return exp.Interval(this=exp.Literal.string(str(amount)), unit=exp.var(unit.upper()))


def interval_parts(argument: exp.Expr) -> tuple[int, int] | None:
    """(months, microseconds) of ``INTERVAL 3 DAYS``, ``INTERVAL '3' DAY`` or ``INTERVAL '3 days'``; None if it is
    another form."""
    if not isinstance(argument, exp.Interval) or not isinstance(argument.this, exp.Literal):
        return None
    unit = argument.args.get("unit")
    words = argument.this.name.split() + ([unit.name] if isinstance(unit, exp.Var) else [])
    if len(words) % 2 or not words:
        return None
    months = microseconds = 0
    for amount, name in zip(words[::2], words[1::2], strict=True):
        singular = name.lower().removesuffix("s")
        if not re.fullmatch(r"-?\d{1,9}", amount):
            return None
        if singular in _MICROSECONDS:
            microseconds += int(amount) * _MICROSECONDS[singular]
        elif singular in _MONTHS:
            months += int(amount) * _MONTHS[singular]
        else:
            return None
    return months, microseconds


def whole_value(argument: exp.Expr) -> int | None:
    """The value of a whole-number constant, or None."""
    sign = 1
    while isinstance(argument, exp.Neg | exp.Paren):
        sign *= -1 if isinstance(argument, exp.Neg) else 1
        argument = argument.this
    if isinstance(argument, exp.Literal) and not argument.is_string and argument.name.isdigit():
        return sign * int(argument.name)
    return None


_JSON_STEP: Final = re.compile(r'\.(?:([A-Za-z_][A-Za-z0-9_]*)|"([^"\\]*)")|\[(#-)?(\d{1,9})\]')


def json_path(argument: exp.Expr) -> exp.Expr:
    """A path into JSON without wildcards: a key, ``$.key[0]."other key"``, ``/key/0`` or a position."""
    if whole_value(argument) is not None:
        return argument
    if isinstance(argument, exp.Literal) and argument.is_string and argument.name:
        written = argument.name
        if not written.startswith("$") or not _JSON_STEP.sub("", written.removeprefix("$")):
            return argument
    raise NotFittingError("a constant path such as 'key', '$.key[0].other' or a position")


def json_steps(path: exp.Expr) -> list[str | int]:
    """The keys and positions of a path that :func:`json_path` takes; nothing of another one."""
    position = whole_value(path)
    if position is not None:
        return [position]
    written = path.name
    if written.startswith("/"):
        steps = (step.replace("~1", "/").replace("~0", "~") for step in written[1:].split("/"))
        return [int(step) if step.isdigit() else step for step in steps]
    if not written.startswith("$"):
        return [written]
    found = _JSON_STEP.finditer(written)
    return [int(step[4]) if step[4] is not None else step[1] or step[2] or "" for step in found]

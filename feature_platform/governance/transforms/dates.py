"""Birth dates: years and bands, never the day.

Days are integers ``yyyymmdd`` here: subtracting two of them and dividing by 10,000 gives whole years of age in every
engine, leap days included. Who was born on 29 February turns a year older on 1 March of other years.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import canonical
from feature_platform.types import INT, Engine

OLDEST: Final = 130
"""Whoever would be older has a wrong birth date."""

_STARTS: Final = (0, 18, 25, 35, 45, 55, 65, 75)
BANDS: Final = (*(f"{start}-{after - 1}" for start, after in pairwise(_STARTS)), "75+")

_LEAP_YEAR: Final = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"


def _day_pattern(hyphen: str) -> str:
    """Days that exist in the Gregorian calendar. One pattern, since make_date raises for the others."""
    return (
        f"(?:[0-9]{{4}}{hyphen}(?:0[13578]|1[02]){hyphen}(?:0[1-9]|[12][0-9]|3[01])"
        f"|[0-9]{{4}}{hyphen}(?:0[469]|11){hyphen}(?:0[1-9]|[12][0-9]|30)"
        f"|[0-9]{{4}}{hyphen}02{hyphen}(?:0[1-9]|1[0-9]|2[0-8])"
        f"|{_LEAP_YEAR}{hyphen}02{hyphen}29)"
    )


_ISO_DAY: Final = _day_pattern("-")
COMPACT_DAY: Final = _day_pattern("")
"""``yyyymmdd``, neither anchored nor a group."""


def birth_year(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The year of birth."""
    return year_of(day_number(args[0], engine), engine)


def birth_year_python(value: Any) -> int | None:
    day = day_number_python(value)
    return None if day is None else day // 10_000


def age_years(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """Whole years of age at a moment; NULL before birth and beyond 130."""
    return age_between(day_number(args[0], engine), day_number(args[1], engine), engine)


def age_years_python(value: Any, at: Any) -> int | None:
    return age_between_python(day_number_python(value), day_number_python(at))


def age_band(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The age at a moment as one of eight bands."""
    band_of_age = "".join(str(_band_index(age)) for age in range(OLDEST + 1))
    position = exp.Add(this=age_years(engine, args), expression=sql.number(1))
    case = exp.Case(this=sql.call("substr", sql.text(band_of_age), position, sql.number(1)))
    for index, name in enumerate(BANDS):
        case = case.when(sql.text(str(index)), sql.text(name))
    return case


def age_band_python(value: Any, at: Any) -> str | None:
    age = age_years_python(value, at)
    return None if age is None else BANDS[_band_index(age)]


def _band_index(age: int) -> int:
    return sum(age >= start for start in _STARTS[1:])


def day_number(value: exp.Expression, engine: Engine) -> exp.Expression:
    """``yyyymmdd`` of a date, timestamp or ISO text as an integer; NULL if that is no day of the calendar."""
    day = sql.extract(sql.as_text(value, engine), f"^[{sql.WHITESPACE_CLASS}]*({_ISO_DAY})", engine)
    return sql.cast(sql.call("replace", day, sql.text("-"), sql.text("")), INT, engine)


def day_number_python(value: Any) -> int | None:
    match = None if value is None else re.match(_ISO_DAY, canonical("birth_date", value))
    return int(match[0].replace("-", "")) if match else None


def year_of(day: exp.Expression, engine: Engine) -> exp.Expression:
    """The year of a ``yyyymmdd``."""
    return sql.whole_quotient(day, 10_000, engine)


def age_between(birth: exp.Expression, at: exp.Expression, engine: Engine) -> exp.Expression:
    """Whole years between two ``yyyymmdd``; NULL unless 0 to 130."""
    difference = exp.paren(exp.Sub(this=at.copy(), expression=birth.copy()), copy=False)
    in_range = exp.Between(this=difference.copy(), low=sql.number(0), high=sql.number(OLDEST * 10_000 + 9_999))
    return sql.when(in_range, sql.whole_quotient(difference, 10_000, engine))


def age_between_python(birth: int | None, at: int | None) -> int | None:
    if birth is None or at is None or at < birth:
        return None
    years = (at - birth) // 10_000
    return years if years <= OLDEST else None

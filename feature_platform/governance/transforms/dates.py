"""Birth dates: years and bands, never the day.

Days are integers ``yyyymmdd`` here: subtracting two of them and dividing by 10,000 gives whole years of age in every
engine, leap days included. Who was born on 29 February turns a year older on 1 March of other years.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import canonical, canonical_expression
from feature_platform.types import INT, Engine

OLDEST: Final = 130
"""Whoever would be older has a wrong birth date."""

AGE_BANDS: Final[tuple[tuple[int, str], ...]] = (
    (18, "0-17"),
    (25, "18-24"),
    (35, "25-34"),
    (45, "35-44"),
    (55, "45-54"),
    (65, "55-64"),
    (75, "65-74"),
)
_LAST_BAND: Final = "75+"

_ISO: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_LEAP_YEAR: Final = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DAY: Final = (
    "([0-9]{4}(0[13578]|1[02])(0[1-9]|[12][0-9]|3[01])"
    "|[0-9]{4}(0[469]|11)(0[1-9]|[12][0-9]|30)"
    "|[0-9]{4}02(0[1-9]|1[0-9]|2[0-8])"
    f"|{_LEAP_YEAR}0229)"
)
"""``yyyymmdd`` of days that exist in the Gregorian calendar. One pattern, since make_date raises for the others."""


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
    age = age_years(engine, args)
    case = exp.case().when(age.copy().is_(exp.null()), exp.null())
    for below, band in AGE_BANDS:
        case = case.when(exp.LT(this=age.copy(), expression=sql.number(below)), sql.text(band))
    return case.else_(sql.text(_LAST_BAND))


def age_band_python(value: Any, at: Any) -> str | None:
    age = age_years_python(value, at)
    if age is None:
        return None
    return next((band for below, band in AGE_BANDS if age < below), _LAST_BAND)


def day_number(value: exp.Expression, engine: Engine) -> exp.Expression:
    """``yyyymmdd`` of a date, timestamp or ISO text as an integer; NULL if that is no day of the calendar."""
    day = canonical_expression("birth_date", value, engine)
    compact = sql.call("replace", day, sql.text("-"), sql.text(""))
    return existing_day(sql.when(sql.matches(day, f"^{_ISO}$"), compact), engine)


def day_number_python(value: Any) -> int | None:
    day = None if value is None else canonical("birth_date", value)
    if day is None or not re.fullmatch(_ISO, day):
        return None
    return existing_day_python(day.replace("-", ""))


def existing_day(compact: exp.Expression, engine: Engine) -> exp.Expression:
    """The text ``yyyymmdd`` as an integer; NULL if there is no such day."""
    return sql.cast(sql.when(sql.matches(compact, f"^{_DAY}$"), compact.copy()), INT, engine)


def existing_day_python(compact: str) -> int | None:
    return int(compact) if re.fullmatch(_DAY, compact) else None


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

"""Dates of birth. A column of dates is no birth date by its values alone: they need the name of the column, or look
like the ages of a population, which is a hint and never sure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from feature_platform.governance.detection.finding import CERTAIN, Finding, shape

_FORMS: Final = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        (
            r"(?P<y>[0-9]{4})[-/.](?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})"
            r"(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-][0-9:]{4,6})?)?"
        ),
        r"(?P<y>[12][09][0-9]{2})(?P<m>[01][0-9])(?P<d>[0-3][0-9])",
        r"(?P<d>[0-9]{1,2})(?:\. ?|[-/ ])(?P<m>[0-9]{1,2})(?:\. ?|[-/ ])(?P<y>[0-9]{4})",
        r"(?P<m>[0-9]{1,2})/(?P<d>[0-9]{1,2})/(?P<y>[0-9]{4})",
    )
)
_OLDEST_YEARS: Final = 115
_NAMED: Final = 0.3
_ALONE: Final = 0.98
_FEW: Final = 30


def judge_births(texts: Sequence[str], named: str | None) -> Finding | None:
    """The finding ``birth_date`` in the distinct texts of a column."""
    if not texts:
        return None
    today = date.today()  # noqa: DTZ011 - a year's precision
    born = [
        (text, year) for text in texts if (year := _year(text)) and today.year - _OLDEST_YEARS <= year <= today.year
    ]
    share = len(born) / len(texts)
    if named == "birth_date" and share >= _NAMED:
        return Finding("birth_date", 0.97, "shape", len(born), share, shape(born[0][0]))
    years = sorted(year for _, year in born)
    if share < _ALONE or len(years) < _FEW:
        return None
    # Grown-ups of every age, and nobody from the last years: no log of events looks so, a few registers do.
    tenth, middle, last = years[len(years) // 10], years[len(years) // 2], years[-1]
    population = today.year - 100 <= tenth <= today.year - 50 and today.year - 65 <= middle <= today.year - 25
    if not population or last > today.year - 15:
        return None
    return Finding("birth_date", CERTAIN - 0.1, "shape", len(born), share, shape(born[0][0]))


def _year(text: str) -> int | None:
    for form in _FORMS:
        if match := form.fullmatch(text.strip()):
            try:
                return date(int(match["y"]), int(match["m"]), int(match["d"])).year
            except ValueError:
                continue
    return None

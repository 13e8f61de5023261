"""National identifiers that carry facts about their bearer, one scheme per country.

A scheme says how to read the day of birth and the sex from the identifier, for SQL and for Python; the transforms
over schemes are the same for all. To add a country, write a :class:`Scheme`, list it in :data:`SCHEMES`, and give it
a classification in ``specs.models.Classification``.

The Czech and Slovak birth number is ``YYMMDD`` and a suffix: months of women have 50 added; since 2004 both sexes may
have 20 more when a day's numbers run out. Six digits (no suffix, as in the PKDD'99 bank data) are births of 19xx.
Nine digits were given until 1953, so years above 53 are 18xx. Ten digits are given since 1954 (years from 54 on are
19xx, the others 20xx) and divide by 11; until 1985 some have the check digit 0 where the rule would ask for 10.
(Czech Act 133/2000 Coll., § 13.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import canonical, canonical_expression
from feature_platform.governance.transforms import dates
from feature_platform.types import BIGINT, INT, Engine


@dataclass(frozen=True, slots=True)
class Scheme:
    """How to read one country's identifier. ``name`` starts the names of its transforms and is its classification."""

    name: str
    day: Callable[[exp.Expression, Engine], exp.Expression]
    """Day of birth as an integer ``yyyymmdd``, NULL for malformed identifiers."""
    day_python: Callable[[Any], int | None]
    sex: Callable[[exp.Expression, Engine], exp.Expression]
    """``F`` or ``M``; may be anything where ``day`` is NULL."""
    sex_python: Callable[[Any], str | None]
    example: str
    """A made-up identifier, for the docs."""

    def birth_year(self, engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
        return dates.year_of(self.day(args[0], engine), engine)

    def birth_year_python(self, value: Any) -> int | None:
        day = self.day_python(value)
        return None if day is None else day // 10_000

    def age_years(self, engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
        return dates.age_between(self.day(args[0], engine), dates.day_number(args[1], engine), engine)

    def age_years_python(self, value: Any, at: Any) -> int | None:
        return dates.age_between_python(self.day_python(value), dates.day_number_python(at))

    def sex_of(self, engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
        exists = self.day(args[0], engine).is_(exp.null()).not_()
        return sql.when(exists, self.sex(args[0], engine))

    def sex_of_python(self, value: Any) -> str | None:
        return None if self.day_python(value) is None else self.sex_python(value)


_CENTURIES: Final = (
    ("[0-9]{2}[0156][0-9]{3}", "19"),
    ("(?:[0-4][0-9]|5[0-3])[0156][0-9]{6}", "19"),
    ("(?:5[4-9]|[6-9][0-9])[0156][0-9]{6}", "18"),
    ("(?:[0-4][0-9]|5[0-3])[0-35-8][0-9]{7}", "20"),
    ("(?:5[4-9]|[6-9][0-9])[0156][0-9]{7}", "19"),
)
"""Shapes of six, nine and ten digits with the century that their year is in. 20 and 70 are added to months from 2004
on.
"""

_REMAINDERS: Final = (*range(0, 100, 11), 100)
"""Of a ten-digit number divided by 110: it divides by 11, or the check digit is 0 in place of 10."""


def _czech_day(value: exp.Expression, engine: Engine) -> exp.Expression:
    text = canonical_expression("birth_number", value, engine)
    dated = text
    for shape, century in _CENTURIES:
        dated = sql.replace_all(dated, f"^({shape})$", rf"d{century}\1")
    for tens, plain in (("[257]", "0"), ("[368]", "1")):
        dated = sql.replace_all(dated, f"^(d.{{4}}){tens}", rf"\1{plain}")
    day = sql.cast(sql.extract(dated, f"^d({dates.COMPACT_DAY})", engine), INT, engine)
    ten_digits = sql.cast(sql.extract(text, "^([0-9]{10})$", engine), BIGINT, engine)
    remainder = sql.call("coalesce", exp.Mod(this=ten_digits, expression=sql.number(110)), sql.number(0))
    is_right = exp.In(this=remainder, expressions=[sql.number(allowed) for allowed in _REMAINDERS])
    return sql.when(is_right, day)


def _czech_day_python(value: Any) -> int | None:
    digits = None if value is None else canonical("birth_number", value)
    century = next((century for shape, century in _CENTURIES if digits and re.fullmatch(shape, digits)), None)
    if digits is None or century is None:
        return None
    if len(digits) == 10 and int(digits) % 11 and not (int(digits[:9]) % 11 == 10 and digits.endswith("0")):
        return None
    month = int(digits[2:4]) % 50
    day = f"{century}{digits[:2]}{month - 20 if month > 20 else month:02}{digits[4:6]}"
    return int(day) if re.fullmatch(dates.COMPACT_DAY, day) else None


def _czech_sex(value: exp.Expression, engine: Engine) -> exp.Expression:
    text = canonical_expression("birth_number", value, engine)
    return sql.when(sql.matches(text, "^..[5-8]"), sql.text("F"), sql.text("M"))


def _czech_sex_python(value: Any) -> str | None:
    return "F" if canonical("birth_number", value)[2] in "5678" else "M"


CZECH: Final = Scheme("birth_number", _czech_day, _czech_day_python, _czech_sex, _czech_sex_python, "706213")

SCHEMES: Final[tuple[Scheme, ...]] = (CZECH,)

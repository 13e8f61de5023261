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
from feature_platform.types import BIGINT, Engine


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


_MONTH_TENS: Final = ("235678", "010101")
"""The tens of a month without what was added: 20, 50 or 70."""
_SHAPE: Final = "[0-9]{2}[0156][0-9]{3}([0-9]{3})?|[0-9]{2}[0-35-8][0-9]{7}"


def _czech_day(value: exp.Expression, engine: Engine) -> exp.Expression:
    text = canonical_expression("birth_number", value, engine)
    digits = sql.when(sql.matches(text, f"^({_SHAPE})$"), text)
    year, tens, rest = (
        sql.call("substr", digits, sql.number(start), sql.number(length)) for start, length in ((1, 2), (3, 1), (4, 3))
    )
    month = sql.translate(tens, *_MONTH_TENS)
    early = exp.LT(this=year.copy(), expression=sql.text("54"))
    century = (
        exp.case()
        .when(sql.matches(digits, "^.{6}$"), sql.text("19"))
        .when(sql.matches(digits, "^.{9}$"), sql.when(early.copy(), sql.text("19"), sql.text("18")))
        .else_(sql.when(early.copy(), sql.text("20"), sql.text("19")))
    )
    day = dates.existing_day(sql.concat(century, year, month, rest), engine)
    return sql.when(sql.either(sql.matches(digits, "^(.{6}|.{9})$"), _divides_by_11(digits, engine)), day)


def _divides_by_11(digits: exp.Expression, engine: Engine) -> exp.Expression:
    whole = sql.cast(digits, BIGINT, engine)
    first_nine = sql.cast(sql.call("substr", digits, sql.number(1), sql.number(9)), BIGINT, engine)
    remainder, exceptional = (exp.Mod(this=operand, expression=sql.number(11)) for operand in (whole, first_nine))
    return sql.either(
        exp.EQ(this=remainder, expression=sql.number(0)),
        sql.both(exp.EQ(this=exceptional, expression=sql.number(10)), sql.matches(digits, "0$")),
    )


def _czech_day_python(value: Any) -> int | None:
    digits = None if value is None else canonical("birth_number", value)
    if digits is None or not re.fullmatch(_SHAPE, digits):
        return None
    year, early = digits[:2], int(digits[:2]) < 54
    if len(digits) == 10:
        if int(digits) % 11 and not (int(digits[:9]) % 11 == 10 and digits.endswith("0")):
            return None
        century = "20" if early else "19"
    else:
        century = "18" if len(digits) == 9 and not early else "19"
    month = digits[2].translate(str.maketrans(*_MONTH_TENS))
    return dates.existing_day_python(century + year + month + digits[3:6])


def _czech_sex(value: exp.Expression, engine: Engine) -> exp.Expression:
    text = canonical_expression("birth_number", value, engine)
    return sql.when(sql.matches(text, "^..[5-8]"), sql.text("F"), sql.text("M"))


def _czech_sex_python(value: Any) -> str | None:
    return "F" if canonical("birth_number", value)[2] in "5678" else "M"


CZECH: Final = Scheme("birth_number", _czech_day, _czech_day_python, _czech_sex, _czech_sex_python)

SCHEMES: Final[tuple[Scheme, ...]] = (CZECH,)

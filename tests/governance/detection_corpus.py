"""Labelled columns for measuring detection: two sets, with their own formats, countries, encodings, pools and seeds.

``seen`` is what the detectors were adjusted with. ``held_out`` was written at the same time and only measured. A label
is the class that a column holds, or None for what must not stop anybody.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from feature_platform.governance.detection.national_ids import SCHEMES, compact
from feature_platform.governance.detection.validators import IBAN_LENGTHS
from feature_platform.governance.transforms.cards import luhn
from tests.governance import detection_pools as pools

ROWS = 150
Set = Literal["seen", "held_out"]


@dataclass(frozen=True)
class Labelled:
    """A column with its label. ``what`` tells columns of one label apart."""

    what: str
    name: str
    values: Sequence[Any]
    label: str | None


def corpus(which: Set) -> Iterator[Labelled]:
    """Every column of a set, the same in every run."""
    from tests.governance import detection_columns_held_out, detection_columns_seen

    module = detection_columns_seen if which == "seen" else detection_columns_held_out
    yield from module.columns(Maker(random.Random(module.SEED)))


class Maker:
    """Makes values. Every method gives one value, or with a count a list."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.pick = chance.choice

    def many(self, make: Callable[[], Any], rows: int = ROWS) -> list[Any]:
        return [make() for _ in range(rows)]

    def digits(self, length: int) -> str:
        return "".join(self.pick("0123456789") for _ in range(length))

    def letters(self, length: int, alphabet: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ") -> str:
        return "".join(self.pick(alphabet) for _ in range(length))

    def card(self, prefix: str = "4", length: int = 16) -> str:
        body = prefix + self.digits(length - 1 - len(prefix))
        return body + next(check for check in "0123456789" if luhn(body + check))

    def iban(self, country: str, bank: str = "") -> str:
        account = bank + self.digits(IBAN_LENGTHS[country] - 4 - len(bank))
        moved = "".join(str(int(letter, 36)) for letter in account + country + "00")
        return f"{country}{98 - int(moved) % 97:02}{account}"

    def identifier(self, scheme: str, form: str) -> str:
        """A valid one in a form where 9 is any digit, A any letter, and dates are d, m, y."""
        (rule,) = (each for each in SCHEMES if each.name == scheme)
        while True:
            day = self.day(1940, 2006)
            text = form.replace("dd", f"{day.day:02}").replace("mm", f"{day.month:02}").replace("yyyy", str(day.year))
            text = text.replace("yy", f"{day.year % 100:02}")
            text = "".join(
                self.pick("0123456789") if c == "9" else self.pick("ABCDEHLMPRST") if c == "A" else c for c in text
            )
            if rule.form.fullmatch(text) and rule.valid(compact(text)):
                return text

    def day(self, first: int, last: int) -> date:
        return date(first, 1, 1) + timedelta(days=self.chance.randrange(365 * (last - first)))

    def mail(self, domains: Sequence[str]) -> str:
        first, last = self.pick(pools.ASCII_GIVEN), self.pick(pools.ASCII_FAMILY)
        dot = self.pick((".", "_", ""))
        return f"{first}{dot}{last}{self.pick(('', '', self.digits(2)))}@{self.pick(domains)}"

    def person(self, country: str, form: str = "{g} {f}") -> str:
        given, family = pools.PEOPLE[country]
        return form.format(g=self.pick(given), f=self.pick(family))

    def address(self, country: str) -> str:
        form, streets, towns = pools.ADDRESSES[country]
        return form.format(
            s=self.pick(streets),
            n=self.chance.randrange(1, 180),
            t=self.pick(towns),
            d=self.digits,
            z=self.digits(5),
            z3=self.digits(3),
            z2=self.digits(2),
            z4=self.digits(4),
            l=self.letters(2),
        )

    def note(self, language: str) -> str:
        return self.pick(pools.NOTES[language]).format(n=self.chance.randrange(10, 99_999), t=self.pick(pools.CITIES))

    def ip(self, first: Sequence[int], *, last: int = 1) -> str:
        """An address of version 4; its last part is at least ``last``."""
        rest = [self.chance.randrange(256), self.chance.randrange(256), self.chance.randrange(last, 255)]
        return ".".join(map(str, [self.pick(first), *rest]))

    def sparse(self, make: Callable[[], Any], *, rows: int = 300) -> list[Any]:
        """Two in a hundred values among short remarks that say nothing, and NULLs."""
        column: list[Any] = [None if n % 3 == 0 else self.pick(pools.REMARKS) for n in range(rows)]
        for place in self.chance.sample(range(rows), max(3, rows // 50)):
            column[place] = make()
        return column


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def full_width(text: str) -> str:
    return text.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789"})


def fours(text: str, by: str) -> str:
    return by.join(text[place : place + 4] for place in range(0, len(text), 4))


def positives(m: Maker, label: str, columns: Sequence[tuple[str, str, Callable[[], Any]]]) -> Iterator[Labelled]:
    """Columns full of a class, one in ten values NULL."""
    for what, name, make in columns:
        values = [None if n % 10 == 9 else make() for n in range(ROWS)]
        yield Labelled(f"{label} {what}", name, values, label)


def negatives(m: Maker, columns: Sequence[tuple[str, str, Callable[[], Any]]]) -> Iterator[Labelled]:
    for what, name, make in columns:
        yield Labelled(what, name, m.many(make, 3 * ROWS), None)

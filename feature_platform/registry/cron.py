"""Schedules as authors write them: ``@hourly``, ``@daily``, ``@weekly``, ``@monthly``, or five cron fields, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from typing import Final

_NAMED: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_WEEKDAYS: Final = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}


@dataclass(frozen=True, slots=True)
class Cron:
    """The times at which a schedule ticks. Weekdays count from Sunday = 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Cron's own rule: where both a day of the month and a weekday are given, either will do."""

    def ticks_on(self, day: date) -> bool:
        """Whether there is any tick on ``day``."""
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either_day else by_day and by_weekday


@cache
def parse_cron(text: str) -> Cron:
    """The schedule that ``text`` means.

    Raises:
        ValueError: with the field and what is wrong with it.
    """
    fields = _NAMED.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f"a schedule has five fields, this one has {len(fields)}")
    minute, hour, day, month, weekday = fields
    weekdays = _field("weekday", weekday, 0, 7, _WEEKDAYS)
    return Cron(
        _field("minute", minute, 0, 59, {}),
        _field("hour", hour, 0, 23, {}),
        _field("day of the month", day, 1, 31, {}),
        _field("month", month, 1, 12, _MONTHS),
        frozenset(number % 7 for number in weekdays),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
    )


@cache
def shortest_interval_seconds(text: str) -> int | None:
    """The shortest time between two ticks of a valid schedule; None if it never ticks (30 February).

    Looked at over five years, which hold every combination of weekday, month and leap day that repeats within a year.
    """
    cron = parse_cron(text)
    minutes = sorted(60 * hour + minute for hour in cron.hours for minute in cron.minutes)
    first = date(2024, 1, 1)
    days = [number for number in range(5 * 366) if cron.ticks_on(first + timedelta(days=number))]
    if not days:
        return None
    gaps = [later - earlier for earlier, later in pairwise(minutes)]
    gaps += [(later - earlier) * 1440 + minutes[0] - minutes[-1] for earlier, later in pairwise(days)]
    return min(gaps, default=5 * 366 * 1440) * 60


def _field(name: str, text: str, low: int, high: int, words: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(name, step_text, 1, high, {}) if slash else 1
        if span == "*":
            begin, end = low, high
        else:
            begin_text, dash, end_text = span.partition("-")
            begin = _number(name, begin_text, low, high, words)
            end = _number(name, end_text, low, high, words) if dash else (high if slash else begin)
        if begin > end:
            raise ValueError(f"the {name} range '{part}' runs backwards")
        found.update(range(begin, end + 1, step))
    return frozenset(found)


def _number(name: str, text: str, low: int, high: int, words: dict[str, int]) -> int:
    if text.lower() in words:
        return words[text.lower()]
    if not (text.isascii() and text.isdigit() and len(text) < 5 and low <= int(text) <= high):
        raise ValueError(f"the {name} '{text}' is not one of {low} to {high}")
    return int(text)

"""What a small bank's features should be, step by step, computed without the platform.

Two sources change with every step. ``states`` is a snapshot of accounts: some change, some come, some vanish.
``movements`` are events: new ones, late ones, corrected ones. Two views are made of them: the newest state of each
account, and what it moved in the two hours before each full hour.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

BEGIN = datetime(2026, 3, 2)
HOUR = timedelta(hours=1)
WINDOW = 2 * HOUR
ACCOUNTS = 1_200
_CENT = Decimal("0.01")

StateRow = tuple[datetime, Decimal, int]
"""When, how much, in which step."""
SpendRow = tuple[Decimal, int]
"""Sum and number of what was moved."""


@dataclass(frozen=True)
class Movement:
    account: int
    when: datetime
    amount: Decimal


@dataclass(frozen=True)
class Data:
    """Everything as of one step."""

    step: int
    states: Mapping[int, StateRow]
    movements: Mapping[int, Movement]

    @property
    def now(self) -> datetime:
        """The moment of the step's run, half past an hour."""
        return BEGIN + self.step * HOUR + HOUR / 2

    @property
    def newest_hour(self) -> datetime:
        """The end of the newest complete partition."""
        return BEGIN + self.step * HOUR

    @property
    def hours(self) -> list[datetime]:
        """The ends of all complete partitions."""
        return [BEGIN + number * HOUR for number in range(1, self.step + 1)]

    def spend(self, end: datetime) -> dict[int, SpendRow]:
        """By account, for the partition that ends then."""
        found: dict[int, SpendRow] = {}
        for each in self.movements.values():
            if end - WINDOW <= each.when < end:
                total, count = found.get(each.account, (Decimal(0), 0))
                found[each.account] = (total + each.amount, count + 1)
        return found


def first(chosen: random.Random) -> Data:
    """The data of the first step: two hours of movements."""
    states = {account: (BEGIN, _amount(chosen), 0) for account in range(ACCOUNTS)}
    start = Data(0, states, {})
    return _moved(Data(1, states, _some(start, chosen, BEGIN, 400)), chosen)


def following(data: Data, chosen: random.Random, views: Collection[str]) -> Data:
    """The next step's: an hour more, and what became known late. Only the sources of ``views`` change."""
    step = data.step + 1
    states = _changed(data, chosen, step) if "state" in views else data.states
    found = Data(step, states, data.movements)
    return _moved(found, chosen) if "moved" in views else found


def _changed(data: Data, chosen: random.Random, step: int) -> dict[int, StateRow]:
    """Some accounts changed, some came, some vanished."""
    now = BEGIN + step * HOUR + HOUR / 2
    states = dict(data.states)
    share = chosen.choice((0.004, 0.02, 0.1, 0.6))  # few changes are written as such, many as a snapshot
    for account in chosen.sample(sorted(states), max(2, int(share * len(states)))):
        states[account] = (now - timedelta(minutes=1), _amount(chosen), step)
    for account in chosen.sample(sorted(states), chosen.choice((0, 3))):
        del states[account]
    for account in range(ACCOUNTS * (step + 1), ACCOUNTS * (step + 1) + chosen.choice((0, 3))):
        states[account] = (now - timedelta(minutes=2), _amount(chosen), step)
    return states


def _moved(data: Data, chosen: random.Random) -> Data:
    """New movements of the step's hour, late ones and corrections of the hours that runs look back to."""
    hour = data.newest_hour - HOUR
    movements = dict(_some(data, chosen, hour, chosen.choice((30, 300))))
    recent = [number for number, each in movements.items() if hour - HOUR <= each.when < hour]
    for number in chosen.sample(recent, min(len(recent), chosen.choice((0, 5)))):
        old = movements[number]
        movements[number] = Movement(old.account, old.when, old.amount + _CENT)
    changed = Data(data.step, data.states, movements)
    return Data(data.step, data.states, _some(changed, chosen, hour - HOUR, chosen.choice((0, 4))))


def _some(data: Data, chosen: random.Random, start: datetime, count: int) -> dict[int, Movement]:
    movements = dict(data.movements)
    number = max(movements, default=0)
    for _ in range(count):
        number += 1
        when = start + timedelta(seconds=chosen.randrange(1, 3_599))
        movements[number] = Movement(chosen.randrange(ACCOUNTS), when, _amount(chosen))
    return movements


def _amount(chosen: random.Random) -> Decimal:
    return chosen.randrange(1, 1_000_000) * _CENT


def write(data: Data, folder: Path) -> None:
    """The sources' files; each is replaced in one step. Movements of an hour have a file of their own."""
    states = [
        [account, when.isoformat(" "), amount, step, f"state {step}"]
        for account, (when, amount, step) in data.states.items()
    ]
    _replace(folder / "states" / "all.csv", ["account_id", "event_time", "amount", "step", "note"], states)
    by_hour: dict[str, list[list[Any]]] = {}
    for each in data.movements.values():
        row = [each.account, each.when.isoformat(" "), each.amount]
        by_hour.setdefault(f"{each.when:%Y%m%d%H}", []).append(row)
    for hour, rows in by_hour.items():
        _replace(folder / "movements" / f"{hour}.csv", ["account_id", "event_time", "amount"], rows)


def _replace(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    with draft.open("w", newline="") as opened:
        written = csv.writer(opened)
        written.writerow(header)
        written.writerows(rows)
    if not path.exists() or draft.read_bytes() != path.read_bytes():
        draft.replace(path)
    else:
        draft.unlink()


@dataclass
class Answers:
    """Every answer that may be read of one table, in the order in which they become true. An answer that mixes two of
    them equals none."""

    table: str
    valid: list[Any] = field(default_factory=list)
    seen: int = 0
    """The place of the newest answer that anybody got: nobody may get an older one after it."""

    def add(self, answer: Any) -> None:
        if not self.valid or self.valid[-1] != answer:
            self.valid.append(answer)

    def place(self, answer: Any, seen: int) -> int | None:
        """Which of the answers it is, of those that are not older than what was seen when it was asked for."""
        for place in range(len(self.valid) - 1, seen - 1, -1):
            if self.valid[place] == answer:
                return place
        return None

    def explain(self, answer: Any, seen: int) -> str:
        """What is wrong with an answer that has no place."""
        old = next((place for place, valid in enumerate(self.valid) if valid == answer), None)
        if old is not None:
            return f"{self.table}: answer {old} came after answer {seen}"
        newest = self.valid[-1]
        keys = answer.keys() | newest.keys()
        differing = [key for key in keys if answer.get(key) != newest.get(key)]
        before = self.valid[-2] if len(self.valid) > 1 else {}
        old_values = sum(answer.get(key) == before.get(key) for key in differing)
        return f"{self.table}: {len(differing)} of {len(keys)} rows are not the newest, {old_values} of those are old"

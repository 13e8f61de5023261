"""Card transactions: when, who, where, how much; late ones, corrections, duplicates, and bursts of fraud.

Row *i* of *n* happens at the point of the calendar that ``(i + random) / n`` of the expected traffic precedes. So rows
are in order of time by construction, and any range of rows can be made alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import exp
from statistics import NormalDist
from typing import Final

import numpy as np
import pyarrow as pa

from feature_platform.demo.categories import CATEGORIES, category_of
from feature_platform.demo.columns import arrow_table, booleans, integers, money, timestamps, with_missing, words
from feature_platform.demo.population import DAY, END_US, HOUR, SECOND, START_US, Population
from feature_platform.demo.randomness import Flags, Floats, Integers, table
from feature_platform.demo.tables import TRANSACTIONS

CHANNELS: Final = ("pos", "ecommerce", "atm", "recurring")
_POS, _ECOMMERCE, _ATM, _RECURRING = range(4)
ENTRY_MODES: Final = ("chip", "contactless", "magstripe", "keyed", "token")
STATUSES: Final = ("approved", "declined")
CURRENCIES: Final = ("GBP", "EUR", "USD", "SEK")
_CATEGORY_NAMES: Final = tuple(category.name for category in CATEGORIES)
_CURRENCY_OF_COUNTRY: Final = table([0, 1, 1, 2, 1, 3])
_UNITS_PER_CURRENCY: Final = table([1, 1, 1, 10])

_DAYS: Final = (END_US - START_US) // DAY
_TRAFFIC_OF_HOUR: Final = (9, 6, 4, 3, 3, 5, 12, 25, 40, 48, 54, 62, 72, 66, 58, 57, 62, 74, 80, 70, 52, 38, 26, 16)
_TRAFFIC_OF_WEEKDAY: Final = (90, 92, 95, 100, 122, 128, 98)
"""Monday first; the calendar begins on a Thursday."""

LATE_SHARE: Final = 0.01
CORRECTION_SHARE: Final = 0.005
DUPLICATE_SHARE: Final = 0.0005
_ROWS_PER_BURST: Final = 3_200
_LONGEST_BURST: Final = 12
_QUANTILES: Final = 1_024


@dataclass(frozen=True, slots=True)
class Rows:
    """Transactions as numbers: one array per column, all of one length. Members are counted from 0."""

    row: Integers
    event_time: Integers
    ingested_at: Integers
    card: Integers
    customer: Integers
    merchant: Integers
    device: Integers
    cents: Integers
    currency: Integers
    channel: Integers
    status: Integers
    entry_mode: Integers
    is_refund: Flags
    fraud: Flags
    """Not in the table: what disputes are made from."""

    def take(self, positions: Integers) -> Rows:
        return Rows(*(getattr(self, field.name)[positions] for field in fields(self)))


def transactions_of_day(population: Population, day: int, *, chunk: int = 262_144) -> Iterator[Rows]:
    """The originals of one day of the calendar, 0 to 89, in order of time, in chunks of at most ``chunk`` rows."""
    first, end = _first_row(population, day), _first_row(population, day + 1)
    for start in range(first, end, chunk):
        yield _transactions(population, np.arange(start, min(end, start + chunk), dtype=np.int64))


def with_corrections(population: Population, originals: Rows) -> Rows:
    """The originals with what is known of them later: corrections behind the row they correct, and rows sent twice."""
    draw, rows = population.draw, originals.row
    room = END_US - 1 - originals.ingested_at
    corrected = np.flatnonzero(draw.chance("corrected", rows, CORRECTION_SHARE) & (room > HOUR))
    doubled = np.flatnonzero(draw.chance("sent twice", rows, DUPLICATE_SHARE))
    corrections = _corrections(population, originals.take(corrected), room[corrected])
    everything = Rows(
        *(
            np.concatenate([getattr(part, field.name) for part in (originals, corrections, originals.take(doubled))])
            for field in fields(Rows)
        )
    )
    return everything.take(np.argsort(everything.row, kind="stable"))


def transactions_table(population: Population, rows: Rows) -> pa.Table:
    """The rows as the table's columns."""
    present = (rows.channel == _POS) | (rows.channel == _ATM)
    return arrow_table(
        TRANSACTIONS,
        {
            "transaction_id": integers(rows.row + 1),
            "event_time": timestamps(rows.event_time),
            "ingested_at": timestamps(rows.ingested_at),
            "card_number": population.card_number(rows.card),
            "customer_id": integers(rows.customer + 1),
            "merchant_id": integers(rows.merchant + 1),
            "merchant_category": words(_CATEGORY_NAMES, category_of(population.draw, rows.merchant)),
            "device_id": with_missing(population.device_id(rows.device), present),
            "amount": money(rows.cents),
            "currency": words(CURRENCIES, rows.currency),
            "channel": words(CHANNELS, rows.channel),
            "status": words(STATUSES, rows.status),
            "entry_mode": words(ENTRY_MODES, rows.entry_mode),
            "is_refund": booleans(rows.is_refund),
        },
    )


def _first_row(population: Population, day: int) -> int:
    """The first row that happens on ``day`` or later."""
    edges, hours = _calendar()
    share = np.interp(START_US + day * DAY, hours, edges)
    near = int(share * population.transactions)
    around = np.clip(np.arange(near - 1, near + 2, dtype=np.int64), 0, max(0, population.transactions - 1))
    earlier = _event_times(population, around) < START_US + day * DAY
    return min(population.transactions, int(np.max(np.where(earlier, around + 1, 0), initial=max(0, near - 1))))


@lru_cache(maxsize=1)
def _calendar() -> tuple[Floats, Floats]:
    """Share of all traffic before each full hour, and the hours themselves in microseconds since 1970."""
    weights = [
        _TRAFFIC_OF_HOUR[hour] * _TRAFFIC_OF_WEEKDAY[(day + 3) % 7] for day in range(_DAYS) for hour in range(24)
    ]
    edges = np.concatenate([[0], np.cumsum(weights)]) / sum(weights)
    return edges.astype(np.float64), np.arange(len(edges), dtype=np.float64) * HOUR + START_US


def _event_times(population: Population, rows: Integers) -> Integers:
    edges, hours = _calendar()
    share = (rows + population.draw.uniform("event time", rows)) / population.transactions
    return np.minimum(np.interp(share, edges, hours).astype(np.int64), END_US - 1)


def _transactions(population: Population, rows: Integers) -> Rows:
    draw = population.draw
    event_time = _event_times(population, rows)
    card = population.active_card(draw.uniform("card", rows))
    customer = population.card_owner(card)
    merchant = _merchants(population, rows, card, customer)
    category = category_of(draw, merchant)
    channel = _channels(population, rows, category)
    ordinary = Rows(
        row=rows,
        event_time=event_time,
        ingested_at=event_time + _delays(population, rows, END_US - 1 - event_time),
        card=card,
        customer=customer,
        merchant=merchant,
        device=population.device_of(customer, draw.chance("second device", rows, 0.3)),
        cents=_amounts(population, rows, category, channel),
        currency=_CURRENCY_OF_COUNTRY[population.country_of_merchant(merchant)],
        channel=channel,
        status=draw.chance("declined", rows, 0.04).astype(np.int64),
        entry_mode=_entry_modes(population, rows, channel),
        is_refund=draw.chance("refund", rows, 0.015) & (channel != _ATM),
        fraud=np.zeros(len(rows), bool),
    )
    converted = ordinary.cents * _UNITS_PER_CURRENCY[ordinary.currency]
    return _with_fraud(population, replace(ordinary, cents=converted))


def _merchants(population: Population, rows: Integers, card: Integers, customer: Integers) -> Integers:
    """Half of the time one of the card's five favourites, mostly in the customer's own country."""
    draw = population.draw
    favourite = card * 8 + draw.below("which favourite", rows, 5)
    usual = draw.chance("usual merchant", rows, 0.5)
    chance = np.where(usual, draw.uniform("favourite", favourite), draw.uniform("merchant", rows))
    second = np.where(usual, draw.uniform("favourite slot", favourite), draw.uniform("merchant slot", rows))
    abroad = population.country_of_customer(draw.below("abroad", rows, population.customers))
    at_home = usual | draw.chance("at home", rows, 0.88)
    return population.popular_merchant(
        chance, second, np.where(at_home, population.country_of_customer(customer), abroad)
    )


def _channels(population: Population, rows: Integers, category: Integers) -> Integers:
    online = table([entry.online_share for entry in CATEGORIES])[category]
    chance = population.draw.uniform("channel", rows)
    remote = np.where(chance < online * 0.18, _RECURRING, _ECOMMERCE)
    cash = table([entry.name == "cash" for entry in CATEGORIES])[category]
    return np.where(cash, _ATM, np.where(chance < online, remote, _POS))


def _entry_modes(population: Population, rows: Integers, channel: Integers) -> Integers:
    draw = population.draw
    present = draw.weighted("entry mode", rows, (38.0, 58.0, 4.0))
    typed = np.where(draw.chance("stored card", rows, 0.45), 4, 3)
    return np.where(channel == _POS, present, np.where(channel == _ATM, 0, np.where(channel == _RECURRING, 4, typed)))


@lru_cache(maxsize=1)
def _amount_quantiles() -> Integers:
    """Cents at the middle of each quantile, per category: log-normal, rounded once so that no machine differs."""
    normal = NormalDist()
    deviates = [normal.inv_cdf((quantile + 0.5) / _QUANTILES) for quantile in range(_QUANTILES)]
    cents = [
        [max(50, round(100 * entry.median * exp(entry.sigma * deviate))) for deviate in deviates]
        for entry in CATEGORIES
    ]
    return np.array([[*row, row[-1] * 2] for row in cents], dtype=np.int64)


def _amounts(population: Population, rows: Integers, category: Integers, channel: Integers) -> Integers:
    """Cents; cash comes in tens."""
    position = population.draw.below("amount", rows, _QUANTILES << 20)
    quantiles = _amount_quantiles()
    low, high = quantiles[category, position >> 20], quantiles[category, (position >> 20) + 1]
    cents: Integers = low + (((high - low) * (position & 0xFFFFF)) >> 20)
    return np.where(channel == _ATM, np.maximum(1, cents // 1_000) * 1_000, cents)


def _delays(population: Population, rows: Integers, room: Integers) -> Integers:
    """Microseconds until we knew: mostly under a minute, 1 % an hour to four days; never beyond the calendar."""
    draw = population.draw
    chance = draw.uniform("delay", rows)
    squared = chance * chance
    prompt = (0.8 + 40 * squared * squared) * SECOND
    late = HOUR + 95 * HOUR * squared
    wanted = np.where(draw.chance("late", rows, LATE_SHARE), late, prompt).astype(np.int64)
    return np.where(wanted <= room, wanted, (room * chance).astype(np.int64))


def _corrections(population: Population, rows: Rows, room: Integers) -> Rows:
    """The same transactions as they were put right minutes to days later: another amount, or declined after all."""
    draw = population.draw
    chance = draw.uniform("correction delay", rows.row)
    wanted = (600 * SECOND + 120 * HOUR * chance * chance).astype(np.int64)
    delay = np.where(wanted <= room, wanted, 1 + (room * chance).astype(np.int64))
    reversed_ = draw.chance("reversed", rows.row, 0.3)
    percent = 50 + draw.below("corrected percent", rows.row, 75)
    other = np.maximum(1, rows.cents * percent // 100)
    changed = np.where(other == rows.cents, rows.cents + 1, other)
    return replace(
        rows,
        ingested_at=rows.ingested_at + delay,
        cents=np.where(reversed_, rows.cents, changed),
        status=np.where(reversed_, 1 - rows.status, rows.status),
    )


def _with_fraud(population: Population, rows: Rows) -> Rows:
    """Overwrites the rows that belong to a burst: one stolen card, one device, growing amounts at one or two shops."""
    row, burst, member = _burst_members(population, int(rows.row[0]), int(rows.row[-1]) + 1)
    if not len(row):
        return rows
    draw, at = population.draw, row - rows.row[0]
    card = draw.below("stolen card", burst, population.cards)
    shop = burst * 2 + draw.chance("other shop", row, 0.25)
    country = population.country_of_customer(draw.below("shop country", shop, population.customers))
    merchant = population.popular_merchant(draw.uniform("shop", shop), draw.uniform("shop slot", shop), country)
    currency = _CURRENCY_OF_COUNTRY[population.country_of_merchant(merchant)]
    probing = 100 + draw.below("probing amount", row, 400)
    grown = (2_000 + draw.below("stolen amount", row, 9_000)) * (member + 1)
    new = {
        "card": card,
        "customer": population.card_owner(card),
        "merchant": merchant,
        "device": draw.below("thief's device", burst, population.devices),
        "cents": np.where(member < 2, probing, grown) * _UNITS_PER_CURRENCY[currency],
        "currency": currency,
        "channel": np.full(len(row), _ECOMMERCE),
        "status": draw.chance("stolen declined", row, 0.08 + 0.04 * member.astype(np.float64)).astype(np.int64),
        "entry_mode": np.full(len(row), 3),
        "is_refund": np.zeros(len(row), bool),
        "fraud": np.ones(len(row), bool),
    }
    changed = {name: getattr(rows, name).copy() for name in new}
    for name, values in new.items():
        changed[name][at] = values
    return replace(rows, **changed)


def _burst_members(population: Population, start: int, end: int) -> tuple[Integers, Integers, Integers]:
    """(row, burst, place in it) of every row in [start, end) that is part of a burst of 5 to 12 in 40 minutes."""
    draw = population.draw
    window = max(64, population.transactions * 40 // (24 * 60 * _DAYS))
    block = -(-2 * window // _ROWS_PER_BURST) * _ROWS_PER_BURST
    per_block = block // _ROWS_PER_BURST
    burst = np.arange(start // block * per_block, ((end - 1) // block + 1) * per_block, dtype=np.int64)
    burst = np.repeat(burst, _LONGEST_BURST)
    member = np.tile(np.arange(_LONGEST_BURST, dtype=np.int64), len(burst) // _LONGEST_BURST)
    length = 5 + draw.below("burst length", burst, _LONGEST_BURST - 4)
    begin = burst // per_block * block + draw.below("burst start", burst, block - window)
    step = window // length
    row = begin + member * step + draw.below("burst jitter", burst * _LONGEST_BURST + member, step)
    wanted = (member < length) & (row >= start) & (row < end)
    row, burst, member = row[wanted], burst[wanted], member[wanted]
    row, first = np.unique(row, return_index=True)  # two bursts may meet in one row: the earlier one keeps it
    return row, burst[first], member[first]

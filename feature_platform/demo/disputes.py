"""Disputes: most of the fraud that was approved, and a few honest payments that people regret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from feature_platform.demo import people
from feature_platform.demo.columns import arrow_table, either, integers, joined, money, timestamps, words
from feature_platform.demo.population import DAY, END_US, HOUR, Population
from feature_platform.demo.randomness import Flags, Integers
from feature_platform.demo.tables import DISPUTES
from feature_platform.demo.transactions import Rows

REASONS: Final = ("fraud", "not_received", "not_as_described", "duplicate", "cancelled")
STATUSES: Final = ("open", "won", "lost")
_STORIES: Final = (
    ("I did not make this payment.", "My card was in my wallet all the time.", "I have never heard of this shop."),
    ("The parcel never came.", "They say it was delivered, nobody rang.", "Six weeks and still nothing."),
    ("The item is broken.", "Wrong colour and wrong size.", "It is not what the page showed."),
    ("I was charged twice for the same order.", "The same amount appears two times.", "Only one payment was mine."),
    ("I cancelled the subscription in April.", "The booking was cancelled in time.", "They refuse to refund me."),
)


@dataclass(frozen=True, slots=True)
class Disputed:
    """Disputed transactions and when the complaint was made and reported."""

    rows: Rows
    opened_at: Integers
    reported_at: Integers


def disputed(population: Population, originals: Rows) -> Disputed:
    """Those of ``originals`` that were disputed, and reported before the calendar ended."""
    draw, row = population.draw, originals.row
    regretted = draw.chance("regretted", row, 0.0007) & ~originals.is_refund
    noticed = originals.fraud & draw.chance("noticed", row, 0.8)
    chosen = originals.take(np.flatnonzero((noticed | regretted) & (originals.status == 0)))
    chance = draw.uniform("dispute delay", chosen.row)
    opened_at = chosen.event_time + (6 * HOUR + 25 * DAY * chance * chance).astype(np.int64)
    chance = draw.uniform("report delay", chosen.row)
    reported_at = opened_at + (HOUR + 7 * DAY * chance * chance).astype(np.int64)
    known = np.flatnonzero(reported_at < END_US)
    return Disputed(chosen.take(known), opened_at[known], reported_at[known])


def disputes_table(population: Population, parts: Sequence[Disputed]) -> pa.Table:
    """All disputes by the time they were opened, numbered in that order."""
    opened_at = np.concatenate([part.opened_at for part in parts])
    transaction = np.concatenate([part.rows.row for part in parts])
    order = np.lexsort((transaction, opened_at))
    rows = [part.rows for part in parts]
    card, customer, merchant, cents = (
        np.concatenate([getattr(part, name) for part in rows])[order]
        for name in ("card", "customer", "merchant", "cents")
    )
    fraud: Flags = np.concatenate([part.fraud for part in rows])[order]
    row, opened = transaction[order], opened_at[order]
    draw = population.draw
    reason = np.where(fraud, 0, draw.weighted("reason", row, (15.0, 35.0, 20.0, 12.0, 18.0)))
    partial = draw.chance("partial dispute", row, 0.08) & ~fraud
    settled = draw.chance("settled", row, 0.85) & (END_US - opened > 20 * DAY)
    return arrow_table(
        DISPUTES,
        {
            "dispute_id": integers(np.arange(1, len(row) + 1, dtype=np.int64)),
            "transaction_id": integers(row + 1),
            "card_number": population.card_number(card),
            "customer_id": integers(customer + 1),
            "merchant_id": integers(merchant + 1),
            "opened_at": timestamps(opened),
            "reported_at": timestamps(np.concatenate([part.reported_at for part in parts])[order]),
            "reason": words(REASONS, reason),
            "amount": money(np.where(partial, np.maximum(1, cents // 2), cents)),
            "status": words(STATUSES, np.where(settled, 1 + draw.chance("lost", row, 0.4), 0)),
            "narrative": _narratives(population, row, customer, reason),
        },
    )


def _narratives(population: Population, row: Integers, customer: Integers, reason: Integers) -> pa.Array:
    """What people wrote; now and then with the address or number at which they want to be reached."""
    draw = population.draw
    stories = [story for group in _STORIES for story in group]
    story = words(stories, reason * 3 + draw.below("story", row, 3))
    _, plain_name = people.full_name(draw, "customer", customer * 4)
    mail = joined(" Please write to ", people.email(draw, customer * 4, plain_name, customer * 4), " about it.")
    phone = joined(
        " You can call me at ", people.phone(draw, customer * 4, population.country_of_customer(customer)), "."
    )
    contact = draw.weighted("contact in story", row, (90.0, 6.0, 4.0))
    return joined(story, either(contact == 1, mail, either(contact == 2, phone, "")))

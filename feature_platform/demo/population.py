"""Who takes part: how many customers, cards, devices and merchants there are, and who belongs to whom.

Everything is a function of a number, so that no table has to be held in memory: card 17 belongs to customer 17, the
cards after the last customer's to every fourth one, devices likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import isqrt
from typing import Final

import numpy as np
import pyarrow as pa

from feature_platform.demo.columns import hexadecimal
from feature_platform.demo.randomness import Draw, Flags, Floats, Integers, spread, table
from feature_platform.demo.tables import END, START

SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC without a zone, as everywhere in stores
START_US: Final = int((START - _EPOCH).total_seconds()) * SECOND
END_US: Final = int((END - _EPOCH).total_seconds()) * SECOND

COUNTRIES: Final = ("GB", "DE", "FR", "US", "IE", "SE")
_SHARES: Final = (6, 5, 3, 3, 1, 2)
_SLOTS: Final = table([country for country, share in enumerate(_SHARES) for _ in range(share)])
_FIRST_SLOT: Final = table([sum(_SHARES[:country]) for country in range(len(_SHARES))])
_SLOT_COUNT: Final = table(_SHARES)

# Ranges that networks publish for tests: six digits each; American Express has 15 digits in all.
_BINS: Final = (411111, 424242, 555555, 510510, 378282, 601111)
NETWORKS: Final = ("visa", "mastercard", "amex", "discover")
_NETWORK_OF_BIN: Final = table([0, 0, 1, 1, 2, 3])
_BIN_WEIGHTS: Final = (30.0, 25.0, 20.0, 15.0, 6.0, 4.0)


@dataclass(frozen=True, slots=True)
class Population:
    """Sizes that fit a number of transactions. Members are counted from 0 here, from 1 in the tables."""

    draw: Draw
    transactions: int

    @property
    def customers(self) -> int:
        return max(40, self.transactions // 25)

    @property
    def cards(self) -> int:
        return self.customers + self.customers // 4

    @property
    def devices(self) -> int:
        return self.customers + self.customers // 2

    @property
    def merchants(self) -> int:
        """A multiple of the number of country slots, so that every country has its share at every rank."""
        return max(2, 3 * isqrt(self.transactions) // len(_SLOTS)) * len(_SLOTS)

    def card_owner(self, cards: Integers) -> Integers:
        return np.where(cards < self.customers, cards, (cards - self.customers) * 4)

    def device_owner(self, devices: Integers) -> Integers:
        return np.where(devices < self.customers, devices, (devices - self.customers) * 2)

    def device_of(self, customers: Integers, second: Flags) -> Integers:
        """The customer's device, the second one where there is one and it is wanted."""
        other = self.customers + customers // 2
        return np.where(second & (customers % 2 == 0) & (other < self.devices), other, customers)

    def country_of_customer(self, customers: Integers) -> Integers:
        """Positions in :data:`COUNTRIES`."""
        countries: Integers = _SLOTS[self.draw.below("customer country", customers, len(_SLOTS))]
        return countries

    def country_of_merchant(self, merchants: Integers) -> Integers:
        """Positions in :data:`COUNTRIES`."""
        countries: Integers = _SLOTS[merchants % len(_SLOTS)]
        return countries

    def active_card(self, chance: Floats) -> Integers:
        """A card from a uniform number: few cards pay often, most seldom."""
        return spread((chance * np.sqrt(chance) * self.cards).astype(np.int64), self.cards)

    def popular_merchant(self, chance: Floats, second_chance: Floats, country: Integers) -> Integers:
        """A merchant of ``country`` from uniform numbers, the popular ones most often (Zipf-like, exponent 3/4)."""
        squared = chance * chance
        blocks = self.merchants // len(_SLOTS)
        block = spread((squared * squared * blocks).astype(np.int64), blocks)
        slot = (second_chance * second_chance * _SLOT_COUNT[country]).astype(np.int64)
        chosen: Integers = block * len(_SLOTS) + _FIRST_SLOT[country] + slot
        return chosen

    def network(self, cards: Integers) -> Integers:
        """Positions in :data:`NETWORKS`."""
        networks: Integers = _NETWORK_OF_BIN[self._bin(cards)]
        return networks

    def card_number(self, cards: Integers) -> pa.Array:
        """Numbers with a valid check digit (ISO/IEC 7812, Luhn), each once."""
        position = self._bin(cards)
        amex = position == _BINS.index(378282)
        account = np.where(amex, (cards * 48_271 + 12_345_678) % 10**8, (cards * 48_271 + 123_456_789) % 10**9)
        body = table(_BINS)[position] * np.where(amex, 10**8, 10**9) + account
        return pa.array(body * 10 + _luhn_digit(body), pa.int64()).cast(pa.string())

    def device_id(self, devices: Integers) -> pa.Array:
        """32 hexadecimal digits."""
        return hexadecimal(self.draw.bits("device id", devices), self.draw.bits("device id, second half", devices))

    def _bin(self, cards: Integers) -> Integers:
        return self.draw.weighted("card range", cards, _BIN_WEIGHTS)


def _luhn_digit(body: Integers) -> Integers:
    """The check digit that follows ``body``: from the right, every second digit counts double, the last one first."""
    total = np.zeros_like(body)
    double = True
    while np.any(body):
        digit = body % 10
        if double:
            digit = digit * 2 - 9 * (digit > 4)
        total += digit
        body = body // 10
        double = not double
    return (10 - total % 10) % 10

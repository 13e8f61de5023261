"""Customers, cards, merchants and devices: one function per table, any range of members at a time.

Profiles, cards and merchants have versions: the first from before the calendar, later ones inside it, each with one
thing changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from feature_platform.demo import people
from feature_platform.demo.categories import CATEGORIES, RISKY, category_of
from feature_platform.demo.columns import (
    arrow_table,
    booleans,
    dates,
    digits,
    either,
    integers,
    joined,
    money,
    small_integers,
    timestamps,
    with_missing,
    words,
)
from feature_platform.demo.population import COUNTRIES, DAY, END_US, NETWORKS, START_US, Population
from feature_platform.demo.randomness import Draw, Integers, table
from feature_platform.demo.tables import CARDS, CUSTOMERS, DEVICES, MERCHANTS

SEGMENTS: Final = ("mass", "affluent", "business", "student")
PRODUCTS: Final = ("debit", "credit", "prepaid", "business")
PLATFORMS: Final = ("ios", "android", "windows", "macos", "linux")
RISK_TIERS: Final = ("low", "medium", "high")
_CHANGES: Final = ("email", "phone", "address", "segment", "kyc_level", "name", "marketing_consent")
_VERSIONS: Final = 3
_USER_AGENTS: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X) AppleWebKit/605.1.15 Version/19.2 Mobile Safari/604.1",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_5) AppleWebKit/605.1.15 Version/19.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
)
_ADJECTIVES: Final = ("Northern", "Blue", "Old", "Grand", "Silver", "Corner", "Harbour", "Sunny", "Royal", "Green")


@dataclass(frozen=True, slots=True)
class Versions:
    """Which version of which member a row is, and when it was saved (microseconds since 1970)."""

    member: Integers
    number: Integers
    saved_at: Integers


def versions(draw: Draw, label: str, members: Integers, joined_at: Integers, updated: tuple[float, float]) -> Versions:
    """One to three versions per member; ``updated`` is the share that has a second, and of those a third."""
    third = (END_US - START_US) // 2
    has = np.stack(
        [
            np.ones(len(members), bool),
            draw.chance(f"{label} second version", members, updated[0]),
            draw.chance(f"{label} second version", members, updated[0] * updated[1]),
        ],
        axis=1,
    )
    saved = np.stack(
        [
            joined_at,
            START_US + draw.below(f"{label} second saved", members, third),
            START_US + third + draw.below(f"{label} third saved", members, third),
        ],
        axis=1,
    )
    member = np.broadcast_to(members[:, None], has.shape)
    number = np.broadcast_to(np.arange(_VERSIONS), has.shape)
    return Versions(member[has], number[has], saved[has])


def customers(population: Population, start: int, end: int) -> pa.Table:
    """Profiles of customers ``start`` to ``end``, by customer and time."""
    draw, members = population.draw, np.arange(start, end, dtype=np.int64)
    rows = versions(draw, "customer", members, _joined_at(draw, "customer", members, 1_500), (0.3, 0.25))
    who = rows.member
    country = population.country_of_customer(who)
    changes = {what: _changes_so_far(draw, rows, what) for what in _CHANGES}
    name, plain_name = people.full_name(draw, "customer", who * 4 + changes["name"])
    mailbox, address_key = who * 4 + changes["email"], who * 4 + changes["address"]
    return arrow_table(
        CUSTOMERS,
        {
            "customer_id": integers(who + 1),
            "updated_at": timestamps(rows.saved_at),
            "name": name,
            "email": with_missing(people.email(draw, mailbox, plain_name, mailbox), draw.chance("no mail", who, 0.02)),
            "phone": with_missing(
                people.phone(draw, who * 4 + changes["phone"], country), draw.chance("no phone", who, 0.06)
            ),
            "birth_date": dates(people.birth_day(draw, who)),
            "address": people.address(draw, address_key, country),
            "postcode": people.postcode(draw, address_key, country),
            "country": words(COUNTRIES, country),
            "segment": words(SEGMENTS, draw.weighted("segment", who * 4 + changes["segment"], (68.0, 14.0, 8.0, 10.0))),
            "kyc_level": small_integers(np.minimum(3, draw.below("kyc", who, 3) + changes["kyc_level"])),
            "marketing_consent": booleans(draw.chance("consent", who, 0.4) ^ (changes["marketing_consent"] % 2 == 1)),
            "declared_income": money(
                (12_000 + draw.below("income", who, 9_000) ** 2 // 1_000) * 100,
                missing=draw.chance("no income", who, 0.45),
            ),
            "onboarded_at": timestamps(_joined_at(draw, "customer", who, 1_500)),
        },
    )


def cards(population: Population, start: int, end: int) -> pa.Table:
    """Cards ``start`` to ``end``: issued after their holder joined, limit changed, blocked."""
    draw, members = population.draw, np.arange(start, end, dtype=np.int64)
    rows = versions(draw, "card", members, _issued_at(population, members), (0.12, 0.2))
    which = rows.member
    product = draw.weighted("product", which, (55.0, 30.0, 7.0, 8.0))
    issued_at = _issued_at(population, which)
    limit = (5 + draw.below("limit", which, 60)) * (1 + rows.number) * 10_000
    blocked = (rows.number == _VERSIONS - 1) & draw.chance("blocked", which, 0.5)
    return arrow_table(
        CARDS,
        {
            "card_number": population.card_number(which),
            "updated_at": timestamps(rows.saved_at),
            "customer_id": integers(population.card_owner(which) + 1),
            "product": words(PRODUCTS, product),
            "network": words(NETWORKS, population.network(which)),
            "issued_at": timestamps(issued_at),
            "expires_on": dates(issued_at // DAY + 4 * 365),
            "status": words(("active", "blocked"), blocked.astype(np.int64)),
            "credit_limit": money(limit, missing=(product == 0) | (product == 2)),
            "contactless": booleans(draw.chance("contactless", which, 0.93)),
        },
    )


def merchants(population: Population, start: int, end: int) -> pa.Table:
    """Merchants ``start`` to ``end``; a risk review is a new version."""
    draw, members = population.draw, np.arange(start, end, dtype=np.int64)
    rows = versions(draw, "merchant", members, _joined_at(draw, "merchant", members, 2_500), (0.25, 0.2))
    who = rows.member
    category, country = category_of(draw, who), population.country_of_merchant(who)
    contact, plain_contact = people.full_name(draw, "merchant", who)
    account, no_account = people.iban(draw, who, country)
    risk = table(RISKY)[category].astype(np.int64) + draw.weighted("risk", who * 4 + rows.number, (75.0, 20.0, 5.0))
    return arrow_table(
        MERCHANTS,
        {
            "merchant_id": integers(who + 1),
            "updated_at": timestamps(rows.saved_at),
            "name": joined(
                words(_ADJECTIVES, draw.below("merchant name", who, len(_ADJECTIVES))),
                " ",
                words([entry.trade for entry in CATEGORIES], category),
                " ",
                digits(who + 1),
            ),
            "contact_name": contact,
            "contact_email": people.email(draw, who + (1 << 40), plain_contact, who),
            "category_code": words([entry.code for entry in CATEGORIES], category),
            "category": words([entry.name for entry in CATEGORIES], category),
            "country": words(COUNTRIES, country),
            "risk_tier": words(RISK_TIERS, np.minimum(2, risk)),
            "onboarded_at": timestamps(_joined_at(draw, "merchant", who, 2_500)),
            "iban": with_missing(account, no_account),
        },
    )


def devices(population: Population, start: int, end: int) -> pa.Table:
    """Devices ``start`` to ``end``, seen first between their holder's joining and the calendar's beginning."""
    draw, which = population.draw, np.arange(start, end, dtype=np.int64)
    owner = population.device_owner(which)
    known = _joined_at(draw, "customer", owner, 1_500)
    platform = draw.weighted("platform", which, (38.0, 34.0, 16.0, 9.0, 3.0))
    return arrow_table(
        DEVICES,
        {
            "device_id": population.device_id(which),
            "customer_id": integers(owner + 1),
            "first_seen": timestamps(known + _part(draw, "first seen", which, START_US - known)),
            "ip_address": _addresses(draw, which),
            "user_agent": words(_USER_AGENTS, platform),
            "platform": words(PLATFORMS, platform),
            "is_rooted": booleans(draw.chance("rooted", which, 0.02)),
        },
    )


def _joined_at(draw: Draw, label: str, members: Integers, days: int) -> Integers:
    """Up to ``days`` days before the calendar begins."""
    return START_US - 1 - draw.below(f"{label} joined", members, days * DAY)


def _issued_at(population: Population, cards: Integers) -> Integers:
    known = _joined_at(population.draw, "customer", population.card_owner(cards), 1_500)
    return known + _part(population.draw, "issued", cards, START_US - known)


def _part(draw: Draw, label: str, counters: Integers, room: Integers) -> Integers:
    """A part of ``room``, small parts more often."""
    chance = draw.uniform(label, counters)
    return (room * chance * chance).astype(np.int64)


def _changes_so_far(draw: Draw, rows: Versions, what: str) -> Integers:
    """How often ``what`` has changed up to each row's version: every version after the first changes one thing."""
    changed = np.zeros(len(rows.member), dtype=np.int64)
    for number in range(1, _VERSIONS):
        choice = draw.below("what changes", rows.member * 4 + number, len(_CHANGES))
        changed += (rows.number >= number) & (choice == _CHANGES.index(what))
    return changed


def _addresses(draw: Draw, which: Integers) -> pa.Array:
    """From ranges for documentation and benchmarks: IPv4 (RFC 5737, RFC 2544), IPv6 2001:db8::/32 (RFC 3849)."""
    host = draw.below("ip host", which, 254) + 1
    documentation = joined(
        words(("192.0.2.", "198.51.100.", "203.0.113."), draw.below("ip net", which, 3)), digits(host)
    )
    benchmark = joined("198.18.", digits(draw.below("ip subnet", which, 256)), ".", digits(host))
    version4 = either(draw.chance("documentation net", which, 0.2), documentation, benchmark)
    hexadecimal = [f"{number:x}" for number in range(1 << 16)]
    groups = [words(hexadecimal, draw.below(f"ip group {place}", which, 1 << 16)) for place in range(3)]
    version6 = joined("2001:db8:", groups[0], ":", groups[1], "::", groups[2])
    return either(draw.chance("version 6", which, 0.25), version6, version4)

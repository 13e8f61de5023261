"""Synthetic people whose values stand in every classified column of every source, and nowhere else.

They go through the same views as everybody: they pay and dispute in the last days of the calendar. Their numbers are
valid where numbers can be (check digits of cards and accounts, telephone ranges set aside for fiction, addresses for
documentation), and no generated value is one of theirs. ``fp canary scan`` looks for them everywhere but in the
sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from feature_platform.demo.tables import CARDS, CUSTOMERS, DEVICES, DISPUTES, END, MERCHANTS, TABLES, TRANSACTIONS

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.demo.tables import DemoTable

FIRST_ID: Final = 9_000_000_001
"""Canaries are numbered from here, in every table; generated members never come so far."""


@dataclass(frozen=True, slots=True)
class _Person:
    """A customer with a card, a device, a payment and a dispute, and a merchant's contact of a similar name."""

    name: str
    email: str
    phone: str
    born: date
    address: str
    postcode: str
    country: str
    card: str
    device: str
    ip: str
    narrative: str
    contact: str
    contact_email: str
    iban: str


_PEOPLE: Final = (
    _Person(
        name="Zebedee Quillfeather",
        email="zebedee.quillfeather.canary@example.org",
        phone="+44 20 7946 0331",
        born=date(1921, 3, 17),
        address="17 Canary Wharfinger Row, Leeds",
        postcode="ZC1V 0QZ",
        country="GB",
        card="4242420009174418",
        device="ca9a5e1f00d1badc0ffee0ddba11fe01",
        ip="233.252.0.177",
        narrative="Seven violet lanterns were charged to me by a lighthouse.",
        contact="Ottoline Wrenfield",
        contact_email="ottoline.wrenfield.canary@example.net",
        iban="GB22TEST00000090017731",
    ),
    _Person(
        name="Kunigunde Specht-Ährenfeld",
        email="kunigunde.specht.canary@example.com",
        phone="+49 30 23125917",
        born=date(1923, 11, 29),
        address="1731 Siskin Quay, Dublin",
        postcode="D6W YZ73",
        country="IE",
        card="5555550009273352",
        device="ca9a5e1f00d2badc0ffee0ddba11fe02",
        ip="2001:db8:ca9a:5e1f:17:31:c0de:2",
        narrative="The amber kettle never whistled, and I never ordered it.",
        contact="Balthasar Zaunkönig",
        contact_email="balthasar.zaunkoenig.canary@example.org",
        iban="DE06000000009001773200",
    ),
    _Person(
        name="Eulalie Chardonneret",
        email="Eulalie.Chardonneret.canary@example.net",
        phone="+33 6 39981733",
        born=date(1919, 7, 5),
        address="1733 Goldfinch Passage, Cardiff",
        postcode="ZE3V 1XZ",
        country="GB",
        card="378282009374479",
        device="ca9a5e1f00d3badc0ffee0ddba11fe03",
        ip="233.252.0.179",
        narrative="Un perroquet indigo a signé pour le colis à ma place.",
        contact="Tancrède Bouvreuil",
        contact_email="tancrede.bouvreuil.canary@example.com",
        iban="FR4400000000009001773300000",
    ),
)


def canaries() -> list[tuple[str, str, str]]:
    """(table, column, value) of every classified column."""
    return [
        (table.name, column.name, str(value))
        for table in TABLES
        for row in _rows(table)
        for column in table.columns
        if column.pii is not None and (value := row[column.name]) is not None
    ]


def canary_rows(table: DemoTable) -> pa.Table:
    """The canaries' rows of a table."""
    import pyarrow as pa

    return pa.Table.from_pylist(_rows(table), schema=table.schema.arrow())


def _rows(table: DemoTable) -> list[dict[str, Any]]:
    make = {
        CUSTOMERS: _customer,
        CARDS: _card,
        MERCHANTS: _merchant,
        DEVICES: _device,
        TRANSACTIONS: _transaction,
        DISPUTES: _dispute,
    }[table]
    return [make(number, person) for number, person in enumerate(_PEOPLE, FIRST_ID)]


_DAY: Final = timedelta(days=1)


def _customer(number: int, person: _Person) -> dict[str, Any]:
    return {
        "customer_id": number,
        "updated_at": END - 40 * _DAY,
        "name": person.name,
        "email": person.email,
        "phone": person.phone,
        "birth_date": person.born,
        "address": person.address,
        "postcode": person.postcode,
        "country": person.country,
        "segment": "mass",
        "kyc_level": 2,
        "marketing_consent": True,
        "declared_income": Decimal("31000.00"),
        "onboarded_at": END - 40 * _DAY,
    }


def _card(number: int, person: _Person) -> dict[str, Any]:
    return {
        "card_number": person.card,
        "updated_at": END - 39 * _DAY,
        "customer_id": number,
        "product": "credit",
        "network": {"4": "visa", "5": "mastercard", "3": "amex"}[person.card[0]],
        "issued_at": END - 39 * _DAY,
        "expires_on": (END + 1_421 * _DAY).date(),
        "status": "active",
        "credit_limit": Decimal("2000.00"),
        "contactless": True,
    }


def _merchant(number: int, person: _Person) -> dict[str, Any]:
    return {
        "merchant_id": number,
        "updated_at": END - 60 * _DAY,
        "name": "Lantern Room Groceries",
        "contact_name": person.contact,
        "contact_email": person.contact_email,
        "category_code": "5411",
        "category": "grocery",
        "country": person.country,
        "risk_tier": "low",
        "onboarded_at": END - 60 * _DAY,
        "iban": person.iban,
    }


def _device(number: int, person: _Person) -> dict[str, Any]:
    return {
        "device_id": person.device,
        "customer_id": number,
        "first_seen": END - 38 * _DAY,
        "ip_address": person.ip,
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
        "platform": "linux",
        "is_rooted": False,
    }


def _transaction(number: int, person: _Person) -> dict[str, Any]:
    happened = END - 3 * _DAY + timedelta(minutes=number - FIRST_ID)
    return {
        "transaction_id": number,
        "event_time": happened,
        "ingested_at": happened + timedelta(seconds=2),
        "card_number": person.card,
        "customer_id": number,
        "merchant_id": number,
        "merchant_category": "grocery",
        "device_id": person.device,
        "amount": Decimal("17.31"),
        "currency": "GBP",
        "channel": "ecommerce",
        "status": "approved",
        "entry_mode": "keyed",
        "is_refund": False,
    }


def _dispute(number: int, person: _Person) -> dict[str, Any]:
    return {
        "dispute_id": number,
        "transaction_id": number,
        "card_number": person.card,
        "customer_id": number,
        "merchant_id": number,
        "opened_at": END - 2 * _DAY,
        "reported_at": END - _DAY,
        "reason": "fraud",
        "amount": Decimal("17.31"),
        "status": "open",
        "narrative": person.narrative,
    }

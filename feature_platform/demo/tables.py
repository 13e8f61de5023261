"""The tables of the demonstration data: names, columns, types and what is personal in them.

These constants are what :mod:`feature_platform.demo.generate` writes and what the sources of the example project
declare, column by column. Every table lies in ``<data folder>/<table>/*.parquet``. Times are UTC, without zone, to the
microsecond; amounts are in the currency of their row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from feature_platform.types import Column, DataType, TableSchema

START: Final = datetime(2026, 4, 2)  # noqa: DTZ001 - naive UTC is the rule for engines and stores
"""The first transaction is not before this instant."""
END: Final = datetime(2026, 7, 1)  # noqa: DTZ001 - naive UTC is the rule for engines and stores
"""Exclusive end of the calendar of 90 days: nothing happened, and nothing was known, at or after this instant."""


@dataclass(frozen=True, slots=True)
class DemoColumn:
    """One column; ``pii`` is its classification, None where it is not personal."""

    name: str
    type: str
    pii: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class DemoTable:
    """One table. ``event_time``, ``available_at`` and ``key`` mean what they mean in a ``source`` document."""

    name: str
    description: str
    columns: tuple[DemoColumn, ...]
    event_time: str
    available_at: str | None = None
    key: tuple[str, ...] = ()

    @property
    def schema(self) -> TableSchema:
        """Names and types, in the order of the files."""
        return TableSchema(tuple(Column(column.name, DataType.parse(column.type)) for column in self.columns))


CUSTOMERS: Final = DemoTable(
    name="customers",
    description="Customers, one row per version of the profile.",
    event_time="updated_at",
    columns=(
        DemoColumn("customer_id", "bigint"),
        DemoColumn("updated_at", "timestamp", description="When this version of the profile was saved."),
        DemoColumn("name", "string", "person_name"),
        DemoColumn("email", "string", "email", "A few are missing, a few have upper-case letters."),
        DemoColumn("phone", "string", "phone", "International format, spacing varies; some are missing."),
        DemoColumn("birth_date", "date", "birth_date"),
        DemoColumn("address", "string", "address"),
        DemoColumn("postcode", "string", "postcode"),
        DemoColumn("country", "string", description="ISO 3166 alpha-2: GB, DE, FR, US, IE, SE."),
        DemoColumn("segment", "string", description="mass, affluent, business, student."),
        DemoColumn("kyc_level", "int", description="0 (none) to 3 (in person)."),
        DemoColumn("marketing_consent", "boolean"),
        DemoColumn("declared_income", "decimal(18,2)", description="Per year, as declared; often missing."),
        DemoColumn("onboarded_at", "timestamp", description="When the customer joined; the same in every version."),
    ),
)

CARDS: Final = DemoTable(
    name="cards",
    description="Cards, one row per version: issued, limit changed, blocked.",
    event_time="updated_at",
    columns=(
        DemoColumn("card_number", "string", "payment_card", "15 or 16 digits with a valid check digit, test ranges."),
        DemoColumn("updated_at", "timestamp", description="When this version was saved."),
        DemoColumn("customer_id", "bigint"),
        DemoColumn("product", "string", description="debit, credit, prepaid, business."),
        DemoColumn("network", "string", description="visa, mastercard, amex, discover."),
        DemoColumn("issued_at", "timestamp"),
        DemoColumn("expires_on", "date"),
        DemoColumn("status", "string", description="active, blocked, expired."),
        DemoColumn("credit_limit", "decimal(18,2)", description="Missing for debit and prepaid cards."),
        DemoColumn("contactless", "boolean"),
    ),
)

MERCHANTS: Final = DemoTable(
    name="merchants",
    description="Merchants, one row per version: onboarded, then risk reviews.",
    event_time="updated_at",
    columns=(
        DemoColumn("merchant_id", "bigint"),
        DemoColumn("updated_at", "timestamp", description="When this version was saved."),
        DemoColumn("name", "string", description="Trading name."),
        DemoColumn("contact_name", "string", "person_name"),
        DemoColumn("contact_email", "string", "email"),
        DemoColumn("category_code", "string", description="Merchant category code (ISO 18245), four digits."),
        DemoColumn("category", "string", description="The code in words: grocery, electronics, travel, ..."),
        DemoColumn("country", "string", description="ISO 3166 alpha-2."),
        DemoColumn("risk_tier", "string", description="low, medium, high."),
        DemoColumn("onboarded_at", "timestamp"),
        DemoColumn("iban", "string", "iban", "Settlement account, valid check digits; missing in the US."),
    ),
)

DEVICES: Final = DemoTable(
    name="devices",
    description="Devices that customers paid from online.",
    event_time="first_seen",
    columns=(
        DemoColumn("device_id", "string", "device_id", "32 hexadecimal digits."),
        DemoColumn("customer_id", "bigint"),
        DemoColumn("first_seen", "timestamp"),
        DemoColumn("ip_address", "string", "ip_address", "IPv4 or IPv6, documentation ranges."),
        DemoColumn("user_agent", "string"),
        DemoColumn("platform", "string", description="ios, android, windows, macos, linux."),
        DemoColumn("is_rooted", "boolean"),
    ),
)

TRANSACTIONS: Final = DemoTable(
    name="transactions",
    description="Card authorisations, one row per attempt and correction.",
    event_time="event_time",
    available_at="ingested_at",
    key=("transaction_id",),
    columns=(
        DemoColumn("transaction_id", "bigint"),
        DemoColumn("event_time", "timestamp", description="When the card was used."),
        DemoColumn(
            "ingested_at", "timestamp", description="When we learnt of it: seconds later, 1 % hours to days later."
        ),
        DemoColumn("card_number", "string", "payment_card"),
        DemoColumn("customer_id", "bigint"),
        DemoColumn("merchant_id", "bigint"),
        DemoColumn("merchant_category", "string", description="The merchant's category in words, as it was sent."),
        DemoColumn("device_id", "string", "device_id", "Missing where the card was present."),
        DemoColumn("amount", "decimal(18,2)", description="In `currency`, always positive."),
        DemoColumn("currency", "string", description="ISO 4217: EUR, GBP, USD, SEK."),
        DemoColumn("channel", "string", description="pos, ecommerce, atm, recurring."),
        DemoColumn("status", "string", description="approved or declined."),
        DemoColumn("entry_mode", "string", description="chip, contactless, magstripe, keyed, token."),
        DemoColumn("is_refund", "boolean"),
    ),
)

DISPUTES: Final = DemoTable(
    name="disputes",
    description="Chargebacks that card holders opened.",
    event_time="opened_at",
    available_at="reported_at",
    key=("dispute_id",),
    columns=(
        DemoColumn("dispute_id", "bigint"),
        DemoColumn("transaction_id", "bigint"),
        DemoColumn("card_number", "string", "payment_card"),
        DemoColumn("customer_id", "bigint"),
        DemoColumn("merchant_id", "bigint"),
        DemoColumn("opened_at", "timestamp", description="When the card holder complained."),
        DemoColumn("reported_at", "timestamp", description="When the scheme told us; up to a week later."),
        DemoColumn("reason", "string", description="fraud, not_received, not_as_described, duplicate, cancelled."),
        DemoColumn("amount", "decimal(18,2)", description="The disputed amount, in the transaction's currency."),
        DemoColumn("status", "string", description="open, won, lost."),
        DemoColumn(
            "narrative", "string", "free_text", "What the card holder wrote; holds an e-mail or phone now and then."
        ),
    ),
)

TABLES: Final[tuple[DemoTable, ...]] = (CUSTOMERS, CARDS, MERCHANTS, DEVICES, TRANSACTIONS, DISPUTES)

"""A small payments catalogue with policies, for tests of the SQL compiler."""

from __future__ import annotations

from collections.abc import Sequence

from feature_platform.compiler.catalog import Catalog, CatalogColumn, CatalogTable
from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.errors import Location
from feature_platform.governance.access import Access
from feature_platform.governance.labels import Label
from feature_platform.governance.policies import BookRule, PolicyBook
from feature_platform.registry.graph import TableRef
from feature_platform.specs.models import PolicyRule
from feature_platform.types import DataType

HERE = Location("view.yaml", 10, 5)


def source(_name: str, /, **columns: str) -> CatalogTable:
    """A source; columns as ``amount="decimal(18,2)"`` or, classified, ``email="string pii:email"``."""
    parsed = []
    for name, text in columns.items():
        type_, _, classification = text.partition(" pii:")
        parsed.append(CatalogColumn(name, DataType.parse(type_), classification or None))
    return CatalogTable(TableRef("source", _name), tuple(parsed))


def rule(
    classification: str,
    action: str,
    *transforms: str,
    purposes: Sequence[str] = (),
    together: Sequence[Sequence[str]] = (),
) -> BookRule:
    """A rule that stands in line 5 of ``policy.yaml``."""
    written = PolicyRule.model_validate(
        {
            "classification": classification,
            "action": action,
            "transforms": transforms,
            "purposes": tuple(purposes),
            "combinations": tuple(map(tuple, together)),
        }
    )
    return BookRule("privacy", written, Location("policy.yaml", 5, 3))


POLICIES = PolicyBook(
    (
        rule("payment_card", "token", "last4", "bin6", purposes=["fraud"], together=[["token", "last4", "bin6"]]),
        rule("email", "token", "email_domain", purposes=["fraud"]),
        rule("person_name", "redact"),
        rule("birth_date", "deny", "age_years", "birth_year", together=[["age_years", "birth_year"]]),
        rule("device_id", "token"),
    )
)

FRAUD = Access(("fraud",), policies=POLICIES)

TRANSACTIONS = source(
    "transactions",
    transaction_id="bigint",
    card_number="string pii:payment_card",
    customer_id="bigint",
    amount="decimal(18,2)",
    quantity="int",
    score="double",
    country="string",
    device="string pii:device_id",
    merchant_id="bigint",
    ok="boolean",
    event_time="timestamp",
    ingested_at="timestamp",
    day="date",
)
CUSTOMERS = source(
    "customers",
    customer_id="bigint",
    email="string pii:email",
    name="string pii:person_name",
    birth_date="date pii:birth_date",
    phone="string pii:phone",
    country="string pii:none",
    updated_at="timestamp",
    card_number="string pii:payment_card",
)
MERCHANTS = source("merchants", merchant_id="bigint", mcc="string", risk="double", Opened="date")
CARD_SPEND = CatalogTable(
    TableRef("view", "card_spend"),
    (
        CatalogColumn("card_number", DataType.parse("string"), labels=frozenset({Label("token", "payment_card")})),
        CatalogColumn("event_time", DataType.parse("timestamp")),
        CatalogColumn("available_at", DataType.parse("timestamp")),
        CatalogColumn("amount_sum_1d", DataType.parse("decimal(38,2)")),
        CatalogColumn("issuer", DataType.parse("string"), labels=frozenset({Label("partial", "payment_card", "bin6")})),
    ),
    purposes=("fraud", "marketing"),
)


def catalog(*tables: CatalogTable) -> Catalog:
    """A catalogue of these tables; without any, of the four above."""
    known = tables or (TRANSACTIONS, CUSTOMERS, MERCHANTS, CARD_SPEND)
    return Catalog({table.ref.name.lower(): table for table in known})


def guarded(sql: str, access: Access = FRAUD, *, over: Catalog | None = None) -> GuardedQuery:
    """``sql`` guarded over the catalogue, as if it stood in line 10, column 5 of ``view.yaml``."""
    return guard(sql, over or catalog(), access, where=HERE)

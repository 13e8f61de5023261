"""The tables that random queries read, and what the policy says about them.

Between them they have every treatment that a column can get: clear, tokenised, redacted, denied, denied but open to a
transform; sources and views; names in mixed case and names that need quotes.
"""

from __future__ import annotations

from typing import Final

from feature_platform.compiler.catalog import Catalog, CatalogColumn, CatalogTable
from feature_platform.governance.access import Access
from feature_platform.governance.labels import Label
from feature_platform.governance.policies import PolicyBook
from feature_platform.registry.graph import TableRef
from feature_platform.types import DataType
from tests.compiler.sql_catalogs import CARD_SPEND, CUSTOMERS, MERCHANTS, POLICIES, TRANSACTIONS, catalog, rule, source

LOGINS: Final = source(
    "Logins",
    **{
        "login_id": "bigint",
        "customer_id": "bigint",
        "ip": "string pii:ip_address",
        "agent": "string pii:free_text",
        "tags": "array<string>",
        "Login At": "timestamp",
    },
)
"""A source whose name and one of whose columns have capitals."""

CARD_TREND: Final = CatalogTable(
    TableRef("view", "card_trend"),
    (
        CatalogColumn("card_number", DataType.parse("string"), labels=frozenset({Label("token", "payment_card")})),
        CatalogColumn("event_time", DataType.parse("timestamp")),
        CatalogColumn("available_at", DataType.parse("timestamp")),
        CatalogColumn("issuers", DataType.parse("bigint"), labels=frozenset({Label("aggregated", "payment_card")})),
        CatalogColumn("rising", DataType.parse("boolean")),
    ),
    purposes=("fraud",),
)
"""A view that was made of the view ``card_spend``."""

TABLES: Final = (TRANSACTIONS, CUSTOMERS, MERCHANTS, LOGINS, CARD_SPEND, CARD_TREND)

# Of an address of the network only the prefix is open; text and telephones have no rule and are denied.
BOOK: Final = PolicyBook((*POLICIES.rules, rule("ip_address", "deny", "ip_prefix")))

ACCESS: Final = Access(("fraud",), policies=BOOK)


def fuzz_catalog() -> Catalog:
    """The catalogue of the tables above."""
    return catalog(*TABLES)

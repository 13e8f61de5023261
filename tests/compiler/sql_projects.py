"""Small projects in YAML, written to a folder and linked."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

from feature_platform.registry.graph import Registry
from feature_platform.registry.load import load_registry

PLATFORM = """
kind: platform
name: shop
purposes: {fraud: To find fraud., marketing: To recommend.}
profiles: {embedded: {stores: {warehouse: {type: duckdb_delta}}}}
---
kind: domain
name: payments
owner: team:payments
---
kind: entity
name: card
keys: [{name: card_number, type: string, pii: payment_card}]
---
kind: entity
name: customer
keys: [{name: customer_id, type: bigint}]
---
kind: policy
name: privacy
owner: privacy@example.com
rules:
  - classification: payment_card
    purposes: [fraud]
    action: token
    transforms: [last4]
    combinations: [[token, last4]]
  - {classification: payment_card, action: token, purposes: [marketing]}
  - {classification: email, action: token, transforms: [email_domain], purposes: [fraud]}
---
kind: source
name: transactions
domain: payments
table: transactions
event_time: event_time
available_at: ingested_at
columns:
  card_number: {type: string, pii: payment_card}
  customer_id: {type: bigint}
  amount: {type: "decimal(18,2)"}
  event_time: {type: timestamp}
  ingested_at: {type: timestamp}
  day: {type: date}
---
kind: source
name: customers
domain: payments
table: customers
event_time: updated_at
columns:
  customer_id: {type: bigint}
  email: {type: string, pii: email}
  segment: {type: string}
  updated_at: {type: timestamp}
"""

CARD_DAY = """
SELECT card_number, event_time, ingested_at, amount, last4(card_number) AS last4
FROM transactions
"""


def view(name: str, sql: str, *, entity: str = "card", event_time: str = "event_time", more: str = "") -> str:
    """A view in SQL; ``more`` are further lines of YAML."""
    body = indent(dedent(sql).strip(), "  ")
    return (
        f"kind: feature_view\nname: {name}\nentity: {entity}\nevent_time: {event_time}\nsql: |\n{body}\n{dedent(more)}"
    )


def service(name: str, features: str, purpose: str = "fraud") -> str:
    return f"kind: feature_service\nname: {name}\npurpose: {purpose}\nfeatures: {features}\n"


def project(folder: Path, *documents: str) -> Registry:
    """A linked project of the tables above and these documents, each in a file of its own."""
    domain = folder / "payments"
    domain.mkdir(parents=True, exist_ok=True)
    (folder / "platform.yaml").write_text(PLATFORM.strip() + "\n")
    for number, document in enumerate(documents):
        (domain / f"part_{number}.yaml").write_text(document)
    return load_registry(folder)

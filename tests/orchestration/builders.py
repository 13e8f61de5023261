"""A small project of cards and payments, written as an author would, with real stores behind it."""

from __future__ import annotations

import csv
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from feature_platform.project.project import Project

PLATFORM = """
    kind: platform
    name: cards
    purposes: {fraud_detection: Stopping fraud.}
    profiles:
      embedded:
        stores:
          warehouse: {type: duckdb_delta, memory_limit: 256MB, threads: 2}
          redis: {type: redis, url_env: FP_TEST_REDIS, key_prefix: PREFIX}
          postgres: {type: postgres, url_env: FP_TEST_POSTGRES, schema_prefix: PREFIX}
"""

PAYMENTS = """
    kind: domain
    name: payments
    owner: team:payments
    ---
    kind: entity
    name: card
    keys: [{name: card_id, type: bigint, pii: none}]
    ---
    kind: source
    name: transactions
    description: One row per attempt to pay.
    path: transactions/*.csv
    format: csv
    event_time: event_time
    columns:
      card_id: {type: bigint, pii: none}
      event_time: {type: timestamp, pii: none}
      amount: {type: "decimal(18,2)", pii: none, unit: EUR}
      email: {type: string, pii: email}
      note: {type: string, pii: none, pii_reason: An order number.}
    ---
    kind: policy
    name: privacy
    owner: team:privacy
    rules:
      - {classification: email, action: token, transforms: [email_domain]}
"""

LAST_PAYMENT = """
    kind: feature_view
    name: last_payment
    description: What the card paid last.
    tags: {tier: gold}
    entity: card
    sql: |
      SELECT card_id, event_time, amount, note, email_domain(email) AS shop_domain FROM transactions
    event_time: event_time
    contract: {rows_min: 1}
    features:
      amount: {min: 0, description: As authorised.}
    materialization: {offline: warehouse, online: redis, schedule: "@daily"}
"""

PAYMENT_SIZE = """
    kind: feature_view
    name: payment_size
    entity: card
    sql: SELECT card_id, event_time, amount > 100 AS is_large FROM last_payment
    event_time: event_time
    materialization: {offline: warehouse}
"""

DAILY_SPEND = """
    kind: feature_view
    name: daily_spend
    entity: card
    source: transactions
    aggregations:
      - {function: sum, column: amount, windows: [1d, 7d]}
      - {function: count, windows: [1d]}
    features:
      amount_sum_7d: {max: 1000}
    materialization: {offline: warehouse, online: redis, schedule: "@daily", partition: day, start: 2026-01-01}
"""

PAYMENT_RATIO = """
    kind: feature_view
    name: payment_ratio
    entity: card
    inputs: [last_payment]
    request: {asked: "decimal(18,2)"}
    derived:
      - name: is_larger
        expression: asked > amount
"""

CARD_MODEL = """
    kind: feature_service
    name: card_model
    domain: payments
    purpose: fraud_detection
    features: ["last_payment:*", "daily_spend:amount_sum_1d"]
"""


def utc(*parts: int) -> datetime:
    """A naive time, which means UTC inside the platform."""
    return datetime(*parts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Payment:
    """A row of the source."""

    card_id: int
    event_time: datetime
    amount: str = "10.00"
    email: str | None = "ada@gmail.com"
    note: str | None = "order 1"


@dataclass(frozen=True)
class Workplace:
    """A folder with a project, its data and its state."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "feature_defs"

    @property
    def state(self) -> Path:
        return self.folder / ".fp"

    def write(self, *documents: str, file: str = "payments/views.yaml") -> None:
        """Replaces one file of the project."""
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("---\n".join(textwrap.dedent(document) for document in documents))

    def pay(self, payments: Iterable[Payment], *, file: str = "1.csv") -> None:
        """Replaces one file of the source."""
        path = self.state / "data" / "transactions" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as opened:
            rows = csv.writer(opened)
            rows.writerow(["card_id", "event_time", "amount", "email", "note"])
            rows.writerows(
                [each.card_id, each.event_time.isoformat(" "), each.amount, each.email, each.note] for each in payments
            )

    def open(self, domains: Sequence[str] | None = None) -> Project:
        return Project.open(self.root, domains=domains)


def workplace(folder: Path, *views: str) -> Workplace:
    """A project with ``views`` and four payments of two cards in the first days of January."""
    place = Workplace(folder)
    place.write(PLATFORM.replace("PREFIX", f"t{uuid4().hex[:8]}"), file="platform.yaml")
    place.write(PAYMENTS, file="payments/tables.yaml")
    place.write(*views)
    place.pay(
        [
            Payment(1, utc(2026, 1, 1, 9), "20.00"),
            Payment(2, utc(2026, 1, 2, 9), "30.50"),
            Payment(1, utc(2026, 1, 3, 9), "150.00"),
            Payment(1, utc(2026, 1, 3, 10), "7.25"),
        ]
    )
    return place


def environment(postgres_url: str, redis_url: str) -> Mapping[str, str]:
    """What the profile of the project reads."""
    return {"FP_TEST_POSTGRES": postgres_url, "FP_TEST_REDIS": redis_url, "FP_TOKEN_KEY": bytes(range(32)).hex()}


def inherited(**more: str) -> dict[str, str]:
    """This process's environment for a child, with ``more``."""
    return {**os.environ, **more}


def rows_of(project: Project, view: str, store: str = "warehouse") -> list[dict[str, Any]]:
    """Every published row of a view, in the order of its key and time."""
    from feature_platform.orchestration.io_managers import PublishedTable

    table = PublishedTable(project, view, store).read().read_all().to_pylist()
    return sorted(table, key=lambda row: (row["card_id"], row["event_time"]))


def online(
    project: Project, view: str, *card_ids: int, store: str = "redis", at: datetime | None = None
) -> list[dict[str, Any] | None]:
    """What a model would read of a view, now or ``at`` that time."""
    from feature_platform.project.online import online_table

    table, keys = online_table(project.compiled.views[view]), [(card,) for card in card_ids]
    read = project.online_store(store).read(table, keys, at=at)
    return [None if row is None else dict(row.values) for row in read]

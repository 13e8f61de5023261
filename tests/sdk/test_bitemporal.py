"""A back-dated correction stays out of the training row that could not know it and comes into a later one, whichever
store the events lie in and however the spine is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_platform import Sql
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from tests.databases import own_database

DAY = timedelta(days=1)
START = datetime.fromisoformat("2026-03-01T00:00:00")
PROJECT = """
kind: platform
name: shop
purposes: {fraud: Stopping fraud.}
profiles:
  embedded:
    token_key_env: FP_BITEMPORAL_KEY
    stores:
      warehouse: {type: duckdb_delta}
      server: {type: postgres, url_env: FP_BITEMPORAL}
---
kind: domain
name: shop
owner: team:shop
---
kind: entity
name: card
keys: [{name: card, type: bigint, pii: none}]
---
kind: source
name: payments
domain: shop
PLACE
event_time: paid_at
available_at: told_at
key: [payment]
columns:
  payment: {type: bigint, pii: none}
  card: {type: bigint, pii: none}
  paid_at: {type: timestamp, pii: none}
  told_at: {type: timestamp, pii: none}
  amount: {type: "decimal(18,2)", pii: none}
---
kind: feature_view
name: spend
domain: shop
entity: card
source: payments
aggregations:
  - {function: sum, column: amount, windows: [7d]}
  - {function: count, windows: [7d]}
"""
Payment = tuple[int, int, datetime, datetime, str]
"""(payment, card, paid, told, amount)"""


@dataclass
class Shop:
    """A project, and the only place where its events lie."""

    root: Path
    server: psycopg.Connection[Any] | None

    def tell(self, rows: Sequence[Payment]) -> None:
        """The events are these now, in no order that would help."""
        if self.server is not None:
            self.server.execute("TRUNCATE shop.payments")
            for row in reversed(rows):
                self.server.execute("INSERT INTO shop.payments VALUES (%s, %s, %s, %s, %s)", row)
            return
        columns = {name: [row[place] for row in reversed(rows)] for place, name in enumerate(("payment", "card"))}
        times = {
            name: pa.array([row[place] for row in reversed(rows)], pa.timestamp("us"))
            for place, name in ((2, "paid_at"), (3, "told_at"))
        }
        amounts = pa.array([Decimal(row[4]) for row in reversed(rows)], pa.decimal128(18, 2))
        pq.write_table(
            pa.table({**columns, **times, "amount": amounts}), self.root / ".fp" / "data" / "payments.parquet"
        )

    def asked(self, spine: Any) -> list[tuple[Any, Any]]:
        with FeatureStore(Project.open(self.root), purpose="fraud") as store:
            rows = store.training_set(spine, ["spend:*"]).to_arrow().to_pylist()
        return [(row["spend__amount_sum_7d"], row["spend__count_7d"]) for row in rows]


@pytest.fixture(params=["files", "server"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    address = own_database(postgres_url, f"bitemporal_{uuid4().hex[:8]}")
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    monkeypatch.setenv("FP_BITEMPORAL", address)
    monkeypatch.setenv("FP_BITEMPORAL_KEY", bytes(range(40)).hex())
    (tmp_path / ".fp" / "data").mkdir(parents=True)
    place = "path: payments.parquet" if request.param == "files" else "store: server\ntable: shop.payments"
    (tmp_path / "platform.yaml").write_text(PROJECT.replace("PLACE", place), encoding="utf-8")
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("CREATE SCHEMA shop")
        server.execute(
            "CREATE TABLE shop.payments (payment bigint, card bigint, paid_at timestamp, told_at timestamp, "
            "amount numeric(18,2))"
        )
        yield Shop(tmp_path, server if request.param == "server" else None)


def test_a_back_dated_correction_is_for_later_rows_only(shop: Shop) -> None:
    paid = START + DAY
    corrected = START + 3 * DAY
    first: list[Payment] = [(1, 7, paid, paid, "10.00"), (2, 7, paid, paid, "1.00")]
    just_before, then = corrected - timedelta(microseconds=1), corrected
    times = [START + 2 * DAY, just_before, then, START + 4 * DAY]
    spine = pa.table({"card": [7] * 4, "event_time": pa.array(times, pa.timestamp("us"))})
    shop.tell(first)
    before = shop.asked(spine)
    assert before == [(Decimal("11.00"), 2)] * 4
    # Told on the third day: payment 1 was of another amount, payment 2 of another card, and there was a third one.
    late: list[Payment] = [
        (1, 7, paid, corrected, "99.00"),
        (2, 8, paid, corrected, "1.00"),
        (3, 7, START, corrected, "0.50"),
    ]
    shop.tell([*first, *late])
    after = shop.asked(spine)
    assert after[:2] == before[:2]
    assert after[2:] == [(Decimal("99.50"), 2)] * 2
    query = f"SELECT 7 AS card, TIMESTAMP '{just_before}' AS event_time UNION ALL SELECT 7, TIMESTAMP '{then}'"
    assert shop.asked(Sql(query)) == [after[1], after[2]]
    other = pa.table({"card": [8, 8], "event_time": pa.array([just_before, then], pa.timestamp("us"))})
    assert shop.asked(other) == [(None, 0), (Decimal("1.00"), 1)]

"""A project whose data lie in two stores: files with DuckDB as engine, and a PostgreSQL server; and what its features
are by the reference.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from feature_platform.project.project import Project
from feature_platform.registry.cron import parse_cron
from feature_platform.specs.models import Source
from tests.compiler.reference_windows import feature, newest_row, newest_tick
from tests.databases import own_database

START = datetime.fromisoformat("2026-03-01T00:00:00")
END = START + timedelta(days=40)
CARDS = ("4111111111111111", "5500005555555559", "4000000000000002")
CUSTOMERS = (1, 2, 3, 4)

PROJECT = """
kind: platform
name: cards
purposes: {fraud: Stopping fraud., offers: Making offers.}
profiles:
  embedded:
    token_key_env: FP_TWO_STORES_KEY
    stores:
      warehouse: {type: duckdb_delta, memory_limit: 512MB, threads: 2}
      server: {type: postgres, url_env: FP_TWO_STORES, schema_prefix: fp}
---
kind: policy
name: privacy
owner: team:privacy
rules:
  - {classification: payment_card, purposes: [fraud], action: token, transforms: [last4, bin6]}
  - {classification: email, purposes: [fraud], action: token, transforms: [email_domain]}
  - {classification: email, purposes: [offers], action: deny}
---
kind: domain
name: cards
owner: team:cards
---
kind: entity
name: card
keys: [{name: card_number, type: string, pii: payment_card}]
---
kind: entity
name: customer
keys: [{name: customer_id, type: bigint, pii: none}]
---
kind: source
name: payments
domain: cards
path: payments.parquet
event_time: paid_at
available_at: told_at
key: [payment_id]
columns:
  payment_id: {type: bigint, pii: none}
  card_number: {type: string, pii: payment_card}
  customer_id: {type: bigint, pii: none}
  paid_at: {type: timestamp, pii: none}
  told_at: {type: timestamp, pii: none}
  amount: {type: "decimal(18,2)", pii: none}
---
kind: source
name: clicks
domain: cards
store: server
table: SHOP.clicks
event_time: clicked_at
key: [click_id]
columns:
  click_id: {type: bigint, pii: none}
  customer_id: {type: bigint, pii: none}
  clicked_at: {type: timestamp, pii: none}
  seconds: {type: int, pii: none}
  email: {type: string, pii: email}
---
kind: source
name: labels
domain: cards
path: labels.parquet
columns:
  label_id: {type: bigint, pii: none}
  card_number: {type: string, pii: payment_card}
  customer_id: {type: bigint, pii: none}
  event_time: {type: timestamp, pii: none}
  fraud: {type: boolean, pii: none}
  score: {type: double, pii: none}
  price: {type: "decimal(18,2)", pii: none}
  email: {type: string, pii: email}
---
kind: source
name: churn
domain: cards
store: server
table: SHOP.churn
columns:
  churn_id: {type: bigint, pii: none}
  customer_id: {type: bigint, pii: none}
  event_time: {type: timestamp, pii: none}
  left_us: {type: boolean, pii: none}
---
kind: feature_view
name: spend
domain: cards
entity: card
source: payments
aggregations:
  - {function: sum, column: amount, windows: [1d, 30d], default: 0}
  - {function: count, windows: [1h]}
  - {function: last, column: amount, windows: [7d]}
---
kind: feature_view
name: tiled
domain: cards
entity: card
source: payments
accuracy: tiled
aggregations:
  - {function: max, column: amount, windows: [1d, 15d]}
---
kind: feature_view
name: daily
domain: cards
entity: customer
source: payments
accuracy: snapshot
materialization: {schedule: "@daily"}
aggregations:
  - {function: count, windows: [7d]}
---
kind: feature_view
name: browsing
domain: cards
entity: customer
source: clicks
aggregations:
  - {function: count, windows: [1d, 30d]}
  - {function: max, column: seconds, windows: [7d]}
---
kind: feature_view
name: last_payment
domain: cards
entity: card
event_time: paid_at
available_at: told_at
ttl: 5d
contract: {unique: false}
sql: SELECT card_number, paid_at, told_at, amount, customer_id FROM payments
materialization: {offline: warehouse}
---
kind: feature_view
name: last_click
domain: cards
entity: customer
event_time: clicked_at
ttl: 3d
contract: {unique: false}
sql: SELECT customer_id, clicked_at, seconds FROM clicks
materialization: {offline: server}
---
kind: feature_view
name: issuer
domain: cards
entity: customer
event_time: paid_at
contract: {unique: false}
sql: SELECT customer_id, paid_at, bin6(card_number) AS bin FROM payments
materialization: {offline: warehouse}
---
kind: feature_view
name: share
domain: cards
entity: card
inputs: [spend]
request: {price: "decimal(18,2)"}
derived:
  - {name: of_month, expression: "price / nullif(amount_sum_30d, 0)"}
  - {name: after, expression: "amount_sum_30d + price"}
  - {name: quiet, expression: "count_1h = 0"}
"""
EVERYTHING = ("spend:*", "tiled:*", "daily:*", "browsing:*", "last_payment:*", "last_click:*", "share:*")
PUBLISHED = ("last_payment", "last_click", "issuer")


@dataclass(frozen=True)
class Data:
    """Rows of every source, by its name."""

    payments: Sequence[dict[str, Any]]
    clicks: Sequence[dict[str, Any]]
    labels: Sequence[dict[str, Any]]
    churn: Sequence[dict[str, Any]]


def random_data(seed: int = 7, events: int = 240, labels: int = 40) -> Data:
    """Ties, corrections, events that are told late, times on edges of windows and tiles."""
    rng = random.Random(seed)

    def moment() -> datetime:
        edge = timedelta(minutes=5 * rng.randrange(12 * 24 * 40))
        return START + edge + timedelta(microseconds=rng.choice((0, 0, 1, -1, 90_000_000)))

    payments = [row for number in range(events) for row in _payment(rng, number, moment())]
    clicks = [
        {
            "click_id": number,
            "customer_id": rng.choice(CUSTOMERS),
            "clicked_at": moment(),
            "seconds": rng.randrange(600),
            "email": f"user{number}@gmail.com",
        }
        for number in range(events)
    ]
    given = [
        {
            "label_id": number,
            "card_number": rng.choice(CARDS),
            "customer_id": rng.choice(CUSTOMERS),
            "event_time": rng.choice(payments)["paid_at"] if rng.random() < 0.3 else moment(),
            "fraud": rng.random() < 0.5,
            "score": rng.random() - 0.5,
            "price": Decimal(rng.randrange(1, 100_000)) / 100,
            "email": "jan@gmail.com",
        }
        for number in range(labels)
    ]
    churn = [
        {
            "churn_id": number,
            "customer_id": rng.choice(CUSTOMERS),
            "event_time": moment(),
            "left_us": rng.random() < 0.5,
        }
        for number in range(labels)
    ]
    return Data(payments, clicks, given, churn)


def _payment(rng: random.Random, number: int, paid: datetime) -> Iterator[dict[str, Any]]:
    """A payment as it was told, and sometimes its correction."""
    told = paid + timedelta(hours=rng.choice((0, 0, 0, 1, 30)))
    row = {
        "payment_id": number,
        "card_number": rng.choice(CARDS),
        "customer_id": rng.choice(CUSTOMERS),
        "paid_at": paid,
        "told_at": told,
        "amount": None if rng.random() < 0.05 else Decimal(rng.randrange(100, 100_000)) / 100,
    }
    yield row
    if rng.random() < 0.15:  # later, possibly to another card
        yield row | {
            "told_at": told + timedelta(days=rng.randrange(1, 5)),
            "amount": Decimal(rng.randrange(100, 100_000)) / 100,
            "card_number": rng.choice(CARDS),
        }


ARROW = {
    "amount": pa.decimal128(18, 2),
    "price": pa.decimal128(18, 2),
    "seconds": pa.int32(),
    **dict.fromkeys(("paid_at", "told_at", "clicked_at", "event_time"), pa.timestamp("us")),
}
POSTGRES = {
    pa.int64(): "bigint",
    pa.int32(): "int",
    pa.string(): "text",
    pa.bool_(): "boolean",
    pa.float64(): "double precision",
    pa.timestamp("us"): "timestamp",
    pa.decimal128(18, 2): "numeric(18,2)",
}


def table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as Arrow, with the declared types."""
    found = pa.Table.from_pylist(list(rows))
    fields = [field.with_type(ARROW.get(field.name, field.type)) for field in found.schema]
    return pa.Table.from_pylist(list(rows), schema=pa.schema(fields))


def write_project(folder: Path, postgres_url: str, data: Data, *, text: str = PROJECT) -> str:
    """The documents, the files, and the tables in a database of its own, whose address is given back."""
    schema = f"shop_{uuid4().hex[:8]}"
    (folder / ".fp" / "data").mkdir(parents=True)
    (folder / "platform.yaml").write_text(text.replace("SHOP", schema), encoding="utf-8")
    for name in ("payments", "labels"):
        pq.write_table(table(getattr(data, name)), folder / ".fp" / "data" / f"{name}.parquet")
    address = own_database(postgres_url, f"two_stores_{uuid4().hex[:8]}")
    with psycopg.connect(address, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {schema}")
        for each in ("clicks", "churn"):
            put(server, f"{schema}.{each}", table(getattr(data, each)))
    return address


def put(server: psycopg.Connection[Any], name: str, rows: pa.Table) -> None:
    """A table of the server, with these rows."""
    columns = ", ".join(f"{field.name} {POSTGRES[field.type]}" for field in rows.schema)
    server.execute(f"CREATE TABLE {name} ({columns})")
    with server.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row in rows.to_pylist():
            copy.write_row(tuple(row.values()))
    server.execute(f"ANALYZE {name}")


class Reference:
    """The value of every feature of the project, in plain Python."""

    def __init__(self, project: Project, data: Data) -> None:
        self._registry = project.registry
        self._events = {"payments": data.payments, "clicks": data.clicks}

    def row(self, card: str | None, customer: int | None, q: datetime | None, price: Decimal | None) -> dict[str, Any]:
        """Every feature by its column."""
        entity = {"card": {"card_number": card}, "customer": {"customer_id": customer}}
        found: dict[str, Any] = {}
        for name in ("spend", "tiled", "daily", "browsing"):
            spec = self._registry.views[name].spec
            assert spec.source is not None
            source: Source = self._registry.sources[spec.source].spec
            moment = q
            if spec.accuracy == "snapshot" and q is not None:
                cron = parse_cron("0 0 * * *")
                moment = newest_tick(
                    lambda t, c=cron: t.hour in c.hours and t.minute in c.minutes,  # type: ignore[misc]
                    q,
                )
            for line in spec.aggregations:
                for window in line.windows:
                    value = feature(
                        self._events[spec.source], source, line, window, moment,
                        entity=entity[spec.entity], conditions={}, accuracy=spec.accuracy,
                    )  # fmt: skip
                    found[f"{name}__{line.base_name}_{window}"] = _plain(value)
        found |= self._newest("last_payment", "payments", {"card_number": card}, q, ("amount", "customer_id"))
        found |= self._newest("last_click", "clicks", {"customer_id": customer}, q, ("seconds",))
        total, few = found["spend__amount_sum_30d"], found["spend__count_1h"]
        found["share__of_month"] = float(price / total) if total and price is not None else None
        found["share__after"] = None if price is None else total + price
        found["share__quiet"] = few == 0
        return found

    def _newest(
        self, view: str, source: str, entity: Mapping[str, Any], q: datetime | None, features: Sequence[str]
    ) -> dict[str, Any]:
        spec = self._registry.views[view].spec
        assert spec.event_time is not None
        rows = [
            {**event, "event_time": event[spec.event_time], "available_at": event[spec.available_at or spec.event_time]}
            for event in self._events[source]
            if all(event[key] == value for key, value in entity.items())
        ]
        row = newest_row(rows, q, spec.ttl, features)
        return {f"{view}__{each}": row[each] if row else None for each in features}


def _plain(value: Any) -> Any:
    return Decimal(value.numerator) / Decimal(value.denominator) if isinstance(value, Fraction) else value


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Features that are not equal; doubles of a division may differ in the last bit of another one's."""
    return {
        name: (found[name], wanted)
        for name, wanted in expected.items()
        if found[name] != wanted
        and not (
            isinstance(wanted, float) and found[name] is not None and abs(found[name] - wanted) <= abs(wanted) * 1e-12
        )
    }

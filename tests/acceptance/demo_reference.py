"""The features of the example's ``fraud_model`` in plain Python, from the demonstration's files: no SQL, no engine.

Windows are counted by the reference of the window standard; conditions and rows of views are written out here again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from feature_platform.registry.graph import Registry
from tests.compiler.reference_windows import Condition, Event, feature

CONDITIONS: Mapping[str, Condition] = {
    "NOT is_refund": lambda event: not event["is_refund"],
    "is_refund": lambda event: event["is_refund"],
    "status = 'approved'": lambda event: event["status"] == "approved",
    "status = 'declined'": lambda event: event["status"] == "declined",
    "channel IN ('ecommerce', 'recurring')": lambda event: event["channel"] in ("ecommerce", "recurring"),
    "channel = 'atm'": lambda event: event["channel"] == "atm",
    "reason = 'fraud'": lambda event: event["reason"] == "fraud",
}
DAY = timedelta(days=1)


class Demo:
    """The files, read once, and what their rows come to."""

    def __init__(self, folder: Path, registry: Registry, published: Iterable[datetime]) -> None:
        """``published`` are the ticks at which daily snapshots were published."""
        self._folder = folder
        self._registry = registry
        self._ticks = sorted(published)

    def fraud_model(self, payment: Mapping[str, Any]) -> dict[str, Any]:
        """Every feature of the service for one row of the transactions' file, at its own time."""
        q, amount = payment["event_time"], payment["amount"]
        card = {"card_number": payment["card_number"]}
        midnight = datetime.combine(q.date(), datetime.min.time())
        found = self.windows("card_spend", card, q)
        found |= self.windows("card_habits", card, midnight)
        found |= self.windows("card_disputes", card, q)
        found |= self.windows("device_activity", {"device_id": payment["device_id"]}, q)
        profile = self._newest("cards", card, q)
        for name in ("product", "status", "credit_limit"):
            found[f"card_profile__{name}"] = profile[name] if profile else None
        number = "".join(filter(str.isdigit, profile["card_number"])) if profile else ""
        found["card_issuer__bin"] = number[:6] if 12 <= len(number) <= 19 else None
        customer = self._newest("customers", {"customer_id": payment["customer_id"]}, q)
        found["customer_identity__age"] = _age(customer["birth_date"], customer["updated_at"]) if customer else None
        found["customer_identity__email_missing"] = customer["email"] is None if customer else None
        found["merchant_risk__decline_rate_30d"] = self._decline_rate({"merchant_id": payment["merchant_id"]}, q)
        return found | _check(found, amount)

    def windows(self, view: str, entity: Mapping[str, Any], q: datetime) -> dict[str, Any]:
        """All features of an aggregation view as of ``q``."""
        spec = self._registry.views[view].spec
        assert spec.source is not None
        source = self._registry.sources[spec.source].spec
        events = self._about(spec.source, entity)
        found: dict[str, Any] = {}
        for line in spec.aggregations:
            for window in line.windows:
                value = feature(
                    events, source, line, window, q, entity=entity, conditions=CONDITIONS, view_where=spec.where
                )
                double = line.function in ("avg", "time_since_last")
                if isinstance(value, Fraction):
                    value = float(value) if double else _decimal(value)
                if isinstance(value, dict):
                    value = {key: _decimal(each) if isinstance(each, Fraction) else each for key, each in value.items()}
                found[f"{view}__{line.base_name}_{window}"] = value
        return found

    def _decline_rate(self, merchant: Mapping[str, Any], q: datetime) -> float | None:
        """Of the newest published snapshot at which the merchant had a profile."""
        for tick in reversed([each for each in self._ticks if each <= q]):
            counts = self.windows("merchant_performance", merchant, tick)
            attempts = counts["merchant_performance__attempts_30d"]
            if attempts and self._newest("merchants", merchant, tick):
                declines: int = counts["merchant_performance__declines_30d"]
                rate: float = declines / attempts
                return rate
        return None

    def _about(self, source: str, entity: Mapping[str, Any]) -> list[Event]:
        """Every version of every event that was ever of the entity."""
        (key,) = self._registry.sources[source].spec.key
        ((column, value),) = entity.items()
        rows = self._rows[source]
        ever = {row[key] for row in rows if row[column] == value}
        return [row for row in rows if row[key] in ever]

    def _newest(self, source: str, entity: Mapping[str, Any], q: datetime) -> Event | None:
        ((column, value),) = entity.items()
        seen = [row for row in self._rows[source] if row[column] == value and row["updated_at"] <= q]
        return max(seen, key=lambda row: row["updated_at"], default=None)

    @cached_property
    def _rows(self) -> Mapping[str, list[Event]]:
        names = ("transactions", "disputes", "cards", "customers", "merchants")
        return {name: pq.read_table(self._folder / name).to_pylist() for name in names}


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _check(found: Mapping[str, Any], amount: Decimal) -> dict[str, Any]:
    """View ``payment_check``."""
    average, spent, largest = (found[f"card_spend__amount_{name}_30d"] for name in ("avg", "sum", "max"))
    limit = found["card_profile__credit_limit"]
    gambling = (found["card_spend__by_category_30d"] or {}).get("gambling", 0)
    return {
        "payment_check__times_average": float(amount) / average if average else None,
        "payment_check__limit_used": (float(amount) + float(spent)) / float(limit) if limit else None,
        "payment_check__gambling_share": float(gambling) / float(spent) if spent else None,
        "payment_check__is_largest": largest is not None and amount > largest,
    }


def _age(born: date | None, at: datetime) -> int | None:
    if born is None:
        return None
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))

"""The Berka features computed in the slowest, plainest way: csv rows, Decimal, loops. No SQL and no platform code.

An event counts for a query day ``q`` and a window of ``w`` days iff ``q - w <= day < q``: the head is open, because on
the day itself nobody knows which bookings came before the decision. A profile row counts from its own day on, that day
included.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Row = Mapping[str, str]


@dataclass(frozen=True)
class Booking:
    """One line of ``trans``."""

    id: int
    day: date
    type: str
    operation: str | None
    amount: Decimal
    balance: Decimal
    k_symbol: str | None


@dataclass(frozen=True)
class Loan:
    """One line of ``loan``."""

    id: int
    account: int
    day: date
    amount: int
    duration: int
    payments: Decimal


class Berka:
    """The bank's files, and what was known of an account on a day. Bookings end with March 1994, loans with 1998."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def features(self, account: int, day: date) -> dict[str, Any]:
        """Every feature of the service ``loan_default``, as ``<view>__<feature>``."""
        return {
            **_prefixed("account_activity", self.activity(account, day)),
            **_prefixed("account_profile", self.profile(account, day)),
            **_prefixed("account_owner", self.owner(account, day)),
            **_prefixed("account_orders", self.orders(account, day)),
            **_prefixed("account_card", self.card(account, day)),
            **_prefixed("account_loans", self.earlier_loans(account, day)),
        }

    def activity(self, account: int, day: date) -> dict[str, Any]:
        """View ``account_activity``."""
        bookings = self._bookings[account]

        def within(days: int | None, keep: Callable[[Booking], bool] = lambda _: True) -> list[Booking]:
            first = date.min if days is None else day - timedelta(days=days)
            return [booking for booking in bookings if first <= booking.day < day and keep(booking)]

        ever = sorted(within(None), key=lambda booking: (booking.day, booking.id))
        quarter = within(90)
        found: dict[str, Any] = {}
        for text, days in (("30d", 30), ("90d", 90), ("365d", 365), ("all", None)):
            found[f"bookings_{text}"] = len(within(days))
        for text, days in (("30d", 30), ("90d", 90), ("365d", 365)):
            received = within(days, lambda booking: booking.type == "PRIJEM")
            paid = within(days, lambda booking: booking.type in ("VYDAJ", "VYBER"))
            found[f"credits_{text}"] = sum((booking.amount for booking in received), Decimal(0))
            found[f"debits_{text}"] = sum((booking.amount for booking in paid), Decimal(0))
        found["amount_avg_90d"] = _mean([booking.amount for booking in quarter])
        found["balance_min_90d"] = min((booking.balance for booking in quarter), default=None)
        found["balance_min_all"] = min((booking.balance for booking in ever), default=None)
        found["balance_max_90d"] = max((booking.balance for booking in quarter), default=None)
        found["balance_all"] = ever[-1].balance if ever else None
        found["opening_deposit_all"] = ever[0].amount if ever else None
        found["operation_count_distinct_365d"] = len({b.operation for b in within(365) if b.operation is not None})
        found["balance_stddev_90d"] = _sample_deviation([booking.balance for booking in quarter])
        found["idle_all"] = (day - ever[-1].day).total_seconds() if ever else None
        found |= self._maps(within(365), quarter, ever)
        return found

    @staticmethod
    def _maps(year: Sequence[Booking], quarter: Sequence[Booking], ever: Sequence[Booking]) -> dict[str, Any]:
        """Maps of ``account_activity``."""
        purposes = sorted({booking.k_symbol for booking in year if booking.k_symbol is not None})
        sums = {purpose: sum(booking.amount for booking in year if booking.k_symbol == purpose) for purpose in purposes}
        times = Counter(booking.operation for booking in quarter if booking.operation is not None)
        most = sorted(times, key=lambda operation: (-times[operation], operation))[:2]
        newest = {booking.type: booking.balance for booking in ever}
        edges = Counter(max(edge for edge in (0, 1_000, 10_000, 50_000) if edge <= b.amount) for b in quarter)
        return {
            "amount_sum_by_k_symbol_365d": sums or None,
            "count_by_operation_90d": {operation: times[operation] for operation in sorted(most)} or None,
            "balance_last_by_type_all": {kind: newest[kind] for kind in sorted(newest)} or None,
            "amount_histogram_90d": {Decimal(edge): edges[edge] for edge in sorted(edges)} or None,
        }

    def household(self, account: int, day: date) -> dict[str, Any]:
        """View ``account_month``: as of midnight of ``day``."""
        first = day - timedelta(days=30)
        month = [booking for booking in self._bookings[account] if first <= booking.day < day]
        household = [booking.amount for booking in month if booking.k_symbol == "SIPO"]
        return {
            "household_30d": sum(household, Decimal(0)),
            "largest_30d": max((booking.amount for booking in month), default=None),
        }

    def profile(self, account: int, day: date) -> dict[str, Any]:
        """View ``account_profile``."""
        row = self._accounts[account]
        district = self._districts[row["district_id"]]
        values = {
            "frequency": row["frequency"],
            "region": district["region"],
            "average_salary": int(district["average_salary"]),
            "urban_ratio": Decimal(district["urban_ratio"]),
        }
        return self._known(account, day, values)

    def owner(self, account: int, day: date) -> dict[str, Any]:
        """View ``account_owner``: YYMMDD with 50 added to a woman's month, everybody born in the 1900s."""
        number = self._owners[account]["birth_number"]
        month = int(number[2:4])
        woman = month > 50
        born = date(1900 + int(number[:2]), month - 50 if woman else month, int(number[4:6]))
        age = 1999 - born.year - ((born.month, born.day) > (1, 1))  # whole years on 1 January 1999, where the data ends
        values = {"birth_year": born.year, "sex": "F" if woman else "M", "age_1999": age}
        return self._known(account, day, values)

    def orders(self, account: int, day: date) -> dict[str, Any]:
        """View ``account_orders``; an account without orders has no row."""
        amounts = [Decimal(row["amount"]) for row in self._orders[account]]
        household = [Decimal(row["amount"]) for row in self._orders[account] if row["k_symbol"] == "SIPO"]
        values: dict[str, Any] = {
            "orders": len(amounts) or None,
            "order_sum": sum(amounts, Decimal(0)) if amounts else None,
            "household_sum": sum(household, Decimal(0)) if amounts else None,
            "largest_order": max(amounts, default=None),
        }
        return self._known(account, day, values)

    def card(self, account: int, day: date) -> dict[str, Any]:
        """View ``account_card``: the newest card issued until then."""
        issued = [(when, kind) for when, kind in self._cards[account] if when.date() <= day]
        return {"card_type": max(issued)[1] if issued else None}

    def earlier_loans(self, account: int, day: date) -> dict[str, Any]:
        """View ``account_loans``."""
        earlier = [loan for loan in self.loans if loan.account == account and loan.day < day]
        return {
            "loans_all": len(earlier),
            "lent_all": sum((Decimal(loan.amount) for loan in earlier), Decimal(0)),
            "instalments_all": sum((loan.payments for loan in earlier), Decimal(0)) if earlier else None,
        }

    @property
    def accounts(self) -> list[int]:
        """Every account, in order."""
        return sorted(self._accounts)

    @cached_property
    def loans(self) -> list[Loan]:
        """Every loan, in the file's order."""
        return [
            Loan(
                int(row["loan_id"]),
                int(row["account_id"]),
                date.fromisoformat(row["date"]),
                int(row["amount"]),
                int(row["duration"]),
                Decimal(row["payments"]),
            )
            for row in self._rows("loan")
        ]

    def _known(self, account: int, day: date, values: dict[str, Any]) -> dict[str, Any]:
        opened = date.fromisoformat(self._accounts[account]["date"])
        return values if opened <= day else dict.fromkeys(values)

    def _rows(self, name: str) -> list[Row]:
        with gzip.open(self._folder / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @cached_property
    def _accounts(self) -> dict[int, Row]:
        return {int(row["account_id"]): row for row in self._rows("account")}

    @cached_property
    def _districts(self) -> dict[str, Row]:
        return {row["district_id"]: row for row in self._rows("district")}

    @cached_property
    def _owners(self) -> dict[int, Row]:
        clients = {row["client_id"]: row for row in self._rows("client")}
        owners = [row for row in self._rows("disp") if row["type"] == "OWNER"]
        return {int(row["account_id"]): clients[row["client_id"]] for row in owners}

    @cached_property
    def _cards(self) -> Mapping[int, list[tuple[datetime, str]]]:
        accounts = {row["disp_id"]: int(row["account_id"]) for row in self._rows("disp")}
        issued = [
            (accounts[row["disp_id"]], (datetime.fromisoformat(row["issued"]).replace(tzinfo=UTC), row["type"]))
            for row in self._rows("card")
        ]
        return _grouped(issued)

    @cached_property
    def _orders(self) -> Mapping[int, list[Row]]:
        return _grouped((int(row["account_id"]), row) for row in self._rows("order"))

    @cached_property
    def _bookings(self) -> Mapping[int, list[Booking]]:
        return _grouped(
            (
                int(row["account_id"]),
                Booking(
                    int(row["trans_id"]),
                    date.fromisoformat(row["date"]),
                    row["type"],
                    row["operation"] or None,
                    Decimal(row["amount"]),
                    Decimal(row["balance"]),
                    row["k_symbol"] or None,
                ),
            )
            for row in self._rows("trans")
        )


def _grouped(pairs: Iterable[tuple[int, T]]) -> Mapping[int, list[T]]:
    groups: defaultdict[int, list[T]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def _prefixed(view: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{view}__{name}": value for name, value in values.items()}


def _mean(values: list[Decimal]) -> float | None:
    return float(sum(values, Decimal(0)) / len(values)) if values else None


def _sample_deviation(values: list[Decimal]) -> float | None:
    if len(values) < 2:
        return None
    mean = sum(values, Decimal(0)) / len(values)
    return math.sqrt(float(sum(((value - mean) ** 2 for value in values), Decimal(0)) / (len(values) - 1)))

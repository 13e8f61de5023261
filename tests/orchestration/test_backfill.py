"""Backfills: planned before they run, resumable after a kill, the same whichever way they came about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from feature_platform.errors import UsageError
from feature_platform.orchestration.instance import instance
from feature_platform.orchestration.runs import materialize, plan
from feature_platform.stores.protocols import TableName
from tests.orchestration.builders import DAILY_SPEND, LAST_PAYMENT, Payment, Workplace, rows_of, utc
from tests.orchestration.materializer import REACHED
from tests.processes import child

DAYS = 50
NOON = utc(2026, 1, 1, 12) + timedelta(days=DAYS)
TABLE = TableName("features", "daily_spend")


def pay_daily(cards: Workplace) -> None:
    cards.pay(
        [Payment(number % 3, utc(2026, 1, 1, 10) + timedelta(days=number)) for number in range(DAYS)], file="daily.csv"
    )


def live(cards: Workplace) -> list[dict[str, Any]]:
    with cards.open() as project:
        return sorted(rows_of(project, "daily_spend"), key=lambda row: tuple(map(str, row.values())))


def test_a_plan_says_what_would_be_built_and_why_and_builds_nothing(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, DAILY_SPEND)
    pay_daily(cards)
    with cards.open() as project:
        planned = plan(project, partition="all", as_of=NOON, chunk=DAYS)
        by_name = {asset.asset: asset for asset in planned.assets}
        spend = by_name["warehouse/payments/daily_spend"]
        assert (spend.span, spend.partitions) == (("2026-01-01", "2026-02-19"), DAYS)
        chunked = plan(project, ["daily_spend"], partition="all", as_of=NOON, chunk=20)
        assert [asset.partitions for asset in chunked.assets if asset.span] == [20, 20, 10]
        assert spend.reasons == ("partition missing",)
        assert spend.rows is None
        assert by_name["redis/payments/last_payment"].reasons == ("behind last_payment",)
        assert project.warehouse().publications(TABLE) == []


def test_a_range_is_refused_where_no_view_has_partitions(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, DAILY_SPEND)
    with cards.open() as project:
        with pytest.raises(UsageError, match="FP-RUN-004: view 'last_payment' has no partitions"):
            materialize(project, ["last_payment"], partition="2026-01-03", as_of=NOON)
        assert project.warehouse().publications(TableName("features", "last_payment")) == []
        assert plan(project, ["last_payment"], partition="all", as_of=NOON).assets
        assert plan(project, ["last_payment", "daily_spend"], partition="2026-01-03", as_of=NOON).assets


def test_a_changed_definition_shows_its_cost_before_it_runs(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    with cards.open() as project:
        assert materialize(project, ["daily_spend"], partition="2026-01-01..2026-01-03", as_of=NOON).ok
        rows = sum(each.rows for each in project.warehouse().publications(TABLE))
    cards.write(DAILY_SPEND.replace("function: count", "where: amount > 1, function: count"))
    with cards.open() as project:
        planned = plan(project, ["daily_spend"], partition="2026-01-01..2026-01-03", as_of=NOON)
        (spend,) = (asset for asset in planned.assets if asset.asset.startswith("warehouse"))
        assert (spend.partitions, spend.reasons, spend.rows) == (3, ("definition changed",), rows)


def test_a_plan_can_be_seen_in_dagster(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    with cards.open() as project:
        plan(project, partition="2026-01-01..2026-01-03", as_of=NOON, chunk=2, record=True)
        with instance(project) as opened:
            key = dg.AssetKey(["warehouse", "payments", "daily_spend"])
            (record,) = opened.fetch_observations(key, limit=5).records
        assert record.asset_observation is not None
        shown = {name: value.value for name, value in record.asset_observation.metadata.items()}
        assert shown == {
            "planned_because": "partition missing",
            "planned_partitions": 3,
            "planned_span": "2026-01-01..2026-01-03",
            "planned_rows": "unknown",
        }


def test_gaps_are_found_and_filled(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    with cards.open() as project:
        for day in ("2026-01-01", "2026-01-03"):
            assert materialize(project, ["daily_spend"], partition=day, as_of=utc(2026, 1, 4, 12)).ok
        planned = plan(project, ["daily_spend"], partition="all", as_of=utc(2026, 1, 4, 12))
        assert [asset.span for asset in planned.assets if asset.span] == [("2026-01-02", "2026-01-02")]
        report = materialize(project, ["daily_spend"], partition="all", as_of=utc(2026, 1, 4, 12))
        assert report.of("published")[0].partitions == ("2026-01-02",)
        assert plan(project, ["daily_spend"], partition="all", as_of=utc(2026, 1, 4, 12)).assets == ()


def test_a_backfill_of_fifty_partitions_goes_on_where_it_was_killed(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    pay_daily(cards)
    with child("tests.orchestration.materializer:days_of_spend", str(cards.root), NOON.isoformat()) as process:
        assert process.stdout.readline() == REACHED, process.errors()
        process.kill()
    with cards.open() as project:
        half = {each.partition for each in project.warehouse().publications(TABLE)}
        assert len(half) == 20
        report = materialize(project, ["daily_spend"], partition="all", as_of=NOON)
        assert report.ok
        (spend,) = (asset for asset in report.of("published") if asset.asset.startswith("warehouse"))
        assert half.isdisjoint(spend.partitions)
        assert len(half) + len(spend.partitions) == DAYS
    resumed = live(cards)
    with cards.open() as project:
        assert materialize(project, ["daily_spend"], partition="all", as_of=NOON, force=True).ok
    assert live(cards) == resumed

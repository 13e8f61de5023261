"""What a person is told of a view's intervals: built, stale, missing, and what came later than the lookback."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.orchestration.instance import instance
from feature_platform.orchestration.intervals import ParityException, Span, intervals
from feature_platform.orchestration.runs import materialize, plan, view_intervals
from feature_platform.project.project import Project
from feature_platform.stores.protocols import TableName
from tests.orchestration.builders import DAILY_SPEND, Payment, Workplace, rows_of, utc

SPEND = DAILY_SPEND.replace("start: 2026-01-01", "start: 2026-01-01, lookback: 2d").replace("online: redis, ", "")
IS_LARGE = """
    kind: feature_view
    name: is_large
    entity: card
    sql: SELECT card_id, event_time, amount_sum_1d > 100 AS is_large FROM daily_spend
    event_time: event_time
    materialization: {offline: warehouse, partition: day, start: 2026-01-01}
"""
AS_OF = utc(2026, 1, 12)


def parity_check(project: Project) -> tuple[bool, dict[str, Any]]:
    """The newest result of the check in Dagster."""
    key = dg.AssetCheckKey(dg.AssetKey(["warehouse", "payments", "daily_spend"]), "parity")
    with instance(project) as opened:
        (record, *_) = opened.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.event is not None
    evaluation: Any = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    return evaluation.passed, {name: value.value for name, value in evaluation.metadata.items()}


@pytest.fixture
def built(cards: Workplace) -> Workplace:
    """Ten days of a view, with a gap, and an event of the third day that came after all were built."""
    cards.write(SPEND, IS_LARGE)
    with cards.open() as project:
        for days in ("2026-01-02..2026-01-05", "2026-01-07..2026-01-10"):
            assert materialize(project, ["daily_spend"], partition=days, as_of=AS_OF).ok
    cards.pay([Payment(2, utc(2026, 1, 3, 20), "4.00")], file="late.csv")
    return cards


def test_intervals_are_built_missing_or_exceptions(built: Workplace) -> None:
    with built.open() as project:
        found = intervals(project, "daily_spend", AS_OF)
        assert found.current == (Span("2026-01-02", "2026-01-02", 1), Span("2026-01-10", "2026-01-10", 1))
        assert found.missing == (Span("2026-01-06", "2026-01-06", 1), Span("2026-01-11", "2026-01-11", 1))
        assert found.stale == (Span("2026-01-09", "2026-01-09", 1, "1 late events"),)
        days = ("2026-01-03", "2026-01-04", "2026-01-05", "2026-01-07", "2026-01-08")
        assert tuple(each.partition for each in found.parity) == days
        assert found.parity[0] == ParityException("2026-01-03", 4, 5)
        assert (found.next_partition, found.next_due) == ("2026-01-12", utc(2026, 1, 13))


def test_what_came_later_than_the_lookback_is_shown_until_its_range_is_built_again(built: Workplace) -> None:
    with built.open() as project:
        planned = plan(project, ["daily_spend"], as_of=AS_OF)
        assert planned.parity["daily_spend"][0].partition == "2026-01-03"
        (report,) = materialize(project, ["daily_spend"], as_of=AS_OF).assets
        assert report.status == "published", "an exception blocks nothing"
        assert report.partitions == ("2026-01-06", "2026-01-09", "2026-01-11")
        passed, about = parity_check(project)
        assert (passed, about["partitions"]) == (False, 5)
        assert about["by_partition"]["2026-01-03"] == {"events_then": 4, "events_now": 5}
        healed = materialize(project, ["daily_spend"], partition="2026-01-01..2026-01-11", as_of=AS_OF)
        assert healed.ok
        assert parity_check(project)[0]
        assert plan(project, ["daily_spend"], as_of=AS_OF).parity == {}
        (state,) = view_intervals(project, ["daily_spend"], as_of=AS_OF)
        assert (state.stale, state.missing, state.parity) == ((), (), ())
        once = rows_of(project, "daily_spend")
        assert materialize(project, ["daily_spend"], partition="all", as_of=AS_OF, force=True).ok
        assert rows_of(project, "daily_spend") == once


def test_restating_a_view_restates_its_descendants(built: Workplace) -> None:
    """Only where it is asked for, and there in the range that is named."""
    command = [
        "materialize",
        "daily_spend",
        "--partition",
        "2026-01-05..2026-01-06",
        "--as-of",
        "2026-01-12",
        "--force",
    ]
    command += ["--project", str(built.root)]
    with built.open() as project:
        table = TableName("features", "is_large")

        def runs() -> dict[str | None, str]:
            return {each.partition: each.properties["run_id"] for each in project.warehouse().publications(table)}

        assert materialize(project, ["is_large"], partition="2026-01-04..2026-01-07", as_of=AS_OF).ok
        for options, restated in ([], set[str]()), (["--with-descendants"], {"2026-01-05", "2026-01-06"}):
            before = runs()
            done = CliRunner().invoke(app, [*command, *options])
            assert done.exit_code == 0, done.output
            after = runs()
            assert {day for day in before if before[day] != after[day]} == restated


def test_rows_of_an_upstream_view_that_did_not_change_leave_a_downstream_partition_alone(built: Workplace) -> None:
    with built.open() as project:
        days = "2026-01-04..2026-01-05"
        assert materialize(project, ["is_large"], partition=days, as_of=AS_OF).ok
        assert materialize(project, ["daily_spend"], partition="2026-01-02", as_of=AS_OF, force=True).ok
        assert plan(project, ["is_large"], partition=days, as_of=AS_OF).assets == ()

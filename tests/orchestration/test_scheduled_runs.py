"""What a tick of a schedule builds: what is missing or stale of the range that it names, and gaps before it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg

from feature_platform.orchestration.factory import definitions_of
from feature_platform.orchestration.instance import instance
from feature_platform.orchestration.resources import PROJECT, lent_project
from feature_platform.orchestration.runs import materialize
from feature_platform.orchestration.schedules import run_requests
from feature_platform.project.project import Project
from feature_platform.stores.protocols import TableName
from tests.orchestration.builders import DAILY_SPEND, Payment, Workplace, utc

SPEND = dg.AssetKey(["warehouse", "payments", "daily_spend"])
LOOKING_BACK = DAILY_SPEND.replace("start: 2026-01-01", "start: 2026-01-01, lookback: 3d").replace(
    "online: redis, ", ""
)


def tick(project: Project, day: int) -> tuple[dict[str, Any], dg.ExecuteInProcessResult]:
    """Runs what the schedule of the project asks for at the beginning of ``day``; gives the publications' runs."""
    made = definitions_of(project, resources={PROJECT: lent_project(project)})
    (schedule,) = made.schedules or ()
    with instance(project) as opened:
        context = dg.build_schedule_context(opened, scheduled_execution_time=utc(2026, 1, day).astimezone())
        assert isinstance(schedule, dg.ScheduleDefinition)
        (asked,) = schedule.evaluate_tick(context).run_requests or ()
        job = made.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=opened, asset_selection=asked.asset_selection, tags=asked.tags)
    assert result.success
    built = {
        str(each.partition): each.properties["run_id"]
        for each in project.warehouse().publications(TableName("features", "daily_spend"))
    }
    return built, result


def test_a_tick_builds_what_is_missing_or_touched_and_leaves_the_rest(cards: Workplace) -> None:
    cards.write(LOOKING_BACK)
    with cards.open() as project:
        assert materialize(project, partition="2026-01-02..2026-01-05", as_of=utc(2026, 1, 6)).ok
        before, _ = tick(project, 8)
        assert len({before[f"2026-01-0{day}"] for day in (2, 3, 4, 5)}) == 1, "those are current"
        assert {"2026-01-06", "2026-01-07"} < set(before)
        cards.pay([Payment(2, utc(2026, 1, 6, 9))], file="late.csv")
        after, result = tick(project, 9)
        assert {day for day in before if before[day] != after[day]} == {"2026-01-06", "2026-01-07"}
        assert set(after) - set(before) == {"2026-01-08"}
        events = {
            event.partition: event for event in result.asset_materializations_for_node(result.job_def.nodes[0].name)
        }
        assert {key for key, event in events.items() if event.metadata["unchanged"].value} == {"2026-01-05"}


def test_a_tick_without_anything_to_do_changes_nothing(cards: Workplace) -> None:
    cards.write(LOOKING_BACK)
    with cards.open() as project:
        before, _ = tick(project, 8)
        after, result = tick(project, 8)
        assert after == before
        assert all(each.passed for each in result.get_asset_check_evaluations())


def test_a_tick_fills_gaps_that_an_outage_left(cards: Workplace) -> None:
    cards.write(LOOKING_BACK)
    with cards.open() as project:
        tick(project, 4)
        built, result = tick(project, 20)
        assert len(built) == 19, "from the first day on"
        recorded = {event.partition for event in result.asset_materializations_for_node(result.job_def.nodes[0].name)}
        assert recorded >= {"2026-01-05", "2026-01-19"}


def test_a_run_by_hand_fills_gaps_too(cards: Workplace) -> None:
    cards.write(LOOKING_BACK)
    with cards.open() as project:
        materialize(project, partition="2026-01-02", as_of=utc(2026, 1, 6))
        (report,) = materialize(project, as_of=utc(2026, 1, 12)).assets
        first = utc(2026, 1, 3)
        assert report.partitions == tuple(f"{first + timedelta(days=number):%Y-%m-%d}" for number in range(9))


def test_ticks_ask_for_what_is_stale_only() -> None:
    from feature_platform.orchestration.schedules import Scheduled

    (asked,) = run_requests([Scheduled(SPEND, "0 0 * * *", "day")], utc(2026, 1, 5))
    assert asked.tags["fp/stale_only"] == "true"

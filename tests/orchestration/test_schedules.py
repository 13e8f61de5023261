"""Schedules grouped by cron expression."""

from __future__ import annotations

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.errors import UsageError
from feature_platform.orchestration.schedules import (
    RANGE_END,
    RANGE_START,
    Scheduled,
    cron_of,
    name_of,
    run_requests,
    schedules,
    status,
)
from tests.orchestration.builders import utc

NOW = utc(2026, 3, 2)
STOPPED = dg.DefaultScheduleStatus.STOPPED


def scheduled(name: str, cron: str = "0 0 * * *", **more: object) -> Scheduled:
    return Scheduled(dg.AssetKey(["warehouse", "payments", name]), cron, **{"unit": None, **more})  # type: ignore[arg-type]


def keys(request: dg.RunRequest) -> list[str]:
    return [key.path[-1] for key in request.asset_selection or []]


def test_views_with_one_cron_share_a_schedule() -> None:
    made = schedules([scheduled("a"), scheduled("b"), scheduled("c", "0 * * * *")], STOPPED)
    assert {each.name: each.cron_schedule for each in made} == {"hourly": "0 * * * *", "daily": "0 0 * * *"}


def test_a_tick_of_unpartitioned_views_is_one_run() -> None:
    (request,) = run_requests([scheduled("a"), scheduled("b")], NOW)
    assert keys(request) == ["a", "b"]
    assert request.tags["fp/as_of"] == "2026-03-02T00:00:00"


def test_a_tick_builds_the_partition_that_has_just_ended() -> None:
    (request,) = run_requests([scheduled("a", unit="day"), scheduled("b")], NOW)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-03-01", "2026-03-01")
    assert keys(request) == ["a", "b"]


def test_a_lookback_widens_the_range_and_stops_at_the_first_partition() -> None:
    (wide,) = run_requests([scheduled("a", unit="day", lookback=3, start=utc(2026, 1, 1))], NOW)
    (cut,) = run_requests([scheduled("a", unit="day", lookback=3, start=utc(2026, 2, 28))], NOW)
    assert [wide.tags[RANGE_START], cut.tags[RANGE_START]] == ["2026-02-26", "2026-02-28"]


def test_days_and_hours_are_runs_of_their_own() -> None:
    requests = list(run_requests([scheduled("a", unit="day"), scheduled("b", unit="hour")], NOW))
    assert [(keys(each), each.tags[RANGE_END]) for each in requests] == [
        (["a"], "2026-03-01"),
        (["b"], "2026-03-01-23:00"),
    ]


def test_a_view_that_begins_later_is_not_run() -> None:
    assert list(run_requests([scheduled("a", unit="day", start=utc(2026, 3, 2))], NOW)) == []


FIELDS = st.sampled_from(["*", "*/5", "1", "1,2", "1-3", "1-10/2", "0", "11", "12"])


@given(st.tuples(FIELDS, FIELDS, FIELDS, FIELDS, FIELDS), st.tuples(FIELDS, FIELDS, FIELDS, FIELDS, FIELDS))
def test_different_crons_have_different_names(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (name_of(" ".join(one)) == name_of(" ".join(other))) == (one == other)


def test_an_alias_and_its_fields_are_one_schedule() -> None:
    assert name_of("0 0 1 * *") == name_of("@monthly") == "monthly"
    assert cron_of("0  6 * * MON") == cron_of("0 6 * * mon")


@pytest.mark.parametrize(
    ("setting", "embedded", "expected"),
    [(None, True, "STOPPED"), (None, False, "RUNNING"), ("running", True, "RUNNING"), ("stopped", False, "STOPPED")],
)
def test_schedules_run_on_servers_and_wait_on_a_laptop(setting: str | None, embedded: bool, expected: str) -> None:
    assert status(setting, embedded=embedded).value == expected


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(UsageError, match="FP_SCHEDULES is 'on'"):
        status("on", embedded=True)

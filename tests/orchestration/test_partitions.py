"""Days and hours as partitions."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.errors import UsageError
from feature_platform.orchestration.partitions import (
    LENGTH,
    Interval,
    Unit,
    latest_complete,
    parse_interval,
    partition_of,
    partitions_within,
)
from tests.orchestration.builders import utc

MOMENTS = st.datetimes(utc(1990, 1, 1), utc(2060, 1, 1))
UNITS = st.sampled_from(["day", "hour"])


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-03-01", utc(2026, 3, 1), utc(2026, 3, 2)),
        ("2026-03-01-05:00", utc(2026, 3, 1, 5), utc(2026, 3, 1, 6)),
        ("2026-03-01T05", utc(2026, 3, 1, 5), utc(2026, 3, 1, 6)),
        ("2026-03-01..2026-03-03", utc(2026, 3, 1), utc(2026, 3, 4)),
        ("2026-03-01..2026-03-03-05:00", utc(2026, 3, 1), utc(2026, 3, 3, 6)),
    ],
)
def test_a_key_or_a_range_names_half_open_time(text: str, start: datetime, end: datetime) -> None:
    assert parse_interval(text) == Interval(start, end)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-03-01-05:30", "..", "2026-03-01.."])
def test_what_is_no_partition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="FP-RUN-003") as refused:
        parse_interval(text)
    assert "2026-03-01" in refused.value.problems[0].mend


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(UsageError, match="ends before it begins"):
        parse_interval("2026-03-02..2026-03-01")


@given(MOMENTS, UNITS)
def test_the_latest_complete_partition_is_over_and_the_next_one_is_not(moment: datetime, unit: Unit) -> None:
    newest = latest_complete(unit, moment)
    assert newest.end <= moment < newest.end + LENGTH[unit]


@given(MOMENTS, UNITS)
def test_a_partition_is_found_again_by_its_key(moment: datetime, unit: Unit) -> None:
    newest = latest_complete(unit, moment)
    assert partition_of(newest.key, unit) == newest


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=4)), UNITS)
def test_partitions_within_an_interval_are_whole_and_leave_no_room_for_another(
    start: datetime, length: timedelta, unit: Unit
) -> None:
    interval = Interval(start, start + length)
    found = list(partitions_within(interval, unit))
    assert all(interval.start <= each.start and each.end <= interval.end for each in found)
    assert all(one.end == other.start for one, other in pairwise(found))
    covered = LENGTH[unit] * len(found)
    assert length - covered < 2 * LENGTH[unit]

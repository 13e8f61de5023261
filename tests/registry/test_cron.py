"""Schedules: which are valid, and how often they tick."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_platform.registry.cron import parse_cron, shortest_interval_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("* * * * *", 60),
        ("*/15 * * * *", 900),
        ("@hourly", 3_600),
        ("@daily", 86_400),
        ("@weekly", 7 * 86_400),
        ("@monthly", 28 * 86_400),
        ("0 6,18 * * *", 12 * 3_600),
        ("0 9-17/4 * * mon-fri", 4 * 3_600),
        ("0 0 * * 1-5", 86_400),
        ("30 23 * * *", 86_400),
        ("0 0 1,15 * *", 14 * 86_400),
        ("0 0 13 * 5", 86_400),
        ("0 0 29 2 *", 1461 * 86_400),
        ("59 23,0 * * *", 3_600),
        ("0 0 * * 7", 7 * 86_400),
        ("0 0 1 JAN,Jul *", 181 * 86_400),
    ],
)
def test_the_shortest_time_between_two_ticks(text: str, seconds: int) -> None:
    assert shortest_interval_seconds(text) == seconds


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_a_schedule_may_never_tick(text: str) -> None:
    assert shortest_interval_seconds(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("60 * * * *", "minute '60'"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of the month '0'"),
        ("* * * 13 *", "month '13'"),
        ("* * * * 8", "weekday '8'"),
        ("*/0 * * * *", "minute '0'"),
        ("5-1 * * * *", "backwards"),
        ("a * * * *", "minute 'a'"),
        ("1,,2 * * * *", "minute ''"),
        ("-1 * * * *", "minute ''"),
        ("²  * * * *", "minute '²'"),
        ("* * * * * *", "six".replace("six", "6")),
    ],
)
def test_what_no_clock_can_meet_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_cron(text)


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        "{} {} {} {} {}".format,
        st.sampled_from(["0", "30", "*/20"]),
        st.sampled_from(["0", "6,18", "*/8"]),
        st.sampled_from(["*", "1", "31", "*/10"]),
        st.sampled_from(["*", "2", "jan-jun"]),
        st.sampled_from(["*", "1", "sat-sat", "0,3"]),
    )
)
def test_the_interval_is_the_least_difference_between_listed_ticks(text: str) -> None:
    cron = parse_cron(text)
    first = date(2024, 1, 1)
    ticks = [
        (number * 24 + hour) * 60 + minute
        for number in range(5 * 366)
        if cron.ticks_on(first + timedelta(days=number))
        for hour in sorted(cron.hours)
        for minute in sorted(cron.minutes)
    ]
    expected = min((later - earlier for earlier, later in itertools.pairwise(ticks)), default=None)
    assert shortest_interval_seconds(text) == (None if expected is None else expected * 60)

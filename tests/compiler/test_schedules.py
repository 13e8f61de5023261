from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.compiler.fragments import Relation, column, sql, with_relations
from feature_platform.compiler.schedules import newest, newest_tick, tick_days
from feature_platform.registry.cron import parse_cron
from tests.compiler.event_project import Session, at, open_sessions
from tests.compiler.reference_windows import newest_tick as tick_by_trying

OFTEN = ["@hourly", "@daily", "*/15 * * * *", "7,52 3-5,22 * * *", "30 6 * * mon-fri", "0 12 13 * fri"]
SELDOM = ["@weekly", "@monthly", "0 0 29 2 *", "59 23 31 */3 *"]
moments = st.datetimes(at("1890-01-01"), at("2110-01-01"))


def matches(schedule: str, moment: datetime) -> bool:
    """Whether ``moment`` is a minute of the schedule, straight from the meaning of its fields."""
    cron = parse_cron(schedule)
    return cron.ticks_on(moment.date()) and moment.hour in cron.hours and moment.minute in cron.minutes


@given(schedule=st.sampled_from(OFTEN), moment=moments)
@settings(max_examples=50, deadline=None)
def test_the_newest_tick_is_the_one_that_trying_every_minute_finds(schedule: str, moment: datetime) -> None:
    assert newest(parse_cron(schedule), moment) == tick_by_trying(lambda tick: matches(schedule, tick), moment)


@pytest.mark.parametrize(
    ("schedule", "moment", "tick"),
    [
        ("@hourly", "2024-05-05T10:00:00", "2024-05-05T10:00:00"),
        ("@hourly", "2024-05-05T09:59:59.999999", "2024-05-05T09:00:00"),
        ("@daily", "1969-12-31T23:59:59.999999", "1969-12-31"),
        ("@weekly", "2024-05-04T23:00:00", "2024-04-28"),
        ("@monthly", "2024-03-01", "2024-03-01"),
        ("0 0 29 2 *", "1904-02-28T23:59:00", "1896-02-29"),
        ("0 12 13 * fri", "2024-05-12", "2024-05-10T12:00:00"),
        ("30 6 * * mon-fri", "2024-05-06T06:29:59", "2024-05-03T06:30:00"),
    ],
)
def test_the_newest_tick_at_the_edges(schedule: str, moment: str, tick: str) -> None:
    assert newest(parse_cron(schedule), at(moment)) == at(tick)


@pytest.fixture(scope="module")
def sessions(postgres_url: str) -> Iterator[Sequence[Session]]:
    with open_sessions(postgres_url) as opened:
        yield opened


@given(schedule=st.sampled_from(OFTEN + SELDOM), asked=st.lists(moments, min_size=1, max_size=20))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_engines_find_the_same_tick(sessions: Sequence[Session], schedule: str, asked: list[datetime]) -> None:
    cron = parse_cron(schedule)
    edges = [newest(cron, moment) for moment in asked]
    told = [*asked, *edges, *(tick - timedelta(microseconds=1) for tick in edges)]
    calendar = tick_days(cron, "moments", "days")
    moment = column("fp_moment", "m")
    query = sql(
        "SELECT m.n AS n, :tick AS tick FROM moments AS m:joins ORDER BY m.n",
        tick=newest_tick(cron, moment, "days"),
        joins=sql(" LEFT JOIN days ON days.fp_day = DATE_TRUNC('day', m.fp_moment)") if calendar else sql(""),
    )
    moments_relation = Relation("moments", sql('SELECT n, fp_moment FROM "inputs"."moments"'))
    text = with_relations([moments_relation, *([calendar] if calendar else [])], query)
    rows = [{"n": number, "fp_moment": each} for number, each in enumerate(told)]
    for session in sessions:
        session.put("inputs", "moments", {"n": "bigint", "fp_moment": "timestamp"}, rows)
        assert [row["tick"] for row in session.run(text)] == [newest(cron, each) for each in told]

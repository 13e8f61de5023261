"""The newest tick of a schedule at or before a time, in Python and in SQL, by the same rule. All times are UTC."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlglot import exp

from feature_platform.compiler.fragments import Relation, column, name, select, sql
from feature_platform.registry.cron import Cron

_LONGEST_GAP_DAYS: Final = 8 * 366 + 31
"""29 February is missing for eight years around 1900 and 2100: no schedule that ticks at all pauses longer."""


def newest(schedule: Cron, moment: datetime) -> datetime:
    """The newest tick at or before ``moment`` (naive UTC)."""
    times = sorted((hour, minute) for hour in schedule.hours for minute in schedule.minutes)
    reached = [time for time in times if time <= (moment.hour, moment.minute)]
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if not reached or not schedule.ticks_on(day.date()):
        reached = times
        day -= timedelta(days=1)
        while not schedule.ticks_on(day.date()):
            day -= timedelta(days=1)
    hour, minute = reached[-1]
    return day.replace(hour=hour, minute=minute)


def newest_tick(schedule: Cron, moment: exp.Expr, days: str) -> exp.Expr:
    """SQL for :func:`newest`. Unless every day has ticks it reads the row of ``moment``'s day in the relation ``days`` of
    :func:`tick_days`, which the query has to join."""
    day = sql("DATE_TRUNC('day', :moment)", moment=moment)
    today = _newest_today(schedule, moment, day)
    last = _since((max(schedule.hours), max(schedule.minutes)))
    if _every_day(schedule):
        return sql("COALESCE(:today, :day - INTERVAL '1' DAY + :last)", today=today, day=day, last=last)
    return sql(
        "COALESCE(CASE WHEN :matches THEN :today END, :before + :last)",
        matches=column("fp_matches", days),
        today=today,
        before=column("fp_before", days),
        last=last,
    )


def tick_days(schedule: Cron, moments: str, days: str) -> Relation | None:
    """The relation ``days``: for each day with a ``fp_moment`` in the relation ``moments``, whether it has ticks, and the newest day before it
    that has. None where every day has ticks."""
    if _every_day(schedule):
        return None
    tree = select(
        """SELECT fp_day, fp_matches,
             MAX(CASE WHEN fp_matches THEN fp_day END)
               OVER (ORDER BY fp_day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS fp_before
           FROM (SELECT fp_day, :matches AS fp_matches
                 FROM (SELECT CAST(s.fp_tick AS TIMESTAMP) AS fp_day FROM GENERATE_SERIES(
                   (SELECT DATE_TRUNC('day', MIN(fp_moment)) - :gap FROM :moments),
                   (SELECT DATE_TRUNC('day', MAX(fp_moment)) FROM :moments), INTERVAL '1' DAY) AS s(fp_tick)) AS a) AS b""",
        matches=_day_matches(schedule),
        gap=exp.Interval(this=exp.Literal.string(str(_LONGEST_GAP_DAYS)), unit=exp.var("DAY")),
        moments=name(moments),
    )
    return Relation(days, tree, stored=True)


def _every_day(schedule: Cron) -> bool:
    return len(schedule.months) == 12 and (
        (len(schedule.days) == 31 and (schedule.either_day or len(schedule.weekdays) == 7))
        or (len(schedule.weekdays) == 7 and schedule.either_day)
    )


def _day_matches(schedule: Cron) -> exp.Expr:
    def among(part: str, values: frozenset[int]) -> exp.Expr:
        listed = [exp.Literal.number(value) for value in sorted(values)]
        return exp.In(this=sql(f"EXTRACT({part} FROM fp_day)"), expressions=listed)

    day, weekday = among("day", schedule.days), among("dow", schedule.weekdays)
    chosen = exp.or_(day, weekday) if schedule.either_day else exp.and_(day, weekday)
    return exp.paren(exp.and_(among("month", schedule.months), chosen))


def _newest_today(schedule: Cron, moment: exp.Expr, day: exp.Expr) -> exp.Expr:
    # NULL before the day's first tick.
    hour = sql("EXTRACT(hour FROM :moment)", moment=moment)
    minute = sql("EXTRACT(minute FROM :moment)", moment=moment)
    within = exp.Case()
    for tick in sorted(schedule.minutes, reverse=True):
        within = within.when(exp.GTE(this=minute.copy(), expression=exp.Literal.number(tick)), _since((0, tick)), copy=False)
    this_hour = exp.and_(
        exp.In(this=hour.copy(), expressions=[exp.Literal.number(listed) for listed in sorted(schedule.hours)]),
        exp.GTE(this=minute.copy(), expression=exp.Literal.number(min(schedule.minutes))),
    )
    newest = exp.Case().when(this_hour, sql("DATE_TRUNC('hour', :moment) + :within", moment=moment, within=within), copy=False)
    for listed in sorted(schedule.hours, reverse=True):
        earlier = exp.GT(this=hour.copy(), expression=exp.Literal.number(listed))
        newest = newest.when(earlier, sql(":day + :since", day=day, since=_since((listed, max(schedule.minutes)))), copy=False)
    return newest


def _since(time: tuple[int, int]) -> exp.Expr:
    return exp.Interval(this=exp.Literal.string(str(time[0] * 60 + time[1])), unit=exp.var("MINUTE"))

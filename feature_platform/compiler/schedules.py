"""The newest tick of a schedule at or before a time, in Python and in SQL, by the same rule. All times are UTC."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from feature_platform.compiler.fragments import Relation, Sql, column, name, sql
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


def newest_tick(schedule: Cron, moment: Sql, days: str) -> Sql:
    """SQL for :func:`newest`. Unless every day has ticks it reads the row of ``moment``'s day in the relation
    ``days`` of :func:`tick_days`, which the query has to join.
    """
    parts = {
        "day": sql("DATE_TRUNC('day', :moment)", moment=moment),
        "today": _newest_today(schedule, moment),
        "last": _since(max(schedule.hours), max(schedule.minutes)),
    }
    if _every_day(schedule):
        return sql("COALESCE(:today, :day - INTERVAL '1 day' + :last)", **parts)
    parts |= {"matches": column("fp_matches", days), "before": column("fp_before", days)}
    return sql("COALESCE(CASE WHEN :matches THEN :today END, :before + :last)", **parts)


def tick_days(schedule: Cron, moments: str, days: str) -> Relation | None:
    """The relation ``days``: for each day with a ``fp_moment`` in the relation ``moments``, whether it has ticks, and
    the newest day before it that has. None where every day has ticks.
    """
    if _every_day(schedule):
        return None
    body = sql(
        """SELECT fp_day, fp_matches,
             MAX(CASE WHEN fp_matches THEN fp_day END)
               OVER (ORDER BY fp_day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS fp_before
           FROM (SELECT fp_day, :matches AS fp_matches
                 FROM (SELECT CAST(s.fp_tick AS TIMESTAMP) AS fp_day FROM GENERATE_SERIES(
                   (SELECT DATE_TRUNC('day', MIN(fp_moment)) - :gap FROM :moments),
                   (SELECT DATE_TRUNC('day', MAX(fp_moment)) FROM :moments),
                   INTERVAL '1 day') AS s(fp_tick)) AS a) AS b""",
        matches=_day_matches(schedule),
        gap=Sql(f"INTERVAL '{_LONGEST_GAP_DAYS} days'"),
        moments=name(moments),
    )
    return Relation(days, body, stored=True)


def _every_day(schedule: Cron) -> bool:
    days, weekdays = len(schedule.days) == 31, len(schedule.weekdays) == 7
    return len(schedule.months) == 12 and (days or weekdays if schedule.either_day else days and weekdays)


def _day_matches(schedule: Cron) -> Sql:
    def among(part: str, values: frozenset[int]) -> Sql:
        return Sql(f"EXTRACT({part} FROM fp_day) IN ({', '.join(map(str, sorted(values)))})")

    day, weekday = among("day", schedule.days), among("dow", schedule.weekdays)
    chosen = "(:day OR :weekday)" if schedule.either_day else ":day AND :weekday"
    return sql(f"(:month AND {chosen})", month=among("month", schedule.months), day=day, weekday=weekday)


def _newest_today(schedule: Cron, moment: Sql) -> Sql:
    # The schedule's newest tick of the moment's day, as if that day had any; NULL before the first.
    hours, minutes = sorted(schedule.hours, reverse=True), sorted(schedule.minutes, reverse=True)
    hour, minute = sql("EXTRACT(hour FROM :moment)", moment=moment), sql("EXTRACT(minute FROM :moment)", moment=moment)
    day = sql("DATE_TRUNC('day', :moment)", moment=moment)
    return sql(
        """CASE WHEN :hour IN (:hours) AND :minute >= :first
             THEN DATE_TRUNC('hour', :moment) + CASE :within END :earlier END""",
        hour=hour,
        hours=Sql(", ".join(map(str, hours))),
        minute=minute,
        first=Sql(str(minutes[-1])),
        moment=moment,
        within=Sql(" ".join(f"WHEN {minute} >= {tick} THEN {_since(0, tick)}" for tick in minutes)),
        earlier=Sql(" ".join(f"WHEN {hour} > {tick} THEN {day} + {_since(tick, minutes[0])}" for tick in hours)),
    )


def _since(hour: int, minute: int) -> Sql:
    return Sql(f"INTERVAL '{60 * hour + minute} minutes'")

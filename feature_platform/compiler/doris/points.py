"""The times that a training set asks about, for Doris: the spine, ticks of schedules, and the distinct points.

Times are whole microseconds since 1970. A *point* is an entity at a query time, named by the entity's keys and
``fp_q``: nothing is numbered over all entities, which would take one machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from feature_platform.compiler.codes import NO_FORM
from feature_platform.compiler.doris.text import (
    DAY,
    aliased,
    case,
    cast,
    column,
    columns,
    floored,
    microseconds,
    name,
    number,
    selected,
)
from feature_platform.compiler.fragments import Relation, Sql, all_of, listed, sql
from feature_platform.errors import CompileError
from feature_platform.registry.cron import Cron, parse_cron
from feature_platform.types import TIMESTAMP, DataType

SPINE = "fp_asked"
_MINUTE = 60_000_000


@dataclass(frozen=True, slots=True)
class KeyedPoints:
    """The points of some key columns of the spine at the times in the spine relation's column ``moment``. Those of the
    other engines (:class:`feature_platform.compiler.query_times.Points`) have numbers.
    """

    number: int
    spine_keys: tuple[str, ...]
    moment: str

    @property
    def name(self) -> str:
        """Relation of the points: ``fp_k0 …`` and ``fp_q``."""
        return f"fp_points{self.number}"

    @property
    def entities(self) -> str:
        """Relation of the entities: keys, ``fp_oldest``, ``fp_newest``."""
        return f"fp_entities{self.number}"

    @property
    def keys(self) -> list[str]:
        return [f"fp_k{index}" for index in range(len(self.spine_keys))]

    def same(self, answers: str, spine: str) -> Sql:
        """The join of a relation of answers to the spine's rows."""
        keys = (
            Sql(f"{column(own, answers)} = {column(key, spine)}")
            for own, key in zip(self.keys, self.spine_keys, strict=True)
        )
        return all_of(*keys, Sql(f"{column('fp_q', answers)} = {column(self.moment, spine)}"))


def spine_relations(
    key_types: Mapping[str, DataType], time: str, taken: Mapping[str, DataType], schedules: Sequence[str], rows: Sql
) -> list[Relation]:
    """Relations that end in :data:`SPINE`: per row of ``rows`` ``fp_row``, the keys, the request's columns as
    ``fp_r_<name>``, ``fp_q`` and, for the n-th schedule, ``fp_q<n>``.

    Raises:
        CompileError: FP-SQL-051, a schedule that Doris has no form of.
    """
    moment = cast(column(time, "s"), TIMESTAMP)
    read = [
        column("fp_row", "s"),
        aliased(microseconds(moment), "fp_q"),
        aliased(moment, "fp_at"),
        *(aliased(cast(column(key, "s"), of), key) for key, of in key_types.items()),
        *(aliased(cast(column(each, "s"), of), f"fp_r_{each}") for each, of in taken.items()),
    ]
    spine = Relation("fp_spine", selected(read, Sql(f"{rows} AS `s`")))
    kept = columns(["fp_row", "fp_q", *key_types, *(f"fp_r_{each}" for each in taken)], "s")
    ticks = [aliased(newest_tick(schedule), f"fp_q{place}") for place, schedule in enumerate(schedules)]
    return [spine, Relation(SPINE, selected([*kept, *ticks], sql("`fp_spine` AS `s`")))]


def point_relations(points: KeyedPoints) -> list[Relation]:
    """Points and entities. A NULL key or time is no point."""
    taken = [aliased(column(of, "s"), own) for own, of in zip(points.keys, points.spine_keys, strict=True)]
    given = all_of(*(sql(":key IS NOT NULL", key=key) for key in columns([*points.spine_keys, points.moment], "s")))
    distinct = sql(
        "SELECT DISTINCT :taken, :moment FROM :spine AS `s` WHERE :given",
        taken=listed(*taken),
        moment=aliased(column(points.moment, "s"), "fp_q"),
        spine=name(SPINE),
        given=given,
    )
    keys = columns(points.keys)
    bounds = [sql("MIN(`fp_q`) AS `fp_oldest`"), sql("MAX(`fp_q`) AS `fp_newest`")]
    return [
        Relation(points.name, distinct),
        Relation(points.entities, selected([*keys, *bounds], name(points.name), by=keys)),
    ]


def newest_tick(text: str) -> Sql:
    """Microseconds of the newest tick of a schedule at or before ``s.fp_q``.

    Raises:
        CompileError: the schedule picks its days in a way that is not written out here.
    """
    schedule = parse_cron(text)
    q = column("fp_q", "s")
    day = floored(q, DAY)
    last = _clock(max(schedule.hours), max(schedule.minutes))
    today = sql(":day + :clock", day=day, clock=_newest_clock(schedule, sql("(:q - :day)", q=q, day=day)))
    ticks, before = _days(schedule, text, day)
    if ticks is not None:
        today = case((ticks, today))
    return sql("COALESCE(:today, :before + :last)", today=today, before=before, last=last)


def _days(schedule: Cron, text: str, day: Sql) -> tuple[Sql | None, Sql]:
    """Whether the moment's day has ticks (None: every day has), and the newest day before it that has."""
    whole = [len(schedule.months) == 12, len(schedule.days) == 31, len(schedule.weekdays) == 7]
    free = schedule.either_day and (whole[1] or whole[2])
    if whole[0] and (free or all(whole)):
        return None, sql("(:day - :one)", day=day, one=number(DAY))
    if whole[0] and whole[1] and not schedule.either_day:
        # 1970-01-01 was a Thursday, the fourth day from Sunday on.
        weekday = sql("((:day DIV :one % 7 + 11) % 7)", day=day, one=number(DAY))
        back = case(
            *((sql(":w = :n", w=weekday, n=number(each)), number(_back(schedule, each) * DAY)) for each in range(7))
        )
        among = Sql(", ".join(map(str, sorted(schedule.weekdays))))
        return sql(":w IN (:among)", w=weekday, among=among), sql("(:day - :back)", day=day, back=back)
    if whole[0] and whole[2] and not schedule.either_day and max(schedule.days) <= 28:
        return _days_of_month(sorted(schedule.days), day)
    what = f"snapshots at the ticks of '{text}'"
    raise CompileError(
        NO_FORM.problem(
            f"doris has no form of {what}", mend="tick daily, on weekdays, or on days 1 to 28 of every month"
        )
    )


def _back(schedule: Cron, weekday: int) -> int:
    return next(back for back in range(1, 8) if (weekday - back) % 7 in schedule.weekdays)


def _days_of_month(days: Sequence[int], day: Sql) -> tuple[Sql, Sql]:
    today = sql("DAYOFMONTH(`s`.`fp_at`)")
    # The last day of the month before is as many days ago as this month has days until today.
    length = sql("DAYOFMONTH(DAYS_SUB(`s`.`fp_at`, :today))", today=today)
    ago = sql("(:today + :length - :last)", today=today, length=length, last=number(days[-1]))
    earlier = [
        (sql(":today > :d", today=today, d=number(each)), sql("(:today - :d)", today=today, d=number(each)))
        for each in reversed(days)
    ]
    back = case(*earlier, otherwise=ago)
    among = Sql(", ".join(map(str, days)))
    return (
        sql(":today IN (:among)", today=today, among=among),
        sql("(:day - :back * :one)", day=day, back=back, one=number(DAY)),
    )


def _newest_clock(schedule: Cron, since: Sql) -> Sql:
    """The newest tick of a day at or before so many microseconds in it; NULL before the first."""
    hours, minutes = sorted(schedule.hours, reverse=True), sorted(schedule.minutes, reverse=True)
    hour = sql("(:since DIV 3600000000)", since=since)
    minute = sql("(:since % 3600000000 DIV :one)", since=since, one=number(_MINUTE))
    within = case(*((sql(":m >= :t", m=minute, t=number(each)), number(each * _MINUTE)) for each in minutes))
    now = sql(
        ":h IN (:hours) AND :m >= :first",
        h=hour,
        hours=Sql(", ".join(map(str, hours))),
        m=minute,
        first=number(minutes[-1]),
    )
    same_hour = sql(":h * 3600000000 + :within", h=hour, within=within)
    earlier = ((sql(":h > :t", h=hour, t=number(each)), _clock(each, minutes[0])) for each in hours)
    return case((now, same_hour), *earlier)


def _clock(hour: int, minute: int) -> Sql:
    return number((60 * hour + minute) * _MINUTE)

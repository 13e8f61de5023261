"""The times that a training set asks about: its spine, the newest ticks for snapshots, and per entity the distinct points.

A *point* is an entity at a query time. Points are numbered from 0 in the order of entity, then time, without gaps: those of one entity
lie side by side, and "from one time to another" is a range of numbers. Equal spine rows share a point, so everything is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from feature_platform.compiler.feature_values import quoted
from feature_platform.compiler.fragments import Relation, all_of, cast, column, columns, name, select, sql
from feature_platform.compiler.schedules import newest_tick, tick_days
from feature_platform.registry.cron import Cron, parse_cron
from feature_platform.types import DataType, Engine

SPINE = "fp_asked"


@dataclass(frozen=True, slots=True)
class Points:
    """The points of some entity key columns of the spine at the spine's times, or at the ticks of a schedule."""

    number: int
    spine_keys: tuple[str, ...]
    moment: str
    """The column of the spine relation with the query time."""

    @property
    def name(self) -> str:
        """Relation of the points: the entity's keys as ``fp_k0 …``, ``fp_q``, ``fp_point``, and ``fp_first``, the entity's first point."""
        return f"fp_points{self.number}"

    @property
    def entities(self) -> str:
        """Relation of the entities: keys, ``fp_first``, ``fp_end`` (behind the last point); for PostgreSQL the sorted ``fp_times``."""
        return f"fp_entities{self.number}"

    @property
    def keys(self) -> list[str]:
        return [f"fp_k{index}" for index in range(len(self.spine_keys))]


def spine_relations(
    key_types: Mapping[str, DataType], time: str, taken: Mapping[str, DataType], schedules: Sequence[str], engine: Engine
) -> list[Relation]:
    """Relations that end in :data:`SPINE`: per spine row ``fp_row``, the key columns under their own names, the columns ``taken`` from the
    request under ``fp_r_<name>``, the query time ``fp_q`` and the tick of the n-th schedule, ``fp_q<n>``."""
    read = [
        exp.alias_(sql("CAST(:time AS TIMESTAMP)", time=exp.column(quoted(time), table="s")), "fp_moment"),
        *(exp.alias_(cast(exp.column(quoted(key), table="s"), of, engine), quoted(key)) for key, of in key_types.items()),
        *(
            exp.alias_(cast(exp.column(quoted(each), table="s"), of, engine), quoted(f"fp_r_{each}"))
            for each, of in taken.items()
        ),
    ]
    spine = select("SELECT s.fp_row FROM :spine AS s", *read, spine=exp.table_("spine", db="inputs", quoted=True))
    relations = [Relation("fp_spine", spine, stored=True)]
    asked = select("SELECT s.*, s.fp_moment AS fp_q FROM fp_spine AS s")
    for number, schedule in enumerate(schedules):
        cron: Cron = parse_cron(schedule)
        days = f"fp_days{number}"
        if (calendar := tick_days(cron, "fp_spine", days)) is not None:
            relations.append(calendar)
            today = sql(":day = DATE_TRUNC('day', s.fp_moment)", day=column("fp_day", days))
            asked = asked.join(exp.to_table(days), on=today, join_type="left", copy=False)
        tick = newest_tick(cron, column("fp_moment", "s"), days)
        asked = asked.select(exp.alias_(tick, f"fp_q{number}"), copy=False)
    return [*relations, Relation(SPINE, asked, stored=True)]


def point_relations(points: Points, engine: Engine) -> list[Relation]:
    """The relations of ``points``: points and entities. A NULL key or time is no point."""
    keys = [exp.alias_(exp.column(quoted(of)), key) for key, of in zip(points.keys, points.spine_keys, strict=True)]
    asked = sql(":q IS NOT NULL", q=column(points.moment))
    given = (sql(":key IS NOT NULL", key=exp.column(quoted(of))) for of in points.spine_keys)
    distinct = select("SELECT DISTINCT :q AS fp_q FROM fp_asked", *keys, q=column(points.moment)).where(all_of(asked, *given))
    entity = exp.Order(expressions=[exp.Ordered(this=key, nulls_first=True) for key in columns(points.keys)])
    in_time = exp.Order(expressions=[*entity.copy().expressions, exp.Ordered(this=column("fp_q"), nulls_first=True)])
    numbered = select(
        "SELECT fp_q, :point - 1 AS fp_point, :first - 1 AS fp_first FROM :met AS d",
        *columns(points.keys),
        point=exp.Window(this=sql("ROW_NUMBER()"), order=in_time),
        first=exp.Window(this=sql("RANK()"), order=entity),
        met=exp.Subquery(this=distinct),
    )
    entities = select(
        "SELECT MIN(fp_point) AS fp_first, MAX(fp_point) + 1 AS fp_end FROM :points", *columns(points.keys), points=name(points.name)
    )
    if engine == "postgres":
        entities = entities.select(sql("ARRAY_AGG(fp_q ORDER BY fp_q) AS fp_times"), copy=False)
    entities = entities.group_by(*columns(points.keys), copy=False)
    return [Relation(points.name, numbered, stored=True), Relation(points.entities, entities, stored=True)]


def join_points(query: exp.Select, points: Points, spine: str) -> exp.Select:
    """``query`` over the spine relation ``spine`` with each row's point joined."""
    same = [
        exp.EQ(this=exp.column(quoted(of), table=spine), expression=column(key, points.name))
        for key, of in zip(points.keys, points.spine_keys, strict=True)
    ]
    at = exp.EQ(this=column(points.moment, spine), expression=column("fp_q", points.name))
    return query.join(exp.to_table(points.name), on=exp.and_(*same, at), join_type="left", copy=False)

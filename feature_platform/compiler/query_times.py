"""The times that a training set asks about: its spine, the newest ticks for snapshots, and per entity the distinct
points.

A *point* is an entity at a query time. Points are numbered from 0 in the order of entity, then time, without gaps:
those of one entity lie side by side, and "from one time to another" is a range of numbers. Equal spine rows share a
point, so everything is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    all_of,
    ascending,
    cast,
    column,
    columns,
    listed,
    name,
    quoted,
    sql,
    their_column,
)
from feature_platform.compiler.schedules import newest_tick, tick_days
from feature_platform.registry.cron import Cron, parse_cron
from feature_platform.types import TIMESTAMP, DataType, Engine

SPINE = "fp_asked"
GIVEN_SPINE = Sql('"inputs"."spine"')
"""The table that a caller's rows are bound to."""


@dataclass(frozen=True, slots=True)
class Points:
    """The points of some entity key columns of the spine at the spine's times, or at the ticks of a schedule."""

    number: int
    spine_keys: tuple[str, ...]
    moment: str
    """The column of the spine relation with the query time."""

    @property
    def name(self) -> str:
        """Relation of the points: the entity's keys as ``fp_k0 …``, ``fp_q``, ``fp_point``, and ``fp_first``, the
        entity's first point.
        """
        return f"fp_points{self.number}"

    @property
    def entities(self) -> str:
        """Relation of the entities: keys, ``fp_first``, ``fp_end`` (behind the last point), the times ``fp_oldest``
        and ``fp_newest``; for PostgreSQL all times, sorted, as ``fp_times``.
        """
        return f"fp_entities{self.number}"

    @property
    def keys(self) -> list[str]:
        return [f"fp_k{index}" for index in range(len(self.spine_keys))]


@dataclass(frozen=True, slots=True)
class Target:
    """What a view's relations are for: the points, the prefix of the relations' names, the engine."""

    points: Points
    prefix: str
    engine: Engine

    def named(self, relation: str) -> Sql:
        """``<prefix>_<relation>``."""
        return name(f"{self.prefix}_{relation}")


def spine_relations(  # noqa: PLR0913 - the parts of the relations
    key_types: Mapping[str, DataType],
    time: str,
    taken: Mapping[str, DataType],
    schedules: Sequence[str],
    engine: Engine,
    *,
    rows: Sql = GIVEN_SPINE,
) -> list[Relation]:
    """Relations that end in :data:`SPINE`: per spine row ``fp_row``, the key columns under their own names, the
    columns ``taken`` from the request under ``fp_r_<name>``, the query time ``fp_q`` and the tick of the n-th
    schedule, ``fp_q<n>``. ``rows`` is the relation with the spine's rows.
    """
    read = [aliased(cast(their_column(time, "s"), TIMESTAMP, engine), name("fp_moment"))]
    read += [aliased(cast(their_column(key, "s"), of, engine), quoted(key)) for key, of in key_types.items()]
    read += [aliased(cast(their_column(each, "s"), of, engine), quoted(f"fp_r_{each}")) for each, of in taken.items()]
    spine = sql("SELECT s.fp_row, :read FROM :rows AS s", read=listed(*read), rows=rows)
    # A table is read again where it lies; what is computed is computed once.
    stored = not (engine == "duckdb" and rows == GIVEN_SPINE and not schedules)
    relations = [Relation("fp_spine", spine, stored)]
    ticks = NOTHING
    joins = NOTHING
    for number, schedule in enumerate(schedules):
        cron: Cron = parse_cron(schedule)
        days = f"fp_days{number}"
        if (calendar := tick_days(cron, "fp_spine", days)) is not None:
            relations.append(calendar)
            joins = sql(
                ":joins LEFT JOIN :days ON :days.fp_day = DATE_TRUNC('day', s.fp_moment)", joins=joins, days=name(days)
            )
        tick = newest_tick(cron, column("fp_moment", "s"), days)
        ticks = sql(":ticks, :tick AS :named", ticks=ticks, tick=tick, named=name(f"fp_q{number}"))
    asked = sql("SELECT s.*, s.fp_moment AS fp_q:ticks FROM fp_spine AS s:joins", ticks=ticks, joins=joins)
    return [*relations, Relation(SPINE, asked, stored)]


def point_relations(points: Points, engine: Engine) -> list[Relation]:
    """The relations of ``points``: points and entities. A NULL key or time is no point."""
    keys = columns(points.keys)
    parts = {
        "asked": name(SPINE),
        "moment": name(points.moment),
        "points": name(points.name),
        "keys": listed(*keys),
        "by_entity": ascending(keys),
        "in_time": ascending([*keys, Sql("fp_q")]),
        "taken": listed(
            *(aliased(their_column(of, "s"), key) for of, key in zip(points.spine_keys, keys, strict=True))
        ),
        "given": all_of(*(sql(":key IS NOT NULL", key=their_column(of, "s")) for of in points.spine_keys)),
        "times": sql(", ARRAY_AGG(fp_q ORDER BY fp_q) AS fp_times") if engine == "postgres" else NOTHING,
    }
    numbered = sql(
        """SELECT fp_q, :keys, ROW_NUMBER() OVER (:in_time) - 1 AS fp_point, RANK() OVER (:by_entity) - 1 AS fp_first
           FROM (SELECT DISTINCT s.:moment AS fp_q, :taken FROM :asked AS s
                 WHERE s.:moment IS NOT NULL AND :given) AS d""",
        **parts,
    )
    entities = sql(
        """SELECT :keys, MIN(fp_point) AS fp_first, MAX(fp_point) + 1 AS fp_end,
             MIN(fp_q) AS fp_oldest, MAX(fp_q) AS fp_newest:times
           FROM :points GROUP BY :keys""",
        **parts,
    )
    return [Relation(points.name, numbered, stored=True), Relation(points.entities, entities, stored=True)]


def join_points(points: Points, spine: str) -> Sql:
    """The join of each row's point to the spine relation ``spine``."""
    same = [
        Sql(f"{their_column(of, spine)} = {column(key, points.name)}")
        for key, of in zip(points.keys, points.spine_keys, strict=True)
    ]
    at = Sql(f"{column(points.moment, spine)} = {column('fp_q', points.name)}")
    return sql(" LEFT JOIN :points ON :same", points=name(points.name), same=all_of(*same, at))

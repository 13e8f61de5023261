"""Digests of events and rows for Doris: :mod:`feature_platform.compiler.event_digests` in whole microseconds.

What is hashed is one text per row, each value with its length before it and a NULL as a sign of its own, so that no two
rows have the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.doris.events import event_relation, version_relations
from feature_platform.compiler.doris.frames import left
from feature_platform.compiler.doris.lint import checked
from feature_platform.compiler.doris.text import (
    DAY,
    aliased,
    column,
    columns,
    floored,
    microseconds,
    name,
    number,
    selected,
    time_of,
    with_relations,
)
from feature_platform.compiler.fragments import LONGEST_SUBTRACTED, Relation, Sql, all_of, listed, sql
from feature_platform.compiler.frames import farthest_reach
from feature_platform.compiler.plan import CompiledView
from feature_platform.types import STRING

_COUNTS: Final = (
    sql("COUNT(*) AS `events`"),
    sql("SUM(CAST(`fp_hash` AS DECIMAL(38, 0))) AS `checksum`"),
)


def of_events(plan: AggregationPlan, length: int, first: str, last: str) -> Sql:
    """Rows (``enters``, ``leaves``, ``events``, ``checksum``); ``first`` and ``last`` name the parameters with the
    ticks, ``length`` is the partitions' in microseconds.
    """
    begin, end = (microseconds(sql("CAST(:p AS DATETIME(6))", p=Sql(f"${each}"))) for each in (first, last))
    relations = [event_relation(plan, "fp"), _candidates(plan, begin, end, first)]
    relations += version_relations(plan, "fp", plan.entity, end)
    entered = sql(
        "GREATEST(:after, :known, :begin)",
        after=sql(":tile + :length", tile=floored(column("fp_t"), length), length=number(length)),
        known=_tick_at(column("fp_a"), length),
        begin=begin,
    )
    hashed = [*plan.entity, "fp_t", "fp_a", *plan.source_key, *plan.payload]
    intervals = selected(
        [
            aliased(entered, "fp_enters"),
            aliased(_gone(plan, end, length), "fp_leaves"),
            aliased(_hash(columns(hashed)), "fp_hash"),
        ],
        name(relations[-1].name),
    )
    found = selected(
        [aliased(time_of(column("fp_enters")), "enters"), aliased(time_of(column("fp_leaves")), "leaves"), *_COUNTS],
        name("fp_intervals"),
        where=sql("`fp_enters` < `fp_leaves`"),
        by=columns(["fp_enters", "fp_leaves"]),
    )
    return Sql(checked(with_relations([*relations, Relation("fp_intervals", intervals)], found)))


def of_rows(view: CompiledView, rows: Sql, length: int) -> Sql:
    """Rows (``enters``, ``events``, ``checksum``) of ``rows``, which have the view's columns."""
    enters = sql(":tile + :length", tile=floored(microseconds(column("event_time")), length), length=number(length))
    hashed = selected(
        [aliased(enters, "fp_enters"), aliased(_hash(columns(view.schema.names)), "fp_hash")],
        sql("(:rows) AS `fp_rows`", rows=rows),
    )
    found = selected(
        [aliased(time_of(column("fp_enters")), "enters"), *_COUNTS],
        sql("(:hashed) AS `fp_hashed`", hashed=hashed),
        by=columns(["fp_enters"]),
    )
    return Sql(checked(found))


def published_rows(view: CompiledView) -> Sql:
    """The rows of a view that are published, between ``$partition_start`` and ``$partition_end``."""
    source = sql("`features`.:table", table=name(view.name))
    bounds = sql(
        "`event_time` >= CAST($partition_start AS DATETIME(6)) AND `event_time` < CAST($partition_end AS DATETIME(6))"
    )
    return selected(columns(view.schema.names), source, where=bounds)


def _candidates(plan: AggregationPlan, begin: Sql, end: Sql, first: str) -> Relation:
    reach = farthest_reach(plan.frames)
    bounded = reach is not None and reach <= LONGEST_SUBTRACTED
    conditions = [
        # By this one Doris leaves partitions out.
        sql("`e`.`fp_at` >= DAYS_SUB(CAST(:p AS DATETIME(6)), :days)", p=Sql(f"${first}"),
            days=number((reach or 0) // DAY + 1)) if bounded else None,
        sql("`e`.`fp_t` < :end AND `e`.`fp_a` <= :end", end=end),
        sql("`e`.`fp_t` >= :begin - :reach", begin=begin, reach=number(reach)) if reach is not None else None,
        *(sql(":key IS NOT NULL", key=key) for key in columns(plan.entity, "e")),
        column("fp_w", "e") if plan.filtered else None,
    ]  # fmt: skip
    kept = columns([*plan.entity, "fp_t", "fp_a", *plan.source_key, *plan.payload], "e")
    return Relation("fp_candidates", selected(kept, sql("`fp_events` AS `e`"), where=all_of(*conditions)))


def _gone(plan: AggregationPlan, end: Sql, length: int) -> Sql:
    """The first tick that does not count an event; at most the one after the last that is asked about."""
    after_all = sql("(:end + :length)", end=end, length=number(length))
    replaced = sql("COALESCE(:tick, :after_all)", tick=_tick_at(column("fp_until"), length), after_all=after_all)
    ends = [after_all, replaced]
    out = [left(frame, column("fp_t")) for frame in plan.frames]
    known = [each for each in out if each is not None]
    if len(known) == len(out):
        last = known[0] if len(known) == 1 else sql("GREATEST(:out)", out=listed(*known))
        ends.append(_tick_at(sql("(:last)", last=last), length))
    return sql("LEAST(:ends)", ends=listed(*ends))


def _tick_at(moment: Sql, length: int) -> Sql:
    """The first tick at or after a moment; NULL of NULL."""
    before = sql("(:moment - 1)", moment=moment)
    return sql(":tile + :length", tile=floored(before, length), length=number(length))


def _hash(values: Sequence[Sql]) -> Sql:
    """64 bits of all values of a row."""
    texts = [sql("CAST(:value AS :string)", value=value, string=Sql(STRING.sql("doris"))) for value in values]
    parts = [sql("COALESCE(CONCAT(CAST(CHAR_LENGTH(:t) AS STRING), ':', :t), '-')", t=text) for text in texts]
    whole = parts[0] if len(parts) == 1 else sql("CONCAT(:parts)", parts=listed(*parts))
    return sql("MURMUR_HASH3_64(:whole)", whole=whole)

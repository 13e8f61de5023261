"""The rows of an aggregation view as of a tick, for Doris: one GROUP BY over what was known then."""

from __future__ import annotations

from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.doris.events import event_relation, numbered_versions, version_relations
from feature_platform.compiler.doris.frames import reached
from feature_platform.compiler.doris.lint import checked
from feature_platform.compiler.doris.measured import feature_relations, filled
from feature_platform.compiler.doris.text import (
    DAY,
    aliased,
    column,
    columns,
    microseconds,
    name,
    selected,
    with_relations,
)
from feature_platform.compiler.fragments import LONGEST_SUBTRACTED, Relation, Sql, all_of, sql
from feature_platform.compiler.frames import farthest_reach

_PREFIX = "fp"


def as_of(plan: AggregationPlan, parameter: str) -> Sql:
    """The query; ``parameter`` names the tick. Keys, ``event_time``, ``available_at``, features, as everywhere.

    Raises:
        CompileError: FP-SQL-051, what Doris has no form of.
    """
    tick = sql("CAST(:p AS DATETIME(6))", p=Sql(f"${parameter}"))
    group = [*plan.entity, "fp_q"]
    relations = [event_relation(plan, _PREFIX), _candidates(plan, tick)]
    relations += version_relations(plan, _PREFIX, plan.entity, microseconds(tick))
    counted = relations[-1].name
    if plan.ordered:
        relations.append(numbered_versions(plan, _PREFIX))
        counted = relations[-1].name
    relations.append(_pairs(plan, counted, tick))
    relations += feature_relations(plan, "fp_pairs", group, _PREFIX)
    keys = (aliased(column(own, "a"), key.name) for own, key in zip(plan.entity, plan.keys, strict=True))
    features = (aliased(filled(column(each.feature.name, "a"), each), each.feature.name) for each in plan.features)
    times = (aliased(tick, each) for each in ("event_time", "available_at"))
    query = selected([*keys, *times, *features], sql("`fp_answers` AS `a`"))
    return Sql(checked(with_relations(relations, query)))


def _candidates(plan: AggregationPlan, tick: Sql) -> Relation:
    now = microseconds(tick)
    reach = farthest_reach(plan.frames)
    early = None
    if reach is not None and reach <= LONGEST_SUBTRACTED:
        # Implied by what follows; by this one Doris leaves partitions out.
        early = sql("`e`.`fp_at` >= DAYS_SUB(:tick, :days)", tick=tick, days=Sql(str(reach // DAY + 1)))
    condition = all_of(
        sql("`e`.`fp_at` < :tick", tick=tick),
        early,
        sql("`e`.`fp_t` < :now AND `e`.`fp_a` <= :now", now=now),
        reached(plan.frames, column("fp_t", "e"), now),
        *(sql(":key IS NOT NULL", key=key) for key in columns(plan.entity, "e")),
        column("fp_w", "e") if plan.filtered else None,
    )
    kept = columns([*plan.entity, "fp_t", "fp_a", *plan.source_key, *plan.payload], "e")
    return Relation("fp_candidates", selected(kept, sql("`fp_events` AS `e`"), where=condition))


def _pairs(plan: AggregationPlan, counted: str, tick: Sql) -> Relation:
    """Every version that the tick can know is there, so what holds at the tick has no successor."""
    kept = [*plan.entity, "fp_t", *(f"fp_n{index}" for index in plan.ordered), *plan.payload]
    found = [*columns(kept, "v"), aliased(microseconds(tick), "fp_q")]
    return Relation("fp_pairs", selected(found, Sql(f"{name(counted)} AS `v`"), where=sql("`v`.`fp_until` IS NULL")))

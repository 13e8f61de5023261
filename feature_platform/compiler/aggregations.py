"""An aggregation view → one query that gives its rows as of a tick.

A row stands for an entity with at least one counted event in the view's longest window. It is as of the end of its partition
(``$partition_end``) or, without partitions, as of ``$as_of``; both are exclusive bounds of event time, so the row of a tick is what a
training set computes for a spine row at that tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from sqlglot import exp

from feature_platform.compiler.aggregation_lines import AggregationPlan, longest, plan_aggregations
from feature_platform.compiler.catalog import Catalog
from feature_platform.compiler.event_versions import event_relation, numbered_versions, version_relations
from feature_platform.compiler.feature_values import filled, pointed_at, quoted, value
from feature_platform.compiler.fragments import (
    Relation,
    all_of,
    column,
    columns,
    name,
    select,
    sql,
    started,
    with_relations,
)
from feature_platform.compiler.measures import aggregates
from feature_platform.compiler.plan import COMPILER_VERSION, CompiledQuery, CompiledView, OutputColumn
from feature_platform.compiler.render import render
from feature_platform.registry.fingerprint import digest
from feature_platform.registry.graph import LinkedView, Registry, TableRef
from feature_platform.specs.durations import is_all
from feature_platform.specs.models import FeatureView
from feature_platform.types import ENGINES, TIMESTAMP, Engine

Partitioned = Literal["day", "hour"]
_BY_SCHEDULE: Final[Mapping[str, Partitioned]] = {
    "@hourly": "hour",
    "0 * * * *": "hour",
    "@daily": "day",
    "0 0 * * *": "day",
}


def compile_aggregations(view: LinkedView, registry: Registry, catalog: Catalog) -> CompiledView:
    """The compiled form of an aggregation view.

    Raises:
        CompileError: what is wrong with the view's lines; GuardError: what its columns and conditions may not read.
    """
    plan = plan_aggregations(view, registry, catalog)
    partitioned = partition_of(view.spec)
    parameter = "partition_end" if partitioned else "as_of"
    reads = (TableRef("source", plan.source),)
    query = CompiledQuery(
        sql={engine: render(_as_of(plan, parameter, engine), engine) for engine in ENGINES},
        columns=_columns(plan),
        reads=reads,
        parameters=(parameter,),
    )
    spec = view.spec
    meaning = (spec.accuracy, spec.storage.schedule if plan.snapshot else None, partitioned)
    shape = [(each.name, str(each.type), sorted(map(str, each.labels))) for each in query.columns]
    return CompiledView(
        name=spec.name,
        form="aggregations",
        entity=spec.entity,
        keys=plan.keys,
        features=tuple(each.feature for each in plan.features),
        materialize=query,
        derive=None,
        partitioned=partitioned,
        fingerprint=digest([COMPILER_VERSION, dict(query.sql), shape, meaning]),
        reads=reads,
    )


def partition_of(spec: FeatureView) -> Partitioned | None:
    """The partitions of an aggregation view: as declared, else by its schedule where that is hourly or daily."""
    declared = spec.storage.partition
    if declared is None:
        return _BY_SCHEDULE.get(spec.storage.schedule or "")
    return None if declared == "none" else declared


def _columns(plan: AggregationPlan) -> tuple[OutputColumn, ...]:
    keys = (
        OutputColumn(key.name, key.type, of.labels, of.direct, of.indirect, of.transforms, of.description)
        for key, of in zip(plan.keys, plan.key_columns, strict=True)
    )
    times = (OutputColumn("event_time", TIMESTAMP), OutputColumn("available_at", TIMESTAMP))
    return (*keys, *times, *(each.feature.column for each in plan.features))


def _as_of(plan: AggregationPlan, parameter: str, engine: Engine) -> exp.Select:
    tick = sql("CAST(:tick AS TIMESTAMP)", tick=exp.Parameter(this=exp.var(parameter)))
    keys = [f"fp_k{index}" for index in range(len(plan.keys))]
    relations = [event_relation(plan, "fp_events"), _candidates(plan, keys, tick)]
    relations += version_relations(plan, "fp_events", "fp_candidates", keys, tick, "fp_versions")
    counted = "fp_versions"
    if plan.ordered:
        counted = "fp_ordered"
        relations.append(numbered_versions(plan, "fp_versions", keys, engine, counted))
    relations.append(_measured(plan, keys, counted, tick, engine))
    features = [
        exp.alias_(filled(value(each, "m", tick, engine), each, engine), quoted(each.feature.name)) for each in plan.features
    ]
    outputs = [
        *(exp.alias_(column(key, "m"), quoted(of.name)) for key, of in zip(keys, plan.keys, strict=True)),
        exp.alias_(tick.copy(), quoted("event_time")),
        exp.alias_(tick.copy(), quoted("available_at")),
        *features,
    ]
    query = exp.select(*outputs).from_(exp.alias_(exp.to_table("fp_measured"), "m", table=True))
    return with_relations(pointed_at(query, plan, "m", keys, "fp_ordered"), relations)


def _candidates(plan: AggregationPlan, keys: list[str], tick: exp.Expr) -> Relation:
    window = longest([each.measure.window for each in plan.measures])
    conditions = all_of(
        sql("e.fp_t < :tick AND e.fp_a <= :tick", tick=tick),
        started(column("fp_t", "e"), tick, window),
        *(sql(":key IS NOT NULL", key=column(key, "e")) for key in keys),
        column("fp_w", "e") if plan.filtered else None,
    )
    known = [*keys, "fp_t", "fp_a", *(f"fp_s{index}" for index in range(len(plan.source_keys))), *plan.payload]
    tree = exp.select(*columns(known, "e")).from_(exp.alias_(exp.to_table("fp_events"), "e", table=True)).where(conditions)
    return Relation("fp_candidates", tree, stored=True if plan.source_keys else None)


def _measured(plan: AggregationPlan, keys: list[str], counted: str, tick: exp.Expr, engine: Engine) -> Relation:
    found = []
    for each in plan.measures:
        window = each.measure.window
        since = started(column("fp_t"), tick, None if is_all(window) else window.microseconds)
        found += aggregates(each, since, engine)
    # Every version that the tick can know is there, so what holds at the tick has no successor.
    tree = select("SELECT :first FROM :counted WHERE fp_until IS NULL", first=column(keys[0]), counted=name(counted))
    tree = tree.select(*columns(keys), *found, append=False, copy=False).group_by(*columns(keys), copy=False)
    return Relation("fp_measured", tree)

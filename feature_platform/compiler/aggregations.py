"""An aggregation view → one query that gives its rows as of a tick.

A row stands for an entity with an event between the earliest start of the view's windows and the tick. It is as of the
end of its partition (``$partition_end``) or, without partitions, as of ``$as_of``; both are exclusive bounds of event
time, so the row of a tick is what a training set computes for a spine row at that tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from feature_platform.compiler.aggregation_lines import plan_aggregations
from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.catalog import Catalog
from feature_platform.compiler.event_versions import (
    event_relation,
    known_since,
    numbered_versions,
    reach_of,
    version_relations,
)
from feature_platform.compiler.feature_values import filled, pointed_at, value
from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    all_of,
    column,
    columns,
    equal,
    listed,
    name,
    quoted,
    sql,
    with_relations,
)
from feature_platform.compiler.frames import inside, reached
from feature_platform.compiler.gathered_measures import gathered
from feature_platform.compiler.map_features import Cells, cells_of_events, grouping_of, maps_of_cells, sharing_cells
from feature_platform.compiler.measures import GATHERED, aggregates
from feature_platform.compiler.plan import COMPILER_VERSION, CompiledQuery, CompiledView, OutputColumn
from feature_platform.governance.access import Access
from feature_platform.registry.fingerprint import digest
from feature_platform.registry.graph import LinkedView, Registry, TableRef
from feature_platform.specs.models import FeatureView
from feature_platform.types import ENGINES, TIMESTAMP, Engine

Partitioned = Literal["day", "hour"]
_BY_SCHEDULE: Final[Mapping[str, Partitioned]] = {
    "@hourly": "hour",
    "0 * * * *": "hour",
    "@daily": "day",
    "0 0 * * *": "day",
}


def compile_aggregations(
    view: LinkedView,
    registry: Registry,
    catalog: Catalog,
    author: Access,
    *,
    engines: Sequence[Engine] = ENGINES,
) -> CompiledView:
    """The compiled form of an aggregation view.

    Raises:
        CompileError: what is wrong with the view's lines; GuardError: what its columns and conditions may not read.
    """
    plan = plan_aggregations(view, registry, catalog, author)
    partitioned = partition_of(view.spec)
    parameter = "partition_end" if partitioned else "as_of"
    reads = (TableRef("source", plan.source),)
    query = CompiledQuery(
        sql={engine: str(_as_of(plan, parameter, engine)) for engine in engines},
        columns=_columns(plan),
        reads=reads,
        parameters=(parameter,),
        rules=plan.events.rules,
        reach=reach_of(plan, parameter, parameter),
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


def _as_of(plan: AggregationPlan, parameter: str, engine: Engine) -> Sql:
    if engine == "doris":
        from feature_platform.compiler.doris.as_of import as_of

        return as_of(plan, parameter)
    tick = sql("CAST($:parameter AS TIMESTAMP)", parameter=name(parameter))
    relations = [event_relation(plan, "fp", engine), _candidates(plan, tick, engine)]
    relations += version_relations(plan, "fp", plan.entity, tick, known_since(plan, tick))
    if plan.ordered:
        relations.append(numbered_versions(plan, "fp", plan.entity, engine))
    relations += _measured(plan, relations[-1].name, tick, engine)
    keys = (aliased(column(key, "m"), quoted(of.name)) for key, of in zip(plan.entity, plan.keys, strict=True))
    features = (
        aliased(filled(value(each, "m", tick, engine), each, engine), quoted(each.feature.name))
        for each in plan.features
    )
    query = sql(
        "SELECT :keys, :tick AS event_time, :tick AS available_at, :features FROM fp_measured AS m:joins",
        keys=listed(*keys),
        tick=tick,
        features=listed(*features),
        joins=pointed_at(plan, "m", plan.entity, "fp_ordered"),
    )
    return with_relations(relations, query)


def _candidates(plan: AggregationPlan, tick: Sql, engine: Engine) -> Relation:
    body = sql(
        "SELECT :kept FROM fp_events AS e WHERE e.fp_t < :tick AND e.fp_a <= :tick AND :conditions",
        kept=listed(*columns([*plan.entity, "fp_t", "fp_a", *plan.source_key, *plan.payload], "e")),
        tick=tick,
        conditions=all_of(
            reached(plan.frames, column("fp_t", "e"), tick, engine),
            *(sql(":key IS NOT NULL", key=key) for key in columns(plan.entity, "e")),
            column("fp_w", "e") if plan.filtered else None,
        ),
    )
    return Relation("fp_candidates", body, stored=True if plan.source_keys else None)


def _measured(plan: AggregationPlan, counted: str, tick: Sql, engine: Engine) -> list[Relation]:
    """Relations that end in ``fp_measured``: per entity its keys and the measures."""
    found: list[Sql] = []
    for each in plan.measures:
        if each.measure.kind not in GATHERED:
            found += aggregates(each, inside(each.measure.frame, column("fp_t"), tick, engine), engine)
    lists, names = _lists(plan, counted, tick, engine)
    # Every version that the tick can know is there, so what holds at the tick has no successor.
    body = sql(
        "SELECT :found FROM :counted WHERE fp_until IS NULL GROUP BY :keys",
        keys=listed(*columns(plan.entity)),
        found=listed(*columns(plan.entity), *found),
        counted=name(counted),
    )
    if not lists:
        return [Relation("fp_measured", body)]
    joins = NOTHING
    for found_in in names:
        same = equal(plan.entity, found_in, "a")
        joins = sql(":joins LEFT JOIN :relation ON :same", joins=joins, relation=name(found_in), same=same)
    names = [each.name for each in plan.measures if each.measure.kind in GATHERED]
    names += [grouping_of(each).named for each in plan.maps]
    together = sql("SELECT a.*, :names FROM fp_aggregated AS a:joins", names=listed(*columns(names)), joins=joins)
    return [Relation("fp_aggregated", body), *lists, Relation("fp_measured", together)]


def _lists(plan: AggregationPlan, counted: str, tick: Sql, engine: Engine) -> tuple[list[Relation], list[str]]:
    """What needs the events of each frame: relations, and the names of those that have something per entity."""
    relations: list[Relation] = []
    found: list[Relation] = []
    for number, frame in enumerate(plan.frames):
        of_frame = [each for each in plan.measures if each.measure.frame == frame and each.measure.kind in GATHERED]
        maps = plan.maps_in(frame)
        if not (of_frame or maps):
            continue
        events = f"fp_inside{number}"
        body = sql(
            "SELECT * FROM :counted WHERE :conditions",
            counted=name(counted),
            conditions=all_of(sql("fp_until IS NULL"), inside(frame, column("fp_t"), tick, engine)),
        )
        lists = gathered(of_frame, events, plan.entity, f"fp_gathered{number}", engine)
        relations += [Relation(events, body), *lists]
        found += lists
        for part, sharing in enumerate(sharing_cells(maps)):
            prefix = f"fp_grouped{number}_{part}"
            made = maps_of_cells(sharing, Cells(prefix, plan.entity, tick), engine)
            relations += [*cells_of_events(sharing, events, plan.entity, prefix, engine), *made]
            found += made
    return relations, [each.name for each in found]

"""Windowed aggregates at many query times, in time that grows with events plus points and not with events in windows.

An event version counts at ``q`` iff ``a <= q < until`` and ``q - w <= t < q``. Turned around, it is an interval of
query times: it *enters* at ``greatest(a, t + 1µs)`` and *leaves* at ``least(until, t + w + 1µs)``; offsets and tiles
move these times (``frames``). Points are numbered in the order of time (``query_times``), so per frame an event is a
range of points ``[fp_lo, fp_hi)``, whatever was late or corrected. ``point_measures`` says what becomes of the ranges.
That is how *crowded* entities are counted; where an entity's events times its points are few, they are joined
(``point_pairs``), which is quicker.

``docs/adr/0009-event-versions-as-validity-intervals.md`` and ``0023-pairs-where-they-are-few.md`` have the reasons and
the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from feature_platform.compiler.aggregation_plan import AggregationPlan, PlannedFeature
from feature_platform.compiler.event_versions import event_relation, numbered_versions, version_relations
from feature_platform.compiler.feature_values import pointed_at, value
from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    all_of,
    column,
    columns,
    duration,
    equal,
    listed,
    name,
    quoted,
    sql,
    started,
    union_all,
)
from feature_platform.compiler.frames import Entry, Frame, farthest_reach, leaves
from feature_platform.compiler.gathered_measures import gathered
from feature_platform.compiler.map_features import (
    Cells,
    cells_of_events,
    cells_of_ranges,
    grouping_of,
    is_added,
    maps_of_cells,
    sharing_cells,
)
from feature_platform.compiler.measures import GATHERED, SUBTRACTABLE, Numbered
from feature_platform.compiler.point_measures import climbing_relation, merged_blocks, running_sums
from feature_platform.compiler.point_pairs import Pairs, crowded_relations, ungathered
from feature_platform.compiler.query_times import Target
from feature_platform.types import Engine


def window_relations(plan: AggregationPlan, target: Target) -> list[Relation]:
    """Relations that end in ``<prefix>_answers``: per point ``fp_point`` and the view's features by name.

    A point without events has NULL, and 0 for counts; defaults are not filled in.
    """
    relations = [event_relation(plan, target.prefix, target.engine), _candidates(plan, target)]
    *before, versions = version_relations(plan, target.prefix, ["fp_first", "fp_end"])
    relations += [*before, replace(versions, stored=bool(plan.source_keys))]
    if plan.ordered:
        relations.append(numbered_versions(plan, target.prefix, ["fp_first"], target.engine))
    pairs = Pairs(plan, target, relations[-1].name)
    relations += [*crowded_relations(target), *pairs.relations()]
    for number, entry in enumerate(plan.entries):
        relations.append(_entered(pairs.versions, entry, number, target))
    measured: list[str] = []
    lists: list[str] = []
    subtracted: list[tuple[str, Sequence[Numbered]]] = []
    if any(_is_merged(each) for each in plan.measures):
        relations.append(climbing_relation(target))
    for number, frame in enumerate(plan.frames):
        ranges = f"{target.prefix}_range{number}"
        relations.append(Relation(ranges, _ranges(plan, frame, target), stored=True))
        inside = [each for each in plan.measures if each.measure.frame == frame]
        if among := [each for each in inside if each.measure.kind in SUBTRACTABLE]:
            subtracted.append((ranges, among))
        if among := [each for each in inside if _is_merged(each)]:
            relations += merged_blocks(among, ranges, f"{target.prefix}_tops{number}", target)
            measured.append(relations[-1].name)
        if among := [each for each in inside if each.measure.kind in GATHERED]:
            both = union_all([pairs.inside(frame), _copies(plan, ranges, target.engine)])
            events = Relation(f"{target.prefix}_inside{number}", both)
            found = gathered(among, events.name, ["fp_point"], f"{target.prefix}_gathered{number}", target.engine)
            relations += [events, *found]
            lists += [each.name for each in found]
        for part, sharing in enumerate(sharing_cells(plan.maps_in(frame))):
            prefix = f"{target.prefix}_grouped{number}_{part}"
            found = _maps(sharing, prefix, pairs.inside(frame), _copies(plan, ranges, target.engine), ranges, target)
            relations += found
            lists += [each.name for each in found[-len(sharing) :]]
    if subtracted:
        relations += running_sums(subtracted, f"{target.prefix}_sums", target)
        measured.append(relations[-1].name)
    return [*relations, *_answers(plan, pairs, measured, lists, target)]


def _is_merged(numbered: Numbered) -> bool:
    return numbered.measure.kind not in SUBTRACTABLE | GATHERED


def _maps(  # noqa: PLR0913, PLR0917 - the events of both kinds of entities
    features: Sequence[PlannedFeature], prefix: str, few: Sql, copies: Sql, ranges: str, target: Target
) -> list[Relation]:
    """Relations of which the last are one per feature, with its map per point. ``few`` has the events of each point of
    entities that are not crowded, ``copies`` those of the others, who are in ``ranges`` too.
    """
    engine = target.engine
    if is_added(features[0]):
        events = Relation(f"{prefix}_few", few)
        apart = cells_of_events(features, events.name, ["fp_point"], f"{prefix}_few", engine)
        spread = cells_of_ranges(features, ranges, f"{prefix}_busy", engine)
        both = (sql("SELECT * FROM :cells", cells=name(each[-1].name)) for each in (apart, spread))
        cells = [events, *apart, *spread, Relation(f"{prefix}_cells", union_all(both))]
    else:
        events = Relation(f"{prefix}_inside", union_all([few, copies]))
        cells = [events, *cells_of_events(features, events.name, ["fp_point"], prefix, engine)]
    asked = sql(" JOIN :points AS p ON p.fp_point = c.fp_point", points=name(target.points.name))
    return [*cells, *maps_of_cells(features, Cells(prefix, ["fp_point"], column("fp_q", "p"), asked), engine)]


def _copies(plan: AggregationPlan, ranges: str, engine: Engine) -> Sql:
    """An event for each point that counts it."""
    templates: Mapping[Engine, str] = {
        "duckdb": "SELECT UNNEST(RANGE(r.fp_lo, r.fp_hi)) AS fp_point, :kept FROM :ranges AS r",
        "postgres": """SELECT s.fp_point, :kept FROM :ranges AS r
            CROSS JOIN LATERAL GENERATE_SERIES(r.fp_lo, r.fp_hi - 1) AS s(fp_point)""",
    }
    kept = ["fp_t", *(f"fp_n{index}" for index in plan.ordered), *plan.payload]
    return sql(templates[engine], kept=listed(*columns(kept, "r")), ranges=name(ranges))


def _candidates(plan: AggregationPlan, target: Target) -> Relation:
    """Events of the spine's entities that some point of the entity could count, were there no other version of them."""
    body = sql(
        "SELECT :carried, :kept FROM :events AS e JOIN :entities AS k ON :same WHERE :conditions",
        carried=listed(*columns(["fp_first", "fp_end"], "k")),
        kept=listed(*columns(["fp_t", "fp_a", *plan.source_key, *plan.payload], "e")),
        events=target.named("events"),
        entities=name(target.points.entities),
        same=equal(target.points.keys, "e", "k"),
        conditions=all_of(
            # Bounds per entity, in the join: a bound for all in a subquery would spoil the engine's estimates.
            sql("e.fp_t < k.fp_newest AND e.fp_a <= k.fp_newest"),
            started(column("fp_t", "e"), column("fp_oldest", "k"), farthest_reach(plan.frames)),
            column("fp_w", "e") if plan.filtered else None,
        ),
    )
    return Relation(f"{target.prefix}_candidates", body, stored=True)


def _entered(versions: str, entry: Entry, number: int, target: Target) -> Relation:
    """The versions of crowded entities that some point sees, with the first that could, ``fp_lo``."""
    # PostgreSQL has no ASOF join, but width_bucket searches a sorted array by halving. The array is joined where it is
    # searched, never carried along: it is as long as the entity has points.
    templates: Mapping[Engine, str] = {
        "duckdb": """SELECT x.*, p.fp_point AS fp_lo, p.fp_q AS fp_seen
            FROM (SELECT v.*, GREATEST(v.fp_a, :inside) AS fp_enter FROM :versions AS v WHERE :crowded) AS x
            ASOF JOIN :points AS p ON x.fp_first = p.fp_first AND x.fp_enter <= p.fp_q""",
        "postgres": """SELECT x.* FROM (
              SELECT v.*, v.fp_first + WIDTH_BUCKET(GREATEST(v.fp_a, :inside) - :instant, k.fp_times) AS fp_lo
              FROM :versions AS v JOIN :entities AS k ON k.fp_first = v.fp_first WHERE :crowded) AS x
            WHERE x.fp_lo < x.fp_end""",
    }
    body = sql(
        templates[target.engine],
        inside=entry.time(column("fp_t", "v"), target.engine),
        instant=duration(1),
        versions=name(versions),
        crowded=sql(
            "EXISTS (SELECT 1 FROM :crowded AS c WHERE c.fp_first = v.fp_first)", crowded=target.named("crowded")
        ),
        points=target.named("busy"),
        entities=name(target.points.entities),
    )
    return Relation(f"{target.prefix}_entered{number}", body, stored=True)


def _ranges(plan: AggregationPlan, frame: Frame, target: Target) -> Sql:
    """The range of points, ``fp_lo`` to before ``fp_hi``, for each version that some point has inside ``frame``."""
    leave = column("fp_until", "e")
    passed = leaves(frame, column("fp_t", "e"), target.engine)
    if passed is not None:
        leave = sql("LEAST(e.fp_until, :passed)", passed=passed)
    kept = ["fp_first", "fp_end", "fp_lo", "fp_t", *(f"fp_n{index}" for index in plan.ordered), *plan.payload]
    templates: Mapping[Engine, str] = {
        "duckdb": """SELECT COALESCE(p.fp_point, x.fp_end) AS fp_hi, :kept
            FROM (SELECT e.*, :leave AS fp_leave FROM :entered AS e WHERE :leave IS NULL OR :leave > e.fp_seen) AS x
            ASOF LEFT JOIN :points AS p ON x.fp_first = p.fp_first AND x.fp_leave <= p.fp_q""",
        "postgres": """SELECT x.fp_hi, :kept FROM (
              SELECT e.*, COALESCE(e.fp_first + WIDTH_BUCKET(:leave - :instant, k.fp_times), e.fp_end) AS fp_hi
              FROM :entered AS e JOIN :entities AS k ON k.fp_first = e.fp_first) AS x
            WHERE x.fp_lo < x.fp_hi""",
    }
    return sql(
        templates[target.engine],
        kept=listed(*columns(kept, "x")),
        leave=leave,
        instant=duration(1),
        entered=target.named(f"entered{plan.entries.index(frame.entry)}"),
        points=target.named("busy"),
        entities=name(target.points.entities),
    )


def _answers(
    plan: AggregationPlan, pairs: Pairs, measured: Sequence[str], lists: Sequence[str], target: Target
) -> list[Relation]:
    """From measures, ``measured`` of crowded entities and those of ``pairs``, and ``lists`` of both, to values."""
    numbers = columns(each for numbered in ungathered(plan) for each in numbered.names)
    names = [each.name for each in plan.measures if each.measure.kind in GATHERED]
    names += [grouping_of(each).named for each in plan.maps]
    both = union_all(
        [
            sql("SELECT * FROM :paired", paired=name(pairs.measured)),
            sql(
                "SELECT :numbers FROM :busy AS p:joins",
                numbers=listed(*columns(["fp_point", "fp_first", "fp_q"], "p"), *numbers),
                busy=target.named("busy"),
                joins=_beside_points(measured),
            ),
        ]
    )
    together = sql(
        "SELECT p.*, :lists FROM (:both) AS p:joins",
        lists=listed(*columns(names)),
        both=both,
        joins=_beside_points(lists),
    )
    features = (
        aliased(value(each, "m", column("fp_q", "m"), target.engine), quoted(each.feature.name))
        for each in plan.features
    )
    answers = sql(
        "SELECT m.fp_point, :features FROM :measured AS m:joins",
        features=listed(*features),
        measured=target.named("measured"),
        joins=pointed_at(plan, "m", ["fp_first"], f"{target.prefix}_ordered"),
    )
    return [
        Relation(f"{target.prefix}_measured", together if lists else both),
        Relation(f"{target.prefix}_answers", answers, stored=True),
    ]


def _beside_points(relations: Sequence[str]) -> Sql:
    joins = NOTHING
    for relation in relations:
        same = equal(["fp_point"], relation, "p")
        joins = sql(":joins LEFT JOIN :relation ON :same", joins=joins, relation=name(relation), same=same)
    return joins

"""Windowed aggregates at the times of a spine, for Doris.

Versions of events are joined with the query times of their entity that know them and may count them; one aggregate
over these pairs answers all windows (``measured``). No frame of time, no ASOF, no lateral join is needed, and Doris
spreads the join by entity. Its cost grows with query times times the events that they count.

Counts and exact sums need no pairs: what an event adds at the time that it enters a frame, and takes away when it
leaves, is summed in the order of time over the union of both and of the query times (:func:`_running`), whatever the
window's length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.doris.events import event_relation, numbered_versions, version_relations
from feature_platform.compiler.doris.frames import entered, left, reached
from feature_platform.compiler.doris.measured import exact, feature_relations
from feature_platform.compiler.doris.points import KeyedPoints
from feature_platform.compiler.doris.text import aliased, case, cast, column, columns, equal, name, number, selected
from feature_platform.compiler.fragments import Relation, Sql, all_of, listed, sql
from feature_platform.compiler.frames import Frame, farthest_reach
from feature_platform.compiler.measures import Numbered
from feature_platform.types import BIGINT, DataType, decimal

_SUMMED = frozenset({"count", "sum"})


def window_relations(plan: AggregationPlan, points: KeyedPoints, prefix: str) -> list[Relation]:
    """Relations that end in ``<prefix>_answers``: per point that an answer is known of its keys, ``fp_q`` and the
    features. A point without events may be missing.
    """
    relations = [event_relation(plan, prefix), _candidates(plan, points, prefix)]
    relations += version_relations(plan, prefix, plan.entity)
    counted = relations[-1].name
    if plan.ordered:
        relations.append(numbered_versions(plan, prefix))
        counted = relations[-1].name
    summed = [each for each in plan.measures if each.measure.kind in _SUMMED]
    if len(summed) < len(plan.measures):
        relations.append(_pairs(plan, counted, points, prefix))
    ready: dict[str, str] = {}
    if summed:
        relations += _running(plan, summed, f"{prefix}_versions", points, f"{prefix}_sums")
        ready = {each.name: f"{prefix}_sums" for each in summed}
    return [*relations, *feature_relations(plan, f"{prefix}_pairs", [*plan.entity, "fp_q"], prefix, ready)]


def _candidates(plan: AggregationPlan, points: KeyedPoints, prefix: str) -> Relation:
    """Events of the spine's entities that some point of the entity could count, were there no other version."""
    reach = farthest_reach(plan.frames)
    condition = all_of(
        sql("`e`.`fp_t` < `k`.`fp_newest` AND `e`.`fp_a` <= `k`.`fp_newest`"),
        None if reach is None else sql("`e`.`fp_t` >= `k`.`fp_oldest` - :reach", reach=number(reach)),
        column("fp_w", "e") if plan.filtered else None,
    )
    kept = columns([*plan.entity, "fp_t", "fp_a", *plan.source_key, *plan.payload], "e")
    source = sql(
        ":events AS `e` INNER JOIN :entities AS `k` ON :same",
        events=name(f"{prefix}_events"),
        entities=name(points.entities),
        same=equal(plan.entity, "e", "k"),
    )
    return Relation(f"{prefix}_candidates", selected(kept, source, where=condition))


def _pairs(plan: AggregationPlan, counted: str, points: KeyedPoints, prefix: str) -> Relation:
    kept = ["fp_t", *(f"fp_n{index}" for index in plan.ordered), *plan.payload]
    known = all_of(
        equal(plan.entity, "v", "p"),
        sql("`v`.`fp_t` < `p`.`fp_q` AND `v`.`fp_a` <= `p`.`fp_q`"),
        sql("(`v`.`fp_until` IS NULL OR `v`.`fp_until` > `p`.`fp_q`)"),
        reached(plan.frames, column("fp_t", "v"), column("fp_q", "p")),
    )
    source = sql(
        ":versions AS `v` INNER JOIN :points AS `p` ON :known",
        versions=name(counted),
        points=name(points.name),
        known=known,
    )
    found = [*columns([*plan.entity, "fp_q"], "p"), *columns(kept, "v")]
    return Relation(f"{prefix}_pairs", selected(found, source))


def _running(
    plan: AggregationPlan, measures: Sequence[Numbered], versions: str, points: KeyedPoints, sums: str
) -> list[Relation]:
    """Relations that end in ``sums``: per point its keys, ``fp_q`` and the measures.

    Changes come before the points at the same instant: an event that enters at ``q`` counts there, one that leaves
    does not.
    """
    changes = Relation(f"{sums}_changes", Sql(" UNION ALL ".join(_changes(plan, measures, versions, points))))
    order = "ORDER BY `c`.`fp_when` ASC NULLS FIRST, `c`.`fp_asks` ASC NULLS FIRST"
    window = sql(
        "OVER (PARTITION BY :by :order ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        by=listed(*columns(plan.entity, "c")),
        order=Sql(order),
    )
    running = [aliased(sql("SUM(:m) :window", m=column(each.name, "c"), window=window), each.name) for each in measures]
    all_times = selected(
        [*columns(plan.entity, "c"), column("fp_when", "c"), column("fp_asks", "c"), *running],
        Sql(f"{name(changes.name)} AS `c`"),
    )
    found = [
        *columns(plan.entity, "r"),
        aliased(column("fp_when", "r"), "fp_q"),
        *columns([each.name for each in measures], "r"),
    ]
    body = selected(found, Sql(f"({all_times}) AS `r`"), where=sql("`r`.`fp_asks` = 1"))
    return [changes, Relation(sums, body)]


def _changes(plan: AggregationPlan, measures: Sequence[Numbered], versions: str, points: KeyedPoints) -> Iterator[Sql]:
    """What enters, what leaves, and the points: rows of keys, ``fp_when``, ``fp_asks`` and one column per measure."""
    for frame in dict.fromkeys(each.measure.frame for each in measures):
        first, last = _span(frame)
        real = last and sql(":last > :first", last=last, first=first)
        never = all_of(sql("(`v`.`fp_until` IS NULL OR `v`.`fp_until` > :first)", first=first), real)
        for when, sign in ((first, ""), (_earliest(last), "-")):
            found = [_part(each, sign if each.measure.frame == frame else None) for each in measures]
            head = [*columns(plan.entity, "v"), aliased(when, "fp_when"), aliased(sql("0"), "fp_asks")]
            leaving = sql("`v`.`fp_until` IS NOT NULL") if sign and last is None else None
            yield selected([*head, *found], Sql(f"{name(versions)} AS `v`"), where=all_of(never, leaving))
    head = [*columns(plan.entity, "p"), aliased(column("fp_q", "p"), "fp_when"), aliased(sql("1"), "fp_asks")]
    nothing = [_part(each, None) for each in measures]
    yield selected([*head, *nothing], Sql(f"{name(points.name)} AS `p`"))


def _span(frame: Frame) -> tuple[Sql, Sql | None]:
    """The first query time that counts a version, and the first that does not any more because of the frame."""
    t = column("fp_t", "v")
    return sql("GREATEST(`v`.`fp_a`, :entered)", entered=entered(frame, t)), left(frame, t)


def _earliest(last: Sql | None) -> Sql:
    """When the version leaves: by its frame, or because another replaces it."""
    until = column("fp_until", "v")
    if last is None:
        return until
    return case((sql(":until < :last", until=until, last=last), until), otherwise=last)


def _part(numbered: Numbered, sign: str | None) -> Sql:
    """What one version adds (``""``) or takes away (``"-"``); nothing (None) in the rows of other frames."""
    measure = numbered.measure
    of = _type(numbered)
    if sign is None:
        return aliased(cast(sql("NULL"), of), numbered.name)
    one = sql("1") if measure.kind == "count" else exact(numbered, column(f"fp_v{measure.value}", "v"))
    only = all_of(
        None if measure.condition is None else column(f"fp_c{measure.condition}", "v"),
        None if measure.value is None else sql(":v IS NOT NULL", v=column(f"fp_v{measure.value}", "v")),
    )
    signed = Sql(f"{sign}{one}")
    return aliased(cast(case((only, signed)) if only else signed, of), numbered.name)


def _type(numbered: Numbered) -> DataType:
    of = numbered.measure.value_type
    return decimal(38, of.scale) if numbered.measure.kind == "sum" and of is not None else BIGINT

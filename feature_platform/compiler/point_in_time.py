"""The newest row of a view at each point, on PostgreSQL: what a model would have been given at that time.

For a point at ``q``: of the entity's published rows with ``t <= q`` and ``a <= q`` the one with the greatest ``t``,
then the greatest ``a``; none if its ``t`` is older than the view's ``ttl``. Sorted by the time from which a row can
be seen, ``e = greatest(t, a)``, a row that arrives and is older than one that was there already never wins. What is
left, the *records*, replace each other, and the newest with ``e <= q`` is the answer: one lookup, late rows and all.
"""

from __future__ import annotations

from collections.abc import Sequence

from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    all_of,
    ascending,
    by_code_point,
    duration,
    listed,
    name,
    quoted,
    sql,
    their_column,
    where,
)
from feature_platform.compiler.plan import CompiledView
from feature_platform.compiler.query_times import Target
from feature_platform.specs.models import FeatureView


def newest_row_relations(
    view: CompiledView, spec: FeatureView, features: Sequence[str], target: Target
) -> list[Relation]:
    """Relations that end in ``<prefix>_answers``: per point that has a row ``fp_point`` and ``features`` by name."""
    # Where (key, event time) is unique by contract, no two rows tie; else all features decide, whichever are asked for.
    ties = [] if spec.contract.unique else [(each.name, each.column.type) for each in view.features]
    read = list(dict.fromkeys([*features, *(each for each, _ in ties)]))
    by_value = [by_code_point(their_column(each, "r"), of, target.engine) for each, of in ties]
    records = sql(
        """SELECT l.fp_first, l.fp_t, l.fp_e, :features FROM (
             SELECT k.*, MAX(k.fp_rank) OVER (PARTITION BY k.fp_first ORDER BY k.fp_e) AS fp_leader FROM (
               SELECT r.*, GREATEST(r.fp_t, r.fp_a) AS fp_e,
                 ROW_NUMBER() OVER (PARTITION BY r.fp_first :order) AS fp_rank
               FROM :rows AS r) AS k) AS l
           WHERE l.fp_rank = l.fp_leader""",
        features=listed(*(their_column(each, "l") for each in features)),
        order=ascending([Sql("r.fp_t"), Sql("r.fp_a"), *by_value]),
        rows=target.named("rows"),
    )
    if spec.contract.unique and spec.available_at is None:
        # Every row is available when it happens and replaces the one before: all are records.
        records = sql("SELECT r.*, r.fp_t AS fp_e FROM :rows AS r", rows=target.named("rows"))
    return [
        _rows(view, spec, read, target),
        Relation(f"{target.prefix}_records", records),
        *_lookup(spec, features, target),
    ]


def _rows(view: CompiledView, spec: FeatureView, read: Sequence[str], target: Target) -> Relation:
    same = (
        Sql(f"{their_column(key.name, 'v')} = k.{name(own)}")
        for key, own in zip(view.keys, target.points.keys, strict=True)
    )
    fresh = NOTHING
    if spec.ttl is not None:
        fresh = sql(" AND v.event_time >= k.fp_oldest - :ttl", ttl=duration(spec.ttl.microseconds))
    body = sql(
        """SELECT k.fp_first, v.event_time AS fp_t, v.available_at AS fp_a, :read
           FROM "features".:view AS v JOIN :entities AS k ON :same
           WHERE v.event_time <= k.fp_newest AND v.available_at <= k.fp_newest:fresh""",
        read=listed(*(their_column(each, "v") for each in read)),
        view=quoted(view.name),
        entities=name(target.points.entities),
        same=all_of(*same),
        fresh=fresh,
    )
    return Relation(f"{target.prefix}_rows", body)


def _lookup(spec: FeatureView, features: Sequence[str], target: Target) -> list[Relation]:
    fresh = NOTHING
    if spec.ttl is not None:
        fresh = sql("r.fp_t + :ttl >= p.fp_q", ttl=duration(spec.ttl.microseconds))
    parts = {
        "found": listed(*(their_column(each, "r") for each in features)),
        "points": name(target.points.name),
        "records": target.named("records"),
        "numbered": target.named("numbered"),
        "fresh": where(fresh),
    }
    # width_bucket searches a sorted array by halving: the number of records that could be seen by then.
    found = """SELECT p.fp_point, :found FROM :points AS p
        JOIN (SELECT n.fp_first, ARRAY_AGG(n.fp_e ORDER BY n.fp_e) AS fp_times
              FROM :numbered AS n GROUP BY n.fp_first) AS t ON t.fp_first = p.fp_first
        JOIN :numbered AS r ON r.fp_first = p.fp_first AND r.fp_record = WIDTH_BUCKET(p.fp_q, t.fp_times):fresh"""
    answers = Relation(f"{target.prefix}_answers", sql(found, **parts), stored=True)
    counting = "SELECT r.*, ROW_NUMBER() OVER (PARTITION BY r.fp_first ORDER BY r.fp_e) AS fp_record FROM :records AS r"
    return [Relation(f"{target.prefix}_numbered", sql(counting, **parts), stored=True), answers]

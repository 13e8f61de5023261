"""Events as versions with an interval of validity, so that "what was known at q" is a comparison and not a search.

An event key has versions: the event as first told, then corrections. At a time ``q`` one of them holds: of those with
``a <= q`` the one with the greatest ``a``, then the greatest ``t`` (a NULL ``t`` comes last). Sorted that way, a
version holds from its own ``a`` until the ``a`` of its successor, so it counts at ``q`` iff ``a <= q < until``; a
version that is replaced at the instant it appears never counts. Which entity, window or condition a version belongs
to plays no part in this; that is looked at afterwards.

Events that matter are few, and their successors can be anywhere in the source: a correction may carry another time
and another entity. So versions are looked for in two steps: the *candidates* that could count, and then, only for
source keys that occur more than once, all versions of those keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.fragments import (
    LONGEST_SUBTRACTED,
    NOTHING,
    Relation,
    Sql,
    aliased,
    ascending,
    by_code_point,
    column,
    columns,
    duration,
    equal,
    listed,
    name,
    sql,
)
from feature_platform.compiler.frames import farthest_reach
from feature_platform.compiler.plan import Reach
from feature_platform.types import Engine


def event_relation(plan: AggregationPlan, prefix: str, engine: Engine) -> Relation:
    """``<prefix>_events``: the guarded events, with times as timestamps (a date is its midnight).

    Not stored: engines push conditions down into the source.
    """
    condition = ["fp_w"] if plan.filtered else []
    body = sql(
        "SELECT CAST(e.fp_t AS TIMESTAMP) AS fp_t, CAST(e.fp_a AS TIMESTAMP) AS fp_a, :others FROM (:guarded) AS e",
        others=listed(*columns([*plan.entity, *plan.source_key, *condition, *plan.payload], "e")),
        guarded=Sql(plan.events.sql(engine)),
    )
    return Relation(f"{prefix}_events", body, stored=False)


def known_since(plan: AggregationPlan, tick: Sql) -> Sql | None:
    """A time before which no event became known that counts at ``tick`` or later; None where nothing bounds it."""
    reach = farthest_reach(plan.frames)
    if plan.late or reach is None or reach > LONGEST_SUBTRACTED:
        return None
    return sql("(:tick - :reach)", tick=tick, reach=duration(reach))


def reach_of(plan: AggregationPlan, first: str, last: str) -> Reach | None:
    """Which events the relations here look at for ticks from the parameter ``first`` to ``last``; None where events
    without a bound may replace others, or where their times are not the source's own."""
    time = next(each for each in plan.events.columns if each.name == "fp_t")
    if time.transforms or len(time.direct) != 1 or (plan.late and plan.source_key):
        return None
    (column_of_source,) = time.direct
    reach = farthest_reach(plan.frames)
    back = None if reach is None or reach > LONGEST_SUBTRACTED else reach
    return Reach(column_of_source.column, first, back, last)


def version_relations(
    plan: AggregationPlan,
    prefix: str,
    extra: Sequence[str],
    known_at: Sql | None = None,
    since: Sql | None = None,
) -> list[Relation]:
    """Relations that end in ``<prefix>_versions``: the candidates that hold at some time, with ``fp_until`` (NULL: to
    this day).

    ``<prefix>_candidates`` has the columns ``extra``, ``fp_t``, ``fp_a``, the source key and the payload. With
    ``known_at``, versions that became known later are left out, so that what holds then has no ``fp_until``. No
    candidate became known before ``since``, so nothing that replaces one did, and older events need not be read.
    """
    parts = _parts(plan, prefix, [*extra, "fp_t", "fp_a", *plan.source_key, *plan.payload], known_at, since)
    if not plan.source_key:
        body = sql("SELECT CAST(NULL AS TIMESTAMP) AS fp_until, :kept FROM :candidates AS c", **parts)
        return [Relation(f"{prefix}_versions", body)]
    repeated = sql(
        """SELECT :keys FROM :events AS c
           WHERE :known EXISTS (SELECT 1 FROM :candidates AS r WHERE :same)
           GROUP BY :keys HAVING COUNT(*) > 1""",
        **parts,
    )
    # A candidate comes after its own copy among all versions, so of exact duplicates one counts.
    held = sql(
        """SELECT CAST(NULL AS TIMESTAMP) AS fp_until, :kept FROM :candidates AS c
           WHERE NOT EXISTS (SELECT 1 FROM :repeated AS r WHERE :same)
           UNION ALL
           SELECT h.fp_until, :held FROM (
             SELECT v.fp_counts, :told,
               LEAD(v.fp_a) OVER (PARTITION BY :told_keys ORDER BY v.fp_a, v.fp_t NULLS FIRST, v.fp_counts) AS fp_until
             FROM (SELECT 1 AS fp_counts, :kept FROM :candidates AS c
                   WHERE EXISTS (SELECT 1 FROM :repeated AS r WHERE :same)
                   UNION ALL
                   SELECT 0 AS fp_counts, :copied FROM :events AS c
                   WHERE :known EXISTS (SELECT 1 FROM :repeated AS r WHERE :same)) AS v) AS h
           WHERE h.fp_counts = 1 AND (h.fp_until IS NULL OR h.fp_until > h.fp_a)""",
        **parts,
    )
    return [Relation(f"{prefix}_repeated", repeated, stored=True), Relation(f"{prefix}_versions", held)]


def _parts(
    plan: AggregationPlan, prefix: str, kept: Sequence[str], known_at: Sql | None, since: Sql | None
) -> dict[str, Sql]:
    """What the relations of versions are written with; ``kept`` are the columns of the candidates."""
    keys = plan.source_key
    of_event = {"fp_t", "fp_a", *keys}
    copied = [column(each, "c") if each in of_event else aliased(sql("NULL"), name(each)) for each in kept]
    return {
        "candidates": name(f"{prefix}_candidates"),
        "events": name(f"{prefix}_events"),
        "repeated": name(f"{prefix}_repeated"),
        "known": sql(
            ":until :begun",
            until=sql("c.fp_a <= :known_at AND", known_at=known_at) if known_at else NOTHING,
            begun=sql("c.fp_a >= :since AND", since=since) if since else NOTHING,
        ),
        "kept": listed(*columns(kept, "c")),
        "keys": listed(*columns(keys, "c")),
        "same": equal(keys, "r", "c"),
        "told": listed(*columns(kept, "v")),
        "told_keys": listed(*columns(keys, "v")),
        "held": listed(*columns(kept, "h")),
        "copied": listed(*copied),
    }


def numbered_versions(plan: AggregationPlan, prefix: str, entity: Sequence[str], engine: Engine) -> Relation:
    """``<prefix>_ordered``: the versions with ``fp_n<i>`` for each value that some feature wants the first or last
    of.

    That is their position among the entity's events in the total order (t, a, source key). Events with a NULL in
    their key can tie even there; then the value decides.
    """
    key = [
        by_code_point(column(each, "v"), of, engine) for each, of in zip(plan.source_key, plan.source_keys, strict=True)
    ]
    positions = []
    for index in plan.ordered:
        by_value = by_code_point(column(f"fp_v{index}", "v"), plan.values[index], engine)
        order = ascending([*columns(["fp_t", "fp_a"], "v"), *key, by_value])
        of_entity = listed(*columns(entity, "v"))
        position = sql("ROW_NUMBER() OVER (PARTITION BY :of_entity :order)", of_entity=of_entity, order=order)
        positions.append(aliased(position, name(f"fp_n{index}")))
    body = sql(
        "SELECT v.*, :positions FROM :versions AS v", positions=listed(*positions), versions=name(f"{prefix}_versions")
    )
    return Relation(f"{prefix}_ordered", body, stored=True)

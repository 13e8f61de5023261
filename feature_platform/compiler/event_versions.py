"""Events as versions with an interval of validity, so that "what was known at q" is a comparison and not a search.

An event key has versions: the event as first told, then corrections. At a time ``q`` one of them holds: of those with ``a <= q`` the
one with the greatest ``a``, then the greatest ``t`` (a NULL ``t`` comes last). Sorted that way, a version holds from its own ``a`` until the
``a`` of its successor, so it counts at ``q`` iff ``a <= q < until``; a version that is replaced at the instant it appears never
counts. Which entity, window or condition a version belongs to plays no part in this; that is looked at afterwards.

Events that matter are few, and their successors can be anywhere in the source: a correction may carry another time and another
entity. So versions are looked for in two steps: the *candidates* that could count, and then, only for source keys that occur more than
once, all versions of those keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from feature_platform.compiler.aggregation_lines import AggregationPlan
from feature_platform.compiler.fragments import Relation, by_code_point, column, columns, equal, name, select, sql, union_all
from feature_platform.types import Engine


def event_relation(plan: AggregationPlan, relation: str) -> Relation:
    """The guarded events, with times as timestamps (a date is its midnight). Not stored: engines push conditions down into the source."""
    tree = select(
        "SELECT CAST(e.fp_t AS TIMESTAMP) AS fp_t, CAST(e.fp_a AS TIMESTAMP) AS fp_a FROM :events AS e",
        *columns([*_keys(plan), *_source_keys(plan), *(["fp_w"] if plan.filtered else []), *plan.payload], "e"),
        events=exp.Subquery(this=plan.events.tree.copy()),
    )
    return Relation(relation, tree, stored=False)


def version_relations(
    plan: AggregationPlan, events: str, candidates: str, extra: Sequence[str], known_at: exp.Expr, versions: str
) -> list[Relation]:
    """Relations that end in ``versions``: the candidates that hold at some time, with ``fp_until`` (NULL: to this day).

    ``candidates`` has the columns ``extra``, ``fp_t``, ``fp_a``, the source keys and the payload; ``known_at`` is the newest time that anybody
    asks about: what became known later makes no difference.
    """
    keys = _source_keys(plan)
    kept = [*extra, "fp_t", "fp_a", *keys, *plan.payload]
    current = select("SELECT CAST(NULL AS TIMESTAMP) AS fp_until FROM :candidates AS c", *columns(kept, "c"), candidates=name(candidates))
    if not keys:
        return [Relation(versions, current)]
    repeated = f"{versions}_repeated"
    within = {"repeated": name(repeated), "same": equal(keys, "r", "c")}
    current = current.where(sql("NOT EXISTS (SELECT 1 FROM :repeated AS r WHERE :same)", **within), copy=False)
    counting = select(
        "SELECT 1 AS fp_counts FROM :candidates AS c WHERE EXISTS (SELECT 1 FROM :repeated AS r WHERE :same)",
        *columns(kept, "c"),
        candidates=name(candidates),
        **within,
    )
    others = [column(each, "c") if each in ("fp_t", "fp_a", *keys) else exp.alias_(exp.null(), each) for each in kept]
    succeeding = select(
        "SELECT 0 AS fp_counts FROM :events AS c WHERE c.fp_a <= :known_at AND EXISTS (SELECT 1 FROM :repeated AS r WHERE :same)",
        *others,
        events=name(events),
        known_at=known_at,
        **within,
    )
    following = exp.Window(
        this=sql("LEAD(v.fp_a)"),
        partition_by=columns(keys, "v"),
        # The candidate itself comes after its own copy among all versions, so of exact duplicates one counts.
        order=sql("SELECT 1 ORDER BY v.fp_a, v.fp_t, v.fp_counts").args["order"],
    )
    told = select(
        "SELECT v.fp_counts FROM :both AS v",
        exp.alias_(following, "fp_until"),
        *columns(kept, "v"),
        both=exp.Subquery(this=union_all([counting, succeeding])),
    )
    corrected = select(
        "SELECT h.fp_until FROM :told AS h WHERE h.fp_counts = 1 AND (h.fp_until IS NULL OR h.fp_until > h.fp_a)",
        *columns(kept, "h"),
        told=exp.Subquery(this=told),
    )
    return [
        Relation(repeated, _repeated(keys, events, candidates, known_at), stored=True),
        Relation(versions, union_all([current, corrected])),
    ]


def numbered_versions(plan: AggregationPlan, versions: str, entity: Sequence[str], engine: Engine, ordered: str) -> Relation:
    """The versions with ``fp_n<i>`` for each value that some feature wants the first or last of: their position among the entity's
    events in the total order (t, a, source key). Events with a NULL in their key can tie even there; then the value decides."""
    keys = [by_code_point(column(key, "v"), of, engine) for key, of in zip(_source_keys(plan), plan.source_keys, strict=True)]
    positions = []
    for index in plan.ordered:
        by_value = by_code_point(column(f"fp_v{index}", "v"), plan.values[index], engine)
        ordering = [*columns(["fp_t", "fp_a"], "v"), *(key.copy() for key in keys), by_value]
        order = exp.Order(expressions=[exp.Ordered(this=each, nulls_first=True) for each in ordering])
        position = exp.Window(this=sql("ROW_NUMBER()"), partition_by=columns(entity, "v"), order=order)
        positions.append(exp.alias_(position, f"fp_n{index}"))
    return Relation(ordered, select("SELECT v.* FROM :versions AS v", *positions, versions=name(versions)), stored=True)


def _repeated(keys: Sequence[str], events: str, candidates: str, known_at: exp.Expr) -> exp.Query:
    tree = select(
        """SELECT 1 AS fp_found FROM :events AS e
           WHERE e.fp_a <= :known_at AND EXISTS (SELECT 1 FROM :candidates AS c WHERE :same)""",
        *columns(keys, "e"),
        events=name(events),
        candidates=name(candidates),
        known_at=known_at,
        same=equal(keys, "c", "e"),
    )
    return tree.group_by(*columns(keys, "e"), copy=False).having(sql("COUNT(*) > 1"), copy=False)


def _keys(plan: AggregationPlan) -> list[str]:
    return [f"fp_k{index}" for index in range(len(plan.keys))]


def _source_keys(plan: AggregationPlan) -> list[str]:
    return [f"fp_s{index}" for index in range(len(plan.source_keys))]

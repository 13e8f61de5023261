"""Events as versions with an interval of validity, for Doris: ``event_versions`` with times as whole microseconds.

A version counts at ``q`` iff ``a <= q < until`` and its frame has it. Relations of events have ``fp_t`` and ``fp_a``
in microseconds since 1970, and ``fp_at``, the event time as it is stored, by which Doris can leave partitions out.
"""

from __future__ import annotations

from collections.abc import Sequence

from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.doris.text import (
    aliased,
    cast,
    column,
    columns,
    equal,
    microseconds,
    name,
    order_by,
    selected,
)
from feature_platform.compiler.fragments import NOTHING, Relation, Sql, listed, sql
from feature_platform.types import BIGINT, BOOLEAN, TIMESTAMP, DataType


def event_relation(plan: AggregationPlan, prefix: str) -> Relation:
    """``<prefix>_events``: the guarded events, a date as its midnight."""
    times = [cast(column(each, "e"), TIMESTAMP) for each in ("fp_t", "fp_a")]
    condition = ["fp_w"] if plan.filtered else []
    others = columns([*plan.entity, *plan.source_key, *condition, *plan.payload], "e")
    body = selected(
        [
            aliased(times[0], "fp_at"),
            aliased(microseconds(times[0]), "fp_t"),
            aliased(microseconds(times[1]), "fp_a"),
            *others,
        ],
        Sql(f"({plan.events.sql('doris')}) AS {name('e')}"),
    )
    return Relation(f"{prefix}_events", body)


def version_relations(
    plan: AggregationPlan, prefix: str, extra: Sequence[str], known_at: Sql | None = None
) -> list[Relation]:
    """Relations that end in ``<prefix>_versions``: the candidates that hold at some time, with ``fp_until`` in
    microseconds (NULL: to this day).

    ``<prefix>_candidates`` has the columns ``extra``, ``fp_t``, ``fp_a``, the source key and the payload. With
    ``known_at``, microseconds, versions that became known later are left out.
    """
    parts = _parts(plan, prefix, [*extra, "fp_t", "fp_a", *plan.source_key, *plan.payload], known_at)
    if not plan.source_key:
        return [Relation(f"{prefix}_versions", sql("SELECT :nobody, :kept FROM :candidates AS `c`", **parts))]
    repeated = sql(
        """SELECT :keys FROM :events AS `c`
           WHERE :known EXISTS (SELECT 1 AS `fp_one` FROM :candidates AS `r` WHERE :same)
           GROUP BY :keys HAVING COUNT(*) > 1""",
        **parts,
    )
    # A candidate comes after its own copy among all versions, so of exact duplicates one counts.
    held = sql(
        """SELECT :nobody, :kept FROM :candidates AS `c` WHERE NOT EXISTS (SELECT 1 AS `fp_one` FROM :repeated AS `r`
        WHERE :same) UNION ALL SELECT `h`.`fp_until`, :held FROM ( SELECT `v`.`fp_counts`, :told, LEAD(`v`.`fp_a`, 1,
        NULL) OVER (PARTITION BY :told_keys ORDER BY `v`.`fp_a` ASC NULLS LAST, `v`.`fp_t` ASC NULLS FIRST,
        `v`.`fp_counts` ASC NULLS LAST) AS `fp_until` FROM (SELECT 1 AS `fp_counts`, :kept FROM :candidates AS `c`
        WHERE EXISTS (SELECT 1 AS `fp_one` FROM :repeated AS `r` WHERE :same) UNION ALL SELECT 0 AS `fp_counts`,
        :copied FROM :events AS `c` WHERE :known EXISTS (SELECT 1 AS `fp_one` FROM :repeated AS `r` WHERE :same)) AS
        `v`) AS `h` WHERE `h`.`fp_counts` = 1 AND (`h`.`fp_until` IS NULL OR `h`.`fp_until` > `h`.`fp_a`)""",
        **parts,
    )
    return [Relation(f"{prefix}_repeated", repeated), Relation(f"{prefix}_versions", held)]


def numbered_versions(plan: AggregationPlan, prefix: str) -> Relation:
    """``<prefix>_ordered``: the versions with ``fp_n<i>`` for each value that some feature wants the first or last of:
    their position among the entity's events in the total order (t, a, source key, value).
    """
    positions = []
    for index in plan.ordered:
        order = order_by(columns(["fp_t", "fp_a", *plan.source_key, f"fp_v{index}"], "v"))
        of_entity = listed(*columns(plan.entity, "v"))
        position = sql("ROW_NUMBER() OVER (PARTITION BY :of_entity :order)", of_entity=of_entity, order=order)
        positions.append(aliased(position, f"fp_n{index}"))
    kept = columns(["fp_until", *plan.entity, "fp_t", "fp_a", *plan.payload], "v")
    return Relation(f"{prefix}_ordered", selected([*kept, *positions], Sql(f"{name(prefix + '_versions')} AS `v`")))


def _parts(plan: AggregationPlan, prefix: str, kept: Sequence[str], known_at: Sql | None) -> dict[str, Sql]:
    """What the relations of versions are written with; ``kept`` are the columns of the candidates."""
    keys, types = plan.source_key, _types(plan)
    of_event = {"fp_t", "fp_a", *keys}
    copied = [column(each, "c") if each in of_event else aliased(cast(sql("NULL"), types[each]), each) for each in kept]
    return {
        "candidates": name(f"{prefix}_candidates"),
        "events": name(f"{prefix}_events"),
        "repeated": name(f"{prefix}_repeated"),
        "known": sql("`c`.`fp_a` <= :known_at AND ", known_at=known_at) if known_at else NOTHING,
        "kept": listed(*columns(kept, "c")),
        "nobody": aliased(cast(sql("NULL"), BIGINT), "fp_until"),
        "keys": listed(*columns(keys, "c")),
        "same": equal(keys, "r", "c"),
        "told": listed(*columns(kept, "v")),
        "told_keys": listed(*columns(keys, "v")),
        "held": listed(*columns(kept, "h")),
        "copied": listed(*copied),
    }


def _types(plan: AggregationPlan) -> dict[str, DataType]:
    keys = {own: key.type for own, key in zip(plan.entity, plan.keys, strict=True)}
    values = {f"fp_v{index}": of for index, of in enumerate(plan.values)}
    conditions = {f"fp_c{index}": BOOLEAN for index in range(plan.conditions)}
    return {**keys, **values, **conditions}

"""The newest row of a view at each point, for Doris.

Published rows that ever win are the *records*, numbered in the order of the time from which they can be seen. In the
union of records and points, sorted by time, the greatest number so far is the record that a point sees: a running
maximum over a ROWS frame, on every version of Doris.
"""

from __future__ import annotations

from collections.abc import Sequence

from feature_platform.compiler.doris.points import KeyedPoints
from feature_platform.compiler.doris.text import (
    aliased,
    cast,
    column,
    columns,
    equal,
    microseconds,
    name,
    number,
    order_by,
    selected,
)
from feature_platform.compiler.fragments import Relation, Sql, all_of, listed, sql
from feature_platform.compiler.plan import CompiledView
from feature_platform.specs.models import FeatureView
from feature_platform.types import BIGINT, TIMESTAMP


def newest_row_relations(
    view: CompiledView, spec: FeatureView, features: Sequence[str], points: KeyedPoints, prefix: str
) -> list[Relation]:
    """Relations that end in ``<prefix>_answers``: per point that has a row its keys, ``fp_q`` and ``features``."""
    # Where (key, event time) is unique by contract, no two rows tie; else all features decide, whichever are asked for.
    ties = [] if spec.contract.unique else [each.name for each in view.features]
    read = list(dict.fromkeys([*features, *ties]))
    keys = points.keys
    rank = sql(
        "ROW_NUMBER() OVER (PARTITION BY :by :order)",
        by=listed(*columns(keys, "r")),
        order=order_by(columns(["fp_t", "fp_a", *(_feature(each) for each in ties)], "r")),
    )
    seen = [*columns([*keys, "fp_t", *map(_feature, features)], "r"), sql("GREATEST(`r`.`fp_t`, `r`.`fp_a`) AS `fp_e`")]
    ranked = selected([*seen, aliased(rank, "fp_rank")], Sql(f"{name(prefix + '_rows')} AS `r`"))
    of_entity = listed(*columns(keys, "k"))
    leader = sql(
        "MAX(`k`.`fp_rank`) OVER (PARTITION BY :by ORDER BY `k`.`fp_e` ASC NULLS FIRST"
        " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        by=of_entity,
    )
    kept = [*keys, "fp_t", *map(_feature, features), "fp_e", "fp_rank"]
    led = selected([*columns(kept, "k"), aliased(leader, "fp_leader")], Sql(f"({ranked}) AS `k`"))
    # A row that is older than one that was there already never wins; what is left replaces each other.
    records = selected(columns(kept, "l"), Sql(f"({led}) AS `l`"), where=sql("`l`.`fp_rank` = `l`.`fp_leader`"))
    return [
        _rows(view, spec, read, points, prefix),
        Relation(f"{prefix}_records", records),
        *_lookup(spec, features, points, prefix),
    ]


def _feature(feature: str) -> str:
    # A feature may be called as a column of the plan.
    return f"fp_f_{feature}"


def _rows(view: CompiledView, spec: FeatureView, read: Sequence[str], points: KeyedPoints, prefix: str) -> Relation:
    happened, told = (cast(column(each, "v"), TIMESTAMP) for each in ("event_time", "available_at"))
    published = selected(
        [
            *(aliased(column(key.name, "v"), own) for key, own in zip(view.keys, points.keys, strict=True)),
            aliased(microseconds(happened), "fp_t"),
            aliased(microseconds(told), "fp_a"),
            *(aliased(column(each, "v"), _feature(each)) for each in read),
        ],
        Sql(f"{name('features')}.{name(view.name)} AS `v`"),
    )
    seen = sql("`w`.`fp_t` <= `k`.`fp_newest` AND `w`.`fp_a` <= `k`.`fp_newest`")
    fresh = None
    if spec.ttl is not None:
        fresh = sql("`w`.`fp_t` >= `k`.`fp_oldest` - :ttl", ttl=number(spec.ttl.microseconds))
    found = [*columns(points.keys, "k"), *columns(["fp_t", "fp_a", *map(_feature, read)], "w")]
    same = equal(points.keys, "w", "k")
    source = Sql(f"({published}) AS `w` INNER JOIN {name(points.entities)} AS `k` ON {same}")
    return Relation(f"{prefix}_rows", selected(found, source, where=all_of(seen, fresh)))


def _lookup(spec: FeatureView, features: Sequence[str], points: KeyedPoints, prefix: str) -> list[Relation]:
    keys = points.keys
    records = Sql(f"{name(prefix + '_records')} AS `r`")
    told = [*columns(keys, "r"), aliased(column("fp_e", "r"), "fp_when"), sql("0 AS `fp_asks`"), column("fp_rank", "r")]
    asked = [
        *columns(keys, "p"),
        aliased(column("fp_q", "p"), "fp_when"),
        sql("1 AS `fp_asks`"),
        aliased(cast(sql("NULL"), BIGINT), "fp_rank"),
    ]
    both = Sql(f"{selected(told, records)} UNION ALL {selected(asked, Sql(f'{name(points.name)} AS `p`'))}")
    newest = sql(
        "MAX(`u`.`fp_rank`) OVER (PARTITION BY :by :order ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        by=listed(*columns(keys, "u")),
        order=order_by(columns(["fp_when", "fp_asks"], "u")),
    )
    ordered = selected(
        [*columns([*keys, "fp_when", "fp_asks"], "u"), aliased(newest, "fp_newest")], Sql(f"({both}) AS `u`")
    )
    seen = selected(
        [*columns(keys, "o"), aliased(column("fp_when", "o"), "fp_q"), column("fp_newest", "o")],
        Sql(f"({ordered}) AS `o`"),
        where=sql("`o`.`fp_asks` = 1"),
    )
    same = all_of(equal(keys, "r", "q"), sql("`r`.`fp_rank` = `q`.`fp_newest`"))
    fresh = None
    if spec.ttl is not None:
        fresh = sql("`r`.`fp_t` + :ttl >= `q`.`fp_q`", ttl=number(spec.ttl.microseconds))
    found = [*columns([*keys, "fp_q"], "q"), *(aliased(column(_feature(each), "r"), each) for each in features)]
    answers = selected(found, Sql(f"{name(prefix + '_seen')} AS `q` INNER JOIN {records} ON {same}"), where=fresh)
    return [Relation(f"{prefix}_seen", seen), Relation(f"{prefix}_answers", answers)]

"""The newest row of a view at each point: what a model would have been given at that time.

For a point at ``q``: of the entity's published rows with ``t <= q`` and ``a <= q`` the one with the greatest ``t``, then the greatest ``a``; none if
its ``t`` is older than the view's ``ttl``. Sorted by the time from which a row can be seen, ``e = greatest(t, a)``, a row that arrives and
is older than one that was there already never wins. What is left, the *records*, replace each other, and the newest with ``e <= q`` is
the answer: one lookup, late rows and all.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from feature_platform.compiler.feature_values import quoted
from feature_platform.compiler.fragments import Relation, by_code_point, column, duration, name, select, sql
from feature_platform.compiler.plan import CompiledView
from feature_platform.compiler.query_times import Points
from feature_platform.specs.models import FeatureView
from feature_platform.types import Engine


def newest_row_relations(
    view: CompiledView, spec: FeatureView, features: Sequence[str], points: Points, prefix: str, engine: Engine
) -> list[Relation]:
    """Relations that end in ``<prefix>_answers``: per point that has a row ``fp_point`` and ``features`` by name."""
    # Where (key, event time) is unique by contract, no two rows tie; else all features decide, whichever of them are asked for.
    ties = [] if spec.contract.unique else [(each.name, each.column.type) for each in view.features]
    read = list(dict.fromkeys([*features, *(each for each, _ in ties)]))
    order = [column("fp_t", "r"), column("fp_a", "r")]
    order += [by_code_point(exp.column(quoted(each), table="r"), of, engine) for each, of in ties]
    rank = exp.Window(this=sql("ROW_NUMBER()"), partition_by=[column("fp_first", "r")], order=_ascending(order))
    ranked = select(
        "SELECT r.*, GREATEST(r.fp_t, r.fp_a) AS fp_e FROM :rows AS r",
        exp.alias_(rank, "fp_rank"),
        rows=name(f"{prefix}_rows"),
    )
    leading = select(
        "SELECT k.*, MAX(k.fp_rank) OVER (PARTITION BY k.fp_first ORDER BY k.fp_e) AS fp_leader FROM :ranked AS k",
        ranked=exp.Subquery(this=ranked),
    )
    records = select(
        "SELECT l.fp_first, l.fp_t, l.fp_e FROM :leading AS l WHERE l.fp_rank = l.fp_leader",
        *(exp.column(quoted(each), table="l") for each in features),
        leading=exp.Subquery(this=leading),
    )
    return [
        _rows(view, spec, read, points, prefix),
        Relation(f"{prefix}_records", records, stored=None if engine == "duckdb" else True),
        *_lookup(spec, features, points, prefix, engine),
    ]


def _rows(view: CompiledView, spec: FeatureView, read: Sequence[str], points: Points, prefix: str) -> Relation:
    keys = [
        exp.EQ(this=exp.column(quoted(key.name), table="v"), expression=column(each, "k"))
        for key, each in zip(view.keys, points.keys, strict=True)
    ]
    tree = select(
        """SELECT k.fp_first, v."event_time" AS fp_t, v."available_at" AS fp_a FROM :view AS v JOIN :entities AS k ON :same
           WHERE v."event_time" <= (SELECT MAX(fp_q) FROM :points) AND v."available_at" <= (SELECT MAX(fp_q) FROM :points)""",
        *(exp.column(quoted(each), table="v") for each in read),
        view=exp.table_(quoted(view.name), db=quoted("features")),
        entities=name(points.entities),
        same=exp.and_(*keys),
        points=name(points.name),
    )
    if spec.ttl is not None:
        oldest = sql(
            """v."event_time" >= (SELECT MIN(fp_q) FROM :points) - :ttl""", points=name(points.name), ttl=duration(spec.ttl.microseconds)
        )
        tree = tree.where(oldest, copy=False)
    return Relation(f"{prefix}_rows", tree)


def _lookup(spec: FeatureView, features: Sequence[str], points: Points, prefix: str, engine: Engine) -> list[Relation]:
    found = [exp.column(quoted(each), table="r") for each in features]
    fresh = exp.true()
    if spec.ttl is not None:
        fresh = sql("r.fp_t + :ttl >= p.fp_q", ttl=duration(spec.ttl.microseconds))
    if engine == "duckdb":
        tree = select(
            """SELECT p.fp_point FROM :points AS p ASOF JOIN :records AS r ON p.fp_first = r.fp_first AND p.fp_q >= r.fp_e
               WHERE :fresh""",
            *found,
            points=name(points.name),
            records=name(f"{prefix}_records"),
            fresh=fresh,
        )
        return [Relation(f"{prefix}_answers", tree, stored=True)]
    numbered = select(
        "SELECT r.*, ROW_NUMBER() OVER (PARTITION BY r.fp_first ORDER BY r.fp_e) AS fp_record FROM :records AS r",
        records=name(f"{prefix}_records"),
    )
    times = select(
        "SELECT n.fp_first, ARRAY_AGG(n.fp_e ORDER BY n.fp_e) AS fp_times FROM :numbered AS n GROUP BY n.fp_first",
        numbered=name(f"{prefix}_numbered"),
    )
    # width_bucket searches a sorted array by halving: the number of records that could be seen by then.
    tree = select(
        """SELECT p.fp_point FROM :points AS p JOIN :times AS t ON t.fp_first = p.fp_first
           JOIN :numbered AS r ON r.fp_first = p.fp_first AND r.fp_record = WIDTH_BUCKET(p.fp_q, t.fp_times) WHERE :fresh""",
        *found,
        points=name(points.name),
        times=exp.Subquery(this=times),
        numbered=name(f"{prefix}_numbered"),
        fresh=fresh,
    )
    return [Relation(f"{prefix}_numbered", numbered, stored=True), Relation(f"{prefix}_answers", tree, stored=True)]


def _ascending(keys: Sequence[exp.Expr]) -> exp.Order:
    return exp.Order(expressions=[exp.Ordered(this=key, nulls_first=True) for key in keys])

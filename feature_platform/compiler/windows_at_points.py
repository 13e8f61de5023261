"""Windowed aggregates at many query times, in time that grows with events plus points and not with events in windows.

An event version counts at ``q`` iff ``a <= q < until`` and ``q - w <= t < q``. Turned around, it is an interval of query times: it *enters* at
``greatest(a, t + 1µs)`` and *leaves* at ``least(until, t + w + 1µs)``. Points are numbered in the order of time (``query_times``), so
per window an event is a range of points ``[fp_lo, fp_hi)``, whatever was late or corrected. From there on:

* counts, exact sums: add at ``fp_lo``, subtract at ``fp_hi``, and take running sums over the points;
* distinct counts: cut the ranges of equal values so that they don't overlap; then they are counts;
* everything else can be merged but not subtracted: every range is cut into at most two blocks of each size 1, 2, 4, … (the nodes of a
  segment tree over the points), partial results are kept per block, and a point merges the blocks it lies in.

``docs/adr/0009-event-versions-as-validity-intervals.md`` has the reasons and the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from feature_platform.compiler.aggregation_lines import AggregationPlan, longest
from feature_platform.compiler.event_versions import event_relation, numbered_versions, version_relations
from feature_platform.compiler.feature_values import pointed_at, value
from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    all_of,
    cast,
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
    where,
)
from feature_platform.compiler.measures import SUBTRACTABLE, Numbered, aggregates, change, counted, merges
from feature_platform.compiler.query_times import Points
from feature_platform.specs.durations import Duration, is_all
from feature_platform.types import BIGINT, DataType, Engine, decimal

LEVELS = "fp_levels"


def level_relation() -> Relation:
    """:data:`LEVELS`: for ranges of 2^bits to 2^(bits+1) points the sizes of their blocks."""
    body = sql(
        """SELECT b.fp_bits, CAST(l.fp_level AS INTEGER) AS fp_level, CAST(POWER(2, l.fp_level) AS BIGINT) AS fp_size
           FROM GENERATE_SERIES(0, 40) AS b(fp_bits) JOIN GENERATE_SERIES(0, 41) AS l(fp_level) ON l.fp_level <= b.fp_bits + 1"""
    )
    return Relation(LEVELS, body, stored=True)


def window_relations(plan: AggregationPlan, points: Points, prefix: str, engine: Engine) -> list[Relation]:
    """Relations that end in ``<prefix>_answers``: per point ``fp_point`` and the view's features by name, empty answers as NULL or 0."""
    relations = [event_relation(plan, f"{prefix}_events", engine), _candidates(plan, points, prefix, engine)]
    found = f"{prefix}_versions"
    relations += version_relations(plan, f"{prefix}_events", f"{prefix}_candidates", _place(engine), found)
    if plan.ordered:
        relations.append(numbered_versions(plan, found, ["fp_first"], engine, f"{prefix}_ordered"))
        found = f"{prefix}_ordered"
    relations.append(_entered(points, found, prefix, engine))
    measured: list[str] = []
    for number, window in enumerate(plan.windows):
        ranges = _ranges(plan, points, window, f"{prefix}_entered", f"{prefix}_range{number}", engine)
        relations.append(ranges)
        inside = [each for each in plan.measures if each.measure.window == window]
        if subtracted := [each for each in inside if each.measure.kind in SUBTRACTABLE]:
            measured.append(f"{prefix}_sums{number}")
            relations += _running(subtracted, points, ranges.name, measured[-1], engine)
        if merged := [each for each in inside if each.measure.kind not in SUBTRACTABLE]:
            measured.append(f"{prefix}_tops{number}")
            relations += _blocks(merged, points, ranges.name, measured[-1], engine)
    return [*relations, *_answers(plan, points, measured, prefix, engine)]


def _place(engine: Engine) -> list[str]:
    # What an event carries of its entity's points.
    return ["fp_first", "fp_end", *(["fp_times"] if engine == "postgres" else [])]


def _candidates(plan: AggregationPlan, points: Points, prefix: str, engine: Engine) -> Relation:
    kept = ["fp_t", "fp_a", *plan.source_key, *plan.payload]
    body = sql(
        """SELECT :place, :kept FROM :events AS e JOIN :entities AS k ON :same
           WHERE e.fp_t < k.fp_newest AND e.fp_a <= k.fp_newest:more""",
        place=listed(*columns(_place(engine), "k")),
        kept=listed(*columns(kept, "e")),
        events=name(f"{prefix}_events"),
        entities=name(points.entities),
        same=equal(points.keys, "e", "k"),
        more=_and(
            started(column("fp_t", "e"), column("fp_oldest", "k"), longest([each.measure.window for each in plan.measures])),
            column("fp_w", "e") if plan.filtered else None,
        ),
    )
    return Relation(f"{prefix}_candidates", body, stored=True if plan.source_keys else None)


def _entered(points: Points, versions: str, prefix: str, engine: Engine) -> Relation:
    # Versions that some point sees, with the first that could. In PostgreSQL the search by halving is width_bucket's.
    templates: Mapping[Engine, str] = {
        "duckdb": """SELECT x.*, p.fp_point AS fp_lo, p.fp_q AS fp_seen
            FROM (SELECT v.*, GREATEST(v.fp_a, v.fp_t + :instant) AS fp_enter FROM :versions AS v) AS x
            ASOF JOIN :points AS p ON x.fp_first = p.fp_first AND x.fp_enter <= p.fp_q""",
        "postgres": """SELECT x.* FROM (
              SELECT v.*, v.fp_first + WIDTH_BUCKET(GREATEST(v.fp_a, v.fp_t + :instant) - :instant, v.fp_times) AS fp_lo
              FROM :versions AS v) AS x
            WHERE x.fp_lo < x.fp_end""",
    }
    body = sql(templates[engine], instant=duration(1), versions=name(versions), points=name(points.name))
    return Relation(f"{prefix}_entered", body, stored=True)


def _ranges(
    plan: AggregationPlan, points: Points, window: Duration, entered: str, ranges: str, engine: Engine
) -> Relation:
    leave = column("fp_until", "e")
    if not is_all(window):
        leave = sql("LEAST(e.fp_until, e.fp_t + :passed)", passed=duration(window.microseconds + 1))
    kept = ["fp_first", "fp_end", "fp_lo", "fp_t", *(f"fp_n{index}" for index in plan.ordered), *plan.payload]
    templates: Mapping[Engine, str] = {
        "duckdb": """SELECT COALESCE(p.fp_point, x.fp_end) AS fp_hi, :kept
            FROM (SELECT e.*, :leave AS fp_leave FROM :entered AS e WHERE :leave IS NULL OR :leave > e.fp_seen) AS x
            ASOF LEFT JOIN :points AS p ON x.fp_first = p.fp_first AND x.fp_leave <= p.fp_q""",
        "postgres": """SELECT x.fp_hi, :kept FROM (
              SELECT e.*, COALESCE(e.fp_first + WIDTH_BUCKET(:leave - :instant, e.fp_times), e.fp_end) AS fp_hi
              FROM :entered AS e) AS x
            WHERE x.fp_lo < x.fp_hi""",
    }
    body = sql(
        templates[engine],
        kept=listed(*columns(kept, "x")),
        leave=leave,
        instant=duration(1),
        entered=name(entered),
        points=name(points.name),
    )
    return Relation(ranges, body, stored=True)


def _running(measures: Sequence[Numbered], points: Points, ranges: str, sums: str, engine: Engine) -> list[Relation]:
    relations: list[Relation] = []
    added = {each.name: change(each.measure, engine) for each in measures if each.measure.kind != "distinct"}
    branches = _changes(measures, added, ranges, engine) if added else []
    for each in measures:
        if each.measure.kind == "distinct":
            spans = _disjoint(each, ranges, f"{sums}_{each.name}")
            relations.append(spans)
            branches += _changes(measures, {each.name: sql("1")}, spans.name, engine)
    totals = (sql("SUM(c.:m) AS :m", m=name(each.name)) for each in measures)
    so_far = "SUM(d.:m) OVER (PARTITION BY p.fp_first ORDER BY p.fp_point ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS :m"
    body = sql(
        """SELECT p.fp_point, :running FROM :points AS p LEFT JOIN (
             SELECT c.fp_point, :totals FROM (:branches) AS c GROUP BY c.fp_point) AS d ON d.fp_point = p.fp_point""",
        running=listed(*(sql(so_far, m=name(each.name)) for each in measures)),
        points=name(points.name),
        totals=listed(*totals),
        branches=union_all(branches),
    )
    return [*relations, Relation(sums, body)]


def _changes(measures: Sequence[Numbered], added: Mapping[str, Sql], ranges: str, engine: Engine) -> list[Sql]:
    entering = (
        aliased(cast(added.get(each.name, sql("NULL")), _sum_type(each), engine), name(each.name)) for each in measures
    )
    leaving = (
        aliased(sql("-:part", part=cast(added.get(each.name, sql("NULL")), _sum_type(each), engine)), name(each.name))
        for each in measures
    )
    parts = {"ranges": name(ranges)}
    return [
        sql("SELECT fp_lo AS fp_point, :entering FROM :ranges", entering=listed(*entering), **parts),
        sql("SELECT fp_hi AS fp_point, :leaving FROM :ranges WHERE fp_hi < fp_end", leaving=listed(*leaving), **parts),
    ]


def _sum_type(numbered: Numbered) -> DataType:
    of = numbered.measure.value_type
    return decimal(38, of.scale) if numbered.measure.kind == "sum" and of is not None else BIGINT


def _disjoint(numbered: Numbered, ranges: str, spans: str) -> Relation:
    # In the order of their starts, what earlier ranges of the same value cover reaches from the start on to the farthest end without a gap.
    body = sql(
        """SELECT x.fp_end, GREATEST(x.fp_lo, x.fp_covered) AS fp_lo, x.fp_hi FROM (
             SELECT r.fp_end, r.fp_lo, r.fp_hi, MAX(r.fp_hi) OVER (PARTITION BY r.fp_first, :v ORDER BY r.fp_lo, r.fp_hi
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS fp_covered
             FROM :ranges AS r:counted) AS x
           WHERE x.fp_covered IS NULL OR x.fp_covered < x.fp_hi""",
        v=column(f"fp_v{numbered.measure.value}", "r"),
        counted=where(counted(numbered.measure, "r")),
        ranges=name(ranges),
    )
    return Relation(spans, body, stored=True)


def _blocks(measures: Sequence[Numbered], points: Points, ranges: str, tops: str, engine: Engine) -> list[Relation]:
    names = [each for numbered in measures for each in numbered.names]
    parts = {
        "found": listed(*(each for numbered in measures for each in aggregates(numbered, None, engine))),
        "names": listed(*columns(names)),
        "of_block": listed(*columns(names, "b")),
        "ranges": name(ranges),
        "points": name(points.name),
        "rungs": name(f"{tops}_rungs"),
        "blocks": name(f"{tops}_blocks"),
        "climbing": name(f"{tops}_climbing"),
    }
    rungs = sql(
        """SELECT l.fp_level, (s.fp_lo + l.fp_size - 1) >> l.fp_level AS fp_left, s.fp_hi >> l.fp_level AS fp_right, :names
           FROM (SELECT fp_lo, fp_hi, :found FROM :ranges GROUP BY fp_lo, fp_hi) AS s
           JOIN fp_levels AS l ON l.fp_bits = CAST(FLOOR(LN(s.fp_hi - s.fp_lo) / LN(2)) AS BIGINT)""",
        **parts,
    )
    cut = sql(
        """SELECT fp_level, fp_left AS fp_block, :names FROM :rungs WHERE fp_left < fp_right AND (fp_left & 1) = 1
           UNION ALL
           SELECT fp_level, fp_right - 1 AS fp_block, :names FROM :rungs WHERE fp_left < fp_right AND (fp_right & 1) = 1""",
        **parts,
    )
    # Pairs of point and level come first, in a relation of their own: joining in any other order is more work.
    climbing = sql(
        """SELECT p.fp_point, l.fp_level, p.fp_point >> l.fp_level AS fp_block
           FROM :points AS p CROSS JOIN (SELECT DISTINCT fp_level FROM :blocks) AS l""",
        **parts,
    )
    reached = sql(
        "SELECT c.fp_point, :of_block FROM :climbing AS c JOIN :blocks AS b ON b.fp_level = c.fp_level AND b.fp_block = c.fp_block",
        **parts,
    )
    return [
        Relation(f"{tops}_rungs", rungs, stored=True),
        Relation(f"{tops}_blocks", _merged(measures, ["fp_level", "fp_block"], cut, engine), stored=True),
        Relation(f"{tops}_climbing", climbing, stored=True),
        Relation(tops, _merged(measures, ["fp_point"], reached, engine)),
    ]


def _merged(measures: Iterable[Numbered], group: Sequence[str], parts: Sql, engine: Engine) -> Sql:
    # Deviations are merged around the common mean (Chan, Golub, LeVeque 1979): nothing large is ever subtracted from something large.
    by = listed(*columns(group))
    found: list[Sql] = []
    means: list[Sql] = []
    for each in measures:
        if each.measure.kind != "moments":
            found += merges(each, engine)
            continue
        n, mean, m2 = (name(part) for part in each.names)
        own = {"n": n, "mean": mean, "m2": m2, "common": name(f"{each.name}_common"), "by": by}
        means.append(
            sql(
                "SUM(:n * :mean) OVER (PARTITION BY :by) / NULLIF(SUM(:n) OVER (PARTITION BY :by), 0) AS :common", **own
            )
        )
        found.append(
            sql(
                "SUM(:n) AS :n, MAX(:common) AS :mean, SUM(:m2 + :n * (:mean - :common) * (:mean - :common)) AS :m2",
                **own,
            )
        )
    if means:
        parts = sql("SELECT w.*, :means FROM (:parts) AS w", means=listed(*means), parts=parts)
    return sql("SELECT :by, :found FROM (:parts) AS g GROUP BY :by", by=by, found=listed(*found), parts=parts)


def _answers(
    plan: AggregationPlan, points: Points, measured: Sequence[str], prefix: str, engine: Engine
) -> list[Relation]:
    joins = NOTHING
    for relation in measured:
        same = equal(["fp_point"], relation, "p")
        joins = sql(":joins LEFT JOIN :relation ON :same", joins=joins, relation=name(relation), same=same)
    together = sql(
        "SELECT p.fp_point, p.fp_first, p.fp_q, :names FROM :points AS p:joins",
        names=listed(*columns(each for numbered in plan.measures for each in numbered.names)),
        points=name(points.name),
        joins=joins,
    )
    features = (
        aliased(value(each, "m", column("fp_q", "m"), engine), quoted(each.feature.name)) for each in plan.features
    )
    answers = sql(
        "SELECT m.fp_point, :features FROM :together AS m:joins",
        features=listed(*features),
        together=name(f"{prefix}_measured"),
        joins=pointed_at(plan, "m", ["fp_first"], f"{prefix}_ordered"),
    )
    return [Relation(f"{prefix}_measured", together), Relation(f"{prefix}_answers", answers, stored=True)]


def _and(*conditions: Sql | None) -> Sql:
    given = all_of(*conditions)
    return sql(" AND :given", given=given) if given else NOTHING

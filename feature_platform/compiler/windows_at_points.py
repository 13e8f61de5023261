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

from collections.abc import Iterable, Sequence

from sqlglot import exp

from feature_platform.compiler.aggregation_lines import AggregationPlan, longest
from feature_platform.compiler.event_versions import event_relation, numbered_versions, version_relations
from feature_platform.compiler.feature_values import pointed_at, quoted, value
from feature_platform.compiler.fragments import (
    Relation,
    all_of,
    cast,
    column,
    columns,
    duration,
    equal,
    name,
    select,
    sql,
    started,
    union_all,
)
from feature_platform.compiler.measures import SUBTRACTABLE, Numbered, aggregates, change, counted, merges
from feature_platform.compiler.query_times import Points
from feature_platform.specs.durations import Duration, is_all
from feature_platform.types import BIGINT, DataType, Engine, decimal

LEVELS = "fp_levels"


def level_relation() -> Relation:
    """:data:`LEVELS`: for ranges of 2^bits to 2^(bits+1) points the sizes of their blocks."""
    tree = select(
        """SELECT b.fp_bits, CAST(l.fp_level AS INT) AS fp_level, CAST(POWER(2, l.fp_level) AS BIGINT) AS fp_size
           FROM GENERATE_SERIES(0, 40) AS b(fp_bits) JOIN GENERATE_SERIES(0, 41) AS l(fp_level) ON l.fp_level <= b.fp_bits + 1"""
    )
    return Relation(LEVELS, tree, stored=True)


def window_relations(plan: AggregationPlan, points: Points, prefix: str, engine: Engine) -> list[Relation]:
    """Relations that end in ``<prefix>_answers``: per point ``fp_point`` and the view's features by name, empty answers as NULL or 0."""
    relations = [event_relation(plan, f"{prefix}_events"), _candidates(plan, points, prefix, engine)]
    newest = sql("(SELECT MAX(fp_q) FROM :points)", points=name(points.name))
    found = f"{prefix}_versions"
    relations += version_relations(plan, f"{prefix}_events", f"{prefix}_candidates", _entity(engine), newest, found)
    if plan.ordered:
        relations.append(numbered_versions(plan, found, ["fp_first"], engine, f"{prefix}_ordered"))
        found = f"{prefix}_ordered"
    relations.append(_entered(points, found, prefix, engine))
    measured: list[str] = []
    for number, window in enumerate(plan.windows):
        inside = [each for each in plan.measures if each.measure.window == window]
        relations.append(_ranges(plan, points, window, prefix, number, engine))
        subtracted = [each for each in inside if each.measure.kind in SUBTRACTABLE]
        merged = [each for each in inside if each.measure.kind not in SUBTRACTABLE]
        if subtracted:
            relations += _running(subtracted, points, f"{prefix}_range{number}", f"{prefix}_sums{number}", engine)
            measured.append(f"{prefix}_sums{number}")
        if merged:
            relations += _merged_blocks(merged, points, f"{prefix}_range{number}", f"{prefix}_tops{number}", engine)
            measured.append(f"{prefix}_tops{number}")
    return [*relations, *_answers(plan, points, measured, prefix, engine)]


def _entity(engine: Engine) -> list[str]:
    return ["fp_first", "fp_end", *(["fp_times"] if engine == "postgres" else [])]


def _candidates(plan: AggregationPlan, points: Points, prefix: str, engine: Engine) -> Relation:
    window = longest([each.measure.window for each in plan.measures])
    oldest = sql("(SELECT MIN(fp_q) FROM :points)", points=name(points.name))
    newest = sql("(SELECT MAX(fp_q) FROM :points)", points=name(points.name))
    conditions = all_of(
        sql("e.fp_t < :newest AND e.fp_a <= :newest", newest=newest),
        started(column("fp_t", "e"), oldest, window),
        column("fp_w", "e") if plan.filtered else None,
    )
    own = ["fp_t", "fp_a", *(f"fp_s{index}" for index in range(len(plan.source_keys))), *plan.payload]
    tree = (
        exp.select(*columns(_entity(engine), "k"), *columns(own, "e"))
        .from_(exp.alias_(exp.to_table(f"{prefix}_events"), "e", table=True))
        .join(exp.alias_(exp.to_table(points.entities), "k", table=True), on=equal(points.keys, "e", "k"))
        .where(conditions)
    )
    return Relation(f"{prefix}_candidates", tree, stored=True if plan.source_keys else None)


def _entered(points: Points, versions: str, prefix: str, engine: Engine) -> Relation:
    # Versions that some point sees, with the first that could.
    enter = sql("GREATEST(v.fp_a, v.fp_t + :instant)", instant=duration(1))
    if engine == "duckdb":
        tree = select(
            """SELECT x.*, p.fp_point AS fp_lo, p.fp_q AS fp_seen
               FROM (SELECT v.*, :enter AS fp_enter FROM :versions AS v) AS x
               ASOF JOIN :points AS p ON x.fp_first = p.fp_first AND x.fp_enter <= p.fp_q""",
            enter=enter,
            versions=name(versions),
            points=name(points.name),
        )
    else:
        tree = select(
            """SELECT x.* FROM (SELECT v.*, v.fp_first + WIDTH_BUCKET(:enter - :instant, v.fp_times) AS fp_lo FROM :versions AS v) AS x
               WHERE x.fp_lo < x.fp_end""",
            enter=enter,
            instant=duration(1),
            versions=name(versions),
        )
    return Relation(f"{prefix}_entered", tree, stored=True)


def _ranges(
    plan: AggregationPlan, points: Points, window: Duration, prefix: str, number: int, engine: Engine
) -> Relation:
    leave = column("fp_until", "e")
    if not is_all(window):
        passed = duration(window.microseconds + 1)
        leave = sql("LEAST(e.fp_until, e.fp_t + :passed)", passed=passed)
    kept = ["fp_first", "fp_end", "fp_lo", "fp_t", *(f"fp_n{index}" for index in plan.ordered), *plan.payload]
    if engine == "duckdb":
        tree = select(
            """SELECT COALESCE(p.fp_point, x.fp_end) AS fp_hi
               FROM (SELECT e.*, :leave AS fp_leave FROM :entered AS e WHERE :leave IS NULL OR :leave > e.fp_seen) AS x
               ASOF LEFT JOIN :points AS p ON x.fp_first = p.fp_first AND x.fp_leave <= p.fp_q""",
            *columns(kept, "x"),
            leave=leave,
            entered=name(f"{prefix}_entered"),
            points=name(points.name),
        )
    else:
        tree = select(
            """SELECT x.fp_hi FROM (
                 SELECT e.*, COALESCE(e.fp_first + WIDTH_BUCKET(:leave - :instant, e.fp_times), e.fp_end) AS fp_hi FROM :entered AS e
               ) AS x WHERE x.fp_lo < x.fp_hi""",
            *columns(kept, "x"),
            leave=leave,
            instant=duration(1),
            entered=name(f"{prefix}_entered"),
        )
    return Relation(f"{prefix}_range{number}", tree, stored=True)


def _running(
    measures: Sequence[Numbered], points: Points, ranges: str, sums: str, engine: Engine
) -> list[Relation]:
    relations: list[Relation] = []
    added = {each.name: change(each.measure, engine) for each in measures if each.measure.kind != "distinct"}
    branches = _changes(measures, added, ranges, engine) if added else []
    for each in measures:
        if each.measure.kind == "distinct":
            spans = f"{sums}_{each.name}"
            relations.append(_disjoint(each, ranges, spans))
            branches += _changes(measures, {each.name: exp.Literal.number(1)}, spans, engine)
    total = [exp.alias_(sql("SUM(:m)", m=column(each.name, "c")), each.name) for each in measures]
    changes = select("SELECT c.fp_point FROM :changes AS c", *total, changes=exp.Subquery(this=union_all(branches)))
    changes = changes.group_by(column("fp_point", "c"), copy=False)
    order = sql("SELECT 1 ORDER BY p.fp_point").args["order"]
    running = [
        exp.alias_(
            exp.Window(
                this=sql("SUM(:m)", m=column(each.name, "d")),
                partition_by=[column("fp_first", "p")],
                order=order.copy(),
                spec=_up_to_here(),
            ),
            each.name,
        )
        for each in measures
    ]
    tree = select(
        "SELECT p.fp_point FROM :points AS p LEFT JOIN :changes AS d ON d.fp_point = p.fp_point",
        *running,
        points=name(points.name),
        changes=exp.Subquery(this=changes),
    )
    return [*relations, Relation(sums, tree)]


def _changes(
    measures: Sequence[Numbered], added: dict[str, exp.Expr], ranges: str, engine: Engine
) -> list[exp.Select]:
    def branch(at: str, sign: int) -> exp.Select:
        found = []
        for each in measures:
            of = _sum_type(each)
            part = added.get(each.name, exp.null())
            typed = cast(part.copy(), of, engine)
            found.append(exp.alias_(exp.Neg(this=typed) if sign < 0 else typed, each.name))
        return select(f"SELECT {at} AS fp_point FROM :ranges", *found, ranges=name(ranges))

    return [branch("fp_lo", 1), branch("fp_hi", -1).where("fp_hi < fp_end", copy=False)]


def _sum_type(numbered: Numbered) -> DataType:
    of = numbered.measure.value_type
    return decimal(38, of.scale) if numbered.measure.kind == "sum" and of is not None else BIGINT


def _up_to_here() -> exp.WindowSpec:
    return exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW")


def _disjoint(numbered: Numbered, ranges: str, spans: str) -> Relation:
    # In the order of their starts, what earlier ranges of the same value cover reaches from the start on to the farthest end without a gap.
    tree = select(
        """SELECT x.fp_end, GREATEST(x.fp_lo, x.fp_covered) AS fp_lo, x.fp_hi FROM (
             SELECT r.fp_end, r.fp_lo, r.fp_hi, MAX(r.fp_hi) OVER (PARTITION BY r.fp_first, :v ORDER BY r.fp_lo, r.fp_hi
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS fp_covered
             FROM :ranges AS r WHERE :counted) AS x
           WHERE x.fp_covered IS NULL OR x.fp_covered < x.fp_hi""",
        v=column(f"fp_v{numbered.measure.value}", "r"),
        counted=counted(numbered.measure, "r"),
        ranges=name(ranges),
    )
    return Relation(spans, tree, stored=True)


def _merged_blocks(
    measures: Sequence[Numbered], points: Points, ranges: str, tops: str, engine: Engine
) -> list[Relation]:
    names = [each for numbered in measures for each in numbered.names]
    found = [each for numbered in measures for each in aggregates(numbered, None, engine)]
    spread = select("SELECT fp_lo, fp_hi FROM :ranges", *found, ranges=name(ranges)).group_by("fp_lo", "fp_hi", copy=False)
    rungs = select(
        """SELECT l.fp_level, (s.fp_lo + l.fp_size - 1) >> l.fp_level AS fp_left, s.fp_hi >> l.fp_level AS fp_right
           FROM :spread AS s JOIN fp_levels AS l
             ON l.fp_bits = CAST(FLOOR(LN(CAST(s.fp_hi - s.fp_lo AS DOUBLE)) / LN(CAST(2 AS DOUBLE))) AS BIGINT)""",
        *columns(names, "s"),
        spread=exp.Subquery(this=spread),
    )
    left = select("SELECT fp_level, fp_left AS fp_block FROM :rungs", *columns(names), rungs=name(f"{tops}_rungs"))
    left = left.where("fp_left < fp_right AND fp_left & 1 = 1", copy=False)
    right = select("SELECT fp_level, fp_right - 1 AS fp_block FROM :rungs", *columns(names), rungs=name(f"{tops}_rungs"))
    right = right.where("fp_left < fp_right AND fp_right & 1 = 1", copy=False)
    blocks = _merged(measures, ["fp_level", "fp_block"], union_all([left, right]), engine)
    # The pairs of point and level come first, in a subquery of their own: joining in any other order is more work.
    climbing = select(
        """SELECT p.fp_point, l.fp_level, p.fp_point >> l.fp_level AS fp_block
           FROM :points AS p CROSS JOIN (SELECT DISTINCT fp_level FROM :blocks) AS l""",
        points=name(points.name),
        blocks=name(f"{tops}_blocks"),
    )
    reached = select(
        "SELECT c.fp_point FROM :climbing AS c JOIN :blocks AS b ON b.fp_level = c.fp_level AND b.fp_block = c.fp_block",
        *columns(names, "b"),
        climbing=name(f"{tops}_climbing"),
        blocks=name(f"{tops}_blocks"),
    )
    return [
        Relation(f"{tops}_rungs", rungs, stored=True),
        Relation(f"{tops}_blocks", blocks, stored=True),
        Relation(f"{tops}_climbing", climbing, stored=True),
        Relation(tops, _merged(measures, ["fp_point"], reached, engine)),
    ]


def _merged(measures: Iterable[Numbered], group: Sequence[str], parts: exp.Query, engine: Engine) -> exp.Select:
    # Deviations are merged around the common mean (Chan, Golub, LeVeque 1979): nothing large is ever subtracted from something large.
    found: list[exp.Expr] = []
    means: list[exp.Expr] = []
    for each in measures:
        if each.measure.kind != "moments":
            found += merges(each, engine)
            continue
        n, mean, m2 = (column(part) for part in each.names)
        common = column(f"{each.name}_common")
        weighted = _over(sql("SUM(:n * :mean)", n=n, mean=mean), group)
        weight = sql("NULLIF(:weight, 0)", weight=_over(sql("SUM(:n)", n=n), group))
        means.append(exp.alias_(exp.Div(this=weighted, expression=weight), common.name))
        off = sql("SUM(:m2 + :n * (:mean - :common) * (:mean - :common))", m2=m2, n=n, mean=mean, common=common)
        found += [
            exp.alias_(sql("SUM(:n)", n=n), each.names[0]),
            exp.alias_(sql("MAX(:common)", common=common), each.names[1]),
            exp.alias_(off, each.names[2]),
        ]
    inner: exp.Query = parts
    if means:
        inner = select("SELECT w.* FROM :parts AS w", *means, parts=exp.Subquery(this=parts))
    tree = exp.select(*columns(group), *found).from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=name("g"))))
    return tree.group_by(*columns(group), copy=False)


def _over(aggregate: exp.Expr, group: Sequence[str]) -> exp.Window:
    return exp.Window(this=aggregate, partition_by=columns(group))


def _answers(
    plan: AggregationPlan, points: Points, measured: Sequence[str], prefix: str, engine: Engine
) -> list[Relation]:
    names = [each for numbered in plan.measures for each in numbered.names]
    together = select("SELECT p.fp_point, p.fp_first, p.fp_q FROM :points AS p", *columns(names), points=name(points.name))
    for relation in measured:
        same = equal(["fp_point"], relation, "p")
        together = together.join(exp.to_table(relation), on=same, join_type="left", copy=False)
    features = [
        exp.alias_(value(each, "m", column("fp_q", "m"), engine), quoted(each.feature.name)) for each in plan.features
    ]
    answers = select("SELECT m.fp_point FROM :together AS m", *features, together=name(f"{prefix}_measured"))
    answers = pointed_at(answers, plan, "m", ["fp_first"], f"{prefix}_ordered")
    return [Relation(f"{prefix}_measured", together), Relation(f"{prefix}_answers", answers, stored=True)]

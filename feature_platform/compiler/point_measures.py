"""From ranges of points to one number per point: what each event adds to the points that count it.

Per window a relation of ranges says which points, ``fp_lo`` to before ``fp_hi``, count an event
(``windows_at_points``).

* Counts and exact sums: add at ``fp_lo``, subtract at ``fp_hi``, and take running sums over the points.
* Distinct counts: cut the ranges of equal values so that they don't overlap; then they are counts.
* Everything else can be merged but not subtracted: every range is cut into at most two blocks of each size 1, 2, 4, …
  (the nodes of a segment tree over the points), partial results are kept per block, and a point merges the blocks
  that it lies in.

A point is touched a number of times that grows with the logarithm of the entity's points, an event with that of its
range, however many events lie in a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    cast,
    column,
    columns,
    equal,
    listed,
    name,
    sql,
    union_all,
    where,
)
from feature_platform.compiler.measures import Numbered, aggregates, change, counted, merges
from feature_platform.compiler.query_times import Target
from feature_platform.types import BIGINT, DataType, Engine, decimal

LEVELS = "fp_levels"


def level_relation() -> Relation:
    """:data:`LEVELS`: for ranges of 2^bits to 2^(bits+1) points the sizes of their blocks."""
    body = sql(
        """SELECT b.fp_bits, CAST(l.fp_level AS INTEGER) AS fp_level, CAST(POWER(2, l.fp_level) AS BIGINT) AS fp_size
           FROM GENERATE_SERIES(0, 40) AS b(fp_bits)
           JOIN GENERATE_SERIES(0, 41) AS l(fp_level) ON l.fp_level <= b.fp_bits + 1"""
    )
    return Relation(LEVELS, body, stored=True)


def running_sums(counted_in: Sequence[tuple[str, Sequence[Numbered]]], sums: str, target: Target) -> list[Relation]:
    """Relations that end in ``sums``: per point ``fp_point`` and all the measures, which are subtractable. Of each
    frame the relation of ranges and its measures are given.
    """
    relations: list[Relation] = []
    joins = NOTHING
    names: list[Sql] = []
    for ranges, measures in counted_in:
        steps = f"{ranges}_steps"
        relations += _steps(measures, ranges, steps, target.engine)
        joins = sql(
            ":joins LEFT JOIN :steps ON :same", joins=joins, steps=name(steps), same=equal(["fp_point"], steps, "p")
        )
        names += columns(each.name for each in measures)
    # One window over all of them, so that the points are sorted once.
    so_far = """SUM(:m) OVER (PARTITION BY p.fp_first ORDER BY p.fp_point
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS :m"""
    body = sql(
        "SELECT p.fp_point, :running FROM :points AS p:joins",
        running=listed(*(sql(so_far, m=each) for each in names)),
        points=target.named("busy"),
        joins=joins,
    )
    return [*relations, Relation(sums, body)]


def _steps(measures: Sequence[Numbered], ranges: str, steps: str, engine: Engine) -> list[Relation]:
    """Relations that end in ``steps``: ``fp_point`` and what the measures change by at it, where they do."""
    relations: list[Relation] = []
    added = {each.name: change(each.measure, engine) for each in measures if each.measure.kind != "distinct"}
    branches = _changes(measures, added, ranges, engine) if added else []
    for each in measures:
        if each.measure.kind == "distinct":
            spans = _disjoint(each, ranges, f"{steps}_{each.name}")
            relations.append(spans)
            branches += _changes(measures, {each.name: sql("1")}, spans.name, engine)
    body = sql(
        "SELECT c.fp_point, :totals FROM (:branches) AS c GROUP BY c.fp_point",
        totals=listed(*(sql("SUM(c.:m) AS :m", m=name(each.name)) for each in measures)),
        branches=union_all(branches),
    )
    return [*relations, Relation(steps, body)]


def climbing_relation(target: Target) -> Relation:
    """``<prefix>_climbing``: every point of the crowded entities with the blocks of all sizes that it lies in."""
    # A relation of its own, stored: joining points, sizes and blocks in any other order is more work.
    body = sql(
        """SELECT p.fp_point, l.fp_level, p.fp_point >> l.fp_level AS fp_block
           FROM :points AS p CROSS JOIN (
             SELECT DISTINCT l.fp_level FROM fp_levels AS l
             WHERE l.fp_size <= (SELECT MAX(k.fp_end - k.fp_first) FROM :entities AS k JOIN :crowded AS c
                                 ON c.fp_first = k.fp_first)) AS l""",
        points=target.named("busy"),
        entities=name(target.points.entities),
        crowded=target.named("crowded"),
    )
    return Relation(f"{target.prefix}_climbing", body, stored=True)


def merged_blocks(measures: Sequence[Numbered], ranges: str, tops: str, target: Target) -> list[Relation]:
    """Relations that end in ``tops``: per point that has any event ``fp_point`` and the measures."""
    names = [each for numbered in measures for each in numbered.names]
    parts = {
        "found": listed(*(each for numbered in measures for each in aggregates(numbered, None, target.engine))),
        "names": listed(*columns(names)),
        "of_block": listed(*columns(names, "b")),
        "ranges": name(ranges),
        "rungs": name(f"{tops}_rungs"),
        "blocks": name(f"{tops}_blocks"),
        "climbing": target.named("climbing"),
    }
    rungs = sql(
        """SELECT l.fp_level, (s.fp_lo + l.fp_size - 1) >> l.fp_level AS fp_left, s.fp_hi >> l.fp_level AS fp_right,
             :names
           FROM (SELECT fp_lo, fp_hi, :found FROM :ranges GROUP BY fp_lo, fp_hi) AS s
           JOIN fp_levels AS l ON l.fp_bits = CAST(FLOOR(LN(s.fp_hi - s.fp_lo) / LN(2)) AS BIGINT)""",
        **parts,
    )
    cut = sql(
        """SELECT fp_level, fp_left AS fp_block, :names FROM :rungs WHERE fp_left < fp_right AND (fp_left & 1) = 1
           UNION ALL
           SELECT fp_level, fp_right - 1, :names FROM :rungs WHERE fp_left < fp_right AND (fp_right & 1) = 1""",
        **parts,
    )
    reached = sql(
        """SELECT c.fp_point, :of_block FROM :climbing AS c
           JOIN :blocks AS b ON b.fp_level = c.fp_level AND b.fp_block = c.fp_block""",
        **parts,
    )
    return [
        Relation(f"{tops}_rungs", rungs, stored=True),
        Relation(f"{tops}_blocks", _merged(measures, ["fp_level", "fp_block"], cut, target.engine), stored=True),
        Relation(tops, _merged(measures, ["fp_point"], reached, target.engine)),
    ]


def _changes(measures: Sequence[Numbered], added: Mapping[str, Sql], ranges: str, engine: Engine) -> list[Sql]:
    """What enters and what leaves, as rows of (point, one column per measure); NULL for measures not in ``added``."""
    found = {each.name: cast(added.get(each.name, sql("NULL")), _sum_type(each), engine) for each in measures}
    entering = listed(*(aliased(part, name(each)) for each, part in found.items()))
    leaving = listed(*(aliased(sql("-:part", part=part), name(each)) for each, part in found.items()))
    return [
        sql("SELECT fp_lo AS fp_point, :entering FROM :ranges", entering=entering, ranges=name(ranges)),
        # What stays until the entity's last point never leaves.
        sql(
            "SELECT fp_hi AS fp_point, :leaving FROM :ranges WHERE fp_hi < fp_end", leaving=leaving, ranges=name(ranges)
        ),
    ]


def _sum_type(numbered: Numbered) -> DataType:
    of = numbered.measure.value_type
    return decimal(38, of.scale) if numbered.measure.kind == "sum" and of is not None else BIGINT


def _disjoint(numbered: Numbered, ranges: str, spans: str) -> Relation:
    # In the order of their starts, earlier ranges of the same value cover everything from here to the farthest end.
    body = sql(
        """SELECT x.fp_end, GREATEST(x.fp_lo, x.fp_covered) AS fp_lo, x.fp_hi FROM (
             SELECT r.fp_end, r.fp_lo, r.fp_hi, MAX(r.fp_hi) OVER (
               PARTITION BY r.fp_first, :v ORDER BY r.fp_lo, r.fp_hi
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS fp_covered
             FROM :ranges AS r:counted) AS x
           WHERE x.fp_covered IS NULL OR x.fp_covered < x.fp_hi""",
        v=column(f"fp_v{numbered.measure.value}", "r"),
        counted=where(counted(numbered.measure, "r")),
        ranges=name(ranges),
    )
    return Relation(spans, body, stored=True)


def _merged(measures: Iterable[Numbered], group: Sequence[str], parts: Sql, engine: Engine) -> Sql:
    # Deviations are merged around the common mean (Chan, Golub, LeVeque 1979), so nothing large is subtracted.
    by = listed(*columns(group))
    found: list[Sql] = []
    means: list[Sql] = []
    for each in measures:
        if each.measure.kind != "moments":
            found += merges(each, engine)
            continue
        n, mean, m2 = (name(part) for part in each.names)
        own = {"n": n, "mean": mean, "m2": m2, "common": name(f"{each.name}_common"), "by": by}
        weight = "NULLIF(SUM(:n) OVER (PARTITION BY :by), 0)"
        means.append(sql(f"SUM(:n * :mean) OVER (PARTITION BY :by) / {weight} AS :common", **own))
        found.append(sql("SUM(:n) AS :n, MAX(:common) AS :mean", **own))
        found.append(sql("SUM(:m2 + :n * (:mean - :common) * (:mean - :common)) AS :m2", **own))
    if means:
        parts = sql("SELECT w.*, :means FROM (:parts) AS w", means=listed(*means), parts=parts)
    return sql("SELECT :by, :found FROM (:parts) AS g GROUP BY :by", by=by, found=listed(*found), parts=parts)

"""Entities with few events or few points: every event meets every point that counts it.

A pair of an event and a point costs a fraction of what the event costs as ranges of points (``point_measures``), so
where an entity's events times its points are few, joining them is the quickest plan there is; where they are many it
would grow with the square. Which entities those are is counted when the query runs.

Frames that begin ever earlier and end together are *nested*: what one counts, all longer ones count. So a pair is told
the shortest frame of each nest that counts it, and is aggregated once, however many frames there are:

* partial results per point and shortest frame; a frame merges those of its own and of shorter ones;
* distinct counts: an event counts unless the newest event of its value that was seen before it is in the frame too.
  That one is the same at every point, unless events of the value were corrected; then the values are told apart per
  point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    all_of,
    column,
    columns,
    equal,
    listed,
    name,
    sql,
    started,
)
from feature_platform.compiler.frames import Frame, begins, farthest_reach, inside, nests
from feature_platform.compiler.measures import GATHERED, MERGEABLE, MeasureKind, Numbered, aggregates, counted, merged
from feature_platform.compiler.query_times import Target

PAIRS_PER_ROW: Final = 32
"""An entity is crowded when its events times its points are more than this many times its events plus its points: from
about there ranges of points cost less (ADR 0023).
"""


def crowded_relations(target: Target) -> list[Relation]:
    """``<prefix>_crowded``: the entities, by ``fp_first``, that are too large to be joined; ``<prefix>_busy``: their
    points.
    """
    parts = {
        "candidates": target.named("candidates"),
        "crowded": target.named("crowded"),
        "points": name(target.points.name),
        "pairs": Sql(str(PAIRS_PER_ROW)),
    }
    crowded = sql(
        """SELECT c.fp_first FROM :candidates AS c GROUP BY c.fp_first, c.fp_end
           HAVING COUNT(*) * (c.fp_end - c.fp_first) > :pairs * (COUNT(*) + c.fp_end - c.fp_first)""",
        **parts,
    )
    busy = sql(
        """SELECT p.fp_point, p.fp_first, p.fp_q FROM :points AS p
           WHERE EXISTS (SELECT 1 FROM :crowded AS c WHERE c.fp_first = p.fp_first)""",
        **parts,
    )
    return [
        Relation(f"{target.prefix}_crowded", crowded, stored=True),
        Relation(f"{target.prefix}_busy", busy, stored=True),
    ]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a frame stands: the number of its nest, and its rank there, shortest first."""

    nest: int
    rank: int

    def counts(self) -> Sql:
        """Whether the frame counts a pair."""
        return sql(":shortest <= :rank", shortest=name(f"fp_b{self.nest}"), rank=Sql(str(self.rank)))


@dataclass(frozen=True)
class _Distinct:
    """Distinct counts of one value under one condition, over frames of one nest."""

    number: int
    nest: int
    measures: tuple[Numbered, ...]

    @property
    def value(self) -> Sql:
        return name(f"fp_v{self.measures[0].measure.value}")

    @property
    def before(self) -> Sql:
        """The time of the newest event with the value of this one that was seen before it."""
        return name(f"fp_before{self.number}")

    @property
    def corrected(self) -> Sql:
        """Whether a version with the same value was corrected, so that what is before depends on the point."""
        return name(f"fp_corrected{self.number}")


@dataclass(frozen=True)
class Pairs:
    """The pairs of one view's versions, relation ``versions``, and points."""

    plan: AggregationPlan
    target: Target
    versions: str

    @property
    def measured(self) -> str:
        """The relation with ``fp_point`` and the measures, but for gathered ones, of the points of entities that are
        not crowded.
        """
        return f"{self.target.prefix}_paired"

    def relations(self) -> list[Relation]:
        """Relations that end in :attr:`measured`."""
        few = Relation(f"{self.target.prefix}_few", self._few(), stored=True)
        followed = Relation(f"{self.target.prefix}_followed", self._followed())
        joined = Relation(f"{self.target.prefix}_joined", self._joined(), stored=False)
        found = [*self._merged(), *self._moments(), *self._told_apart()]
        return [few, followed, joined, *found, Relation(self.measured, self._together(found))]

    def inside(self, frame: Frame) -> Sql:
        """A row for each point and each event that ``frame`` counts there, with the columns that are gathered."""
        kept = ["fp_t", *(f"fp_n{index}" for index in self.plan.ordered), *self.plan.payload]
        return sql(
            "SELECT fp_point, :kept FROM :joined WHERE :counts",
            kept=listed(*columns(kept)),
            joined=self.target.named("joined"),
            counts=self._place(frame).counts(),
        )

    @cached_property
    def _nests(self) -> Sequence[Sequence[Frame]]:
        return nests(self.plan.frames)

    def _place(self, frame: Frame) -> _Place:
        return next(_Place(nest, of.index(frame)) for nest, of in enumerate(self._nests) if frame in of)

    @cached_property
    def _distinct(self) -> Sequence[_Distinct]:
        found: dict[tuple[int | None, int | None, int], list[Numbered]] = {}
        for each in self.plan.measures:
            if each.measure.kind == "distinct":
                nest = self._place(each.measure.frame).nest
                found.setdefault((each.measure.value, each.measure.condition, nest), []).append(each)
        return [_Distinct(number, key[2], tuple(each)) for number, (key, each) in enumerate(found.items())]

    def _few(self) -> Sql:
        """The points of entities that are not crowded, with the start of each frame."""
        moment = column("fp_q", "p")
        starts = (begins(frame, moment, self.target.engine) for frame in self.plan.frames)
        found = (aliased(start, name(f"fp_s{number}")) for number, start in enumerate(starts) if start)
        return sql(
            """SELECT :found FROM :points AS p
               WHERE NOT EXISTS (SELECT 1 FROM :crowded AS c WHERE c.fp_first = p.fp_first)""",
            found=listed(*columns(["fp_point", "fp_first", "fp_q"], "p"), *found),
            points=name(self.target.points.name),
            crowded=self.target.named("crowded"),
        )

    def _has_start(self, frame: Frame) -> bool:
        return begins(frame, name("fp_q"), self.target.engine) is not None

    def _counts(self, frame: Frame, event: Sql, table: str | None = None) -> Sql:
        """Whether a frame counts an event before the moment, by what ``table`` has of the point; empty: it does."""
        moment = column("fp_q", table)
        begun = None
        if self._has_start(frame):
            start = column(f"fp_s{self.plan.frames.index(frame)}", table)
            begun = sql(":event >= :start", event=event, start=start)
        elif frame.window is not None:
            return inside(frame, event, moment, self.target.engine) or NOTHING
        ended = None
        if frame.offset:
            ended = sql(":entered <= :moment", entered=frame.entry.time(event, self.target.engine), moment=moment)
        return all_of(begun, ended)

    def _followed(self) -> Sql:
        """The versions, with what is before each among those of the same value."""
        versions = name(self.versions)
        found: list[Sql] = []
        for each in self._distinct:
            of = each.measures[0].measure
            event = column("fp_t", "v")
            # In the order in which versions can first be seen, what is seen at a point is all up to some place. One
            # that appears when a newer one of its value is there already is never the newest, and counts nowhere.
            seen, newest = event, "LAG(v.fp_t) OVER (PARTITION BY :alike ORDER BY :seen)"
            if self.plan.late:
                entered = of.frame.entry.time(event, self.target.engine)
                seen = sql("GREATEST(v.fp_a, :entered)", entered=entered)
                newest = """MAX(v.fp_t) OVER (PARTITION BY :alike ORDER BY :seen
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"""
            alike = [column("fp_first", "v"), sql("v.:value", value=each.value)]
            if of.condition is not None:
                alike.append(counted(of, "v"))
            parts = {"alike": listed(*alike), "seen": seen, "before": each.before, "flag": each.corrected}
            parts["newest"] = sql(newest, **parts)
            if not self.plan.source_keys:
                found.append(sql(":newest AS :before", **parts))
                continue
            # Sorted as the other, for nothing but to share its sort.
            parts["corrected"] = sql(
                """COUNT(v.fp_until) OVER (PARTITION BY :alike ORDER BY :seen
                     ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) > 0""",
                **parts,
            )
            found.append(
                sql("CASE WHEN :corrected THEN v.fp_t ELSE :newest END AS :before, :corrected AS :flag", **parts)
            )
        if not found:
            return sql("SELECT v.* FROM :versions AS v", versions=versions)
        return sql(
            """SELECT v.*, :found FROM :versions AS v
               WHERE NOT EXISTS (SELECT 1 FROM :crowded AS c WHERE c.fp_first = v.fp_first)""",
            found=listed(*found),
            versions=versions,
            crowded=self.target.named("crowded"),
        )

    def _joined(self) -> Sql:
        event = column("fp_t", "v")
        kept = ["fp_t", *(f"fp_n{index}" for index in self.plan.ordered), *self.plan.payload]
        found = [
            *(column(f"fp_s{number}", "p") for number, of in enumerate(self.plan.frames) if self._has_start(of)),
            *(aliased(self._shortest(nest, event), name(f"fp_b{nest}")) for nest in range(len(self._nests))),
        ]
        for each in self._distinct:
            found.append(sql("v.:before", before=each.before))
            if self.plan.source_keys:
                found.append(sql("v.:flag", flag=each.corrected))
        return sql(
            """SELECT p.fp_point, p.fp_q, :kept, :found
               FROM :few AS p JOIN :followed AS v ON v.fp_first = p.fp_first AND :seen""",
            kept=listed(*columns(kept, "v")),
            found=listed(*found),
            few=self.target.named("few"),
            followed=self.target.named("followed"),
            seen=all_of(
                sql("v.fp_t < p.fp_q"),
                sql("v.fp_a <= p.fp_q") if self.plan.late else None,
                sql("(v.fp_until IS NULL OR v.fp_until > p.fp_q)") if self.plan.source_keys else None,
                self._begun(event),
            ),
        )

    def _begun(self, event: Sql) -> Sql | None:
        """Whether some frame begins at or before a pair's event; it may be roughly so."""
        farthest = max(self.plan.frames, key=lambda frame: (frame.reach is None, frame.reach or 0))
        reach = farthest_reach(self.plan.frames)
        if reach is not None and self._has_start(farthest) and farthest.hop is None:
            return sql(":event >= :start", event=event, start=column(f"fp_s{self.plan.frames.index(farthest)}", "p"))
        return started(event, column("fp_q", "p"), reach)

    def _shortest(self, nest: int, event: Sql) -> Sql:
        """The rank of the shortest frame of a nest that counts a pair's event; NULL: none does."""
        branches = NOTHING
        for rank, frame in enumerate(self._nests[nest]):
            counts = self._counts(frame, event, "p") or sql(":event IS NOT NULL", event=event)
            branches = sql(":branches WHEN :counts THEN :rank", branches=branches, counts=counts, rank=Sql(str(rank)))
        return sql("CASE:branches END", branches=branches)

    def _merged(self) -> Iterator[Relation]:
        """What can be put together from parts, and the distinct values that were never corrected."""
        bases: dict[tuple[MeasureKind, int | None, int | None], Numbered] = {}
        merging: list[Sql] = []
        for each in self.plan.measures:
            of = each.measure
            if of.kind in MERGEABLE:
                base = bases.setdefault((of.kind, of.value, of.condition), Numbered(f"fp_i{len(bases)}", of))
                part = merged(of, name(base.name), self.target.engine)
                merging.append(self._of_frame(each, part))
        parts = [found for base in bases.values() for found in aggregates(base, None, self.target.engine)]
        for distinct in self._distinct:
            for each in distinct.measures:
                # Compared here and not ranked in the pair: engines would repeat a CASE for every one of these.
                known = self._counts(each.measure.frame, distinct.before)
                new = sql(":before IS NULL", before=distinct.before)
                if known:
                    new = sql("(:new OR NOT (:known))", new=new, known=known)
                only = all_of(counted(each.measure), new)
                parts.append(sql("COUNT(*) FILTER (WHERE :only) AS :named", only=only, named=name(each.name)))
                merging.append(self._of_frame(each, sql("SUM(:part)", part=name(each.name))))
        if merging:
            body = sql(
                """SELECT fp_point, :merging FROM (
                     SELECT fp_point, :shortest, :parts FROM :joined GROUP BY fp_point, :shortest) AS s
                   GROUP BY fp_point""",
                merging=listed(*merging),
                shortest=listed(*columns(f"fp_b{number}" for number in range(len(self._nests)))),
                parts=listed(*parts),
                joined=self.target.named("joined"),
            )
            yield Relation(f"{self.target.prefix}_merged", body)

    def _of_frame(self, numbered: Numbered, merging: Sql) -> Sql:
        counts = self._place(numbered.measure.frame).counts()
        return sql(
            ":merging FILTER (WHERE :counts) AS :named", merging=merging, counts=counts, named=name(numbered.name)
        )

    def _moments(self) -> Iterator[Relation]:
        found = [
            part
            for each in self.plan.measures
            if each.measure.kind == "moments"
            for part in aggregates(each, self._place(each.measure.frame).counts(), self.target.engine)
        ]
        if found:
            body = sql(
                "SELECT fp_point, :found FROM :joined GROUP BY fp_point",
                found=listed(*found),
                joined=self.target.named("joined"),
            )
            yield Relation(f"{self.target.prefix}_moments", body)

    def _told_apart(self) -> Iterator[Relation]:
        """Distinct values of which some event was corrected."""
        for distinct in self._distinct if self.plan.source_keys else ():
            body = sql(
                """SELECT d.fp_point, :found FROM (
                     SELECT fp_point, MIN(:shortest) AS :shortest FROM :joined
                     WHERE :flag AND :counted GROUP BY fp_point, :value) AS d
                   GROUP BY d.fp_point""",
                found=listed(*(self._of_frame(each, sql("COUNT(*)")) for each in distinct.measures)),
                shortest=name(f"fp_b{distinct.nest}"),
                joined=self.target.named("joined"),
                flag=distinct.corrected,
                counted=counted(distinct.measures[0].measure),
                value=distinct.value,
            )
            yield Relation(self._apart(distinct), body)

    def _apart(self, distinct: _Distinct) -> str:
        return f"{self.target.prefix}_apart{distinct.number}"

    def _together(self, found: Sequence[Relation]) -> Sql:
        joins = NOTHING
        for relation in found:
            same = equal(["fp_point"], relation.name, "p")
            joins = sql(":joins LEFT JOIN :relation ON :same", joins=joins, relation=name(relation.name), same=same)
        apart = {}
        if self.plan.source_keys:
            apart = {each.name: self._apart(of) for of in self._distinct for each in of.measures}
        names = columns(["fp_point", "fp_first", "fp_q"], "p")
        for numbered in ungathered(self.plan):
            if numbered.name in apart:
                both = [column(numbered.name, of) for of in (f"{self.target.prefix}_merged", apart[numbered.name])]
                total = sql("COALESCE(:one, 0) + COALESCE(:other, 0)", one=both[0], other=both[1])
                names.append(aliased(total, name(numbered.name)))
            else:
                names += columns(numbered.names)
        return sql(
            "SELECT :names FROM :few AS p:joins",
            names=listed(*names),
            few=self.target.named("few"),
            joins=joins,
        )


def ungathered(plan: AggregationPlan) -> list[Numbered]:
    """The measures that are numbers per point."""
    return [each for each in plan.measures if each.measure.kind not in GATHERED]

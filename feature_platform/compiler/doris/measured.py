"""From pairs of an event and a query time to features: conditional aggregates, ranks, and what is put together of them.

A relation of *pairs* has a row for each event that is known at a query time and lies before it: the columns ``group``
(the entity's keys and ``fp_q``), ``fp_t``, the payload, and ``fp_n<i>`` where order matters. One aggregate over it
answers every window; what needs an order is ranked per query time first, since Doris' ``array_agg`` has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from feature_platform.compiler.aggregation_plan import AggregationPlan, PlannedFeature
from feature_platform.compiler.codes import NO_FORM
from feature_platform.compiler.doris.frames import inside
from feature_platform.compiler.doris.text import (
    aliased,
    case,
    cast,
    column,
    columns,
    equal,
    literal,
    name,
    number,
    selected,
)
from feature_platform.compiler.fragments import Relation, Sql, all_of, listed, sql
from feature_platform.compiler.measures import COUNTS, MeasureKind, Numbered
from feature_platform.errors import CompileError
from feature_platform.types import BIGINT, DOUBLE, decimal

LONGEST_LIST: Final = 100
"""Values of a list: each is an aggregate of its own."""
_HOUR: Final = 3_600_000_000


def feature_relations(
    plan: AggregationPlan, pairs: str, group: Sequence[str], prefix: str, summed: Mapping[str, str] | None = None
) -> list[Relation]:
    """Relations that end in ``<prefix>_answers``: ``group`` and the features by name; NULL, and 0 for counts, without
    an input.

    Measures that ``summed`` names stand in that relation already, by ``group``.

    Raises:
        CompileError: FP-SQL-051, a function that Doris has no form of.
    """
    _check(plan)
    ready = summed or {}
    relations: list[Relation] = []
    found: dict[str, str] = {}
    plain: list[Sql] = []
    for each in plan.measures:
        if each.name in ready:
            found[each.name] = ready[each.name]
        elif each.measure.kind in _AGGREGATES:
            plain += _aggregates(each)
            found[each.name] = f"{prefix}_plain"
        else:
            made = _BY_RANK[each.measure.kind](_Ranked(each, pairs, group, f"{prefix}_{each.name}"))
            relations += made
            found[each.name] = made[-1].name
    base = next(iter(ready.values()), f"{prefix}_plain")
    if plain or not ready:
        grouped = selected([*columns(group), *plain], name(pairs), by=columns(group))
        relations.insert(0, Relation(f"{prefix}_plain", grouped))
    return [*relations, _answers(plan, base, group, prefix, found)]


def _answers(plan: AggregationPlan, base: str, group: Sequence[str], prefix: str, found: Mapping[str, str]) -> Relation:
    source = Sql(f"{name(base)}")
    for each in dict.fromkeys(found.values()):
        if each != base:
            source = Sql(f"{source} LEFT OUTER JOIN {name(each)} ON {equal(group, each, base)}")
    moment = column("fp_q", base)
    features = (aliased(_answer(each, found, moment), each.feature.name) for each in plan.features)
    return Relation(f"{prefix}_answers", selected([*columns(group, base), *features], source))


def filled(value: Sql, planned: PlannedFeature) -> Sql:
    """The value in the feature's type, with zero or the declared default for an empty answer."""
    of = planned.feature.column.type
    if planned.line.function in COUNTS:
        if planned.line.default is None:
            return cast(sql("COALESCE(:v, 0)", v=value), of)
        value = sql("NULLIF(:v, 0)", v=value)
    typed = cast(value, of)
    if planned.line.default is None:
        return typed
    return sql("COALESCE(:v, :default)", v=typed, default=literal(planned.feature.empty, of))


def _check(plan: AggregationPlan) -> None:
    wrong = []
    for each in plan.features:
        kinds = {measure.measure.kind for measure in each.measures}
        unknown = each.line.function not in _FUNCTIONS or kinds - _AGGREGATES.keys() - _BY_RANK.keys()
        too_long = each.line.k is not None and each.line.k > LONGEST_LIST
        if unknown or too_long or getattr(each.line, "group", None) is not None:
            what = f"lists of more than {LONGEST_LIST} values" if too_long else f"{each.line.function} in this form"
            where = plan.view.origin.where("aggregations", plan.view.spec.aggregations.index(each.line))
            wrong.append(
                NO_FORM.problem(
                    f"doris has no form of {what}", mend="leave the line out, or compute it elsewhere", where=where
                )
            )
    if wrong:
        raise CompileError(dict.fromkeys(wrong))


# aggregates


def condition_of(numbered: Numbered) -> Sql | None:
    """Which pairs count for a measure: frame, line's condition, NULLs. None when all do."""
    measure = numbered.measure
    framed = inside(measure.frame, column("fp_t"), column("fp_q"))
    only = None if measure.condition is None else column(f"fp_c{measure.condition}")
    value = None if measure.value is None else sql(":v IS NOT NULL", v=column(f"fp_v{measure.value}"))
    return all_of(framed, only, value) or None


def _aggregates(numbered: Numbered) -> list[Sql]:
    measure, only = numbered.measure, condition_of(numbered)

    def given(value: Sql) -> Sql:
        return value if only is None else case((only, value))

    value = column(f"fp_v{measure.value}") if measure.value is not None else sql("1")
    found = _AGGREGATES[measure.kind](numbered, value, given)
    return [aliased(each, alias) for each, alias in zip(found, numbered.names, strict=True)]


Given = Callable[[Sql], Sql]


def _moments(_numbered: Numbered, value: Sql, given: Given) -> list[Sql]:
    inputs = given(cast(value, DOUBLE))
    return [
        Sql(f"COUNT({given(sql('1'))})"),
        Sql(f"AVG({inputs})"),
        Sql(f"VAR_POP({inputs}) * COUNT({given(sql('1'))})"),
    ]


def exact(numbered: Numbered, value: Sql) -> Sql:
    """An exact number wide enough to be summed and negated."""
    of = numbered.measure.value_type
    assert of is not None
    return cast(value, decimal(38, of.scale))


_AGGREGATES: Final[Mapping[MeasureKind, Callable[[Numbered, Sql, Given], list[Sql]]]] = {
    "count": lambda _n, _value, given: [Sql(f"COUNT({given(sql('1'))})")],
    "sum": lambda n, value, given: [Sql(f"SUM({given(exact(n, value))})")],
    "total": lambda _n, value, given: [Sql(f"SUM({given(value)})")],
    "distinct": lambda _n, value, given: [Sql(f"COUNT(DISTINCT {given(value)})")],
    "min": lambda _n, value, given: [Sql(f"MIN({given(value)})")],
    "max": lambda _n, value, given: [Sql(f"MAX({given(value)})")],
    "some": lambda _n, value, given: [Sql(f"MAX({given(case((value, sql('1')), otherwise=sql('0')))})")],
    "every": lambda _n, value, given: [Sql(f"MIN({given(case((value, sql('1')), otherwise=sql('0')))})")],
    "earliest": lambda _n, _value, given: [Sql(f"MIN({given(column('fp_t'))})")],
    "latest": lambda _n, _value, given: [Sql(f"MAX({given(column('fp_t'))})")],
    "moments": _moments,
}


# ranks


@dataclass(frozen=True)
class _Ranked:
    """A measure that needs an order, and the pairs it is taken from."""

    numbered: Numbered
    pairs: str
    group: Sequence[str]
    result: str

    @property
    def value(self) -> Sql:
        return column(f"fp_v{self.numbered.measure.value}")

    @property
    def k(self) -> int:
        return int(self.numbered.measure.parameter or 1)

    def ranked(self, events: Sql, *, by: Sequence[tuple[str, bool]]) -> Sql:
        """``events`` (``group`` and ``fp_v``, …) with ``fp_rank`` by columns, ``True`` for the greatest first."""
        keys = [Sql(f"{column(each, 'd')} {'DESC NULLS LAST' if down else 'ASC NULLS FIRST'}") for each, down in by]
        rank = Sql(f"ROW_NUMBER() OVER (PARTITION BY {listed(*columns(self.group, 'd'))} ORDER BY {listed(*keys)})")
        kept = [*columns(self.group, "d"), column("fp_v", "d"), aliased(rank, "fp_rank")]
        return selected(kept, Sql(f"({events}) AS `d`"))

    def events(self) -> Sql:
        """The events that count, with their value and place."""
        found = [*columns(self.group), aliased(self.value, "fp_v")]
        if self.numbered.measure.kind in ("oldest", "newest", "first_k", "last_k"):
            found.append(aliased(column(f"fp_n{self.numbered.measure.value}"), "fp_n"))
        return selected(found, name(self.pairs), where=condition_of(self.numbered))

    def by_value(self) -> Sql:
        """The values that count, with how often and when last."""
        newest = "fp_n" + str(self.numbered.measure.value)
        is_ordered = self.numbered.measure.kind == "last_distinct_k"
        last = Sql(f"MAX({column(newest)})") if is_ordered else cast(sql("NULL"), BIGINT)
        found = [*columns(self.group), aliased(self.value, "fp_v"), aliased(sql("COUNT(*)"), "fp_times")]
        by = [*columns(self.group), self.value]
        return selected(
            [*found, aliased(last, "fp_newest")], name(self.pairs), where=condition_of(self.numbered), by=by
        )

    def first(self, ranked: Sql) -> list[Relation]:
        """The value of rank one."""
        kept = [*columns(self.group, "r"), aliased(column("fp_v", "r"), self.numbered.name)]
        return [Relation(self.result, selected(kept, Sql(f"({ranked}) AS `r`"), where=sql("`r`.`fp_rank` = 1")))]

    def list(self, ranked: Sql) -> list[Relation]:
        """The values of the first ``k`` ranks: an aggregate for each place, cut to how many there are."""
        of = self.numbered.measure.value_type
        assert of is not None
        value = column("fp_v", "r")
        if of.kind == "boolean":
            value = case((value, sql("1")), otherwise=sql("0"))
        places = []
        for place in range(1, self.k + 1):
            at = Sql(f"MAX({case((sql('`r`.`fp_rank` = :p', p=number(place)), value))})")
            places.append(sql("(:at = 1)", at=at) if of.kind == "boolean" else at)
        found = Sql(f"ARRAY_SLICE(ARRAY({listed(*places)}), 1, COUNT(*))")
        body = selected(
            [*columns(self.group, "r"), aliased(found, self.numbered.name)],
            Sql(f"({ranked}) AS `r`"),
            where=sql("`r`.`fp_rank` <= :k", k=number(self.k)),
            by=columns(self.group, "r"),
        )
        return [Relation(self.result, body)]


def _percentile(of: _Ranked) -> list[Relation]:
    """Linear interpolation between the two neighbours of the place ``share * (n - 1)``."""
    share = of.numbered.measure.parameter or 0.0
    inputs = selected(
        [*columns(of.group), aliased(cast(of.value, DOUBLE), "fp_v")], name(of.pairs), where=condition_of(of.numbered)
    )
    by = listed(*columns(of.group, "d"))
    at = sql("CAST(:share AS DOUBLE) * (COUNT(*) OVER (PARTITION BY :by) - 1)", share=Sql(f"'{share!r}'"), by=by)
    rank = sql("ROW_NUMBER() OVER (PARTITION BY :by ORDER BY `d`.`fp_v` ASC NULLS FIRST)", by=by)
    ranked = selected(
        [*columns(of.group, "d"), column("fp_v", "d"), aliased(rank, "fp_rank"), aliased(at, "fp_place")],
        Sql(f"({inputs}) AS `d`"),
    )
    low = sql("MAX(CASE WHEN `r`.`fp_rank` = FLOOR(`r`.`fp_place`) + 1 THEN `r`.`fp_v` END)")
    high = sql("MAX(CASE WHEN `r`.`fp_rank` = CEIL(`r`.`fp_place`) + 1 THEN `r`.`fp_v` END)")
    rest = sql("MAX(`r`.`fp_place` - FLOOR(`r`.`fp_place`))")
    value = sql(":low + (:high - :low) * :rest", low=low, high=high, rest=rest)
    body = selected(
        [*columns(of.group, "r"), aliased(value, of.numbered.name)],
        Sql(f"({ranked}) AS `r`"),
        by=columns(of.group, "r"),
    )
    return [Relation(of.result, body)]


def _entropy(of: _Ranked) -> list[Relation]:
    by = listed(*columns(of.group, "d"))
    share = sql("CAST(`d`.`fp_times` AS DOUBLE) / SUM(`d`.`fp_times`) OVER (PARTITION BY :by)", by=by)
    shares = selected([*columns(of.group, "d"), aliased(share, "fp_share")], Sql(f"({of.by_value()}) AS `d`"))
    bits = sql("SUM(`r`.`fp_share` * LN(1 / `r`.`fp_share`)) / LN(2)")
    body = selected(
        [*columns(of.group, "r"), aliased(bits, of.numbered.name)], Sql(f"({shares}) AS `r`"), by=columns(of.group, "r")
    )
    return [Relation(of.result, body)]


_FREQUENT: Final = [("fp_times", True), ("fp_v", False)]
_BY_RANK: Final[Mapping[MeasureKind, Callable[[_Ranked], list[Relation]]]] = {
    "oldest": lambda of: of.first(of.ranked(of.events(), by=[("fp_n", False)])),
    "newest": lambda of: of.first(of.ranked(of.events(), by=[("fp_n", True)])),
    "first_k": lambda of: of.list(of.ranked(of.events(), by=[("fp_n", False)])),
    "last_k": lambda of: of.list(of.ranked(of.events(), by=[("fp_n", True)])),
    "last_distinct_k": lambda of: of.list(of.ranked(of.by_value(), by=[("fp_newest", True)])),
    "top_k": lambda of: of.list(of.ranked(of.by_value(), by=_FREQUENT)),
    "mode": lambda of: of.first(of.ranked(of.by_value(), by=_FREQUENT)),
    "percentile": _percentile,
    "entropy": _entropy,
}


# what is put together


def _answer(planned: PlannedFeature, found: Mapping[str, str], moment: Sql) -> Sql:
    function = planned.line.function
    parts = [column(alias, found[each.name]) for each in planned.measures for alias in each.names]
    first = parts[0]
    if function in COUNTS:
        return sql("COALESCE(:n, 0)", n=first)
    if function in ("any", "all"):
        return sql("(:share = 1)", share=first)
    if function in ("time_since_first", "time_since_last"):
        return sql("CAST(:q - :t AS DOUBLE) / 1000000", q=moment, t=first)
    if function in ("stddev", "stddev_pop", "variance", "variance_pop"):
        return _deviation(function, parts)
    if function == "rate":
        window = planned.measures[0].measure.frame.window
        assert window is not None
        return sql("NULLIF(:n, 0) / :hours", n=first, hours=literal(window / _HOUR, DOUBLE))
    if function == "ratio":
        return _ratio(parts)
    if function == "sum":
        return sql("CASE WHEN :n > 0 THEN :total END", n=parts[1], total=first)
    if function == "avg":
        return sql("CASE WHEN :n > 0 THEN :total / :n END", n=parts[1], total=cast(first, DOUBLE))
    return first


def _deviation(function: str, moments: Sequence[Sql]) -> Sql:
    n, _, m2 = moments
    least, divisor = (0, n) if function.endswith("_pop") else (1, sql("(:n - 1)", n=n))
    variance = sql("CASE WHEN :n > :least THEN :m2 / :d END", n=n, least=number(least), m2=m2, d=divisor)
    return sql("SQRT(:v)", v=variance) if function.startswith("stddev") else variance


def _ratio(parts: Sequence[Sql]) -> Sql:
    half = len(parts) // 2
    part, whole = parts[0], parts[half]
    if half == 2:
        part = sql("CASE WHEN :n > 0 THEN :part END", n=parts[1], part=part)
    share = sql("COALESCE(:part, 0) / NULLIF(:whole, 0)", part=cast(part, DOUBLE), whole=cast(whole, DOUBLE))
    return share if half == 1 else sql("CASE WHEN :n > 0 THEN :share END", n=parts[3], share=share)


_FUNCTIONS: Final = COUNTS | {
    "any", "all", "time_since_first", "time_since_last", "stddev", "stddev_pop", "variance", "variance_pop", "rate",
    "ratio", "sum", "avg", "min", "max", "first", "last", "first_k", "last_k", "last_distinct_k", "top_k", "mode",
    "percentile", "approx_percentile", "median", "entropy",
}  # fmt: skip
"""Functions of aggregation lines that have a form."""

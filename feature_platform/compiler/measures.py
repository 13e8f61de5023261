"""What has to be measured for a feature, and how the feature's value is put together from it.

Several features share measures: ``sum``, ``avg`` and ``count`` of a column in one window need one count and one sum.
A measure is computed in one of three ways, which all give the same number: at once by an aggregate over the counted
events, from sums of what enters and leaves a window, or by merging partial results. What can be neither subtracted nor
merged is gathered (``gathered_measures``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from feature_platform.compiler.fragments import (
    NOTHING,
    Sql,
    aliased,
    all_of,
    by_code_point,
    cast,
    column,
    literal,
    name,
    seconds_between,
    sql,
)
from feature_platform.compiler.frames import Frame
from feature_platform.registry.aggregations import ARITHMETIC
from feature_platform.specs.aggregations import LISTS, Aggregation
from feature_platform.specs.fields import AggregationFunction
from feature_platform.types import BIGINT, BOOLEAN, DOUBLE, DataType, Engine, array, decimal, map_of

MeasureKind = Literal[
    "count",
    "sum",
    "distinct",
    "total",
    "min",
    "max",
    "some",
    "every",
    "oldest",
    "newest",
    "earliest",
    "latest",
    "moments",
    "percentile",
    "first_k",
    "last_k",
    "last_distinct_k",
    "top_k",
    "mode",
    "entropy",
]
"""``sum`` is of exact numbers, ``total`` of doubles; ``some`` and ``every`` are 1 or 0; ``oldest`` and ``newest`` are
positions in the order of events, ``earliest`` and ``latest`` are times; ``moments`` are count, mean and sum of squared
deviations. From ``percentile`` on they are gathered.
"""

SUBTRACTABLE: Final[frozenset[MeasureKind]] = frozenset({"count", "sum", "distinct"})
"""Measures that are exact when what leaves a window is subtracted."""
GATHERED: Final[frozenset[MeasureKind]] = frozenset(
    {"percentile", "first_k", "last_k", "last_distinct_k", "top_k", "mode", "entropy"}
)
"""Measures that need every value of a window at hand."""
MERGEABLE: Final[frozenset[MeasureKind]] = frozenset(
    {"count", "sum", "total", "min", "max", "some", "every", "oldest", "newest", "earliest", "latest"}
)
"""Measures that one aggregate puts together from partial results."""
ORDERED: Final[frozenset[MeasureKind]] = frozenset({"oldest", "newest", "first_k", "last_k", "last_distinct_k"})
"""Measures that need positions in the order of events."""

COUNTS: Final = frozenset({"count", "count_distinct", "approx_count_distinct"})
"""Functions that give 0 where others give NULL."""
_DOUBLES: Final = frozenset(
    {
        "avg",
        "stddev",
        "stddev_pop",
        "variance",
        "variance_pop",
        "median",
        "percentile",
        "approx_percentile",
        "entropy",
        "rate",
        "ratio",
        "time_since_first",
        "time_since_last",
    }
)
_MICROSECONDS_PER_HOUR: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """One number (``moments``: three) per frame. ``value`` and ``condition`` are positions among the columns of the
    events; ``parameter`` is the number of values or the share that a gathered measure wants.
    """

    kind: MeasureKind
    frame: Frame
    value: int | None
    value_type: DataType | None
    condition: int | None
    parameter: float | None = None


@dataclass(frozen=True, slots=True)
class Numbered:
    """A measure and the name of its column (``moments``: the stem of its columns' names)."""

    name: str
    measure: Measure

    @property
    def names(self) -> tuple[str, ...]:
        if self.measure.kind == "moments":
            return (f"{self.name}_n", f"{self.name}_mean", f"{self.name}_m2")
        return (self.name,)


def result_type(function: AggregationFunction, of: DataType | None) -> DataType:
    """The type of a feature. Sums of integers and decimals have 38 digits and keep the scale."""
    if function in COUNTS:
        return BIGINT
    if function in _DOUBLES:
        return DOUBLE
    if function in ("any", "all"):
        return BOOLEAN
    assert of is not None
    if function == "histogram":
        return map_of(of, BIGINT)
    if function in LISTS:
        return array(of)
    if function == "sum":
        return decimal(38, of.scale) if of.is_exact else DOUBLE
    return of


def adds_doubles(function: AggregationFunction, of: DataType | None) -> bool:
    """Whether the last digits of a value depend on the order in which its doubles were added. Moments are doubles
    whatever their input is.
    """
    if function in ("sum", "avg", "ratio"):
        return of is not None and not of.is_exact
    return function in ("stddev", "stddev_pop", "variance", "variance_pop", "entropy")


def accepts(function: AggregationFunction, of: DataType) -> bool:
    """Whether ``function`` can take a column of this type."""
    if function in ARITHMETIC:
        return of.is_numeric
    if function in ("any", "all"):
        return of.kind == "boolean"
    if function in ("min", "max"):
        return of.is_numeric or of.is_temporal or of.kind == "string"
    return not of.is_nested or function in ("count", "first", "last", "time_since_first", "time_since_last")


@dataclass(frozen=True, slots=True)
class Input:
    """What a line reads of each event: positions of its column and condition, and the column's type."""

    value: int | None
    type: DataType | None
    condition: int | None


def measures_of(line: Aggregation, frame: Frame, whole: Frame | None, given: Input) -> tuple[Measure, ...]:
    """What the feature needs, in the order in which :func:`answer` takes it. ``whole`` is the longer frame of a
    ratio.
    """
    frames, function = [frame], line.function
    if line.function == "ratio":
        assert whole is not None
        frames.append(whole)
        function = "count" if given.value is None else "sum"
    parameter = next((each for each in (line.percentile, line.k) if each is not None), None)
    if line.function == "median":
        parameter = 0.5
    return tuple(
        Measure(kind, of, given.value, given.type, given.condition, parameter if kind in GATHERED else None)
        for of in frames
        for kind in _kinds(function, given.type)
    )


_KINDS: Final[Mapping[AggregationFunction, tuple[MeasureKind, ...]]] = {
    "count": ("count",),
    "rate": ("count",),
    "count_distinct": ("distinct",),
    "approx_count_distinct": ("distinct",),
    "sum": ("sum", "count"),
    "avg": ("sum", "count"),
    "min": ("min",),
    "max": ("max",),
    "any": ("some",),
    "all": ("every",),
    "stddev": ("moments",),
    "stddev_pop": ("moments",),
    "variance": ("moments",),
    "variance_pop": ("moments",),
    "first": ("oldest",),
    "last": ("newest",),
    "time_since_first": ("earliest",),
    "time_since_last": ("latest",),
    "median": ("percentile",),
    "percentile": ("percentile",),
    "approx_percentile": ("percentile",),
    "first_k": ("first_k",),
    "last_k": ("last_k",),
    "last_distinct_k": ("last_distinct_k",),
    "top_k": ("top_k",),
    "mode": ("mode",),
    "entropy": ("entropy",),
    "histogram": ("count",),
}


def _kinds(function: AggregationFunction, of: DataType | None) -> tuple[MeasureKind, ...]:
    if of is not None and not of.is_exact and function in ("sum", "avg"):
        return ("total", "count")
    return _KINDS[function]


def answer(function: AggregationFunction, measures: Sequence[Numbered], table: str, moment: Sql, engine: Engine) -> Sql:
    """A feature's value from the columns of its measures in ``table``; NULL, or 0 for counts, without any input. Not
    for ``first`` and ``last``, whose value stands in the event that the measure points at.
    """
    first = column(measures[0].names[0], table)
    if function in COUNTS:
        return sql("COALESCE(:n, 0)", n=first)
    if function in ("any", "all"):
        return sql("(:share = 1)", share=first)
    if function in ("time_since_first", "time_since_last"):
        return seconds_between(moment, first, engine)
    if function in ("stddev", "stddev_pop", "variance", "variance_pop"):
        return _deviation(function, [column(each, table) for each in measures[0].names])
    if function == "rate":
        window = measures[0].measure.frame.window
        assert window is not None
        hours = literal(window / _MICROSECONDS_PER_HOUR, DOUBLE, engine)
        return sql("NULLIF(:n, 0) / :hours", n=first, hours=hours)
    if function == "ratio":
        return _ratio([column(each.name, table) for each in measures], engine)
    if function == "sum":
        return sql("CASE WHEN :n > 0 THEN :total END", n=column(measures[1].name, table), total=first)
    if function == "avg":
        count = column(measures[1].name, table)
        return sql("CASE WHEN :n > 0 THEN :total / :n END", n=count, total=cast(first, DOUBLE, engine))
    return first


def _deviation(function: AggregationFunction, moments: Sequence[Sql]) -> Sql:
    n, _, m2 = moments
    if function.endswith("_pop"):
        variance = sql("CASE WHEN :n > 0 THEN :m2 / :n END", n=n, m2=m2)
    else:
        variance = sql("CASE WHEN :n > 1 THEN :m2 / (:n - 1) END", n=n, m2=m2)
    return sql("SQRT(:variance)", variance=variance) if function.startswith("stddev") else variance


def _ratio(measures: Sequence[Sql], engine: Engine) -> Sql:
    """Share of the frame in the longer one: of counts, or of sums where there are counts of inputs beside them."""
    half = len(measures) // 2
    part, whole = measures[0], measures[half]
    if half == 2:  # a running sum stays 0 where nothing is left in the frame
        part = sql("CASE WHEN :n > 0 THEN :part END", n=measures[1], part=part)
    share = sql(
        "COALESCE(:part, 0) / NULLIF(:whole, 0)",
        part=cast(part, DOUBLE, engine),
        whole=cast(whole, DOUBLE, engine),
    )
    if half == 1:
        return share
    return sql("CASE WHEN :n > 0 THEN :share END", n=measures[3], share=share)


def counted(measure: Measure, table: str | None = None) -> Sql:
    """Which events count for a measure, apart from its frame: condition and NULLs. Empty when all do."""
    condition = None if measure.condition is None else column(f"fp_c{measure.condition}", table)
    value = None if measure.value is None else sql(":v IS NOT NULL", v=column(f"fp_v{measure.value}", table))
    return all_of(condition, value)


def aggregates(numbered: Numbered, window: Sql | None, engine: Engine) -> list[Sql]:
    """Aggregates over events, one per column of the measure. ``window`` is a condition on the event; None when all
    rows are inside.
    """
    measure = numbered.measure
    only = all_of(counted(measure), window)
    parts = {"only": sql(" FILTER (WHERE :only)", only=only) if only else NOTHING}
    if measure.value is not None:
        parts["v"] = _comparable(measure, column(f"fp_v{measure.value}"), engine)
        parts["n"] = column(f"fp_n{measure.value}")
    found = (sql(template, **parts) for template in _AGGREGATES[measure.kind])
    return [aliased(each, name(alias)) for each, alias in zip(found, numbered.names, strict=True)]


def merges(numbered: Numbered, engine: Engine) -> list[Sql]:
    """Aggregates over partial results of :func:`aggregates`, for measures that can be merged by one."""
    return [aliased(merged(numbered.measure, column(numbered.name), engine), name(numbered.name))]


def merged(measure: Measure, part: Sql, engine: Engine) -> Sql:
    """The aggregate over partial results ``part`` of one measure."""
    return sql(_MERGES[measure.kind], part=_comparable(measure, part, engine))


def change(measure: Measure, engine: Engine) -> Sql:
    """What one event adds to a count or sum, wide enough to be negated; NULL when it does not count."""
    one = sql("1")
    if measure.kind == "sum":
        assert measure.value_type is not None
        one = cast(column(f"fp_v{measure.value}"), decimal(38, measure.value_type.scale), engine)
    only = counted(measure)
    return sql("CASE WHEN :only THEN :one END", only=only, one=one) if only else one


_AGGREGATES: Final[Mapping[MeasureKind, tuple[str, ...]]] = {
    "count": ("COUNT(*):only",),
    "sum": ("SUM(:v):only",),
    "total": ("SUM(:v):only",),
    "distinct": ("COUNT(DISTINCT :v):only",),
    "min": ("MIN(:v):only",),
    "max": ("MAX(:v):only",),
    "some": ("MAX(CASE WHEN :v THEN 1 ELSE 0 END):only",),
    "every": ("MIN(CASE WHEN :v THEN 1 ELSE 0 END):only",),
    "oldest": ("MIN(:n):only",),
    "newest": ("MAX(:n):only",),
    "earliest": ("MIN(fp_t):only",),
    "latest": ("MAX(fp_t):only",),
    "moments": ("COUNT(*):only", "AVG(:v):only", "VAR_POP(:v):only * COUNT(*):only"),
}
_MERGES: Final[Mapping[MeasureKind, str]] = {
    "count": "SUM(:part)",
    "sum": "SUM(:part)",
    "total": "SUM(:part)",
    "min": "MIN(:part)",
    "max": "MAX(:part)",
    "some": "MAX(:part)",
    "every": "MIN(:part)",
    "oldest": "MIN(:part)",
    "newest": "MAX(:part)",
    "earliest": "MIN(:part)",
    "latest": "MAX(:part)",
}


def _comparable(measure: Measure, value: Sql, engine: Engine) -> Sql:
    if measure.kind == "moments":
        return cast(value, DOUBLE, engine)
    if measure.kind in ("min", "max"):
        assert measure.value_type is not None
        return by_code_point(value, measure.value_type, engine)
    return value

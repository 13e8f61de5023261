"""What has to be measured for a feature, and how the feature's value is put together from it.

Several features share measures: ``sum``, ``avg`` and ``count`` of a column in one window need one count and one sum.
A measure is computed in one of three ways, which all give the same number: at once by an aggregate over the counted
events, from sums of what enters and leaves a window, or by merging partial results.
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
    name,
    seconds_between,
    sql,
)
from feature_platform.specs.durations import Duration
from feature_platform.specs.models import AggregationFunction
from feature_platform.types import BIGINT, DOUBLE, DataType, Engine, decimal

MeasureKind = Literal["count", "sum", "distinct", "total", "min", "max", "oldest", "newest", "latest", "moments"]
"""``sum`` is of exact numbers, ``total`` of doubles; ``oldest`` and ``newest`` are positions in the order of events,
``latest`` is a time; ``moments`` are count, mean and sum of squared deviations.
"""

SUBTRACTABLE: Final[frozenset[MeasureKind]] = frozenset({"count", "sum", "distinct"})
"""Measures that are exact when what leaves a window is subtracted."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number (``moments``: three) per window. ``value`` and ``condition`` are positions among the columns of the
    events.
    """

    kind: MeasureKind
    window: Duration
    value: int | None
    value_type: DataType | None
    condition: int | None


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
    if function in ("count", "count_distinct"):
        return BIGINT
    if function in ("avg", "stddev", "variance", "time_since_last"):
        return DOUBLE
    assert of is not None
    if function == "sum":
        return decimal(38, of.scale) if of.is_exact else DOUBLE
    return of


def accepts(function: AggregationFunction, of: DataType) -> bool:
    """Whether ``function`` can take a column of this type."""
    if function in ("sum", "avg", "stddev", "variance"):
        return of.is_numeric
    if function in ("min", "max"):
        return of.is_numeric or of.is_temporal or of.kind == "string"
    return of.kind != "array" or function != "count_distinct"


def measures_of(
    function: AggregationFunction, window: Duration, value: int | None, of: DataType | None, condition: int | None
) -> tuple[Measure, ...]:
    """What the feature needs, in the order in which :func:`answer` takes it."""
    kinds: Mapping[AggregationFunction, tuple[MeasureKind, ...]] = {
        "count": ("count",),
        "count_distinct": ("distinct",),
        "sum": ("sum", "count"),
        "avg": ("sum", "count"),
        "min": ("min",),
        "max": ("max",),
        "stddev": ("moments",),
        "variance": ("moments",),
        "first": ("oldest",),
        "last": ("newest",),
        "time_since_last": ("latest",),
    }
    needed = kinds[function]
    if of is not None and not of.is_exact and function in ("sum", "avg"):
        needed = ("total", "count")
    return tuple(Measure(kind, window, value, of, condition) for kind in needed)


def answer(function: AggregationFunction, measures: Sequence[Numbered], table: str, moment: Sql, engine: Engine) -> Sql:
    """A feature's value from the columns of its measures in ``table``; NULL, or 0 for counts, without any input. Not
    for ``first`` and ``last``, whose value stands in the event that the measure points at.
    """
    first = column(measures[0].names[0], table)
    if function in ("count", "count_distinct"):
        return sql("COALESCE(:n, 0)", n=first)
    if function in ("min", "max"):
        return first
    if function == "time_since_last":
        return seconds_between(moment, first, engine)
    if function in ("stddev", "variance"):
        n, _, m2 = (column(each, table) for each in measures[0].names)
        variance = sql("CASE WHEN :n > 1 THEN :m2 / (:n - 1) END", n=n, m2=m2)
        return sql("SQRT(:variance)", variance=variance) if function == "stddev" else variance
    count = column(measures[1].name, table)
    if function == "sum":
        return sql("CASE WHEN :n > 0 THEN :total END", n=count, total=first)
    assert function == "avg", f"{function} has no value of its own"
    return sql("CASE WHEN :n > 0 THEN :total / :n END", n=count, total=cast(first, DOUBLE, engine))


def counted(measure: Measure, table: str | None = None) -> Sql:
    """Which events count for a measure, apart from its window: condition and NULLs. Empty when all do."""
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
    part = _comparable(numbered.measure, column(numbered.name), engine)
    return [aliased(sql(_MERGES[numbered.measure.kind], part=part), name(numbered.name))]


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
    "oldest": ("MIN(:n):only",),
    "newest": ("MAX(:n):only",),
    "latest": ("MAX(fp_t):only",),
    "moments": ("COUNT(*):only", "AVG(:v):only", "VAR_POP(:v):only * COUNT(*):only"),
}
_MERGES: Final[Mapping[MeasureKind, str]] = {
    "total": "SUM(:part)",
    "min": "MIN(:part)",
    "max": "MAX(:part)",
    "oldest": "MIN(:part)",
    "newest": "MAX(:part)",
    "latest": "MAX(:part)",
}


def _comparable(measure: Measure, value: Sql, engine: Engine) -> Sql:
    if measure.kind == "moments":
        return cast(value, DOUBLE, engine)
    if measure.kind in ("min", "max"):
        assert measure.value_type is not None
        return by_code_point(value, measure.value_type, engine)
    return value

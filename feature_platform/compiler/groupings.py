"""``group:`` and ``histogram``: the events of a window told apart by a key, and what is measured of each group.

Every function that gives a single value can be computed per key; the map of these values is the feature. A histogram is
the count of events per value of its column, or per bin. A key is there iff at least one event of it counts for the
function; events without a key, or below the first bin, never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from feature_platform.compiler.fragments import NOTHING, Sql, column, literal, sql
from feature_platform.compiler.frames import Frame
from feature_platform.compiler.measures import Input, Measure, MeasureKind, Numbered, answer, measures_of
from feature_platform.specs.aggregations import Aggregation
from feature_platform.types import DataType, Engine

TIMES: Final = frozenset({"time_since_first", "time_since_last"})
"""Functions whose value depends on the query time itself."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """What tells the events of one feature apart, and how many keys its map may have."""

    value: int
    """The position of the key's column among the values of the events."""
    key: DataType
    bins: tuple[Any, ...]
    """Lower edges, ascending; none: each value is a key."""
    largest: int
    """The most keys: those with the most events, of equally many the smaller. With ``bins`` there can't be more."""
    named: str
    """The column of the map."""

    def of_event(self, table: str, engine: Engine) -> Sql:
        """The key of an event; NULL when it has none."""
        value = column(f"fp_v{self.value}", table)
        if not self.bins:
            return value
        branches = NOTHING
        for edge in reversed(self.bins):
            branches = sql(
                ":branches WHEN :value >= :edge THEN :edge",
                branches=branches,
                value=value,
                edge=literal(edge, self.key, engine),
            )
        return sql("CASE:branches END", branches=branches)


def grouped_measures_of(line: Aggregation, frame: Frame, given: Input) -> tuple[Measure, ...]:
    """What is measured of each group: what :func:`grouped_answer` takes, and then how many events count."""
    if line.function == "histogram":
        return (Measure("count", frame, None, None, given.condition),)
    count = Measure("count", frame, given.value, given.type, given.condition)
    if line.function in ("first", "last"):
        # The positions of events are no use behind a group, so these are lists of one.
        kind: MeasureKind = "first_k" if line.function == "first" else "last_k"
        return (Measure(kind, frame, given.value, given.type, given.condition, 1), count)
    return (*measures_of(line, frame, None, given), count)


def grouped_answer(line: Aggregation, measures: Sequence[Numbered], table: str, moment: Sql, engine: Engine) -> Sql:
    """The value of a key from the columns of its measures in ``table``."""
    if line.function in ("first", "last"):
        return sql("(:list)[1]", list=column(measures[0].name, table))
    return answer("count" if line.function == "histogram" else line.function, measures, table, moment, engine)

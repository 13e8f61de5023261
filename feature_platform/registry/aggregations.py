"""Checks of aggregation views against their source: keys, columns, types, defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from feature_platform.errors import Problem, did_you_mean
from feature_platform.registry.codes import (
    COLUMN_TYPE,
    DEFAULT_TYPE,
    KEY_TYPE,
    MEANINGLESS,
    NO_EVENT_TIME,
    NO_KEY,
    UNKNOWN_COLUMN,
)
from feature_platform.registry.graph import Origin
from feature_platform.registry.sources import unknown_column
from feature_platform.specs.aggregations import LISTS
from feature_platform.specs.models import Aggregation, Entity, FeatureView, Source
from feature_platform.specs.origins import Path
from feature_platform.types import DataType

ARITHMETIC: Final = frozenset(
    {
        "sum",
        "avg",
        "stddev",
        "stddev_pop",
        "variance",
        "variance_pop",
        "median",
        "percentile",
        "approx_percentile",
        "ratio",
    }
)
"""Functions that take numbers alone."""
ORDERING: Final = frozenset({"min", "max"})
POSITIONAL: Final = frozenset({"first", "last", "first_k", "last_k", "last_distinct_k"})
LOGICAL: Final = frozenset({"any", "all"})
BY_VALUE: Final = frozenset(
    {
        "count_distinct",
        "approx_count_distinct",
        "first_k",
        "last_k",
        "last_distinct_k",
        "top_k",
        "mode",
        "entropy",
        "histogram",
    }
)


def check_aggregation_view(
    view: FeatureView, origin: Origin, entity: Entity | None, source: Source
) -> Iterator[Problem]:
    """An aggregation view against its source, and against its entity where that could be read."""
    if source.event_time is None:
        yield NO_EVENT_TIME.problem(
            f"the source '{source.name}' has no `event_time`, so no window can be counted",
            mend="Declare `event_time:` at the source, or write the view in SQL.",
            where=origin.where("source"),
        )
    if entity is not None:
        yield from _check_keys(view, origin, entity, source)
    for number, line in enumerate(view.aggregations):
        yield from _check_line(line, origin, number, source)


def _check_keys(view: FeatureView, origin: Origin, entity: Entity, source: Source) -> Iterator[Problem]:
    names = [key.name for key in entity.keys]
    for name in view.keys:
        if name not in names:
            yield UNKNOWN_COLUMN.problem(
                f"the entity '{entity.name}' has no key '{name}'",
                mend=f"Use one of {', '.join(names)}; `keys` maps entity key → column.{did_you_mean(name, names)}",
                where=origin.where_key("keys", name),
            )
    for key in entity.keys:
        column_name = view.keys.get(key.name, key.name)
        where = origin.where("keys", key.name) if key.name in view.keys else origin.where("entity")
        column = source.columns.get(column_name)
        if column is None:
            listed = ", ".join(list(source.columns)[:12])
            yield UNKNOWN_COLUMN.problem(
                f"the source '{source.name}' has no column '{column_name}' for the key of '{entity.name}'",
                mend=f"Add `keys: {{{key.name}: <column>}}` with one of {listed}."
                f"{did_you_mean(column_name, source.columns)}",
                where=where,
            )
            continue
        if column.type != key.type:
            yield KEY_TYPE.problem(
                f"the key '{key.name}' of '{entity.name}' is {key.type}, "
                f"'{source.name}.{column_name}' is {column.type}",
                mend="Give both the same type.",
                where=where,
            )
        if (column.pii or "none") != (key.pii or "none"):
            yield KEY_TYPE.problem(
                f"the key '{key.name}' of '{entity.name}' is classified {key.pii or 'none'}, "
                f"'{source.name}.{column_name}' {column.pii or 'none'}",
                mend="Give both the same `pii:`; it decides what the key's tokens are.",
                where=where,
            )


def _check_line(line: Aggregation, origin: Origin, number: int, source: Source) -> Iterator[Problem]:
    path = ("aggregations", number)
    if line.function in POSITIONAL and not source.key:
        yield NO_KEY.problem(
            f"`{line.function}` needs to know which of two events at the same time comes first",
            mend=f"Declare `key:` at the source '{source.name}'.",
            where=origin.where(*path, "function"),
        )
    if line.group is not None:
        yield from _check_group(line.group, origin, (*path, "group"), source)
    if line.column is None:
        yield from _check_default(line, None, origin, (*path, "default"))
        return
    yield from unknown_column(source, line.column, origin, (*path, "column"))
    column = source.columns.get(line.column)
    if column is None:
        return
    if not _takes(line.function, column.type):
        wanted = _wanted_column(line.function)
        yield COLUMN_TYPE.problem(
            f"`{line.function}` wants {wanted}, '{line.column}' is of type {column.type}",
            mend="Use another column or function (`count`, `count_distinct`, `last`).",
            where=origin.where(*path, "column"),
        )
    elif line.function == "histogram" and (wrong := _unfit_for_histogram(line, column.type)):
        yield COLUMN_TYPE.problem(wrong[0], mend=wrong[1], where=origin.where(*path, "column"))
    elif line.function in ARITHMETIC and column.pii not in (None, "none"):
        yield MEANINGLESS.problem(
            f"`{line.function}` of '{line.column}', which holds {column.pii}",
            mend="Use `count_distinct`, or another column.",
            where=origin.where(*path, "column"),
        )
    else:
        yield from _check_default(line, column.type, origin, (*path, "default"))


def _check_group(name: str, origin: Origin, path: Path, source: Source) -> Iterator[Problem]:
    yield from unknown_column(source, name, origin, path)
    column = source.columns.get(name)
    if column is not None and not _can_be_key(column.type):
        yield COLUMN_TYPE.problem(
            f"`group` wants values that can be told apart exactly, '{name}' is of type {column.type}",
            mend="Use a column of integers, texts, booleans, decimals or dates.",
            where=origin.where(*path),
        )


def _unfit_for_histogram(line: Aggregation, column: DataType) -> tuple[str, str] | None:
    """What is wrong with the column of a histogram, and how to mend it."""
    if line.bins is not None and not column.is_numeric:
        return (
            f"`bins` are numbers, '{line.column}' is of type {column}",
            "Leave them out: each value has its count then.",
        )
    if line.bins is None and not _can_be_key(column):
        return f"values of '{line.column}' ({column}) can't be told apart exactly", "Give `bins`."
    return None


def _can_be_key(column: DataType) -> bool:
    return not column.is_nested and column.kind != "double"


def _wanted_column(function: str) -> str:
    if function in ARITHMETIC:
        return "a number"
    if function in LOGICAL:
        return "a boolean"
    return "values that have an order" if function in ORDERING else "single values"


def _takes(function: str, column: DataType) -> bool:
    if function in ARITHMETIC:
        return column.is_numeric
    if function in ORDERING:
        return not column.is_nested and column.kind != "boolean"
    if function in LOGICAL:
        return column.kind == "boolean"
    return not column.is_nested or function not in BY_VALUE


def _check_default(line: Aggregation, column: DataType | None, origin: Origin, path: Path) -> Iterator[Problem]:
    """``default`` is a value that the function could give for ``column``."""
    if line.default is None:
        return
    wanted, fits = _wanted_default(line.function, column, line.default)
    if not fits:
        yield DEFAULT_TYPE.problem(
            f"`{line.function}` gives {wanted}, the default does not",
            mend=f"Write {wanted}.",
            where=origin.where(*path),
        )


def _wanted_default(function: str, column: DataType | None, value: float | str | bool) -> tuple[str, bool]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if function in ("count", "count_distinct", "approx_count_distinct"):
        return "a whole number", whole
    if function in ARITHMETIC - {"sum"} or function in ("rate", "entropy", "time_since_first", "time_since_last"):
        return "a number", number
    if column is None or column.is_nested or function in LISTS:
        return f"a {'map' if column and column.key else 'list'}, which has no default", False
    if column.is_integer:
        return "a whole number", whole
    if column.is_numeric:
        return "a number", number
    if column.kind == "boolean":
        return "`true` or `false`", isinstance(value, bool)
    return "text", isinstance(value, str)

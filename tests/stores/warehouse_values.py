"""Values of every type, their extremes often among them, for tests of warehouses."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from hypothesis import strategies as st

from feature_platform.types import DataType
from tests.stores.warehouse_cases import schema

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00")
EXACT = Context(prec=60)

EVERY_TYPE = schema(
    flag="boolean",
    small="int",
    big="bigint",
    ratio="double",
    money="decimal(38,9)",
    cents="decimal(18,2)",
    share="decimal(5,5)",
    whole="decimal(38,0)",
    note="string",
    born="date",
    at="timestamp",
    tags="array<string>",
    counts="array<bigint>",
    ratios="array<double>",
    prices="array<decimal(20,3)>",
    moments="array<timestamp>",
    flags="array<boolean>",
    spend="map<string, decimal(38,2)>",
    numbered="map<bigint, double>",
    dated="map<date, timestamp>",
    asked="map<boolean, string>",
    priced="map<decimal(20,3), int>",
)


def values_of(kind: DataType) -> st.SearchStrategy[Any]:
    """Values of a type, its extremes often among them; never None."""
    if kind.kind == "array":
        assert kind.element is not None
        return st.lists(values_of(kind.element) | st.none(), max_size=4)
    if kind.key is not None:
        assert kind.element is not None
        pairs = st.dictionaries(values_of(kind.key), st.none() | values_of(kind.element), max_size=4)
        return pairs.map(lambda given: sorted(given.items()))
    if kind.kind == "decimal":
        largest = 10**kind.precision - 1
        unscaled = st.integers(-largest, largest) | st.sampled_from([0, 1, -1, largest, -largest])
        return unscaled.map(lambda number: Decimal(number).scaleb(-kind.scale, context=EXACT))
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1) | st.sampled_from([2**31 - 1, -(2**31)]),
        "bigint": st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**63 - 1, -(2**63)]),
        "double": st.floats(allow_nan=False) | st.sampled_from([-0.0, 5e-324, 1.7976931348623157e308]),
        "string": st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)
        | st.sampled_from(["", " ", '"', "\\N", "\\.", "NULL", "a,b\r\nc", "𝄞\u200b\ufeff", "é", "x" * 200]),
        "date": st.dates(date(1, 1, 1), date(9999, 12, 31)),
        "timestamp": st.datetimes().map(lambda at: at.replace(fold=0)) | st.sampled_from([EPOCH, EPOCH - MICROSECOND]),
    }
    return strategies[kind.kind]


def rows_of_every_type() -> st.SearchStrategy[list[dict[str, Any]]]:
    columns = {column.name: st.none() | values_of(column.type) for column in EVERY_TYPE.columns}
    return st.lists(st.fixed_dictionaries(columns), max_size=30)

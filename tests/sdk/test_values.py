"""Single values that callers give."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.sdk.values import as_type, parse_text
from feature_platform.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INT,
    STRING,
    TIMESTAMP,
    DataType,
    array,
    decimal,
    map_of,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAIVE_NOON = NOON.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (7, BIGINT, 7),
        (7.0, BIGINT, 7),
        (Decimal("7"), INT, 7),
        (np.int64(7), BIGINT, 7),
        (pa.scalar(7), BIGINT, 7),
        (7, DOUBLE, 7.0),
        (12.5, decimal(18, 2), Decimal("12.50")),
        (0.1, decimal(18, 2), Decimal("0.10")),
        ("x", STRING, "x"),
        (np.str_("x"), STRING, "x"),
        (True, BOOLEAN, True),
        (date(2026, 3, 1), DATE, date(2026, 3, 1)),
        (date(2026, 3, 1), TIMESTAMP, NAIVE_NOON.replace(hour=0)),
        (NOON, TIMESTAMP, NAIVE_NOON),
        (NAIVE_NOON, TIMESTAMP, NAIVE_NOON),
        ([1, None], array(BIGINT), [1, None]),
        ({"b": 2, "a": None}, map_of(STRING, BIGINT), {"a": None, "b": 2}),
        ([("b", 0.5), ("a", 1)], map_of(STRING, decimal(9, 1)), {"a": Decimal("1.0"), "b": Decimal("0.5")}),
        ({}, map_of(DATE, STRING), {}),
        (None, STRING, None),
    ],
)
def test_a_value_becomes_its_declared_type(value: Any, kind: DataType, expected: Any) -> None:
    converted = as_type(value, kind)
    assert (converted, type(converted)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("7", BIGINT),
        (7.5, BIGINT),
        (True, BIGINT),
        (2**31, INT),
        (2**63, BIGINT),
        (float("nan"), BIGINT),
        (float("inf"), decimal(18, 2)),
        (Decimal("0.001"), decimal(18, 2)),
        (10**16, decimal(18, 2)),
        (7, STRING),
        (1, BOOLEAN),
        (NOON, DATE),
        ("2026-03-01", DATE),
        ("ab", array(STRING)),
    ],
)
def test_a_value_that_would_lose_something_is_refused(value: Any, kind: DataType) -> None:
    with pytest.raises(ValueError, match="needed is a"):
        as_type(value, kind)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_bigint_survives_as_text(value: int) -> None:
    assert parse_text(str(value), BIGINT) == value


@given(st.datetimes())
def test_every_time_survives_as_text(value: datetime) -> None:
    assert parse_text(value.isoformat(), TIMESTAMP) == value


def test_leading_zeros_of_a_text_stay() -> None:
    assert parse_text("007", STRING) == "007"


@pytest.mark.parametrize(
    ("text", "kind"), [("x", BIGINT), ("1.5", BIGINT), ("yes", BOOLEAN), ("1.234", decimal(9, 2)), ("today", DATE)]
)
def test_a_text_that_is_no_such_value_is_refused(text: str, kind: DataType) -> None:
    with pytest.raises(ValueError, match="this is no"):
        parse_text(text, kind)

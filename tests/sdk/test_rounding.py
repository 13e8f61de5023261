"""What counts as the same value when a dataset is made again."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

from feature_platform.compiler.measures import adds_doubles
from feature_platform.sdk.rounding import TOLERANCE, Rounded, compare
from feature_platform.types import BIGINT, DOUBLE, decimal

NEAR = math.nextafter(2.5, 3)


@pytest.mark.parametrize(
    ("kept", "made", "rows", "near"),
    [
        ([2.5, None, math.nan], [2.5, None, math.nan], 0, 0),
        ([2.5, 2.5], [NEAR, 2.5], 0, 1),
        ([2.5], [2.5 * (1 + 2 * TOLERANCE)], 1, 0),
        ([2.5, 2.5, 0.0, 2.5], [None, math.nan, 1e-300, math.inf], 4, 0),
        ([math.inf], [-math.inf], 1, 0),
        ([[("a", 2.5), ("b", 1.0)]], [[("a", NEAR), ("b", 1.0)]], 0, 1),
        ([[("a", 2.5), ("b", 1.0)]], [[("a", 2.5)]], 1, 0),
        ([[("a", 2.5)]], [[("b", NEAR)]], 1, 0),
    ],
)
def test_last_digits_of_sums_of_doubles_are_told_from_other_values(
    kept: list[Any], made: list[Any], rows: int, near: int
) -> None:
    kind = pa.map_(pa.string(), pa.float64()) if isinstance(kept[0], list) else pa.float64()
    one, other = pa.array(kept, kind), pa.array(made, kind)
    found, rounded = compare(one, other, rounded=True)
    assert (found, rounded.rows) == (rows, near)
    assert rounded.largest == pytest.approx((NEAR - 2.5) / 2.5 if near else 0, rel=0.01)
    assert compare(one, other, rounded=False) == (rows + near, Rounded(0, 0.0))


def test_exact_values_are_compared_to_the_last_bit() -> None:
    one, other = pa.array([2**60, None]), pa.array([2**60 + 1, 0])
    assert compare(one, other, rounded=True) == (2, Rounded(0, 0.0))


def test_sums_of_exact_numbers_are_exact_and_moments_never_are() -> None:
    assert [adds_doubles("sum", of) for of in (BIGINT, decimal(18, 2), DOUBLE)] == [False, False, True]
    assert [adds_doubles("stddev", of) for of in (BIGINT, decimal(18, 2), DOUBLE)] == [True, True, True]
    assert [adds_doubles(function, None) for function in ("count", "rate", "ratio")] == [False, False, False]
    assert not adds_doubles("percentile", DOUBLE)

"""One text per value, the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.governance.labels import Label
from feature_platform.registry.fingerprint import digest
from feature_platform.types import BIGINT, STRING

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_values)
def test_a_fingerprint_is_64_hex_digits_and_repeatable(value: Any) -> None:
    assert digest(value) == digest(value)
    assert len(digest(value)) == 64


@given(st.dictionaries(st.text(max_size=3), _values, max_size=4))
def test_the_order_of_a_mapping_does_not_count(value: dict[str, Any]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


@given(_values, _values)
def test_the_order_of_a_sequence_counts(left: Any, right: Any) -> None:
    if digest(left) != digest(right):
        assert digest([left, right]) != digest([right, left])


@dataclass(frozen=True)
class Point:
    x: int


@dataclass(frozen=True)
class Other:
    x: int


def test_values_of_different_types_differ() -> None:
    values = [
        None, 0, 0.0, False, "", "0", (), {}, b"", Decimal(0), Decimal("0.0"), frozenset(), "None", PurePosixPath("0"),
        date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01", Point(0), Other(0), {"x": 0}, BIGINT, STRING,
        {1: 2}, {"1": 2}, {"$set": []}, [["$set", []]], Label("token", "email", "v1"), Label("token", "email", "v2"),
    ]  # fmt: skip
    assert len({digest(value) for value in values}) == len(values)


def test_tuples_and_lists_and_sets_in_any_order_are_one() -> None:
    assert digest((1, 2)) == digest([1, 2])
    assert digest({"b", "a", "c"}) == digest(frozenset({"c", "a", "b"}))


def test_another_process_with_another_hash_seed_finds_the_same() -> None:
    program = (
        "from feature_platform.registry.fingerprint import digest\n"
        "from feature_platform.governance.labels import Label\n"
        "print(digest({'a': frozenset({Label('token', 'email', 'v1'), Label('derived', 'phone')}), 'b': {1.5, 'x'}}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize("value", [object(), {"a": object()}, int, lambda: None])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        digest(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest(value)

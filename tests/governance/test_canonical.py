"""Equal persons have equal canonical texts, in every engine."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feature_platform.governance.canonical import CANONICAL, canonical, column_kinds, unchanged_pattern
from feature_platform.specs.models import Classification


def test_every_classification_of_personal_data_has_a_rule() -> None:
    assert set(CANONICAL) == set(Classification.__args__) - {"none"}


@pytest.mark.parametrize(
    ("classification", "spellings", "text"),
    [
        ("payment_card", ["4111 1111 1111 1111", "4111-1111-1111-1111", 4111111111111111], "4111111111111111"),
        ("email", ["Jan@Example.com", "\tjan@example.COM \r\n", "\u00a0jan@example.com"], "jan@example.com"),
        ("phone", ["+420 601 234 567", "00420/601-234-567", "+420(601)234567"], "+420601234567"),
        ("birth_date", [date(1984, 2, 29), datetime(1984, 2, 29, tzinfo=UTC), " 1984-02-29T00:00"], "1984-02-29"),
        ("iban", ["CZ65 0800 0000 1920 0014 5399", "cz6508000000192000145399"], "CZ6508000000192000145399"),
        ("birth_number", ["706213/1234", "7062131234", Decimal(7062131234)], "7062131234"),
        ("person_name", ["Jan  Novák", " Jan\tNovák "], "Jan Novák"),
        ("postcode", ["110 00", "11000", 11000], "11000"),
        ("national_id", ["ab-123.456", "AB 123456"], "AB123456"),
        ("device_id", ["AA-BB", "aa-bb"], "aa-bb"),
        ("ip_address", ["2001:DB8::1", "2001:db8::1 "], "2001:db8::1"),
    ],
)  # fmt: skip
def test_spellings_of_one_value_have_one_text(classification: str, spellings: list[Any], text: str) -> None:
    assert {canonical(classification, spelling) for spelling in spellings} == {text}


@pytest.mark.parametrize("classification", sorted(CANONICAL))
@given(value=st.text(max_size=30))
@example(value="-\n0")
def test_a_canonical_text_is_its_own_canonical_text(classification: str, value: str) -> None:
    once = canonical(classification, value)
    if not once.startswith("00"):  # dropped separators can bring two more zeros to the front of a telephone number
        assert canonical(classification, once) == once


@pytest.mark.parametrize("classification", sorted(CANONICAL))
@given(value=st.text(max_size=12) | st.text("0aA+ -./()\t\u00a0é", max_size=8))
def test_what_is_taken_for_canonical_at_a_glance_is_canonical(classification: str, value: str) -> None:
    if re.fullmatch(unchanged_pattern(CANONICAL[classification]), value):
        assert canonical(classification, value) == value


@pytest.mark.parametrize(
    ("classification", "value"),
    [
        ("payment_card", "4111111111111111"),
        ("email", "jan@example.com"),
        ("phone", "+420601234567"),
        ("person_name", "Jan Novák"),
        ("iban", "CZ6508000000192000145399"),
        ("birth_date", "1984-02-29"),
    ],
)
def test_what_most_columns_hold_is_seen_to_be_canonical_at_a_glance(classification: str, value: str) -> None:
    assert re.fullmatch(unchanged_pattern(CANONICAL[classification]), value)


@pytest.mark.parametrize("value", [1.5, True, None, ["a"], b"a"])
def test_what_has_no_portable_text_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical("email", value)


def test_only_birth_dates_may_be_timestamps() -> None:
    assert [name for name in CANONICAL if "timestamp" in column_kinds(name)] == ["birth_date"]

"""What an event says, as canonical JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.governance.audit.canonical_json import canonical
from feature_platform.governance.audit.event import Actor, Column, Event, Origin, Refused, moment, plain_name

AT = datetime(2026, 7, 1, 6, 0, 0, 123, tzinfo=UTC)
EVENT = Event(
    action="query",
    decision="mask",
    object="query",
    at=AT,
    actor=Actor(human="ada", service="fp:sql"),
    origin=Origin(host="laptop", tool="fp:sql", version="1", process=7),
    columns=(Column(name="column_1", decision="mask", labels=("token(email, v1)",)),),
    refusals=(Refused(code="FP-SQL-020", place="<query>:1:8"),),
    counts={"b": 2, "a": 1},
)

JSON = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcXYZ_09", max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_canonical_json_reads_back_and_is_its_own_canonical_form(value: object) -> None:
    text = canonical(value)  # type: ignore[arg-type]
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize("value", [1.0, None, b"x", {1: "a"}, {"é": "a"}, [object()]])
def test_what_json_readers_do_not_agree_about_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "why"), [(2**53, "53 bits"), ("\ud800", "surrogates")])
def test_numbers_and_texts_that_lose_something_are_refused(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        canonical(value)  # type: ignore[arg-type]


def test_an_event_leaves_out_what_is_empty_and_keeps_microseconds() -> None:
    found = json.loads(EVENT.text())
    assert found["at"] == "2026-07-01T06:00:00.000123Z"
    assert found["columns"] == [{"decision": "mask", "labels": ["token(email, v1)"], "name": "column_1"}]
    assert found["counts"] == {"a": 1, "b": 2}
    assert "rows" not in found
    assert json.loads(replace(EVENT, rows=0).text())["rows"] == 0


def test_a_stamped_event_is_the_same_text_as_one_made_whole() -> None:
    stamp = EVENT.stamp()
    later = AT + timedelta(seconds=1)
    assert stamp.text(later, "p-1", 5) == replace(EVENT, at=later, request_id="p-1", rows=5).text()


def test_a_time_is_given_in_utc_and_never_without_a_zone() -> None:
    assert moment(datetime(2026, 7, 1, 8, tzinfo=timezone(timedelta(hours=2)))) == "2026-07-01T06:00:00.000000Z"
    with pytest.raises(ValueError, match="zone"):
        moment(datetime(2026, 7, 1))


@pytest.mark.parametrize("text", ["jan@example.com", "4111111111111111", "card_4111_1111_1111", "a'b", "Jan Novák", ""])
def test_a_chosen_name_that_could_be_somebodys_is_withheld(text: str) -> None:
    assert plain_name(text) == "(withheld)"


@pytest.mark.parametrize("text", ["amount_sum_30d", "card_spend:*", "fp:training-set", "analyst"])
def test_an_ordinary_name_is_kept(text: str) -> None:
    assert plain_name(text) == text

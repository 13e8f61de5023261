"""JSON means what Python's own reader says, with the place of every value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.errors import Location
from feature_platform.specs.json_reader import read_json


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return {key: _tuples(item) for key, item in value.items()} if isinstance(value, dict) else value


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abü", max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text("abü", min_size=1, max_size=4), _values), st.booleans(), st.sampled_from([None, 1, "\t"])
)
def test_it_reads_what_json_writes(value: dict[str, Any], ascii_only: bool, indent: int | str | None) -> None:
    raw = read_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent), "a.json")
    assert not raw.problems
    assert [document.value for document in raw.documents] == [_tuples(value)]


@given(st.text('{}[]:,"\\ \n01e.-truefalsn', max_size=24))
def test_it_accepts_nothing_that_json_refuses(text: str) -> None:
    raw = read_json(text, "a.json")
    try:
        json.loads(text)
    except ValueError:
        assert raw.problems
        assert not raw.complete or raw.problems[0].code == "FP-SPEC-010"


def test_a_list_holds_several_documents() -> None:
    documents = read_json('[{"a": 1},\n {"b": 2}]', "a.json").documents
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].origin.where("b") == Location("a.json", 2, 8)


def test_text_has_the_place_behind_its_quotation_mark() -> None:
    origin = read_json('{\n\t"a": "x"}', "a.json").documents[0].origin
    assert origin.where("a") == Location("a.json", 2, 8)
    assert origin.where_key("a") == Location("a.json", 2, 2)


@pytest.mark.parametrize("text", ["\ufeff{}", "{}x", "[{}]]", "'a'", "{,}", "[,]", "nul"])
def test_near_json_is_refused(text: str) -> None:
    assert read_json(text, "a.json").problems

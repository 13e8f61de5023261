"""What YAML means here, where values stand, and that nothing in it can do harm."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_platform.errors import Location
from feature_platform.specs.raw import RawDocument
from feature_platform.specs.yaml_reader import read_yaml


def _document(text: str) -> RawDocument:
    raw = read_yaml(text, "a.yaml")
    assert not raw.problems
    assert len(raw.documents) == 1
    return raw.documents[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1e3", -1000.0),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("+", "+"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31 06:00:00", "2026-01-31 06:00:00"),
        ('"5"', "5"),
        ("'true'", "true"),
        ("=", "="),
    ],
)
def test_a_plain_scalar_means_what_it_says(written: str, meant: Any) -> None:
    value = _document(f"value: {written}\n").value["value"]
    assert value == meant
    assert type(value) is type(meant)


def test_a_sequence_is_a_tuple() -> None:
    assert _document("a: [1, [x]]\nb:\n- y\n").value == {"a": (1, ("x",)), "b": ("y",)}


def test_every_field_has_the_place_of_its_value_and_of_its_name() -> None:
    origin = _document("kind: view\nlines:\n  - {name: 'x', size: 3}\n").origin
    assert origin.where("kind") == Location("a.yaml", 1, 7)
    assert origin.where("lines", 0, "name") == Location("a.yaml", 3, 13)
    assert origin.where("lines", 0, "size") == Location("a.yaml", 3, 23)
    assert origin.where_key("lines", 0, "size") == Location("a.yaml", 3, 17)


def test_a_field_that_was_not_written_has_the_place_of_its_nearest_ancestor() -> None:
    origin = _document("kind: view\nlines:\n  - {name: x}\n").origin
    assert origin.where("lines", 0, "size") == Location("a.yaml", 3, 5)
    assert origin.where("owner") == Location("a.yaml", 1, 1)


@pytest.mark.parametrize("header", ["|", "|-", "|+", "|2", "| # comment", ">"])
def test_a_block_begins_on_the_line_below_at_its_indentation(header: str) -> None:
    origin = _document(f"name: x\nsql: {header}\n  SELECT a\n  FROM b\n").origin
    assert origin.where("sql") == Location("a.yaml", 3, 3)


def test_a_place_inside_a_block_maps_to_the_file() -> None:
    text = "kind: x\nsql: |\n\n    SELECT a,\n      wrong\n    FROM b\n"
    document = _document(text)
    sql_line, sql_column = next(
        (number, row.index("wrong") + 1)
        for number, row in enumerate(document.value["sql"].splitlines(), 1)
        if "wrong" in row
    )
    place = document.origin.inside(sql_line, sql_column, "sql")
    assert text.splitlines()[place.line - 1][place.column - 1 :] == "wrong"


def test_the_block_of_a_list_item_keeps_its_place() -> None:
    origin = _document("lines:\n- sql: |\n    SELECT\n").origin
    assert origin.where("lines", 0, "sql") == Location("a.yaml", 3, 5)


def test_columns_count_characters_not_bytes() -> None:
    assert _document("{ü😀: x, b: y}\n").origin.where("b") == Location("a.yaml", 1, 12)


def test_windows_line_ends_do_not_move_places() -> None:
    origin = _document("a: 1\r\nsql: |\r\n  SELECT\r\nb: 2\r\n").origin
    assert (origin.where("sql").line, origin.where("b").line) == (3, 4)


def test_an_alias_stands_for_the_value_and_has_its_own_place() -> None:
    document = _document("a: &x {b: 1}\nc: *x\n")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.origin.where("c", "b") == Location("a.yaml", 2, 4)


def test_an_anchor_of_one_document_is_unknown_in_the_next() -> None:
    assert [problem.code for problem in read_yaml("a: &x 1\n---\na: *x\n", "a.yaml").problems] == ["FP-SPEC-015"]


def test_a_billion_laughs_are_refused_in_no_time() -> None:
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 15)]
    begin = time.perf_counter()
    problems = read_yaml("\n".join(lines), "a.yaml").problems
    assert [problem.code for problem in problems] == ["FP-SPEC-015"]
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_half_a_megabyte_of_brackets_is_refused_in_no_time(opening: str) -> None:
    begin = time.perf_counter()
    problems = read_yaml(opening * 125_000, "a.yaml").problems
    assert [problem.code for problem in problems][-1] == "FP-SPEC-016"
    assert time.perf_counter() - begin < 2


def test_documents_before_a_syntax_error_are_read() -> None:
    raw = read_yaml("a: 1\n---\nb: 2\n---\nc: [\n", "a.yaml")
    assert [document.value for document in raw.documents[:2]] == [{"a": 1}, {"b": 2}]
    assert not raw.complete


_words = st.text(alphabet="abz", min_size=1, max_size=4)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(alphabet="aß😀:#'\"\\\n -", max_size=8),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.dictionaries(_words, _values, min_size=1, max_size=4), st.booleans())
def test_what_another_writer_wrote_reads_the_same(value: dict[str, Any], flow: bool) -> None:
    import yaml

    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=flow, sort_keys=False)
    assert _document(text).value == value

"""Renderings for Doris: the text is kept in a file that people review; what it computes is checked in DuckDB, with
every call said as DuckDB has to be told.

``python -m tests.governance.test_doris`` renews the file. No Doris runs here: that its functions do what their
documentation says is taken from there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from feature_platform.governance.canonical import CANONICAL, canonical
from feature_platform.governance.transforms import BUILT_IN, TRANSFORMS, Transform, render_governed
from feature_platform.governance.transforms.doris import FUNCTIONS, rewritten
from tests.governance.test_transforms import VALUES, anything, near_days

_OURS = [transform for name, transform in TRANSFORMS.items() if name in BUILT_IN]
GOLDEN = Path(__file__).parent / "fixtures" / "transforms_doris.sql"

CALL = re.compile(r"([A-Za-z_0-9`.]+)\(")
KEY_WORDS = {"IN", "AND", "OR", "NOT", "WHEN", "THEN", "CASE", "BETWEEN", "DIV", "CAST", "ELSE"}
FORBIDDEN = {
    "pipes, which are OR": r"\|\|",
    "a cast that Doris' parser does not know": "::",
    "length, which counts bytes": r"(?i)(?<!char_)\blength\(",
    "trim, which takes one text": r"(?i)\bl?r?trim\(",
    "REGEXP, RLIKE and LIKE, which other engines match": r"(?i)\b(regexp|rlike|like)\b",
    "flags of regexp_replace": r"(?i)'g'\)",
    "functions of other engines": r"(?i)\b(regexp_matches|regexp_full_match|strlen|encode|sha256|try_cast|to_jsonb)\(",
    "unquoted names": r"[( ](value|at)\b",
    "FILTER and ordered aggregates": r"(?i)\bfilter\b|within group",
}
"""What Doris would take for something else or not at all."""


def without_texts(sql: str) -> str:
    return re.sub(r"'(?:[^'\\]|''|\\.)*'", "''", sql)


def call_of(transform: Transform, engine: Any) -> exp.Expression:
    arguments: list[exp.Expression] = [exp.column("value", quoted=True)]
    arguments += [exp.column(argument.name, quoted=True) for argument in transform.arguments]
    if transform.name == "token":
        arguments.insert(0, exp.Literal.string("email"))
    return render_governed(f"fp_{transform.name}", arguments, engine)


def golden() -> str:
    texts = (f"-- {each.signature}\n{call_of(each, 'doris').sql('doris')};\n" for each in _OURS)
    return "\n".join(texts)


def test_the_renderings_are_those_that_were_reviewed() -> None:
    assert GOLDEN.read_text(encoding="utf-8") == golden(), "renew: python -m tests.governance.test_doris"


@pytest.mark.parametrize("transform", _OURS, ids=lambda each: each.name)
def test_a_rendering_calls_only_functions_that_mean_the_same_in_doris(transform: Transform) -> None:
    text = without_texts(call_of(transform, "doris").sql("doris"))
    called = {name.lower() for name in CALL.findall(text) if name not in KEY_WORDS}
    assert called <= FUNCTIONS | {"`fp_tokens`.token"}
    assert not {what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)}


def test_backslashes_of_patterns_are_doubled_since_doris_takes_them_for_escapes() -> None:
    for text in re.findall(r"'((?:[^'\\]|''|\\.)*)'", golden()):
        assert not re.search(r"(?<!\\)(\\\\)*\\(?!\\)", text.replace("\\\\", "")), text


def test_a_token_is_made_by_name_and_no_key_is_in_the_text() -> None:
    text = call_of(TRANSFORMS["token"], "doris").sql("doris")
    assert text.startswith("`fp_tokens`.token('email', ")
    assert "KEY" not in text.upper().replace("TOKEN", "")


@pytest.mark.parametrize(
    "node",
    [
        exp.Anonymous(this="strlen", expressions=[exp.column("x")]),
        exp.Anonymous(this="trim", expressions=[exp.column("x"), exp.Literal.string("x")]),
        exp.Anonymous(this="regexp_replace", expressions=[exp.column("x"), *map(exp.Literal.string, "abi")]),
        exp.TryCast(this=exp.column("x"), to=exp.DataType.build("int")),
        exp.Like(this=exp.column("x"), expression=exp.Literal.string("%")),
    ],
)
def test_what_is_not_known_to_mean_the_same_is_not_rendered(node: exp.Expression) -> None:
    with pytest.raises(ValueError, match="Doris"):
        rewritten(exp.paren(node))


def as_duckdb_says_it(tree: exp.Expression) -> exp.Expression:
    """Doris' functions by DuckDB's: NULL in ``concat``, every match of ``regexp_replace``, lengths in characters."""

    def said(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Anonymous):
            return node
        name, args = str(node.this).lower(), [argument.transform(said) for argument in node.expressions]
        if name == "concat":
            joined = args[0]
            for argument in args[1:]:
                joined = exp.DPipe(this=joined, expression=argument)
            return exp.paren(joined, copy=False)
        if name == "regexp_replace":
            args.append(exp.Literal.string("g"))
        return exp.Anonymous(this={"char_length": "length"}.get(name, name), expressions=args)

    return tree.transform(said)


@pytest.fixture(scope="module")
def connection() -> Any:
    return duckdb.connect(config={"threads": 1})


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_rendering_computes_what_python_computes(name: str, connection: Any) -> None:
    transform = TRANSFORMS[name]
    text = as_duckdb_says_it(call_of(transform, "doris")).sql("duckdb")
    strategy = st.tuples(
        st.none() | st.just("") | VALUES[name] | anything, *[st.none() | near_days for _ in transform.arguments]
    )

    @settings(max_examples=10, deadline=None)
    @given(st.lists(strategy, min_size=1, max_size=30))
    def check(rows: list[tuple[Any, ...]]) -> None:
        columns = {"value": pa.array([row[0] for row in rows], pa.string())}
        columns |= {each.name: pa.array([row[1] for row in rows], pa.date32()) for each in transform.arguments}
        connection.register("given_rows", pa.table(columns))
        found = [row[0] for row in connection.execute(f"SELECT {text} FROM given_rows").fetchall()]
        assert found == [transform.python(*row) for row in rows]

    check()


@pytest.mark.parametrize("classification", sorted(CANONICAL))
def test_the_text_of_a_token_is_the_canonical_one(classification: str, connection: Any) -> None:
    call = render_governed("fp_token", [exp.Literal.string(classification), exp.column("value")], "doris")
    text = as_duckdb_says_it(call.expression.expressions[1]).sql("duckdb")

    @settings(max_examples=10, deadline=None)
    @given(st.lists(anything | st.text(" \t\u00a0-./()0aA", max_size=8), min_size=1, max_size=20))
    def check(values: list[str]) -> None:
        connection.register("given_rows", pa.table({"value": pa.array(values, pa.string())}))
        found = [row[0] for row in connection.execute(f"SELECT {text} FROM given_rows").fetchall()]
        assert found == [canonical(classification, value) for value in values]

    check()


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(golden(), encoding="utf-8")

"""The linter: every text that the compiler makes passes, every mutant of one is caught, without the renderer's help."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_platform.compiler.doris.functions import NO_FORM, NO_FORM_FAMILIES, TEMPLATES
from feature_platform.compiler.doris.lint import Abilities, checked, problems
from feature_platform.compiler.doris.lint_lists import DENIED, FUNCTIONS, KEYWORDS
from feature_platform.compiler.doris.special import SPECIAL
from feature_platform.compiler.doris.tokens import laid_out, tokens
from feature_platform.compiler.functions import duckdb, lists, maps
from feature_platform.compiler.functions.catalogue import CATALOGUE
from feature_platform.errors import CompileError
from tests.compiler.doris.golden import FOLDER, texts

GOLDEN = {path.name: path.read_bytes().decode() for path in Path(FOLDER).glob("*.sql")}
"""As kept: what a test here says is what is made, which takes a while."""
QUERIES = {name: text for name, text in GOLDEN.items() if name != "functions.sql"}

MUTANTS: list[tuple[str, str, str]] = [
    ("SELECT `a` FROM `t`", "SELECT `a` FROM `t` QUALIFY `a` = 1", "QUALIFY"),
    ("FROM `t`", "FROM `t`, LATERAL (SELECT 1 AS `x`) AS `u`", "LATERAL"),
    ("SUM(`a`)", "SUM(`a`) FILTER (WHERE `a` > 0)", "FILTER"),
    ("SUM(`a`)", "PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY `a` ASC NULLS LAST)", "WITHIN"),
    (
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
        "RANGE BETWEEN INTERVAL 7 DAY PRECEDING AND CURRENT ROW",
        "RANGE",
    ),
    ("ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "RANGE BETWEEN 7 PRECEDING AND CURRENT ROW", "RANGE"),
    ("ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "RANGE BETWEEN CURRENT ROW AND CURRENT ROW", "RANGE"),
    ("ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "ROWS UNBOUNDED PRECEDING", "ROWS"),
    ("ROWS BETWEEN UNBOUNDED PRECEDING", "GROUPS BETWEEN UNBOUNDED PRECEDING", "GROUPS"),
    ("AND CURRENT ROW", "AND CURRENT ROW EXCLUDE CURRENT ROW", "EXCLUDE"),
    ("LAST_VALUE(`a`)", "LAST_VALUE(`a`) IGNORE NULLS", "IGNORE"),
    ("LAST_VALUE(`a`)", "LAST_VALUE(`a` IGNORE NULLS)", "IGNORE"),
    ("LAST_VALUE(`a`)", "LAG(`a`)", "LAG"),
    ("LAST_VALUE(`a`)", "LAG(`a`, 1)", "LAG"),
    (
        "LAST_VALUE(`a`) OVER (PARTITION BY `k`",
        "LAST_VALUE(`a`) OVER `w` AS `n`, SUM(`a`) OVER (PARTITION BY `k`",
        "OVER",
    ),
    ("GROUP BY `k`", "GROUP BY ALL", "GROUP BY ALL"),
    ("FROM `t`", "FROM UNNEST(`t`.`a`) AS `u`", "UNNEST"),
    ("INNER JOIN", "SEMI JOIN", "SEMI"),
    ("INNER JOIN", "ANTI JOIN", "ANTI"),
    ("INNER JOIN", "NATURAL JOIN", "NATURAL"),
    ("INNER JOIN", "POSITIONAL JOIN", "POSITIONAL"),
    ("INNER JOIN", "ASOF JOIN", "ASOF"),
    ("INNER JOIN", "ASOF LEFT JOIN", "MATCH_CONDITION"),
    ("ON `u`.`k` = `t`.`k`", "USING (`k`)", "USING"),
    ("1 AS `one`", "{'a': 1} AS `one`", "{"),
    ("1 AS `one`", "STRUCT(1) AS `one`", "STRUCT"),
    ("1 AS `one`", "`a`[1] AS `one`", "["),
    ("1 AS `one`", "`a`::INT AS `one`", "::"),
    ("1 AS `one`", "`a` || 'x' AS `one`", "||"),
    ("1 AS `one`", "`a`->>'x' AS `one`", "->>"),
    ("1 AS `one`", '"a" AS `one`', '"'),
    ("1 AS `one`", "load AS `one`", "back-quotes"),
    ("1 AS `one`", "1 AS one", "type ONE"),
    ("1 AS `one`", "`a` AT TIME ZONE 'UTC' AS `one`", "AT TIME ZONE"),
    ("1 AS `one`", "CAST(`a` AS DATETIME) AS `one`", "DATETIME"),
    ("1 AS `one`", "CAST(`a` AS DATETIME(3)) AS `one`", "DATETIME"),
    ("1 AS `one`", "CAST(`a` AS TIMESTAMP) AS `one`", "TIMESTAMP"),
    ("1 AS `one`", "CAST(`a` AS DECIMAL) AS `one`", "DECIMAL"),
    ("1 AS `one`", "CAST(`a` AS DECIMAL(9)) AS `one`", "DECIMAL"),
    ("1 AS `one`", "CAST(`a` AS ARRAY<DATETIME>) AS `one`", "DATETIME"),
    ("1 AS `one`", "CAST(`a` AS HUGEINT) AS `one`", "HUGEINT"),
    ("1 AS `one`", "INTERVAL 1 DAY AS `one`", "INTERVAL"),
    ("1 AS `one`", "LENGTH(`a`) AS `one`", "LENGTH"),
    ("1 AS `one`", "LOG(`a`) AS `one`", "LOG"),
    ("1 AS `one`", "STDDEV(`a`) AS `one`", "STDDEV"),
    ("1 AS `one`", "WEEK(`a`) AS `one`", "WEEK"),
    ("1 AS `one`", "JSON_EXTRACT(`a`, '$.b') AS `one`", "JSON_EXTRACT"),
    ("1 AS `one`", "COLLECT_LIST(`a` ORDER BY `b` ASC NULLS LAST) AS `one`", "COLLECT_LIST"),
    ("1 AS `one`", "SUM(`a` ORDER BY `b` ASC NULLS LAST) AS `one`", "order inside"),
    ("1 AS `one`", "DATEDIFF('day', `a`, `b`) AS `one`", "DATEDIFF"),
    ("1 AS `one`", "DATE_TRUNC('day', `a`) AS `one`", "DATE_TRUNC"),
    ("1 AS `one`", "NOW() AS `one`", "NOW"),
    ("1 AS `one`", "EVIL(`a`) AS `one`", "EVIL"),
    ("1 AS `one`", "`db`.`udf`(`a`) AS `one`", "not the platform's"),
    ("1 AS `one`", "`a` RLIKE 'x' AS `one`", "RLIKE"),
    ("1 AS `one`", "`a` > ALL (SELECT 1 AS `x`) AS `one`", "ALL"),
    ("1 AS `one`", "AES_ENCRYPT(`a`, 'key') AS `one`", "key"),
    ("1 AS `one`", "'it\\'s' AS `one`", "backslash"),
    ("1 AS `one`", "* ", "star"),
    ("1 AS `one`", "`t`.* ", "star"),
    ("1 AS `one`", "ROW_NUMBER() AS `one`", "without OVER"),
    ("1 AS `one`", "COALESCE() AS `one`", "0 arguments"),
    ("ASC NULLS LAST", "ASC", "NULLS"),
    ("ASC NULLS LAST", "", "NULLS"),
    (") AS `u`", ")", "without a name"),
    ("SELECT `k`", "INSERT INTO `x` SELECT `k`", "no query"),
    ("SELECT `k`", "/* hint */ SELECT `k`", "comment"),
    ("GROUP BY `k`", "GROUP BY `k` -- all", "comment"),
    ("GROUP BY `k`", "GROUP BY `k`; DROP TABLE `t`", "one statement"),
    ("GROUP BY `k`", "GROUP BY `k` ON CONFLICT", "CONFLICT"),
    ("GROUP BY `k`", "GROUP BY `k` OFFSET 1", "OFFSET"),
    ("GROUP BY `k`", "GROUP BY `k`)", "brackets"),
]
"""(what is there, what stands in its place, a word of the complaint)."""

BASE = (
    "SELECT `k`, 1 AS `one`, SUM(`a`) AS `s`, LAST_VALUE(`a`) OVER (PARTITION BY `k` ORDER BY `q` ASC NULLS LAST "
    "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS `l` FROM `t` INNER JOIN (SELECT `k` FROM `v`) AS `u` "
    "ON `u`.`k` = `t`.`k` GROUP BY `k`"
)


def test_the_files_for_review_are_what_is_made() -> None:
    assert texts() == GOLDEN, "renew: python -m tests.compiler.doris.golden, and read what has changed"


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_text_passes_and_reads_the_same_laid_out(name: str) -> None:
    assert problems(QUERIES[name]) == []
    assert [each.text for each in tokens(laid_out(QUERIES[name]))] == [each.text for each in tokens(QUERIES[name])]


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_another_parser_of_doris_reads_every_text(name: str) -> None:
    assert sqlglot.parse_one(QUERIES[name], read="doris") is not None


@pytest.mark.parametrize(("there", "mutant", "word"), MUTANTS)
def test_a_mutant_is_caught(there: str, mutant: str, word: str) -> None:
    assert problems(BASE) == []
    base = BASE if there in BASE else there
    text = base.replace(there, mutant, 1)
    assert text != base
    found = problems(text)
    assert any(word in each for each in found), found
    with pytest.raises(CompileError, match="FP-SQL-050"):
        checked(text)


@pytest.mark.parametrize("word", sorted(DENIED.keys() - FUNCTIONS.keys()))
def test_a_denied_word_is_caught_wherever_it_stands(word: str) -> None:
    text = QUERIES["example_card_habits.sql"]
    words = [token for token in tokens(text) if token.word in ("WHERE", "FROM", "AND")]
    for token in (words[0], words[len(words) // 2], words[-1]):
        assert problems(f"{text[: token.start]}{word} {text[token.start :]}")


@settings(max_examples=60, deadline=None)
@given(word=st.from_regex(r"[A-Za-z_]{3,12}", fullmatch=True), place=st.integers(0, 200))
def test_an_unknown_word_is_caught_wherever_it_stands(word: str, place: int) -> None:
    if word.upper() in KEYWORDS or word.upper() in FUNCTIONS:
        return
    found = tokens(BASE)
    at = found[place % len(found)].start
    assert problems(f"{BASE[:at]} {word} {BASE[at:]}")


def test_asof_joins_need_a_doris_that_has_them_and_a_condition() -> None:
    text = "SELECT `p`.`k` FROM `p` ASOF LEFT JOIN `r` MATCH_CONDITION(`p`.`q` >= `r`.`e`) ON `p`.`k` = `r`.`k`"
    assert problems(text) == ["ASOF JOIN, which this Doris does not have"]
    assert problems(text, Abilities(asof=True)) == []
    assert problems(text.replace("MATCH_CONDITION(`p`.`q` >= `r`.`e`) ", ""), Abilities(asof=True))
    assert problems(text.replace("ASOF LEFT JOIN", "ASOF JOIN"), Abilities(asof=True))


def test_every_function_has_a_form_or_a_reason_why_not() -> None:
    """Families that DuckDB alone has need no reason each; where all engines have one, Doris has, or says what to do."""
    families = {"lists": lists, "maps": maps, "duckdb": duckdb}
    without = {each.name for family in NO_FORM_FAMILIES for each in families[family].FUNCTIONS}
    undecided = [
        (name, signature.key)
        for name, function in CATALOGUE.items()
        for signature in function.signatures
        if name not in without
        and signature.key not in TEMPLATES.get(name, {})
        and (name, signature.key) not in SPECIAL
        and (name, signature.key) not in NO_FORM
        and name != "string_agg"
    ]
    assert undecided == []
    unknown = [name for name in TEMPLATES if name not in CATALOGUE]
    assert unknown == []


def test_templates_call_functions_of_the_linters_list_alone() -> None:
    called = {
        word.upper()
        for forms in TEMPLATES.values()
        for template in forms.values()
        for word in re.findall(r"([A-Z_][A-Z0-9_]*)\(", template)
    }
    assert called - {"DECIMAL", "DATETIME"} <= FUNCTIONS.keys()

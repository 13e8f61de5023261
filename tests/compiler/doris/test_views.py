"""Queries of views for Doris: made when asked for, refused at their place, the other engines' texts untouched."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run

import pytest

from feature_platform.compiler.doris.views import doris_query
from feature_platform.compiler.project import compile_project
from feature_platform.errors import CompileError, GuardError
from tests.compiler.event_project import VARIANTS, project, source_yaml
from tests.compiler.sql_catalogs import catalog, guarded, source

LACKING = """
kind: feature_view
name: latest
entity: card
event_time: happened
sql: |
  SELECT card, happened,
    max(label) OVER (PARTITION BY card ORDER BY happened RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT ROW) AS top,
    split_part(label, '--', 1) AS head
  FROM corrected
---
kind: feature_view
name: long_lists
entity: card
source: corrected
aggregations:
  - {function: last_k, column: label, k: 500, windows: [1d]}
  - {function: count, windows: [1d]}
"""


def test_what_doris_lacks_is_told_all_at_once_where_it_stands(tmp_path: Path) -> None:
    registry = project(tmp_path, source_yaml("corrected", VARIANTS["corrected"]), LACKING)
    compiled = compile_project(registry)
    with pytest.raises(GuardError) as refused:
        doris_query("latest", registry, compiled)
    places = [(problem.code, problem.where.line if problem.where else 0) for problem in refused.value.problems]
    start = registry.views["latest"].origin.where("sql").line
    assert places == [("FP-SQL-051", start + 1), ("FP-SQL-051", start + 2)]
    assert all(problem.mend for problem in refused.value.problems)
    with pytest.raises(CompileError, match="lists of more than 100 values") as too_long:
        doris_query("long_lists", registry, compiled)
    assert [problem.where for problem in too_long.value.problems] == [
        registry.views["long_lists"].origin.where("aggregations", 0)
    ]


def test_a_view_that_doris_has_keeps_its_columns_and_parameters(tmp_path: Path) -> None:
    view = "kind: feature_view\nname: counts\nentity: card\nsource: corrected\n"
    view += "materialization: {schedule: '@daily', start: 2024-01-01}\n"
    view += "aggregations:\n  - {function: count, windows: [1d]}"
    registry = project(tmp_path, source_yaml("corrected", VARIANTS["corrected"]), view)
    compiled = compile_project(registry)
    ours = compiled.views["counts"].materialize
    assert ours is not None
    assert "doris" not in ours.sql
    query = doris_query("counts", registry, compiled)
    assert list(query.sql) == ["doris"]
    assert (query.columns, query.parameters, query.reads) == (ours.columns, ours.parameters, ours.reads)
    assert "$partition_end" in query.sql["doris"]


@pytest.mark.parametrize(
    "text",
    ["SELECT `a` FROM t", "SELECT 'a' || s FROM t", "SELECT 'it''s a \\ in 100%' AS x FROM t"],
)
def test_texts_and_names_of_authors_are_quoted_as_doris_reads_them(text: str) -> None:
    table = source("t", a="bigint", s="string")
    if "`" in text:
        with pytest.raises(GuardError):
            guarded(text, over=catalog(table))
        return
    found = guarded(text, over=catalog(table)).sql("doris")
    assert "||" not in found
    if "\\" in text:
        assert r"'it''s a \\ in 100%'" in found


def test_compiling_a_project_loads_nothing_of_doris() -> None:
    example = Path(__file__).parents[3] / "feature_defs"
    program = (
        "import sys; from pathlib import Path; from feature_platform.registry.load import load_registry;"
        "from feature_platform.compiler.project import compile_project;"
        f"compile_project(load_registry(Path({str(example)!r})));"
        "print([name for name in sys.modules if name.startswith('feature_platform.compiler.doris')])"
    )
    found = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

"""Derived features: names, types, labels, and the same values at request time as in a training set."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from feature_platform.compiler.aggregations import compile_aggregations
from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.derived import compile_derived
from feature_platform.compiler.plan import CompiledView
from feature_platform.errors import CompileError
from feature_platform.governance.access import author_of
from tests.compiler.event_project import VARIANTS, project, source_yaml

INPUTS = """
kind: feature_view
name: spend
entity: card
source: corrected
aggregations:
  - {function: sum, column: amount, windows: [1h]}
  - {function: count, windows: [1h]}
---
kind: feature_view
name: marks
entity: card
source: corrected
aggregations:
  - {function: count, windows: [1h]}
  - {function: last, column: label, windows: [1h]}
"""


def compiled(folder: Path, *expressions: str, request: str = "{asked: bigint}", rest: str = "") -> CompiledView:
    """A view ``d`` with features ``f0``, ``f1`` … of these expressions."""
    lines = "\n".join(f'  - {{name: f{number}, expression: "{text}"}}' for number, text in enumerate(expressions))
    head = f"kind: feature_view\nname: d\nentity: card\ninputs: [spend, marks]\nrequest: {request}\n{rest}"
    view = f"{head}\nderived:\n{lines}"
    registry = project(folder, source_yaml("corrected", VARIANTS["corrected"]), INPUTS, view)
    catalog, author = catalog_of(registry, {}), author_of(registry)
    inputs = ("spend", "marks")
    views = {name: compile_aggregations(registry.views[name], registry, catalog, author) for name in inputs}
    return compile_derived(registry.views["d"], registry, views, catalog_of(registry, views), author)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("CREATE SCHEMA inputs")
        yield opened


def derive(connection: duckdb.DuckDBPyConnection, view: CompiledView, **columns: pa.Array) -> list[tuple[Any, ...]]:
    """What a request with these columns of inputs gives."""
    assert view.derive is not None
    rows = pa.table({"fp_row": pa.array(range(len(next(iter(columns.values())))), pa.int64()), **columns})
    connection.register("given", rows)
    connection.execute('CREATE OR REPLACE VIEW inputs."rows" AS SELECT * FROM given')
    return connection.execute(view.derive.sql["duckdb"]).fetchall()


def test_an_expression_reads_features_by_name_and_by_view_and_request_columns(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    view = compiled(tmp_path, "amount_sum_1h / spend.count_1h", "Asked + marks.count_1h", "label_last_1h IS NULL")
    found = derive(
        connection,
        view,
        spend__amount_sum_1h=pa.array([Decimal(5), None], pa.decimal128(38, 2)),
        spend__count_1h=pa.array([2, 0], pa.int64()),
        marks__count_1h=pa.array([1, 0], pa.int64()),
        marks__label_last_1h=pa.array(["x", None]),
        asked=pa.array([10, 20], pa.int64()),
    )
    assert found == [(0, 2.5, 11, False), (1, None, 20, True)]


def test_features_have_types_and_lineage_to_the_features_that_they_are_made_of(tmp_path: Path) -> None:
    view = compiled(tmp_path, "CASE WHEN marks.count_1h > 0 THEN amount_sum_1h END", "asked * 2")
    first, second = (feature.column for feature in view.features)
    assert str(first.type) == "decimal(38,2)"
    assert [str(ref) for ref in first.direct] == ["spend.amount_sum_1h"]
    assert [str(ref) for ref in first.indirect] == ["marks.count_1h"]
    assert not second.direct | second.indirect


def test_rows_come_back_in_their_order(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    view = compiled(tmp_path, "asked")
    found = derive(connection, view, asked=pa.array(range(5_000), pa.int64()))
    assert found == [(number, number) for number in range(5_000)]


@pytest.mark.parametrize(
    ("expression", "code", "says"),
    [
        ("amount_sum_2h", "FP-AGG-020", "Did you mean 'amount_sum_1h'?"),
        ("count_1h + 1", "FP-AGG-021", "write spend.count_1h or marks.count_1h"),
        ("sum(amount_sum_1h)", "FP-AGG-023", "more than one row"),
        ("(SELECT 1)", "FP-AGG-023", "more than one row"),
        ("read_text(label_last_1h)", "FP-SQL-011", "read_text"),
        ("now()", "FP-SQL-012", "now"),
    ],
)
def test_what_an_expression_may_not_say_is_told_at_its_line(
    tmp_path: Path, expression: str, code: str, says: str
) -> None:
    with pytest.raises(CompileError) as error:
        compiled(tmp_path, "asked", expression)
    written = (tmp_path / "sales" / "all.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(written, 1) if "name: f1" in text)
    assert [(problem.code, problem.where and problem.where.line) for problem in error.value.problems] == [(code, line)]
    assert says in str(error.value)


def test_problems_of_all_expressions_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as error:
        compiled(tmp_path, "nothing", "count_1h", "asked")
    assert [problem.code for problem in error.value.problems] == ["FP-AGG-020", "FP-AGG-021"]


def test_a_request_column_with_the_name_of_a_feature_is_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as error:
        compiled(tmp_path, "amount_sum_1h", request="{amount_sum_1h: bigint}")
    assert error.value.code == "FP-AGG-022"


def test_a_promised_type_has_to_be_that_of_the_expression(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="its contract says double"):
        compiled(tmp_path, "asked", rest="features: {f0: {type: double}}")

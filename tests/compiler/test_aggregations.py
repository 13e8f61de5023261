"""What an aggregation view compiles to: types, labels, lineage, partitions; and what is refused, with its place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from feature_platform.compiler.aggregations import compile_aggregations
from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.plan import CompiledView, Reach
from feature_platform.errors import CompileError, FeaturePlatformError
from feature_platform.governance.access import author_of
from feature_platform.types import STRING
from tests.compiler.event_project import VARIANTS, project, source_yaml

PRIVATE = """
kind: policy
name: privacy
owner: privacy@example.com
rules:
  - {classification: payment_card, action: token, transforms: [last4]}
---
kind: entity
name: paying_card
keys: [{name: number, type: string, pii: payment_card}]
---
kind: source
name: payments
table: payments
event_time: paid_at
key: [id]
columns:
  id: {type: bigint}
  number: {type: string, pii: payment_card}
  owner: {type: string, pii: person_name}
  paid_at: {type: timestamp}
  amount: {type: "decimal(18,2)"}
"""


def compiled(folder: Path, aggregations: str, *, rest: str = "", source: str = "corrected") -> CompiledView:
    """A view ``v`` of cards with these lines over the events."""
    view = f"kind: feature_view\nname: v\nentity: card\nsource: {source}\n{rest}\naggregations:\n{aggregations}"
    registry = project(folder, source_yaml(source, VARIANTS[source]), view)
    return compile_aggregations(registry.views["v"], registry, catalog_of(registry, {}), author_of(registry))


def compiled_private(folder: Path, aggregations: str) -> CompiledView:
    """A view ``v`` of paying cards, whose key is personal."""
    view = f"kind: feature_view\nname: v\nentity: paying_card\nsource: payments\naggregations:\n{aggregations}"
    registry = project(folder, PRIVATE, view)
    return compile_aggregations(registry.views["v"], registry, catalog_of(registry, {}), author_of(registry))


def refusals(error: pytest.ExceptionInfo[CompileError]) -> list[tuple[str, int]]:
    """Code and line of each problem."""
    return [(problem.code, problem.where.line if problem.where else 0) for problem in error.value.problems]


@pytest.mark.parametrize(
    ("line", "of"),
    [
        ("{function: count, windows: [1h]}", "bigint"),
        ("{function: count_distinct, column: label, windows: [1h]}", "bigint"),
        ("{function: sum, column: amount, windows: [1h]}", "decimal(38,2)"),
        ("{function: sum, column: units, windows: [1h]}", "decimal(38,0)"),
        ("{function: sum, column: score, windows: [1h]}", "double"),
        ("{function: avg, column: amount, windows: [1h]}", "double"),
        ("{function: stddev, column: units, windows: [1h]}", "double"),
        ("{function: min, column: amount, windows: [1h]}", "decimal(20,2)"),
        ("{function: max, column: seen_on, windows: [1h]}", "date"),
        ("{function: last, column: flag, windows: [1h]}", "boolean"),
        ("{function: time_since_last, windows: [all]}", "double"),
        ("{function: count, group: label, windows: [1h]}", "map<string, bigint>"),
        ("{function: sum, column: amount, group: flag, windows: [1h]}", "map<boolean, decimal(38,2)>"),
        ("{function: last, column: seen_on, group: shop, windows: [1h]}", "map<bigint, date>"),
        ("{function: histogram, column: seen_on, windows: [1h]}", "map<date, bigint>"),
        ("{function: histogram, column: score, bins: [0, 0.5], windows: [1h]}", "map<double, bigint>"),
    ],
)
def test_a_feature_has_the_type_of_its_function(tmp_path: Path, line: str, of: str) -> None:
    assert [str(feature.column.type) for feature in compiled(tmp_path, f"  - {line}").features] == [of]


def test_a_published_row_has_keys_then_times_then_features_in_the_order_written(tmp_path: Path) -> None:
    view = compiled(
        tmp_path, "  - {function: max, column: amount, windows: [30d, 1h]}\n  - {function: count, windows: [1h]}"
    )
    names = ["card", "event_time", "available_at", "amount_max_30d", "amount_max_1h", "count_1h"]
    assert [column.name for column in view.schema.columns] == names


def test_an_entity_without_events_gets_zero_the_default_or_nothing(tmp_path: Path) -> None:
    view = compiled(
        tmp_path,
        "  - {function: count, windows: [1h]}\n"
        "  - {function: sum, column: amount, windows: [1h], default: 0.50}\n"
        "  - {function: avg, column: amount, windows: [1h]}\n"
        "  - {function: count, group: label, windows: [1h]}",
    )
    assert [feature.empty for feature in view.features] == [0, Decimal("0.5"), None, None]


def test_lineage_tells_values_from_what_decides_which_events_count(tmp_path: Path) -> None:
    view = compiled(tmp_path, '  - {function: sum, column: amount, windows: [1h], where: "flag"}')
    column = view.features[0].column
    assert {str(ref) for ref in column.direct} == {"corrected.amount"}
    assert {str(ref) for ref in column.indirect} == {
        f"corrected.{name}" for name in ("card", "happened", "told", "id", "part", "flag")
    }


def test_a_map_comes_from_its_keys_and_its_values(tmp_path: Path) -> None:
    view = compiled(tmp_path, "  - {function: sum, column: amount, group: label, windows: [1h]}")
    column = view.features[0].column
    assert (column.name, {str(ref) for ref in column.direct}) == (
        "amount_sum_by_label_1h",
        {"corrected.amount", "corrected.label"},
    )


def test_keys_that_are_personal_are_tokens_and_say_so(tmp_path: Path) -> None:
    view = compiled_private(
        tmp_path,
        "  - {function: sum, column: amount, group: number, windows: [1h]}\n"
        "  - {function: histogram, column: number, windows: [1h]}",
    )
    assert [[*map(str, feature.column.labels)] for feature in view.features] == [["token(payment_card, v1)"]] * 2
    assert [str(feature.column.type) for feature in view.features] == [
        "map<string, decimal(38,2)>",
        "map<string, bigint>",
    ]


def test_a_denied_column_is_no_key_either(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as error:
        compiled_private(tmp_path, "  - {function: count, group: owner, windows: [1h]}")
    written = (tmp_path / "sales" / "all.yaml").read_text().splitlines()
    assert refusals(error) == [("FP-SQL-020", next(n for n, line in enumerate(written, 1) if "group: owner" in line))]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("function: count, group: score", "FP-REG-013"),
        ("function: count, group: no_such", "FP-REG-010"),
        ("function: histogram, column: score", "FP-REG-013"),
        ("function: histogram, column: label, bins: [0]", "FP-REG-013"),
        ("function: histogram, column: units, bins: [0, 0.5]", "FP-AGG-001"),
        ("function: histogram, column: amount, bins: [0.001]", "FP-AGG-001"),
    ],
)
def test_what_can_be_no_key_of_a_map_is_refused(tmp_path: Path, line: str, code: str) -> None:
    with pytest.raises(FeaturePlatformError) as error:
        compiled(tmp_path, f"  - {{{line}, windows: [1h]}}")
    assert error.value.code == code


def test_the_source_is_read_back_to_the_longest_window_of_a_map(tmp_path: Path) -> None:
    view = compiled(tmp_path, "  - {function: count, group: label, windows: [1h, 2d]}", source="plain")
    assert view.materialize is not None
    bound = "e.fp_t >= CAST($as_of AS TIMESTAMP) - INTERVAL '172800000000 microseconds'"
    assert all(bound in sql for sql in view.materialize.sql.values())


@pytest.mark.parametrize(
    ("materialization", "partitioned", "parameter"),
    [
        ("{schedule: '@hourly', start: 2024-01-01}", "hour", "partition_end"),
        ("{schedule: '0 0 * * *', start: 2024-01-01}", "day", "partition_end"),
        ("{schedule: '@weekly'}", None, "as_of"),
        ("{schedule: '@daily', partition: none}", None, "as_of"),
        ("{}", None, "as_of"),
    ],
)
def test_partitions_follow_the_schedule(tmp_path: Path, materialization: str, partitioned: str, parameter: str) -> None:
    view = compiled(tmp_path, "  - {function: count, windows: [1h]}", rest=f"materialization: {materialization}")
    assert view.materialize is not None
    assert (view.partitioned, view.materialize.parameters) == (partitioned, (parameter,))


def test_the_source_is_read_back_to_the_longest_window(tmp_path: Path) -> None:
    view = compiled(tmp_path, "  - {function: count, windows: [1h, 2d]}", source="plain")
    assert view.materialize is not None
    bound = "e.fp_t >= CAST($as_of AS TIMESTAMP) - INTERVAL '172800000000 microseconds'"
    assert all(bound in sql for sql in view.materialize.sql.values())


@pytest.mark.parametrize(
    ("source", "windows", "reach"),
    [
        ("plain", "[1h, 2d]", Reach("happened", "as_of", 48 * 3_600_000_000, "as_of")),
        ("plain", "[1h, all]", Reach("happened", "as_of", None, "as_of")),
        ("repeated", "[1h]", Reach("happened", "as_of", 3_600_000_000, "as_of")),
        ("late", "[1h]", Reach("happened", "as_of", 3_600_000_000, "as_of")),
        # A correction may carry any time.
        ("corrected", "[1h]", None),
        ("daily", "[1h]", None),
    ],
)
def test_only_events_within_reach_matter(tmp_path: Path, source: str, windows: str, reach: Reach | None) -> None:
    view = compiled(tmp_path, f"  - {{function: count, windows: {windows}}}", source=source)
    assert view.materialize is not None
    assert view.materialize.reach == reach


def test_accuracy_is_part_of_what_a_view_is(tmp_path: Path) -> None:
    line, rest = "  - {function: count, windows: [1h]}", "materialization: {schedule: '@daily', start: 2024-01-01}"
    exact = compiled(tmp_path / "exact", line, rest=rest)
    snapshot = compiled(tmp_path / "snapshot", line, rest=f"accuracy: snapshot\n{rest}")
    assert exact.fingerprint != snapshot.fingerprint


def test_a_personal_key_is_a_token_outside(tmp_path: Path) -> None:
    view = compiled_private(tmp_path, "  - {function: sum, column: amount, windows: [1h]}")
    assert [(key.name, key.type) for key in view.keys] == [("number", STRING)]
    assert "token(payment_card" in str([*map(str, view.materialize.columns[0].labels)] if view.materialize else "")
    assert view.features[0].column.labels == frozenset()


def test_many_tokens_in_one_number_are_labelled_aggregated(tmp_path: Path) -> None:
    view = compiled_private(tmp_path, "  - {function: count_distinct, column: number, windows: [1h]}")
    assert [*map(str, view.features[0].column.labels)] == ["aggregated(payment_card)"]


def test_the_last_token_is_a_token_still(tmp_path: Path) -> None:
    view = compiled_private(tmp_path, "  - {function: last, column: number, windows: [1h]}")
    assert [*map(str, view.features[0].column.labels)] == ["token(payment_card, v1)"]


def test_the_order_of_tokens_means_nothing(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as error:
        compiled_private(tmp_path, "  - {function: max, column: number, windows: [1h]}")
    assert error.value.code == "FP-AGG-001"


def test_a_denied_column_is_told_at_its_line_with_all_other_problems(tmp_path: Path) -> None:
    lines = (
        "  - {function: count, windows: [1h]}\n"
        "  - {function: count_distinct, column: owner, windows: [1h]}\n"
        '  - {function: count, windows: [1d], where: "no_such = 1"}'
    )
    with pytest.raises(CompileError) as error:
        compiled_private(tmp_path, lines)
    written = (tmp_path / "sales" / "all.yaml").read_text().splitlines()
    owner, unknown = (
        next(n for n, line in enumerate(written, 1) if text in line) for text in ("column: owner", "no_such")
    )
    assert refusals(error) == [("FP-SQL-020", owner), ("FP-SQL-006", unknown)]


@pytest.mark.parametrize("where", ["count(*) > 1", "amount > avg(amount) OVER ()", "id IN (SELECT id FROM corrected)"])
def test_a_condition_looks_at_one_event_only(tmp_path: Path, where: str) -> None:
    with pytest.raises(CompileError) as error:
        compiled(tmp_path, f'  - {{function: count, windows: [1h], where: "{where}"}}')
    assert error.value.code == "FP-AGG-002"


def test_a_condition_is_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="decimal"):
        compiled(tmp_path, '  - {function: count, windows: [1h], where: "amount + 1"}')


@pytest.mark.parametrize("default", ["0.001", "1e18"])
def test_a_default_that_would_be_rounded_is_refused(tmp_path: Path, default: str) -> None:
    with pytest.raises(CompileError) as error:
        compiled(tmp_path, f"  - {{function: max, column: amount, windows: [1h], default: {default}}}")
    assert error.value.code == "FP-AGG-003"


def test_a_promised_type_has_to_be_the_one_that_the_function_gives(tmp_path: Path) -> None:
    rest = "features: {amount_sum_1h: {type: 'decimal(20,2)'}}"
    with pytest.raises(CompileError, match=r"is decimal\(38,2\); its contract says decimal\(20,2\)"):
        compiled(tmp_path, "  - {function: sum, column: amount, windows: [1h]}", rest=rest)

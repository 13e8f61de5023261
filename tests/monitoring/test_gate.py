"""The gate lets good rows through, stops bad ones, and stops what it could not check."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from feature_platform.monitoring.gate import check_names
from feature_platform.stores.protocols import Warehouse
from feature_platform.types import BIGINT, DOUBLE, STRING, TableSchema
from tests.monitoring.staging import NOON, case, spec, view

EVERY_CHECK = {
    "features": {"amount": {"min": 0, "null_rate_max": 0.5}},
    "freshness": "1d",
    "rows_min": 1,
}


def test_rows_that_keep_every_promise_pass(every_warehouse: Warehouse) -> None:
    outcomes = case(every_warehouse, {"amount": [1, None]}, {"amount": "bigint"}, **EVERY_CHECK).outcomes()
    assert {name: outcome.passed for name, outcome in outcomes.items()} == dict.fromkeys(outcomes, True)
    assert all(outcome.blocking and not outcome.description for outcome in outcomes.values())


def test_the_names_told_beforehand_are_those_that_are_evaluated(warehouse: Warehouse) -> None:
    for contract in ({}, EVERY_CHECK, {"unique": False}):
        staged = case(warehouse, {"amount": [1]}, {"amount": "bigint"}, **contract)
        assert tuple(staged.outcomes()) == check_names(staged.view, staged.spec)


def test_a_view_has_only_checks_for_what_it_promises() -> None:
    plain = check_names(view({}), spec())
    assert plain == ("schema", "keys_not_null", "keys_unique", "row_count", "pii")
    assert set(check_names(view({"amount": BIGINT}), spec(**EVERY_CHECK))) - set(plain) == {
        "value_ranges",
        "null_rates",
        "freshness",
    }
    assert check_names(replace(view({}), materialize=None), spec()) == ()


def test_what_can_not_be_evaluated_has_failed(warehouse: Warehouse) -> None:
    staged = case(warehouse, {"amount": [1]}, {"amount": "bigint"}, **EVERY_CHECK)
    warehouse.discard(staged.staged)
    outcomes = staged.outcomes()
    assert tuple(outcomes) == check_names(staged.view, staged.spec)
    assert not [name for name, outcome in outcomes.items() if outcome.passed]
    assert all("FP-GATE-001" in outcome.description for outcome in outcomes.values())


def test_one_check_that_errs_leaves_the_others_standing(every_warehouse: Warehouse) -> None:
    staged = case(every_warehouse, {"amount": [1]}, {"amount": "bigint"}, **EVERY_CHECK)
    lost = replace(staged, view=view({"amount": BIGINT, "lost": STRING}))
    passed = {name: outcome.passed for name, outcome in lost.outcomes().items()}
    assert passed == {name: name not in ("schema", "pii") for name in passed}


# Schema and rows


def test_columns_that_differ_from_what_was_compiled_fail(warehouse: Warehouse) -> None:
    staged = case(warehouse, {"amount": [1]}, {"amount": "bigint"})
    other = replace(staged, view=view({"amount": DOUBLE}))
    assert other.outcome("schema").description == "amount: expected double, found int64"


def test_the_types_of_every_kind_of_column_are_recognised(every_warehouse: Warehouse) -> None:
    values: dict[str, tuple[str, Any]] = {
        "a": ("boolean", True), "b": ("int", 1), "c": ("bigint", 1), "d": ("double", 1.5), "e": ("string", "x"),
        "f": ("decimal(38,9)", Decimal("1.5")), "g": ("date", NOON.date()), "h": ("timestamp", NOON),
        "i": ("array<string>", ["x"]), "j": ("array<bigint>", [1]),
        "k": ("map<string, decimal(38,2)>", [("x", Decimal("1.50"))]), "l": ("map<date, int>", [(NOON.date(), None)]),
    }  # fmt: skip
    staged = case(
        every_warehouse,
        {name: [value] for name, (_, value) in values.items()},
        {name: kind for name, (kind, _) in values.items()},
    )
    assert staged.outcome("schema").passed, staged.outcome("schema").description


def test_a_store_that_lost_columns_order_is_noticed(warehouse: Warehouse) -> None:
    staged = case(warehouse, {"a": ["x"], "b": ["y"]})
    columns = staged.staged.schema.columns
    swapped = TableSchema((*columns[:-2], columns[-1], columns[-2]))
    outcome = replace(staged, staged=replace(staged.staged, schema=swapped)).outcome("schema")
    assert outcome.description == "the order of the columns differs"


@pytest.mark.parametrize(
    ("contract", "passes"),
    [({"rows_min": 3}, False), ({"rows_max": 1}, False), ({"rows_min": 2, "rows_max": 2}, True)],
)
def test_the_number_of_rows_is_held_to_its_promise(warehouse: Warehouse, contract: Any, passes: bool) -> None:
    assert case(warehouse, {"a": ["x", "y"]}, **contract).outcome("row_count").passed is passes


def test_rows_that_got_lost_after_staging_are_noticed(warehouse: Warehouse) -> None:
    staged = case(warehouse, {"a": ["x", "y"]})
    outcome = replace(staged, staged=replace(staged.staged, rows=3)).outcome("row_count")
    assert outcome.description == "the store staged 3 rows, 2 can be read"


def test_no_rows_fail_where_rows_were_promised(warehouse: Warehouse) -> None:
    outcomes = case(warehouse, {"a": []}, rows_min=1, freshness="1d").outcomes()
    assert [name for name, outcome in outcomes.items() if not outcome.passed] == ["row_count", "freshness", "pii"]


def test_no_rows_are_fine_where_none_were_promised(every_warehouse: Warehouse) -> None:
    outcomes = case(every_warehouse, {"a": []}, features={"a": {"not_null": True}}).outcomes()
    assert all(outcome.passed for outcome in outcomes.values())


# Keys and time


def test_a_row_without_key_or_time_fails(warehouse: Warehouse) -> None:
    outcome = case(warehouse, {"customer_id": [1, None, 3], "event_time": [NOON, NOON, None]}).outcome("keys_not_null")
    assert (outcome.passed, outcome.metadata) == (False, {"null_keys": 1, "null_event_times": 1})


def test_versions_of_a_row_of_an_sql_view_are_no_repetition(every_warehouse: Warehouse) -> None:
    later = [NOON, NOON + timedelta(microseconds=1)]
    assert case(every_warehouse, {"customer_id": [1, 1], "available_at": later}).outcome("keys_unique").passed
    twice = case(every_warehouse, {"customer_id": [1, 1, 2, 2, 3]}).outcome("keys_unique")
    assert (twice.passed, twice.metadata["repeated"]) == (False, 2)


def test_an_aggregation_view_has_one_row_per_entity_and_tick(warehouse: Warehouse) -> None:
    later = [NOON, NOON + timedelta(microseconds=1)]
    columns = {"customer_id": [1, 1], "available_at": later}
    assert not case(warehouse, columns, form="aggregations").outcome("keys_unique").passed
    assert case(warehouse, columns | {"event_time": later}, form="aggregations").outcome("keys_unique").passed


@pytest.mark.parametrize(("late", "passes"), [(timedelta(days=1), True), (timedelta(days=1, microseconds=1), False)])
def test_freshness_is_exact_to_the_microsecond(warehouse: Warehouse, late: timedelta, passes: bool) -> None:
    staged = case(warehouse, {"event_time": [NOON, NOON - timedelta(days=9)]}, freshness="1d")
    assert staged.outcome("freshness", as_of=NOON + late).passed is passes


# Values


@pytest.mark.parametrize(
    ("kind", "value", "promise", "passes"),
    [
        ("bigint", 10, {"max": 10}, True),
        ("bigint", 11, {"max": 10.5}, False),
        ("bigint", 2**53 + 1, {"max": 2**53}, False),
        ("decimal(18,2)", Decimal("0.10"), {"max": 0.1}, True),
        ("decimal(18,2)", Decimal("0.11"), {"max": 0.1}, False),
        ("double", -0.1, {"min": 0}, False),
        ("double", float("nan"), {"max": 1}, False),
        ("double", 0.5, {"min": 0.0, "max": 1.0}, True),
        ("int", None, {"min": 0, "max": 1}, True),
    ],
)
def test_values_are_held_to_their_range(
    warehouse: Warehouse, kind: str, value: Any, promise: Any, passes: bool
) -> None:
    outcome = case(warehouse, {"v": [value]}, {"v": kind}, features={"v": promise}).outcome("value_ranges")
    assert (outcome.passed, outcome.metadata) == (passes, {"v.out_of_range": int(not passes)})


@pytest.mark.parametrize(
    ("promise", "passes"),
    [({"not_null": True}, False), ({"null_rate_max": 0.25}, True), ({"null_rate_max": 0.2}, False)],
)
def test_nulls_are_held_to_their_rate(warehouse: Warehouse, promise: Any, passes: bool) -> None:
    outcome = case(warehouse, {"v": ["x", "y", None, "z"]}, features={"v": promise}).outcome("null_rates")
    assert (outcome.passed, outcome.metadata) == (passes, {"v.null_rate": 0.25})


def test_names_of_columns_may_be_anything_that_a_column_name_can_be(every_warehouse: Warehouse) -> None:
    staged = case(every_warehouse, {"select": ["x"], "Weird_Name": ["y"]}, features={"Weird_Name": {"not_null": True}})
    assert all(outcome.passed for outcome in staged.outcomes().values())


def test_times_before_the_epoch_are_times(warehouse: Warehouse) -> None:
    old = datetime.fromisoformat("1931-05-04T00:00:00")
    assert case(warehouse, {"event_time": [old]}, freshness="1d").outcome("freshness", as_of=old).passed

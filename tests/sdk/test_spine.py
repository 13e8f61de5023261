"""Spines of every kind go in, and come back as they were but for keys, request values and time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.errors import UsageError
from feature_platform.sdk.spine import NeededColumn, Spine, beside, normalised, open_spine
from feature_platform.types import BIGINT, STRING, DataType, decimal

CUSTOMER = NeededColumn("customer_id", BIGINT, needed_by="the key of customer")
CARD = NeededColumn("card_number", STRING, "payment_card", "the key of card")


def starred(classification: str, values: pa.Array) -> pa.Array:
    """A stand-in for tokens that shows what was tokenised."""
    return pa.array(
        [None if value is None else f"{classification}*{value}" for value in values.to_pylist()], pa.string()
    )


def rows_of(spine: Spine) -> pa.Table:
    with spine.open() as reader:
        return reader.read_all()


def normal(value: Any, *needed: NeededColumn, time: str = "at", reserved: Sequence[str] = ()) -> Spine:
    return normalised(open_spine(value), time=time, needed=needed, tokenise=starred, reserved=reserved)


def arrow_spine(**columns: Any) -> pa.Table:
    return pa.table({"at": [datetime(2026, 1, 1)], **columns})


def refusal(value: Any, *needed: NeededColumn, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        rows_of(normal(value, *needed, **options))
    return str(caught.value)


@pytest.mark.parametrize("form", ["table", "batch", "reader", "pandas", "polars", "lazy", "path", "text path"])
def test_every_form_of_a_spine_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    table = pa.table({"at": [datetime(2026, 1, 1), datetime(2026, 1, 2)], "customer_id": [2, 1], "note": ["a", None]})
    path = tmp_path / "spine.parquet"
    pq.write_table(table, path)
    value = {
        "table": lambda: table,
        "batch": lambda: table.to_batches()[0],
        "reader": table.to_reader,
        "pandas": table.to_pandas,
        "polars": lambda: pl.from_arrow(table),
        "lazy": lambda: pl.from_arrow(table).lazy(),
        "path": lambda: path,
        "text path": lambda: str(path),
    }[form]()
    spine = normal(value, CUSTOMER)
    assert rows_of(spine).select(["customer_id", "note"]).to_pylist() == [
        {"customer_id": 2, "note": "a"},
        {"customer_id": 1, "note": None},
    ]
    assert rows_of(spine).num_rows == 2, "a spine can be read again, even if the caller gave a stream"


def test_an_aware_time_is_converted_to_utc() -> None:
    madrid = timezone(timedelta(hours=2))
    spine = normal(pa.table({"at": [datetime(2026, 7, 1, 14, tzinfo=madrid)], "customer_id": [1]}), CUSTOMER)
    assert rows_of(spine)["at"].to_pylist() == [datetime(2026, 7, 1, 12)]


def test_a_naive_time_is_utc_already() -> None:
    spine = normal(arrow_spine(customer_id=[1]), CUSTOMER)
    assert rows_of(spine)["at"].to_pylist() == [datetime(2026, 1, 1)]


def test_a_date_is_its_midnight() -> None:
    spine = normal(pa.table({"at": [date(2026, 3, 1)], "customer_id": [1]}), CUSTOMER)
    assert rows_of(spine)["at"].to_pylist() == [datetime(2026, 3, 1)]


@given(st.integers(min_value=-(2**61), max_value=2**61))
def test_nanoseconds_are_cut_towards_the_past(nanoseconds: int) -> None:
    at = pa.array([nanoseconds], pa.timestamp("ns"))
    spine = normal(pa.table({"at": at, "customer_id": [1]}), CUSTOMER)
    assert rows_of(spine)["at"].cast(pa.int64()).to_pylist() == [nanoseconds // 1_000]


@pytest.mark.parametrize(
    ("given_key", "needed"),
    [
        (pa.array([7], pa.int16()), CUSTOMER),
        (pa.array([7.0]), CUSTOMER),
        (pa.array([Decimal("7")]), CUSTOMER),
        (pa.array([7, None], pa.int32()).slice(0, 1), CUSTOMER),
        (pa.array(["7"], pa.large_string()), NeededColumn("customer_id", STRING)),
        (pa.array(["7"]).dictionary_encode(), NeededColumn("customer_id", STRING)),
        (pa.array([7]), NeededColumn("customer_id", decimal(18, 2))),
        (pa.array([12.1, None]).slice(0, 1), NeededColumn("customer_id", decimal(18, 2))),
    ],
)
def test_a_key_becomes_its_declared_type(given_key: pa.Array, needed: NeededColumn) -> None:
    spine = normal(arrow_spine(customer_id=given_key), needed)
    assert rows_of(spine).schema.field("customer_id").type == needed.type.arrow()


@pytest.mark.parametrize(
    ("given_key", "needed"),
    [
        (pa.array(["7"]), CUSTOMER),
        (pa.array([7]), NeededColumn("customer_id", STRING)),
        (pa.array([True]), CUSTOMER),
        (pa.array([date(2026, 1, 1)]), CUSTOMER),
        (pa.array([7.5]), CUSTOMER),
        (pa.array([2**40]), NeededColumn("customer_id", DataType("int"))),
        (pa.array([12.345]), NeededColumn("customer_id", decimal(18, 2))),
        (pa.array([10**17]), NeededColumn("customer_id", decimal(18, 2))),
    ],
)
def test_a_key_that_would_lose_something_is_refused(given_key: pa.Array, needed: NeededColumn) -> None:
    assert "FP-SDK-012" in refusal(arrow_spine(customer_id=given_key), needed)


def test_a_refused_value_is_not_quoted() -> None:
    text = refusal(arrow_spine(customer_id=[4111111111111111.5]), CUSTOMER)
    assert "4111" not in text


def test_personal_keys_come_back_as_tokens() -> None:
    spine = normal(arrow_spine(card_number=["4111"]), CARD)
    assert rows_of(spine)["card_number"].to_pylist() == ["payment_card*4111"]


def test_other_columns_keep_type_and_value() -> None:
    note = pa.array(["x"]).dictionary_encode()
    local = pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("ns", tz="Europe/Prague"))
    nested = pa.array([[{"a": 1}]])
    table = arrow_spine(customer_id=[1], note=note, local=local, nested=nested)
    assert rows_of(normal(table, CUSTOMER)).select(["note", "local", "nested"]) == table.select(
        ["note", "local", "nested"]
    )


def test_a_missing_column_names_its_use_and_the_nearest() -> None:
    text = refusal(pa.table({"at": [date(2026, 1, 1)], "custmer_id": [1]}), CUSTOMER)
    assert "no column 'customer_id', needed by the key of customer. Did you mean 'custmer_id'?" in text


def test_all_faults_of_a_spine_are_reported_together() -> None:
    text = refusal(pa.table({"customer_id": ["1"], "view__x": [1]}), CUSTOMER, reserved=["view__x"])
    assert [code in text for code in ("FP-SDK-011", "FP-SDK-012", "FP-SDK-013")] == [True, True, True]


def test_a_time_as_text_is_refused() -> None:
    assert "FP-SDK-012" in refusal(pa.table({"at": ["2026-01-01"], "customer_id": [1]}), CUSTOMER)


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert "two columns called 'a'" in refusal(frame)


def test_a_mixed_pandas_column_is_refused_without_its_values() -> None:
    text = refusal(pd.DataFrame({"mixed": ["s3cret", 1]}))
    assert "FP-SDK-010" in text
    assert "s3cret" not in text


@pytest.mark.parametrize("value", [[1, 2], {"a": [1]}, 7])
def test_anything_else_is_no_spine(value: Any) -> None:
    assert "FP-SDK-010" in refusal(value)


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spine.parquet"
    path.write_text("hello")
    assert "FP-SDK-010" in refusal(path)


def test_an_empty_spine_stays_empty() -> None:
    table = pa.table({"at": pa.array([], pa.timestamp("us")), "customer_id": pa.array([], pa.int64())})
    assert rows_of(normal(table, CUSTOMER)).num_rows == 0


@given(st.lists(st.integers(0, 5), max_size=8), st.lists(st.integers(1, 5), max_size=8))
def test_streams_are_put_side_by_side_whatever_their_batches(left_sizes: list[int], right_sizes: list[int]) -> None:
    rows = sum(left_sizes)
    right_sizes = [*right_sizes, rows]
    left = stream("l", rows, left_sizes)
    right = stream("r", rows, right_sizes)
    both = beside(left, right).read_all()
    assert both.to_pydict() == {"l": list(range(rows)), "r": list(range(rows))}


def stream(name: str, rows: int, sizes: list[int]) -> pa.RecordBatchReader:
    schema = pa.schema([pa.field(name, pa.int64())])
    batches, start = [], 0
    for size in sizes:
        end = min(rows, start + size)
        batches.append(pa.record_batch([pa.array(range(start, end), pa.int64())], schema=schema))
        start = end
    return pa.RecordBatchReader.from_batches(schema, batches)

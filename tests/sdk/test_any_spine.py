"""Whatever a spine brings along comes back bit by bit, in its order; and a file of results is whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.errors import StoreError, UsageError
from feature_platform.project.project import Project
from feature_platform.sdk.client import FeatureStore
from feature_platform.sdk.files import replacing
from tests.sdk.two_stores import START

AT = pa.timestamp("us")
NANS = (0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8DEADBEEF0000, 0x7FF0000000000000, 0x8000000000000000)
"""Bits of doubles: NaNs with payloads, infinity, minus zero."""
COLORS = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array(["red", "blue"]))


@pytest.fixture
def store(both_stores: Project) -> FeatureStore:
    return FeatureStore(both_stores, purpose="fraud")


def doubles(bits: list[int]) -> pa.Array:
    return pa.array(np.array(bits, dtype=np.uint64).view(np.float64))


def bits_of(array: pa.Array) -> Any:
    """A value that differs when a single bit of a value does; what lies behind a NULL does not count."""
    kind = array.type
    valid = array.is_valid().to_pylist()
    if pa.types.is_floating(kind):
        whole = pa.concat_arrays([array])
        unsigned = {16: np.uint16, 32: np.uint32, 64: np.uint64}[kind.bit_width]
        values = whole.fill_null(0).to_numpy(zero_copy_only=False).view(unsigned).tolist()
        return [value if there else None for value, there in zip(values, valid, strict=True)]
    if pa.types.is_struct(kind):
        return [valid, [bits_of(part) for part in array.flatten()]]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = [None if value is None else len(value) for value in array.to_pylist()]
        return [lengths, bits_of(array.flatten())]
    return array.to_pylist()


some_float = st.sampled_from(NANS) | st.integers(0, 2**64 - 1)
columns = st.one_of(
    st.lists(some_float, min_size=3, max_size=3).map(doubles),
    st.lists(st.none() | st.binary(max_size=9), min_size=3, max_size=3).map(lambda x: pa.array(x, pa.binary())),
    st.lists(st.none() | st.text(max_size=9), min_size=3, max_size=3).map(lambda x: pa.array(x, pa.string_view())),
    st.lists(st.none() | st.text(max_size=9), min_size=3, max_size=3).map(lambda x: pa.array(x, pa.large_string())),
    st.lists(st.none() | st.lists(some_float, max_size=3), min_size=3, max_size=3).map(
        lambda x: pa.array([None if of is None else doubles(of).to_pylist() for of in x], pa.list_(pa.float64()))
    ),
    st.lists(st.none() | st.decimals(-10, 10, places=3), min_size=3, max_size=3).map(
        lambda x: pa.array(x, pa.decimal256(60, 3))
    ),
    st.lists(st.none() | st.integers(-(2**62), 2**62), min_size=3, max_size=3).flatmap(
        lambda x: st.sampled_from(
            [
                pa.int64(),
                pa.timestamp("ns"),
                pa.timestamp("ns", tz="Europe/Prague"),
                pa.timestamp("s", tz="-03:30"),
                pa.duration("ms"),
            ]
        ).map(lambda kind: pa.array(x, pa.int64()).view(kind))
    ),
    st.sampled_from(
        [
            COLORS,
            pa.array([{"a": -0.0, "b": [None]}, None, {"a": None, "b": [b"x"]}],
                     pa.struct([("a", pa.float64()), ("b", pa.list_(pa.binary()))])),
            pa.array([[("k", 1.5)], [], None], pa.map_(pa.string(), pa.float64())),
            pa.array(np.array([1.5, -0.0, 2], np.float16)),
            pa.array([True, None, False]),
            pa.nulls(3),
            pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2)),
            pa.array([b"ab", None, b"cd"], pa.binary(2)),
            pa.array([1, 2, None], pa.time64("ns")),
            pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["x", None])),
            pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()),
                                     [pa.array([1, 2]), pa.array(["x"])]),
            pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16), None, bytes(range(16))], pa.binary(16))),
        ]
    ),
)  # fmt: skip
names = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12),
    min_size=1,
    max_size=4,
    unique_by=str.casefold,
).filter(lambda found: not {"customer_id", "event_time", "fp_row"} & set(found))


@st.composite
def spines(draw: st.DrawFn) -> pa.Table:
    """Extra columns of any type around keys and time, in any order of columns; rows sliced out of a larger table."""
    extra = {name: draw(columns) for name in draw(names)}
    everything: dict[str, Any] = {
        **extra,
        "customer_id": pa.array(draw(st.lists(st.none() | st.integers(1, 4), min_size=3, max_size=3)), pa.int64()),
        "event_time": pa.array([START, None, datetime(2026, 3, 20)], AT),
    }
    order = draw(st.permutations(list(everything)))
    whole = pa.table({name: everything[name] for name in order})
    return whole.slice(*draw(st.sampled_from([(0, 3), (1, 2), (1, 1), (3, 0)])))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spine=spines())
def test_extra_columns_come_back_bit_by_bit(store: FeatureStore, spine: pa.Table) -> None:
    found = store.training_set(spine, ["daily:count_7d"]).to_arrow()
    found.validate(full=True)
    assert found.column_names == [*spine.column_names, "daily__count_7d"]
    for name in spine.column_names:
        if name == "event_time":
            continue
        assert found.schema.field(name).type == spine.schema.field(name).type
        mine, theirs = (each.column(name).combine_chunks() for each in (found, spine))
        pieces = [each.chunks if isinstance(each, pa.ChunkedArray) else [each] for each in (mine, theirs)]
        assert [bits_of(part) for part in pieces[0] if len(part)] == [bits_of(part) for part in pieces[1] if len(part)]


def test_a_huge_text_and_many_equal_rows_come_back(store: FeatureStore) -> None:
    rows = 70_000
    huge = "x" * 20_000_000
    spine = pa.table(
        {
            "event_time": pa.array([START] * rows, AT),
            "note": pa.array([huge] + [None] * (rows - 1)),
            "customer_id": [1] * rows,
        }
    )
    found = store.training_set(spine.to_reader(max_chunksize=7_000), ["daily:count_7d"]).to_arrow()
    assert found["note"].equals(spine["note"])
    assert found["daily__count_7d"].to_pylist() == [0] * rows


def test_no_features_are_refused(store: FeatureStore) -> None:
    with pytest.raises(UsageError, match="FP-SDK-002: no feature was asked for"):
        store.training_set(pa.table({"customer_id": [1], "event_time": pa.array([START], AT)}), [])


# --- folders of files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two days with two files each, as other tools write them."""
    for day in ("2026-03-20", "2026-03-21"):
        for number in (2, 1):
            part = tmp_path / "labels" / f"event_time={day}" / f"customer_id={number}" / f"part-{number}.parquet"
            part.parent.mkdir(parents=True)
            pq.write_table(pa.table({"label": [f"{day} {number}", "second"]}), part)
    (tmp_path / "labels" / "_SUCCESS").write_bytes(b"")
    (tmp_path / "labels" / "_temporary").mkdir()
    (tmp_path / "labels" / "_temporary" / "half.parquet").write_bytes(b"PAR1")
    return tmp_path / "labels"


def test_a_folder_is_read_file_by_file_with_what_its_folders_name(store: FeatureStore, folder: Path) -> None:
    found = store.training_set(folder, ["daily:count_7d"]).to_arrow()
    wanted = [f"2026-03-{day} {number}" for day in (20, 21) for number in (1, 2)]
    assert found["label"].to_pylist() == [each for label in wanted for each in (label, "second")]
    assert found["customer_id"].to_pylist() == [1, 1, 2, 2] * 2
    assert found.schema.field("customer_id").type == pa.int64()
    whole = pa.table({name: found[name] for name in ("label", "event_time", "customer_id")})
    assert store.training_set(whole, ["daily:count_7d"]).to_arrow()["daily__count_7d"] == found["daily__count_7d"]
    for pattern in (folder / "*" / "*" / "*.parquet", folder / "event_time=*", folder / "**" / "*[12].parquet"):
        assert store.training_set(str(pattern), ["daily:count_7d"]).to_arrow().equals(found)


def test_a_partition_that_is_no_key_stays_text(store: FeatureStore, tmp_path: Path) -> None:
    for code, number in (("007", 1), ("a%2Fb", 2), ("__HIVE_DEFAULT_PARTITION__", 3)):
        (tmp_path / f"code={code}").mkdir()
        rows = pa.table({"customer_id": [number], "event_time": pa.array([START], AT)})
        pq.write_table(rows, tmp_path / f"code={code}" / "x.parquet")
    found = store.training_set(tmp_path, ["daily:count_7d"]).to_arrow()
    assert dict(zip(found["customer_id"].to_pylist(), found["code"].to_pylist(), strict=True)) == {
        1: "007",
        2: "a/b",
        3: None,
    }


@pytest.mark.parametrize("case", ["empty", "other columns", "delta", "key", "partitions", "twice", "csv"])
def test_a_folder_that_is_no_spine_is_refused(store: FeatureStore, tmp_path: Path, case: str) -> None:
    rows = pa.table({"customer_id": [1], "event_time": pa.array([START], AT)})
    target = tmp_path / "a.parquet"
    if case == "delta":
        (tmp_path / "_delta_log").mkdir()
    if case == "key":
        target = tmp_path / "customer_id=s3cret" / "a.parquet"
        rows = rows.drop_columns(["customer_id"])
    if case == "twice":
        target = tmp_path / "customer_id=1" / "a.parquet"
    if case != "empty":
        target.parent.mkdir(exist_ok=True)
        pq.write_table(rows, target)
    if case == "other columns":
        pq.write_table(rows.append_column("more", [[1]]), tmp_path / "b.parquet")
    if case == "partitions":
        (tmp_path / "day=1").mkdir()
        pq.write_table(rows, tmp_path / "day=1" / "b.parquet")
    given: Path = tmp_path
    if case == "csv":
        given = tmp_path / "spine.csv"
        given.write_text("customer_id,event_time\n1,2026-03-01\n")
    with pytest.raises(UsageError, match="FP-SDK-013" if case == "twice" else "FP-SDK-010") as caught:
        store.training_set(given, ["daily:count_7d"])
    assert "s3cret" not in str(caught.value)


# --- results


def small(store: FeatureStore, **extra: Any) -> Any:
    spine = pa.table({"customer_id": [1, 2], "event_time": pa.array([START, START], AT), **extra})
    return store.training_set(spine, ["daily:count_7d"])


def test_every_way_out_gives_the_same_rows(store: FeatureStore, tmp_path: Path) -> None:
    result = small(store, note=["a", None])
    table = result.to_arrow()
    assert result.to_parquet(tmp_path / "rows.parquet") == 2
    assert pq.read_table(tmp_path / "rows.parquet").equals(table)
    assert result.reader().read_all().equals(table)
    polars = result.to_polars()
    assert isinstance(polars, pl.DataFrame)
    assert polars.rows() == [tuple(row.values()) for row in table.to_pylist()]
    pandas = result.to_pandas()
    assert isinstance(pandas, pd.DataFrame)
    assert pandas["daily__count_7d"].tolist() == table["daily__count_7d"].to_pylist()


def test_no_digit_of_an_identifier_is_lost_in_pandas(store: FeatureStore) -> None:
    largest, unsigned = 2**63 - 1, 2**64 - 1
    label, other = pa.array([largest, None]), pa.array([None, unsigned], pa.uint64())
    result = small(store, label=label, other=other, whole=[largest, 1])
    spine = pa.table({"customer_id": [1, 2], "event_time": pa.array([START, START], AT), "label": label})
    for frame in (result.to_pandas(), store.create_dataset("digits", spine, ["daily:count_7d"]).to_pandas()):
        assert [frame["label"][0], frame["label"].isna().tolist()] == [largest, [False, True]]
    frame = result.to_pandas()
    assert [frame["other"][1], str(frame["other"].dtype), str(frame["whole"].dtype)] == [unsigned, "UInt64", "int64"]


def test_a_file_takes_the_place_of_a_link_and_leaves_what_it_led_to(store: FeatureStore, tmp_path: Path) -> None:
    precious = tmp_path / "precious.parquet"
    precious.write_bytes(b"precious")
    link = tmp_path / "rows.parquet"
    link.symlink_to(precious)
    small(store).to_parquet(link)
    assert precious.read_bytes() == b"precious"
    assert not link.is_symlink()
    assert pq.read_table(link).num_rows == 2


def test_a_file_is_whole_or_as_it_was(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    small(store).to_parquet(path)
    before = path.read_bytes()

    def failing() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"customer_id": [1], "event_time": pa.array([START], AT), "n": [1]})
        raise OSError("the disk is gone")

    schema = pa.schema([("customer_id", pa.int64()), ("event_time", AT), ("n", pa.int64())])
    with pytest.raises((OSError, StoreError)):
        store.training_set(pa.RecordBatchReader.from_batches(schema, failing()), ["daily:count_7d"]).to_parquet(path)
    with suppress(KeyError), replacing(path) as draft:
        draft.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_type_that_a_file_can_not_hold_is_named(store: FeatureStore, tmp_path: Path) -> None:
    union = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["x", "y"])])
    with pytest.raises(UsageError, match=r"FP-SDK-015: .*'odd' \(sparse_union"):
        small(store, odd=union).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(UsageError, match="FP-SDK-015"):
        store.create_dataset("odd", pa.table({"customer_id": [1], "event_time": pa.array([START], AT),
                                              "odd": union.slice(0, 1)}), ["daily:count_7d"])  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_money_of_the_spine_keeps_its_scale(store: FeatureStore) -> None:
    money = pa.array([Decimal("1.10"), None], pa.decimal128(9, 2))
    assert small(store, money=money).to_arrow()["money"].combine_chunks().equals(money)

"""Long spines are joined in parts: the answer is the same, and errors in a later part are told as in the first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.errors import UsageError
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from feature_platform.stores.parts import Parts
from tests.sdk.test_two_stores import spine_of
from tests.sdk.two_stores import EVERYTHING, Data, table


@given(
    batches=st.lists(st.integers(0, 5), max_size=8),
    rows=st.integers(1, 7),
)
def test_parts_are_the_stream_cut_after_equally_many_rows(batches: list[int], rows: int) -> None:
    schema = pa.schema([("n", pa.int64())])
    ends = [sum(batches[: number + 1]) for number in range(len(batches))]
    given_ = [
        pa.record_batch([pa.array(range(end - size, end), pa.int64())], schema=schema)
        for size, end in zip(batches, ends, strict=True)
    ]
    parts = Parts(pa.RecordBatchReader.from_batches(schema, given_), rows)
    taken: list[list[int]] = []
    while not parts.ended:
        taken.append(parts.next().read_all()["n"].to_pylist())
    everything = list(range(sum(batches)))
    assert taken == ([everything[at : at + rows] for at in range(0, len(everything), rows)] or [[]])


@pytest.fixture(params=[7, 29])
def in_parts(
    both_stores: Project, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """The project of ``both_stores``, with parts of a few rows."""
    folder = tmp_path / both_stores.root.name
    shutil.copytree(both_stores.root, folder, ignore=shutil.ignore_patterns(".fp"))
    for file in folder.rglob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("type: duckdb_delta,", f"type: duckdb_delta, spine_rows: {request.param},"))
    monkeypatch.setenv(STATE_VARIABLE, str(both_stores.state))
    with Project.open(folder) as opened:
        yield opened


def test_windows_newest_rows_and_derived_features_are_the_same_in_parts(
    both_stores: Project, in_parts: Project, data: Data
) -> None:
    spine = table(spine_of(data))
    assert spine.num_rows > 29
    whole = FeatureStore(both_stores, purpose="fraud").training_set(spine, EVERYTHING)
    parted = FeatureStore(in_parts, purpose="fraud").training_set(spine, EVERYTHING)
    assert parted.plan is not None
    assert parted.plan.engine == "duckdb"
    assert parted.to_arrow().to_pylist() == whole.to_arrow().to_pylist()


def test_a_value_that_does_not_fit_is_told_from_a_later_part(in_parts: Project, data: Data) -> None:
    spine = table(spine_of(data))
    customers = pa.chunked_array([pa.array([1.0] * (spine.num_rows - 1) + [1.5])])
    at = spine.schema.get_field_index("customer_id")
    training_set = FeatureStore(in_parts, purpose="fraud").training_set(
        spine.set_column(at, "customer_id", customers), EVERYTHING
    )
    with pytest.raises(UsageError, match="customer_id"):
        training_set.to_arrow()


def test_a_reader_may_stop_in_the_first_part(in_parts: Project, data: Data) -> None:
    with FeatureStore(in_parts, purpose="fraud").training_set(table(spine_of(data)), EVERYTHING).reader() as reader:
        assert reader.read_next_batch().num_rows > 0
    warehouse = in_parts.state / "warehouse" / "_spill"
    assert [each for each in warehouse.rglob("*") if each.is_file() and each.suffix != ".lease"] == []

"""Sessions of DuckDB that are kept between the questions of one audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from feature_platform.errors import StoreError
from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.protocols import Query, StagedWrite, StreamTable
from tests.stores.warehouse_cases import SPEND, schema


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBDeltaWarehouse]:
    (tmp_path / "data").mkdir()
    found = DuckDBDeltaWarehouse(
        "warehouse", tmp_path / "warehouse", data_root=tmp_path / "data", memory_limit="300MB", threads=2
    )
    yield found
    found.close()


class TestStagedRows:
    """Questions about the same staged rows share a session; its temporary folder says whether it is open."""

    def sessions(self, tmp_path: Path) -> list[Path]:
        return [each for each in (tmp_path / "warehouse/_spill").glob("*/*") if each.is_dir()]

    def test_questions_share_a_session_until_the_rows_are_published(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        one, two = (staged_numbers(warehouse, number) for number in (1, 2))
        for staged, number in ((one, 1), (one, 1), (two, 2), (one, 1)):
            assert asked(warehouse, staged) == [{"id": number}]
            assert len(self.sessions(tmp_path)) == 1
        (open_now,) = self.sessions(tmp_path)
        assert asked(warehouse, one, "SELECT id + $more AS id FROM {}", more=4) == [{"id": 5}]
        assert self.sessions(tmp_path) == [open_now]
        warehouse.publish(one)
        assert self.sessions(tmp_path) == []
        assert asked(warehouse, two) == [{"id": 2}]
        warehouse.close()
        assert self.sessions(tmp_path) == []

    def test_a_shared_session_reads_nothing_else(self, warehouse: DuckDBDeltaWarehouse) -> None:
        one, two = (staged_numbers(warehouse, number) for number in (1, 2))
        assert asked(warehouse, one) == [{"id": 1}]
        with pytest.raises(StoreError):
            asked(warehouse, one, f'SELECT * FROM "staged"."{two.token}"')
        with pytest.raises(StoreError):
            asked(warehouse, one, "SELECT * FROM temp.main.fp_token_keys")

    def test_a_session_ends_with_a_question_that_failed(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        one = staged_numbers(warehouse, 1)
        assert asked(warehouse, one) == [{"id": 1}]
        with pytest.raises(StoreError):
            asked(warehouse, one, "SELECT error('no') AS id FROM {}")
        assert self.sessions(tmp_path) == []
        assert asked(warehouse, one) == [{"id": 1}]


def staged_numbers(warehouse: DuckDBDeltaWarehouse, number: int) -> StagedWrite:
    of = schema(id="bigint")
    return warehouse.stage(SPEND, of, StreamTable(lambda: pa.table({"id": [number]}).to_reader()))


def asked(warehouse: DuckDBDeltaWarehouse, staged: StagedWrite, sql: str = "SELECT id FROM {}", **values: int) -> Any:
    text = sql.replace("{}", f'"staged"."{staged.token}"')
    return warehouse.read(Query(text, "duckdb", values, staged.reading)).read_all().to_pylist()

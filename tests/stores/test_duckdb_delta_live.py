"""Published tables in DuckDB: rows that are told apart, files that nobody can see, sums in one order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from feature_platform.errors import StoreError
from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.protocols import Lookback, NativeTable, Query, StreamTable, TableName
from tests.stores.warehouse_cases import day, publish, schema


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBDeltaWarehouse]:
    found = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse", memory_limit="300MB", threads=2)
    yield found
    found.close()


def test_a_repeatable_query_adds_doubles_in_one_order(warehouse: DuckDBDeltaWarehouse) -> None:
    doubles = "SELECT n % 7 AS g, CAST(hash(n) AS DOUBLE) / 3e18 AS x FROM range(1000000) AS r(n)"
    target = TableName("features", "spend")
    warehouse.publish(warehouse.stage(target, schema(g="bigint", x="double"), Query(doubles, "duckdb")))
    sums = "SELECT s.g, SUM(s.x) AS total, STDDEV(s.x) AS spread FROM features.spend AS s GROUP BY s.g ORDER BY s.g"
    asked = Query(sums, "duckdb", tables={target: NativeTable(target)}, repeatable=True)
    first, *again = (warehouse.read(asked).read_all() for _ in range(6))
    assert all(each.equals(first) for each in again)


class TestRowIds:
    """``rowid`` of published tables, for queries that ask for it."""

    NAME = TableName("features", "spend")
    TEXT = "SELECT s.id, s.rowid AS place FROM features.spend AS s ORDER BY place"

    def places(self, warehouse: DuckDBDeltaWarehouse, *, row_ids: bool = True, text: str = TEXT) -> list[Any]:
        wanted = frozenset({self.NAME} if row_ids else ())
        query = Query(text, "duckdb", tables={self.NAME: NativeTable(self.NAME)}, row_ids=wanted)
        return warehouse.read(query).read_all().to_pylist()

    def test_each_row_of_many_files_has_its_own(self, warehouse: DuckDBDeltaWarehouse) -> None:
        for number in range(1, 4):
            rows = [{"id": 10 * number + each} for each in range(3)]
            publish(warehouse, rows, schema(id="bigint"), partition=day(f"2026-06-0{number}"))
        found = self.places(warehouse)
        assert sorted(row["id"] for row in found) == [10, 11, 12, 20, 21, 22, 30, 31, 32]
        assert len({row["place"] for row in found}) == 9
        # Two scans of one statement number alike, whatever each leaves out.
        joined = """SELECT a.id, b.id AS same FROM features.spend AS a JOIN
            (SELECT s.id, s.rowid AS place FROM features.spend AS s WHERE s.id > 15) AS b ON b.place = a.rowid"""
        assert {(row["id"], row["same"]) for row in self.places(warehouse, text=joined)} == {
            (each, each) for each in (20, 21, 22, 30, 31, 32)
        }

    def test_they_take_the_place_of_a_column_of_that_name(self, warehouse: DuckDBDeltaWarehouse) -> None:
        """A view that has lost such a column and is not built yet still has it in its published rows."""
        publish(warehouse, [{"id": 1, "RowId": 70}], schema(id="bigint", RowId="bigint"))
        assert self.places(warehouse) == [{"id": 1, "place": 0}]
        assert self.places(warehouse, row_ids=False) == [{"id": 1, "place": 70}]

    def test_only_a_query_that_asks_for_them_has_them(self, warehouse: DuckDBDeltaWarehouse) -> None:
        publish(warehouse, [{"id": 1}], schema(id="bigint"))
        assert self.places(warehouse, row_ids=False, text="SELECT * FROM features.spend") == [{"id": 1}]
        with pytest.raises(StoreError):
            self.places(warehouse, row_ids=False)


class TestLookback:
    """Rows of published tables that no row of the stream can see are not read."""

    NAME = TableName("features", "spend")
    SPINE = TableName("inputs", "spine")
    TEXT = """SELECT s.n, (SELECT MAX(f.id) FROM features.spend AS f WHERE f.event_time <= s.at
        AND f.event_time >= s.at - INTERVAL 1 HOUR) AS id FROM inputs.spine AS s ORDER BY s.n"""
    SHOWN = (
        "SELECT f.id AS n, COUNT(s.n) AS id FROM features.spend AS f LEFT JOIN inputs.spine AS s ON TRUE GROUP BY f.id"
    )
    COLUMNS = schema(id="bigint", event_time="timestamp")

    def published(self, warehouse: DuckDBDeltaWarehouse) -> None:
        """Ten days with a row at each of their edges; its ``id`` is the day, doubled at the day's end."""
        for number in range(1, 11):
            partition = day(f"2026-06-{number:02}")
            last = partition.end - timedelta(microseconds=1)
            rows = [{"id": number, "event_time": partition.start}, {"id": 2 * number, "event_time": last}]
            publish(warehouse, rows, self.COLUMNS, partition=partition)

    def asked(
        self, warehouse: DuckDBDeltaWarehouse, times: Sequence[str | None], text: str = TEXT, ttl: int | None = None
    ) -> list[Any]:
        spine = pa.table({"n": range(len(times)), "at": pa.array(times, pa.string())})
        moments = "SELECT CAST(MIN(s.at) AS VARCHAR), CAST(MAX(s.at) AS VARCHAR) FROM inputs.spine AS s"
        given = spine.set_column(1, "at", spine["at"].cast(pa.timestamp("us")))
        query = Query(
            text,
            "duckdb",
            tables={self.NAME: NativeTable(self.NAME), self.SPINE: StreamTable(given.to_reader)},
            in_parts=self.SPINE,
            row_ids=frozenset({self.NAME}),
            lookback=Lookback(moments, {self.NAME: ttl}),
        )
        return [row["id"] for row in warehouse.read(query).read_all().to_pylist()]

    def test_files_of_days_that_nobody_asks_about_are_not_opened(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        self.published(warehouse)
        folder = tmp_path / "warehouse/features/spend"
        for file in pa.table(DeltaTable(str(folder)).get_add_actions(flatten=True)).to_pylist():
            if not "2026-06-04" <= file["partition.fp_partition"] <= "2026-06-07":
                (folder / file["path"]).unlink()
        hour = 3_600_000_000
        assert self.asked(warehouse, ["2026-06-05 00:30:00", "2026-06-07 12:00:00"], ttl=hour) == [8, None]
        assert self.asked(warehouse, ["2026-06-06 00:00:00"], ttl=hour) == [10]
        assert sorted(self.asked(warehouse, ["2026-06-06 00:00:00"], self.SHOWN, ttl=hour)) == [1, 1]
        with pytest.raises(StoreError, match=r"FP-STORE-014: .* is not there"):
            self.asked(warehouse, ["2026-06-06 00:00:00"])

    @pytest.mark.parametrize("times", [["0001-01-01 00:00:00", None], ["9999-12-31 23:59:59"], [None], []])
    @pytest.mark.parametrize("ttl", [None, 3_600_000_000, 400 * 365 * 86_400_000_000])
    def test_times_far_from_every_row_see_what_is_there(
        self, warehouse: DuckDBDeltaWarehouse, times: list[str | None], ttl: int | None
    ) -> None:
        self.published(warehouse)
        assert self.asked(warehouse, times, ttl=ttl) == [None] * len(times)

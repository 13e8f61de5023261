"""What is particular to DuckDB over Delta: files as tables, a closed session, the Delta log, temporary files."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import parquet

from feature_platform.errors import StoreError
from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.protocols import FilesTable, NativeTable, Query, StreamTable, TableName
from feature_platform.types import TableSchema
from tests.stores.warehouse_cases import SPEND, day, publish, query, rows_of, schema
from tests.stores.warehouse_values import EPOCH, MICROSECOND

SOURCE = TableName("sources", "payments")
NOON = datetime.fromisoformat("2026-06-30T12:00:00")


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBDeltaWarehouse]:
    (tmp_path / "data").mkdir()
    found = DuckDBDeltaWarehouse(
        "warehouse", tmp_path / "warehouse", data_root=tmp_path / "data", memory_limit="300MB", threads=2
    )
    yield found
    found.close()


def read(warehouse: DuckDBDeltaWarehouse, table: FilesTable, sql: str = 'SELECT * FROM "sources"."payments"') -> Any:
    return warehouse.read(Query(sql, "duckdb", {}, {SOURCE: table})).read_all().to_pylist()


def csv_file(path: Path, text: str, declared: TableSchema) -> FilesTable:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return FilesTable(str(path), "csv", declared)


def parquet_file(path: Path, declared: TableSchema, **columns: pa.Array) -> FilesTable:
    parquet.write_table(pa.table(columns), path)
    return FilesTable(str(path), "parquet", declared)


class TestCsv:
    def test_columns_are_found_by_name_and_read_as_declared(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        declared = schema(amount="decimal(18,2)", at="timestamp", born="date", flag="boolean", note="string")
        text = 'note,extra,at,amount,flag,born\n"a ""b"",\nc",x,2026-06-30 12:00:00,1.5,true,1970-01-02\n,,,,,\n'
        rows = read(warehouse, csv_file(tmp_path / "data/p.csv", text, declared))
        assert rows == [
            {"amount": Decimal("1.50"), "at": NOON, "born": date(1970, 1, 2), "flag": True, "note": 'a "b",\nc'},
            dict.fromkeys(declared.names),
        ]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_the_delimiter_is_that_which_finds_the_columns(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path, delimiter: str
    ) -> None:
        text = f"id{delimiter}name\n1{delimiter}a\n"
        declared = schema(id="bigint", name="string")
        assert read(warehouse, csv_file(tmp_path / "data/p.csv.gz", text, declared)) == [{"id": 1, "name": "a"}]

    def test_files_may_order_their_columns_differently(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        declared = schema(id="bigint", name="string")
        csv_file(tmp_path / "data/a.csv", "id,name\n1,a\n", declared)
        csv_file(tmp_path / "data/b.csv", "name,id\nb,2\n", declared)
        rows = read(warehouse, FilesTable(str(tmp_path / "data/*.csv"), "csv", declared))
        assert rows == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]

    def test_a_value_of_another_type_stops_the_query_and_is_not_shown(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        table = csv_file(tmp_path / "data/p.csv", "id\n1\njane@example.com\n", schema(id="bigint"))
        with pytest.raises(StoreError) as raised:
            read(warehouse, table)
        assert "jane" not in str(raised.value)

    def test_what_is_no_csv_is_a_clear_error(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        (tmp_path / "data/p.csv.gz").write_bytes(b"\x1f\x8bnot gzip")
        with pytest.raises(StoreError) as raised:
            read(warehouse, FilesTable(str(tmp_path / "data/p.csv.gz"), "csv", schema(id="bigint")))
        assert raised.value.code == "FP-STORE-014"


class TestParquet:
    def test_all_missing_columns_are_named_with_the_nearest(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        table = parquet_file(tmp_path / "data/p.parquet", schema(amuont="bigint", city="string"), amount=pa.array([1]))
        with pytest.raises(StoreError) as raised:
            read(warehouse, table)
        assert [problem.code for problem in raised.value.problems] == ["FP-STORE-012"] * 2
        assert "Did you mean 'amount'?" in str(raised.value)

    @pytest.mark.parametrize(
        ("declared", "stored", "expected"),
        [
            ("bigint", pa.array([1, None], pa.int16()), [1, None]),
            ("int", pa.array([2**31 - 1], pa.int64()), [2**31 - 1]),
            ("bigint", pa.array([3.0, None], pa.float64()), [3, None]),
            ("decimal(18,2)", pa.array([1.25, None], pa.float64()), [Decimal("1.25"), None]),
            ("decimal(18,3)", pa.array([Decimal("1.25")], pa.decimal128(9, 2)), [Decimal("1.250")]),
            ("double", pa.array([1], pa.int32()), [1.0]),
            ("timestamp", pa.array([NOON], pa.timestamp("ms")), [NOON]),
            ("timestamp", pa.array([NOON], pa.timestamp("us", tz="UTC")), [NOON]),
            ("timestamp", pa.array([NOON], pa.timestamp("ns", tz="Asia/Tokyo")), [NOON]),
            ("timestamp", pa.array([-1, 1_999], pa.timestamp("ns")), [EPOCH - MICROSECOND, EPOCH + MICROSECOND]),
            ("timestamp", pa.array([date(2026, 6, 30)]), [datetime.fromisoformat("2026-06-30")]),
            ("string", pa.array(["a", None]).dictionary_encode(), ["a", None]),
            ("array<bigint>", pa.array([[1, None]], pa.list_(pa.int32())), [[1, None]]),
        ],
    )
    def test_a_type_that_fits_is_cast(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path, declared: str, stored: pa.Array, expected: list[Any]
    ) -> None:
        table = parquet_file(tmp_path / "data/p.parquet", schema(value=declared), value=stored)
        assert [row["value"] for row in read(warehouse, table)] == expected

    @pytest.mark.parametrize(
        ("declared", "stored"),
        [
            ("date", pa.array([NOON], pa.timestamp("us"))),
            ("decimal(18,2)", pa.array([Decimal("1.255")], pa.decimal128(9, 3))),
            ("bigint", pa.array(["1"])),
            ("string", pa.array([1])),
            ("boolean", pa.array([1])),
            ("array<int>", pa.array([1])),
        ],
    )
    def test_a_type_that_would_lose_something_is_refused(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path, declared: str, stored: pa.Array
    ) -> None:
        table = parquet_file(tmp_path / "data/p.parquet", schema(value=declared), value=stored)
        with pytest.raises(StoreError) as raised:
            read(warehouse, table)
        assert raised.value.code == "FP-STORE-013"

    @pytest.mark.parametrize("stored", [pa.array([1.5]), pa.array([2.0**63]), pa.array([float("nan")])])
    def test_a_double_that_is_no_integer_stops_the_query(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path, stored: pa.Array
    ) -> None:
        table = parquet_file(tmp_path / "data/p.parquet", schema(value="bigint"), value=stored)
        with pytest.raises(StoreError):
            read(warehouse, table)

    def test_files_of_several_shapes_are_read_together(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        declared = schema(id="bigint", name="string")
        parquet_file(tmp_path / "data/a.parquet", declared, id=pa.array([1], pa.int8()), name=pa.array(["a"]))
        parquet_file(tmp_path / "data/b.parquet", declared, name=pa.array(["b"]), id=pa.array([2**40]))
        rows = read(warehouse, FilesTable(str(tmp_path / "data/*.parquet"), "parquet", declared))
        assert rows == [{"id": 1, "name": "a"}, {"id": 2**40, "name": "b"}]

    def test_a_file_that_was_written_again_is_read_as_it_is_now(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        declared = schema(id="bigint")
        table = parquet_file(tmp_path / "data/p.parquet", declared, id=pa.array([1], pa.int8()))
        assert read(warehouse, table) == [{"id": 1}]
        parquet_file(tmp_path / "data/p.parquet", declared, id=pa.array([2.0]))
        assert read(warehouse, table) == [{"id": 2}]
        parquet_file(tmp_path / "data/p.parquet", declared, id=pa.array(["3"]))
        with pytest.raises(StoreError) as raised:
            read(warehouse, table)
        assert raised.value.code == "FP-STORE-013"

    def test_one_file_without_a_column_is_not_read_as_null(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        declared = schema(id="bigint", name="string")
        parquet_file(tmp_path / "data/a.parquet", declared, id=pa.array([1]), name=pa.array(["a"]))
        parquet_file(tmp_path / "data/b.parquet", declared, id=pa.array([2]))
        with pytest.raises(StoreError) as raised:
            read(warehouse, FilesTable(str(tmp_path / "data/*.parquet"), "parquet", declared))
        assert raised.value.code == "FP-STORE-012"

    def test_a_damaged_file_is_a_clear_error(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        (tmp_path / "data/p.parquet").write_bytes(b"PAR1 and then nothing")
        with pytest.raises(StoreError):
            read(warehouse, FilesTable(str(tmp_path / "data/p.parquet"), "parquet", schema(id="bigint")))


class TestPlaces:
    def test_a_path_without_a_file_is_an_error(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        with pytest.raises(StoreError) as raised:
            read(warehouse, FilesTable(str(tmp_path / "data/*.parquet"), "parquet", schema(id="bigint")))
        assert raised.value.code == "FP-STORE-010"

    @pytest.mark.parametrize("name", ["m[x]*", "it's", 'a "b"', "$id; --", "ü\u200b", "a, b", "{c}", "p?.parquet"])
    def test_any_file_name_is_only_a_name(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path, name: str) -> None:
        declared = schema(id="bigint")
        (tmp_path / "data" / name).mkdir()
        table = parquet_file(tmp_path / "data" / name / f"{name}.parquet", declared, id=pa.array([1]))
        assert read(warehouse, table) == [{"id": 1}]

    def test_a_path_may_not_climb_out_of_the_data_folder(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        table = parquet_file(tmp_path / "secret.parquet", schema(id="bigint"), id=pa.array([1]))
        climbing = FilesTable(str(tmp_path / "data/../secret.parquet"), "parquet", table.schema)
        with pytest.raises(StoreError) as raised:
            read(warehouse, climbing)
        assert raised.value.code == "FP-STORE-011"

    def test_a_symbolic_link_may_not_lead_out_of_the_data_folder(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        table = parquet_file(tmp_path / "secret.parquet", schema(id="bigint"), id=pa.array([1]))
        (tmp_path / "data/link.parquet").symlink_to(tmp_path / "secret.parquet")
        with pytest.raises(StoreError) as raised:
            read(warehouse, FilesTable(str(tmp_path / "data/link.parquet"), "parquet", table.schema))
        assert raised.value.code == "FP-STORE-011"

    def test_the_version_of_files_changes_with_them(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        declared = schema(id="bigint")
        table = parquet_file(tmp_path / "data/p.parquet", declared, id=pa.array([1]))
        before = warehouse.version(table)
        assert warehouse.version(table) == before
        os.utime(tmp_path / "data/p.parquet", ns=(1, 1))
        assert warehouse.version(table) != before

    def test_a_folder_with_a_percent_escape_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError) as raised:
            DuckDBDeltaWarehouse("warehouse", tmp_path / "a%20b")
        assert raised.value.code == "FP-STORE-026"


class TestClosedSession:
    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM read_parquet('{secret}')",
            "SELECT * FROM '{secret}'",
            "SELECT * FROM read_text('/etc/hostname')",
            "SELECT * FROM glob('/etc/*')",
            "SELECT * FROM query('SELECT 1')",
            "SELECT * FROM query_table('t')",
            "SELECT * FROM duckdb_settings()",
            "SELECT * FROM temp.main.keys",
            "SELECT * FROM keys",
            "WITH c AS (SELECT * FROM keys) SELECT * FROM c",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM keys)",
            "DESCRIBE keys",
            "SHOW ALL TABLES",
            "SUMMARIZE keys",
        ],
    )
    def test_a_query_reaches_nothing_but_its_tables(self, tmp_path: Path, sql: str) -> None:
        parquet_file(tmp_path / "secret.parquet", schema(id="bigint"), id=pa.array([1]))
        warehouse = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse", setups=(Keys(),))
        with pytest.raises(StoreError):
            warehouse.execute(query(warehouse, sql.format(secret=tmp_path / "secret.parquet") + "\n-- keyed"))
        warehouse.close()

    def test_functions_of_a_setup_work_while_their_table_is_closed(self, tmp_path: Path) -> None:
        warehouse = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse", setups=(Keys(),))
        assert warehouse.read(query(warehouse, "SELECT keyed('a') AS k")).read_all().to_pylist() == [{"k": "a-pad"}]
        warehouse.close()

    def test_a_query_that_does_not_name_a_setup_goes_without(self, tmp_path: Path) -> None:
        keys = Keys()
        warehouse = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse", setups=(keys,))
        for sql, used in (("SELECT 'key' AS k", 0), ("SELECT KEYED('a') AS k", 1), ("SELECT 1 AS one", 1)):
            warehouse.execute(query(warehouse, sql))
            assert keys.sessions == used
        warehouse.close()


class TestForms:
    TABLE = TableName("inputs", "spine")
    MEASURE = "SELECT CASE WHEN COUNT(*) > 1 THEN 'many' ELSE 'one' END FROM \"inputs\".\"spine\""

    def of(self, *measures: str, **forms: str) -> Query:
        texts = {form: f'SELECT n, {value} AS form FROM "inputs"."spine"' for form, value in forms.items()}
        numbers = pa.table({"n": list(range(5))})
        stream = StreamTable(numbers.to_reader)
        sql = 'SELECT n, NULL AS form FROM "inputs"."spine" -- keyed'
        return Query(
            sql,
            "duckdb",
            tables={self.TABLE: stream},
            in_parts=self.TABLE,
            forms=texts,
            measures=measures or (self.MEASURE,),
        )

    @pytest.fixture
    def parted(self, tmp_path: Path) -> Iterator[DuckDBDeltaWarehouse]:
        found = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse", part_rows=2, setups=(Keys(),))
        yield found
        found.close()

    def test_each_part_is_measured_and_runs_in_its_form(self, parted: DuckDBDeltaWarehouse) -> None:
        rows = parted.read(self.of(many="'many'", one="'one'")).read_all()
        assert rows["n"].to_pylist() == [0, 1, 2, 3, 4]
        assert rows["form"].to_pylist() == ["many"] * 4 + ["one"]

    def test_a_measure_that_cannot_tell_leaves_it_to_the_next(self, parted: DuckDBDeltaWarehouse) -> None:
        rows = parted.read(self.of("SELECT NULL", self.MEASURE, many="'many'", one="'one'")).read_all()
        assert rows["form"].to_pylist() == ["many"] * 4 + ["one"]

    @pytest.mark.parametrize(
        ("measures", "forms"),
        [
            ([], {"many": "(SELECT pad FROM temp.main.keys)", "one": "'one'"}),
            ([], {"many": "1; DROP TABLE inputs.spine; SELECT 1", "one": "'one'"}),
            (["SELECT pad FROM temp.main.keys"], {"many": "'many'"}),
            (["SELECT NULL", "DROP TABLE inputs.spine"], {"many": "'many'"}),
        ],
    )
    def test_a_form_or_measure_reaches_no_more_than_any_query(
        self, parted: DuckDBDeltaWarehouse, measures: list[str], forms: dict[str, str]
    ) -> None:
        with pytest.raises(StoreError) as raised:
            parted.read(self.of(*measures, **forms))
        assert raised.value.code in {"FP-STORE-004", "FP-STORE-020"}


class Keys:
    """A setup with a table that no query may read."""

    duckdb_name = "Keyed"

    def __init__(self) -> None:
        self.sessions = 0

    def duckdb(self, connection: Any, versions: Mapping[str, int] | None = None) -> None:
        assert not versions
        self.sessions += 1
        connection.execute("CREATE TEMP TABLE keys AS SELECT 'pad' AS pad")
        connection.execute("CREATE TEMP MACRO keyed(x) AS x || '-' || (SELECT pad FROM temp.main.keys)")

    def postgres(self, connection: Any) -> None:
        raise AssertionError(f"not this engine: {connection}")

    def postgres_transaction(self, connection: Any, versions: Mapping[str, int]) -> None:
        raise AssertionError(f"not this engine: {connection} {versions}")


class TestDelta:
    def test_any_reader_of_delta_reads_the_table(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        declared = schema(id="bigint", at="timestamp", amount="decimal(38,9)")
        row = {"id": 1, "at": NOON, "amount": Decimal("1.5")}
        publish(warehouse, [row], declared, partition=day("2026-06-30"))
        table = DeltaTable(str(tmp_path / "warehouse/features/spend"))
        assert [field.name for field in table.schema().fields] == ["id", "at", "amount", "fp_partition"]
        assert table.partitions() == [{"fp_partition": "2026-06-30"}]
        assert parquet.read_table(table.file_uris()[0], schema=declared.arrow()).to_pylist() == [row]

    def test_a_table_may_get_its_first_timestamp_later(self, warehouse: DuckDBDeltaWarehouse) -> None:
        publish(warehouse, [{"id": 1}], schema(id="bigint"))
        publish(warehouse, [{"at": NOON}], schema(at="timestamp"))
        assert rows_of(warehouse) == [{"at": NOON}]

    def test_a_delta_table_of_others_with_partitions_is_refused(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        folder = tmp_path / "warehouse/raw/payments"
        write_deltalake(str(folder), pa.table({"id": [1], "country": ["CZ"]}), partition_by=["country"])
        with pytest.raises(StoreError) as raised:
            rows_of(warehouse, TableName("raw", "payments"))
        assert raised.value.code == "FP-STORE-025"

    def test_a_plain_delta_table_of_others_is_read(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        write_deltalake(str(tmp_path / "warehouse/raw/payments"), pa.table({"id": [1, 2]}))
        assert rows_of(warehouse, TableName("raw", "payments"), order="id") == [{"id": 1}, {"id": 2}]

    def test_many_publications_keep_the_log_and_the_folder_small(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        for value in range(25):
            publish(warehouse, [{"id": value}], schema(id="bigint"))
        folder = tmp_path / "warehouse/features/spend"
        assert list((folder / "_delta_log").glob("*.checkpoint.parquet"))
        assert len(list((folder / "data").rglob("*.parquet"))) == 1
        assert rows_of(warehouse) == [{"id": 24}]

    def test_a_version_that_is_read_keeps_its_files(self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
        publish(warehouse, [{"id": 1}], schema(id="bigint"))
        sql = 'SELECT * FROM "features"."spend"'
        reader = warehouse.read(Query(sql, "duckdb", {}, {SPEND: NativeTable(SPEND)}))
        publish(warehouse, [{"id": 2}], schema(id="bigint"))
        publish(warehouse, [{"id": 3}], schema(id="bigint"))
        data = tmp_path / "warehouse/features/spend/data"
        assert len(list(data.rglob("*.parquet"))) == 2
        assert reader.read_all().to_pylist() == [{"id": 1}]
        warehouse.sweep(SPEND)
        assert len(list(data.rglob("*.parquet"))) == 1


class TestTemporaryFiles:
    def test_a_query_beyond_its_memory_spills(self, tmp_path: Path) -> None:
        warehouse = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse", memory_limit="60MB", threads=1)
        sql = "SELECT count(DISTINCT md5(range::VARCHAR)) AS n FROM range(1200000)"
        assert warehouse.read(query(warehouse, sql)).read_all().to_pylist() == [{"n": 1_200_000}]
        warehouse.close()
        assert list((tmp_path / "warehouse/_spill").iterdir()) == []

    def test_nothing_is_left_of_a_query_that_was_read_or_given_up(self, tmp_path: Path) -> None:
        warehouse = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse", memory_limit="60MB", threads=1)
        spill = tmp_path / "warehouse/_spill"
        sql = "SELECT md5(range::VARCHAR) AS n FROM range(1200000) ORDER BY n"
        warehouse.read(query(warehouse, sql)).read_all()
        assert [each for each in spill.rglob("*") if each.suffix != ".lease" and each.parent != spill] == []
        reader = warehouse.read(query(warehouse, sql))
        reader.read_next_batch()
        assert list(spill.rglob("*.tmp"))
        del reader
        assert [each for each in spill.rglob("*") if each.suffix != ".lease" and each.parent != spill] == []

    def test_what_a_killed_process_spilled_is_removed_by_the_next(self, tmp_path: Path) -> None:
        program = f"""if True:
            from pathlib import Path
            from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
            from feature_platform.stores.protocols import Query
            warehouse = DuckDBDeltaWarehouse(
                "warehouse", Path({str(tmp_path)!r}) / "warehouse", memory_limit="60MB", threads=1)
            sql = "SELECT md5(range::VARCHAR) AS n FROM range(1200000) ORDER BY n"
            reader = warehouse.read(Query(sql, "duckdb"))
            reader.read_next_batch()
            print("spilled", flush=True)
            input()"""
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "spilled\n"
            spill = tmp_path / "warehouse/_spill"
            assert list(spill.rglob("*.tmp"))
            process.kill()
        warehouse = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse")
        warehouse.execute(query(warehouse, "SELECT 1"))
        assert list(spill.rglob("*.tmp")) == []
        warehouse.close()
        assert list(spill.iterdir()) == []

    def test_what_a_dead_process_spilled_is_removed_with_the_first_query(
        self, warehouse: DuckDBDeltaWarehouse, tmp_path: Path
    ) -> None:
        spill = tmp_path / "warehouse/_spill"
        (spill / "dead").mkdir(parents=True)
        (spill / "dead.lease").touch()
        (spill / "dead" / "duckdb_temp_storage.tmp").touch()
        warehouse.execute(query(warehouse, "SELECT 1"))
        assert not (spill / "dead").exists()
        assert not (spill / "dead.lease").exists()


def test_a_deeply_nested_query_runs(warehouse: DuckDBDeltaWarehouse) -> None:
    terms = " + ".join(["t.id"] * 600)
    sql = f"WITH t AS (SELECT unnest([1, 2]) AS id) SELECT {terms} AS total FROM t ORDER BY 1"
    assert warehouse.read(query(warehouse, sql)).read_all().to_pylist() == [{"total": 600}, {"total": 1200}]


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "warehouse").write_text("a file stands where the folder should be")
    warehouse = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse")
    with pytest.raises(StoreError) as raised:
        publish(warehouse, [{"id": 1}], schema(id="bigint"))
    assert raised.value.code == "FP-STORE-030"


def test_a_table_that_was_removed_is_gone_and_one_made_anew_is_read(
    warehouse: DuckDBDeltaWarehouse, tmp_path: Path
) -> None:
    """Also where its newest version has the number of the one that was seen before."""
    for number in (1, 2):
        publish(warehouse, [{"id": number}], schema(id="bigint"))
        assert [row["id"] for row in rows_of(warehouse)] == [number]
        shutil.rmtree(tmp_path / "warehouse/features/spend")
        assert warehouse.schema(SPEND) is None


def test_a_damaged_log_is_a_clear_error(warehouse: DuckDBDeltaWarehouse, tmp_path: Path) -> None:
    publish(warehouse, [{"id": 1}], schema(id="bigint"))
    assert warehouse.schema(SPEND) == schema(id="bigint")
    (tmp_path / "warehouse/features/spend/_delta_log/00000000000000000000.json").write_text("{ no json")
    with pytest.raises(StoreError) as raised:
        warehouse.schema(SPEND)
    assert raised.value.code == "FP-STORE-030"

"""Memory does not grow with rows: ten times as many are staged in a process whose peak is nearly the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores.warehouse_cases import Kind, duckdb_kind, postgres_kind

ROOT = Path(__file__).parents[2]
STAGE = """
import json, os, resource, sys
from pathlib import Path
import pyarrow as pa
from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import NativeTable, Query, StreamTable, TableName
from tests.stores.warehouse_cases import SPEND, schema

kind, place, prefix, how, rows = *sys.argv[1:5], int(sys.argv[5])
declared = schema(number="bigint", note="string", amount="decimal(38,9)")
warehouse = (
    DuckDBDeltaWarehouse("w", Path(place), memory_limit="100MB", threads=1)
    if kind == "duckdb_delta" else PostgresWarehouse("w", place, schema_prefix=prefix)
)

def batches():
    for start in range(0, rows, 10_000):
        numbers = pa.array(range(start, start + 10_000))
        notes = pa.array([f"{number:0120}" for number in range(10_000)])
        yield pa.record_batch([numbers, notes, numbers.cast(pa.decimal128(38, 9))], declared.arrow())

series = "range({0}) AS t(i)" if kind == "duckdb_delta" else "generate_series(1, {0}) AS t(i)"
columns = "CAST(i AS bigint) AS number, lpad(CAST(i AS varchar), 120, '0') AS note, CAST(i AS decimal(38,9)) AS amount"
relation = (
    Query(f"SELECT {columns} FROM {series.format(rows)}", warehouse.engine) if how == "query"
    else StreamTable(lambda: pa.RecordBatchReader.from_batches(declared.arrow(), batches()))
)
published = warehouse.publish(warehouse.stage(SPEND, declared, relation))
every = Query('SELECT * FROM "features"."spend"', warehouse.engine, tables={SPEND: NativeTable(SPEND)})
assert published.rows == warehouse.execute(every) == rows
warehouse.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)
os._exit(0)  # memory is the subject here; native threads that race with the interpreter's end are not
"""


@pytest.fixture(params=["duckdb_delta", "postgres"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    if request.param == "postgres":
        return postgres_kind(request.getfixturevalue("postgres_url"))
    return duckdb_kind(tmp_path)


def peak_megabytes(kind: Kind, how: str, rows: int) -> int:
    command = [sys.executable, "-c", STAGE, *kind.arguments, how, str(rows)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout))


@pytest.mark.parametrize("how", ["query", "stream"])
def test_ten_times_the_rows_need_no_more_memory(kind: Kind, how: str) -> None:
    few, many = peak_megabytes(kind, how, 130_000), peak_megabytes(kind, how, 1_300_000)
    whole = 1_300_000 * (120 + 24) / 1e6
    assert many < few + whole / 3, f"{few} MB became {many} MB"

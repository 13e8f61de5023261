"""Files that cannot have a row that matters are not opened, and what a query gives is the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.duckdb_delta_footers import Footers
from feature_platform.stores.protocols import FilesTable, Query, Span, TableName
from feature_platform.types import Column, DataType, TableSchema

EVENTS = TableName("sources", "events")
SCHEMA = TableSchema((Column("id", DataType.parse("bigint")), Column("at", DataType.parse("timestamp"))))
DAY = datetime(2026, 6, 1)
HOURS = st.integers(-60, 60)
TYPES = [pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("ns"), pa.timestamp("us", tz="America/New_York")]


@pytest.fixture
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        yield connection


def write(file: Path, times: list[datetime | None], kind: pa.DataType = TYPES[0], **options: Any) -> str:
    values = pa.array(times, pa.timestamp("us")).cast(kind)
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({"id": pa.array(range(len(times)), pa.int64()), "at": values}), file, **options)
    return str(file)


def hours(first: int, last: int) -> Span:
    return Span("at", DAY + timedelta(hours=first), DAY + timedelta(hours=last))


def test_only_files_that_may_have_rows_in_the_span_are_kept(session: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{day}.parquet", [DAY + timedelta(days=day, hours=hour) for hour in range(24)])
        for day in range(5)
    ]
    footers = Footers()
    assert footers.within(session, files, hours(24, 47)) == files[1:2]
    assert footers.within(session, files, hours(23, 48)) == files[:3]
    assert footers.within(session, files, Span("at", None, DAY)) == files[:1]
    assert footers.within(session, files, hours(1_000, 1_001)) == files[-1:], (
        "something has to say what columns there are"
    )


def test_a_file_that_does_not_tell_is_kept(session: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    silent = write(tmp_path / "a.parquet", [DAY], write_statistics=False)
    nothing = write(tmp_path / "b.parquet", [None])
    told = write(tmp_path / "c.parquet", [DAY])
    assert Footers().within(session, [silent, nothing, told], hours(48, 49)) == [silent, nothing]
    assert Footers().within(session, [silent, told], Span("elsewhere", DAY, DAY)) == [silent, told]


def test_a_file_that_was_written_again_is_looked_into_again(session: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    footers = Footers()
    files = [write(tmp_path / "a.parquet", [DAY]), write(tmp_path / "b.parquet", [DAY])]
    assert footers.within(session, files, hours(48, 49)) == files[-1:]
    write(tmp_path / "a.parquet", [DAY, DAY + timedelta(hours=48)])
    assert footers.within(session, files, hours(48, 49)) == files[:1]


@given(
    files=st.lists(st.tuples(st.lists(HOURS | st.none(), max_size=4), st.sampled_from(TYPES)), min_size=1, max_size=5),
    first=HOURS,
    last=HOURS,
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_span_takes_no_row_away(
    tmp_path: Path, files: list[tuple[list[int | None], pa.DataType]], first: int, last: int
) -> None:
    folder = tmp_path / "data"
    for old in folder.glob("*.parquet"):
        old.unlink()
    for number, (times, kind) in enumerate(files):
        moments = [None if hour is None else DAY + timedelta(hours=hour) for hour in times]
        write(folder / f"{number}.parquet", moments, kind, row_group_size=2)
    table = FilesTable(str(folder / "*.parquet"), "parquet", SCHEMA)
    span = hours(first, last)
    text = 'SELECT id, "at" FROM sources.events WHERE "at" >= $since AND "at" <= $until ORDER BY ALL'
    values = {"since": span.since, "until": span.until}
    found = []
    with closing(DuckDBDeltaWarehouse("w", tmp_path / "warehouse", data_root=folder)) as warehouse:
        for each in (table, replace(table, span=span)):
            found.append(warehouse.read(Query(text, "duckdb", values, {EVENTS: each})).read_all().to_pylist())
    assert found[0] == found[1]

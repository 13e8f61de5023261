"""What part of a source a compiled query needs."""

from __future__ import annotations

from datetime import datetime, timedelta

from feature_platform.compiler.plan import CompiledQuery, Reach
from feature_platform.project.spans import span_of, within
from feature_platform.stores.protocols import FilesTable, NativeTable, Span, TableName
from feature_platform.types import TableSchema

TICK = datetime(2026, 6, 1, 12)
HOUR = 3_600_000_000


def query(reach: Reach | None) -> CompiledQuery:
    return CompiledQuery({}, (), (), ("first", "last"), reach=reach)


def test_a_span_goes_back_from_the_first_tick_and_ends_at_the_last() -> None:
    values = {"first": TICK, "last": TICK + timedelta(hours=5)}
    assert span_of(query(Reach("at", "first", HOUR, "last")), values) == Span(
        "at", TICK - timedelta(hours=1), TICK + timedelta(hours=5)
    )
    assert span_of(query(Reach("at", "first", None, "last")), values) == Span("at", None, TICK + timedelta(hours=5))
    assert span_of(query(None), values) is None


def test_a_reach_beyond_the_calendar_has_no_start() -> None:
    reach = Reach("at", "first", 800 * 366 * 24 * HOUR, "last")
    early = datetime(700, 1, 1)
    assert span_of(query(reach), {"first": early, "last": early}) == Span("at", None, early)


def test_files_get_the_span_and_other_tables_stay() -> None:
    files, native = FilesTable("events/*.parquet", "parquet", TableSchema(())), NativeTable(TableName("s", "t"))
    span = Span("at", None, TICK)
    found = within({TableName("sources", "events"): files, TableName("s", "t"): native}, span)
    assert [getattr(table, "span", "none") for table in found.values()] == [span, "none"]
    assert files.span is None

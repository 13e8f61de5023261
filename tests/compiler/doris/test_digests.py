"""Intervals of ticks and their numbers of events, in Doris' text run on DuckDB, are those of DuckDB's own text."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.doris.views import doris_query
from feature_platform.compiler.event_digests import FIRST, LAST, event_digests, published_digests, row_digests
from feature_platform.compiler.project import compile_project
from feature_platform.governance.access import author_of
from feature_platform.registry.graph import Registry
from feature_platform.specs.models import Materialization
from tests.compiler.doris.sessions import PortableSession, portable_session
from tests.compiler.event_project import EVENT_COLUMNS, VARIANTS, DuckDBSession, project, source_yaml
from tests.compiler.test_windows_at_points import ANCHORS, registry_of_variants, side_by_side, world

VIEWS = ["of_corrected", "of_repeated", "of_late", "of_plain", "of_daily", "bounded", "shifted", "tiled"]
WORLDS = 8


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return registry_of_variants(tmp_path_factory.mktemp("variants"))


@pytest.fixture(scope="module")
def session() -> PortableSession:
    return portable_session()


@pytest.mark.parametrize("unit", ["hour", "day"])
@pytest.mark.parametrize("name", VIEWS)
def test_the_same_events_count_for_the_same_ticks(
    registry: Registry, session: PortableSession, name: str, unit: Any
) -> None:
    linked = registry.views[name]
    partitioned = linked.spec.model_copy(update={"materialization": Materialization(partition=unit)})
    view = replace(linked, spec=partitioned)
    query = event_digests(view, registry, catalog_of(registry, {}), author_of(registry), ("duckdb", "doris"))
    rows = [side_by_side(event, number) for number in range(WORLDS) for event in world(number, 30, 0).rows]
    first = ANCHORS[0].replace(hour=0, minute=0, second=0, microsecond=0)
    ticks = {FIRST: first - timedelta(days=3), LAST: first + timedelta(days=2)}
    session.put("sources", linked.spec.source or "", EVENT_COLUMNS, rows)
    ours = session.run(query.sql["doris"], **ticks)
    theirs = DuckDBSession.run(session, query.sql["duckdb"], **ticks)
    assert counted(ours) == counted(theirs) != []
    assert all(isinstance(int(row["checksum"]), int) for row in ours)


ROWS = """
kind: feature_view
name: daily_rows
entity: card
event_time: happened
sql: SELECT card, happened, amount, label FROM corrected
materialization: {partition: day}
"""


def test_rows_of_partitions_are_counted_alike(tmp_path: Path, session: PortableSession) -> None:
    registry = project(tmp_path, source_yaml("corrected", VARIANTS["corrected"]), ROWS)
    compiled = compile_project(registry)
    view = compiled.views["daily_rows"]
    given = {"doris": doris_query("daily_rows", registry, compiled), "duckdb": view.materialize}
    rows = [event for number in range(WORLDS) for event in world(number, 30, 0).rows]
    session.put("sources", "corrected", EVENT_COLUMNS, rows)
    first = ANCHORS[0].replace(hour=0, minute=0, second=0, microsecond=0)
    span = {"partition_start": first - timedelta(days=40), "partition_end": first + timedelta(days=40)}
    found = {engine: row_digests(view, query).sql[engine] for engine, query in given.items()}
    ours, theirs = session.run(found["doris"], **span), DuckDBSession.run(session, found["duckdb"], **span)
    assert by_day(ours) == by_day(theirs) != []
    kept = {column.name: str(column.type) for column in view.schema.columns}
    session.put("features", "daily_rows", kept, DuckDBSession.run(session, given["duckdb"].sql["duckdb"], **span))
    live = session.run(published_digests(view, "doris").sql["doris"], **span)
    assert sorted(map(str, live)) == sorted(map(str, ours)), "what is published is what would be"


def by_day(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((row["enters"], row["events"]) for row in rows)


def counted(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((row["enters"], row["leaves"], row["events"]) for row in rows)

"""What is read of a long history: the time that the windows of a partition reach, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from sqlglot import exp

from feature_platform.compiler.event_digests import event_digests
from feature_platform.compiler.plan import CompiledQuery
from feature_platform.orchestration.partitions import partition_of
from feature_platform.project.project import Project
from feature_platform.stores.postgres_query import driver_query
from feature_platform.stores.protocols import Query, TableName
from tests.orchestration.test_touched import TABLES, opened_in, utc

HOUR = partition_of("2026-02-10-05:00", "hour")
PARAMETERS = {
    "partition_start": HOUR.start,
    "partition_end": HOUR.end,
    "first_tick": HOUR.end,
    "last_tick": HOUR.end,
}
"""Windows reach 3 hours back; the history has 2,000 hours, 60 rows in each."""
EVENTS = """
    SELECT i AS payment_id, i % 50 AS card_id, TIMESTAMP '2025-12-01' + to_seconds(i * 60) AS event_time,
        TIMESTAMP '2025-12-01' + to_seconds(i * 60) AS known_at, 5 AS amount
    FROM range(120000) AS r(i)
"""


def queries(project: Project) -> dict[str, CompiledQuery]:
    """Everything that reads the source for one partition, of views in both forms."""
    view = project.registry.views["uncorrected"]
    found = {name: project.compiled.views[name].materialize for name in ("uncorrected", "tiled", "rows")} | {
        "digest": event_digests(view, project.registry, project.catalog, project.compiled.author)
    }
    return {name: query for name, query in found.items() if query is not None}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    _, opened = opened_in(tmp_path_factory.mktemp("reads"), "duckdb", TABLES)
    with opened:
        yield opened


@pytest.mark.parametrize("name", ["uncorrected", "rows", "digest"])
def test_row_groups_outside_the_reach_are_not_read(project: Project, tmp_path: Path, name: str) -> None:
    file = tmp_path / "events.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({EVENTS}) TO '{file}' (FORMAT parquet, ROW_GROUP_SIZE 2048)").fetchall()
        connection.execute("CREATE SCHEMA sources").fetchall()
        for source in ("plain", "corrected"):
            connection.execute(f"CREATE VIEW sources.{source} AS SELECT * FROM '{file}'").fetchall()
        query = queries(project)[name]
        values = {each: PARAMETERS[each] for each in query.parameters}
        plan = connection.execute(f"EXPLAIN ANALYZE {query.sql['duckdb']}", values).fetchall()[0][1]
    read = [(int(scanned), int(of)) for scanned, of in re.findall(r"Row Groups Scanned: (\d+) / (\d+)", plan)]
    assert read
    assert all(scanned <= 2 < of for scanned, of in read), plan


def test_versions_of_events_are_not_looked_for_outside_the_reach(tmp_path: Path) -> None:
    file = tmp_path / "events.parquet"
    _, opened = opened_in(tmp_path, "duckdb", TABLES.replace("    available_at: known_at\n", ""))
    with opened, duckdb.connect() as connection:
        connection.execute(f"COPY ({EVENTS}) TO '{file}' (FORMAT parquet, ROW_GROUP_SIZE 2048)").fetchall()
        connection.execute("CREATE SCHEMA sources").fetchall()
        connection.execute(f"CREATE VIEW sources.corrected AS SELECT * FROM '{file}'").fetchall()
        query = opened.compiled.views["tiled"].materialize
        assert query is not None
        values = {each: PARAMETERS[each] for each in query.parameters}
        plan = connection.execute(f"EXPLAIN ANALYZE {query.sql['duckdb']}", values).fetchall()[0][1]
    read = [(int(scanned), int(of)) for scanned, of in re.findall(r"Row Groups Scanned: (\d+) / (\d+)", plan)]
    assert len(read) == 3, "candidates, keys that occur twice, and their versions"
    assert all(scanned <= 2 < of for scanned, of in read), read


@pytest.mark.parametrize("name", ["uncorrected", "rows", "digest"])
def test_an_index_on_the_time_is_used_in_postgres(project: Project, postgres_url: str, name: str) -> None:
    query = queries(project)[name]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE long (payment_id bigint, card_id bigint, event_time timestamp, "
            "known_at timestamp, amount bigint)"
        )
        connection.execute(
            "INSERT INTO long SELECT i, i % 50, t, t, 5 FROM (SELECT i, TIMESTAMP '2025-12-01' + i * INTERVAL '1 min' "
            "AS t FROM generate_series(0, 119999) AS r(i)) AS e"
        )
        connection.execute("CREATE INDEX ON long (event_time)")
        connection.execute("ANALYZE long")
        tables = {TableName("sources", source): exp.to_table("long") for source in ("plain", "corrected")}
        values: dict[str, Any] = {each: PARAMETERS[each] for each in query.parameters}
        ready = driver_query(Query(query.sql["postgres"], "postgres", values), tables)
        plan = "\n".join(row[0] for row in connection.execute("EXPLAIN " + ready.sql, ready.parameters).fetchall())  # type: ignore[arg-type]
    assert "long_event_time_idx" in plan, plan
    assert "Seq Scan on long" not in plan, plan


def test_the_newest_event_is_looked_for_where_it_should_be(project: Project) -> None:
    from feature_platform.orchestration.newest_event import newest_event

    folder = project.data / "events"
    folder.mkdir(parents=True, exist_ok=True)
    header = "payment_id,card_id,event_time,known_at,amount\n"
    for when, expected in ((utc(2026, 1, 3, 4), utc(2026, 1, 3, 4)), (utc(2020, 1, 1), utc(2020, 1, 1))):
        (folder / "1.csv").write_text(f"{header}1,1,{when},{when},5\n")
        assert newest_event(project, "uncorrected", utc(2026, 1, 3, 5)) == expected
    (folder / "1.csv").write_text(header)
    assert newest_event(project, "uncorrected", utc(2026, 1, 3, 5)) is None

"""Late events, corrections and deletions rebuild the partitions whose windows they touch, and no others."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from feature_platform.orchestration.history import why_stale
from feature_platform.orchestration.materialization import audit, publish, request, stage
from feature_platform.orchestration.partitions import partition_at
from feature_platform.orchestration.touched import Digest, by_tick, event_digests
from feature_platform.project.project import Project
from feature_platform.stores.protocols import Partition
from tests.orchestration.builders import Workplace, environment, utc

PLATFORMS = {
    "duckdb": """
    kind: platform
    name: cards
    purposes: {fraud_detection: Stopping fraud.}
    profiles: {embedded: {stores: {warehouse: {type: duckdb_delta, memory_limit: 256MB, threads: 2}}}}
""",
    "postgres": """
    kind: platform
    name: cards
    purposes: {fraud_detection: Stopping fraud.}
    profiles: {embedded: {stores: {warehouse: {type: postgres, url_env: FP_TEST_POSTGRES, schema_prefix: touched}}}}
""",
}

TABLES = """
    kind: domain
    name: payments
    owner: team:payments
    ---
    kind: entity
    name: card
    keys: [{name: card_id, type: bigint, pii: none}]
    ---
    kind: source
    name: corrected
    path: events/*.csv
    format: csv
    event_time: event_time
    available_at: known_at
    key: [payment_id]
    columns:
      payment_id: {type: bigint, pii: none}
      card_id: {type: bigint, pii: none}
      event_time: {type: timestamp, pii: none}
      known_at: {type: timestamp, pii: none}
      amount: {type: bigint, pii: none}
    ---
    kind: source
    name: plain
    path: events/*.csv
    format: csv
    event_time: event_time
    available_at: known_at
    columns:
      payment_id: {type: bigint, pii: none}
      card_id: {type: bigint, pii: none}
      event_time: {type: timestamp, pii: none}
      known_at: {type: timestamp, pii: none}
      amount: {type: bigint, pii: none}
"""

VIEW = """
    kind: feature_view
    name: NAME
    entity: card
    source: SOURCE
    accuracy: ACCURACY
    WHERE
    aggregations:
      - {function: sum, column: amount, windows: [90m, 3h]}
      - {function: count, windows: [1h], offset: OFFSET}
    materialization: {offline: warehouse, schedule: "@hourly", partition: hour, start: 2026-01-01, lookback: 6h}
"""

ROWS = """
    kind: feature_view
    name: rows
    entity: card
    sql: SELECT card_id, event_time, known_at, amount FROM plain
    event_time: event_time
    available_at: known_at
    materialization: {offline: warehouse, partition: hour, start: 2026-01-01}
"""

VIEWS = ("exact", "tiled", "snapshot", "filtered", "uncorrected")
REACH = timedelta(hours=3, minutes=5)
"""The longest window and a tile."""
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example takes a second, so one that fails is not made smaller."""
HOURS = tuple(partition_at(utc(2026, 1, 5, hour), "hour") for hour in range(6, 14))
BEGIN = utc(2026, 1, 5, 2)


@dataclass(frozen=True)
class Event:
    """A row of the source, times in minutes since ``BEGIN``."""

    payment_id: int
    card_id: int
    at: int
    delay: int
    amount: int

    @property
    def event_time(self) -> datetime:
        return BEGIN + timedelta(minutes=self.at)

    @property
    def known_at(self) -> datetime:
        return self.event_time + timedelta(minutes=self.delay)


def view(name: str) -> str:
    changes = {
        "NAME": name,
        "SOURCE": "plain" if name == "uncorrected" else "corrected",
        "ACCURACY": name if name in ("tiled", "snapshot") else "exact",
        "WHERE": "where: amount > 3" if name == "filtered" else "",
        "OFFSET": "2h" if name != "tiled" else "1h",
    }
    text = VIEW
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


@dataclass(frozen=True)
class Opened:
    project: Project
    folder: Path
    postgres_url: str = ""

    def write(self, events: Sequence[Event]) -> None:
        if self.postgres_url:
            self._insert(events)
            return
        path = self.folder / "1.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["payment_id", "card_id", "event_time", "known_at", "amount"])
            for each in events:
                rows.writerow([each.payment_id, each.card_id, each.event_time, each.known_at, each.amount])

    def _insert(self, events: Sequence[Event]) -> None:
        with psycopg.connect(self.postgres_url) as connection, connection.cursor() as cursor:
            cursor.execute("TRUNCATE touched.events")
            cursor.executemany(
                "INSERT INTO touched.events VALUES (%s, %s, %s, %s, %s)",
                [(each.payment_id, each.card_id, each.event_time, each.known_at, each.amount) for each in events],
            )

    def digests(self, name: str) -> dict[str, Digest]:
        return event_digests(self.project, self.project.compiled.views[name], HOURS, {})

    def rows(self, name: str, partition: Partition) -> list[dict[str, Any]]:
        compiled = self.project.compiled.views[name].materialize
        assert compiled is not None
        times = {"partition_start": partition.start, "partition_end": partition.end}
        with self.project.warehouse().read(self.project.query(compiled, "warehouse", **times)) as reader:
            rows: list[dict[str, Any]] = reader.read_all().to_pylist()
        return sorted(rows, key=lambda row: tuple(map(str, row.values())))


def opened_in(folder: Path, engine: str, tables: str) -> tuple[Workplace, Project]:
    place = Workplace(folder)
    place.write(PLATFORMS[engine], file="platform.yaml")
    place.write(tables, file="payments/tables.yaml")
    place.write(*map(view, VIEWS), ROWS)
    return place, place.open()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with pytest.MonkeyPatch.context() as variables:
        variables.delenv("FP_HOME", raising=False)
        place, project = opened_in(tmp_path_factory.mktemp("touched"), "duckdb", TABLES)
        with project:
            yield Opened(project, place.state / "data" / "events")


@pytest.fixture(scope="module")
def in_postgres(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Opened]:
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE SCHEMA IF NOT EXISTS touched")
        server.execute("DROP TABLE IF EXISTS touched.events")
        server.execute(
            "CREATE TABLE touched.events (payment_id bigint, card_id bigint, event_time timestamp, known_at timestamp, "
            "amount bigint)"
        )
        server.execute("CREATE INDEX ON touched.events (event_time)")
    with pytest.MonkeyPatch.context() as variables:
        variables.delenv("FP_HOME", raising=False)
        for name, value in environment(postgres_url, "").items():
            variables.setenv(name, value)
        tables = TABLES.replace("path: events/*.csv\n    format: csv", "table: touched.events")
        place, project = opened_in(tmp_path_factory.mktemp("touched"), "postgres", tables)
        with project:
            yield Opened(project, place.folder, postgres_url)


def events(payment_ids: st.SearchStrategy[int]) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        payment_ids,
        st.integers(1, 2),
        st.one_of(st.integers(0, 720), st.sampled_from([239, 240, 241, 299, 300, 330, 600])),
        st.sampled_from([0, 0, 0, 1, 60, 200]),
        st.integers(1, 6),
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """A source, and what it is later: with late events, corrections (another row of the same key) and deletions."""
    before = draw(st.lists(events(st.integers(1, 5)), max_size=6))
    gone = draw(st.sets(st.sampled_from(range(len(before))), max_size=1)) if before else set()
    kept = [each for number, each in enumerate(before) if number not in gone]
    late = draw(st.lists(events(st.integers(1, 8)), max_size=2))
    return before, kept + late


def touched_range(changed: Sequence[Event], related: Sequence[Event]) -> set[str]:
    """Hours whose windows cover an event that came or went, or another version of it."""
    keys = {each.payment_id for each in changed}
    covered = [*changed, *(each for each in related if each.payment_id in keys)]
    return {
        hour.key for hour in HOURS if any(each.event_time < hour.end <= each.event_time + REACH for each in covered)
    }


@settings(max_examples=15, deadline=None, phases=PHASES)
@given(histories(), st.sampled_from(VIEWS))
def test_exactly_the_partitions_that_a_change_touches_are_stale(
    opened: Opened, history: tuple[list[Event], list[Event]], name: str
) -> None:
    check_what_is_stale(opened, *history, name)


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(histories(), st.sampled_from(VIEWS))
def test_the_same_partitions_are_stale_in_postgres(
    in_postgres: Opened, history: tuple[list[Event], list[Event]], name: str
) -> None:
    check_what_is_stale(in_postgres, *history, name)


def check_what_is_stale(opened: Opened, before: list[Event], after: list[Event], name: str) -> None:
    opened.write(before)
    digests = opened.digests(name)
    opened.write(after)
    now = opened.digests(name)
    stale = {key for key, digest in digests.items() if digest != now[key]}
    changed = list(((Counter(before) - Counter(after)) + (Counter(after) - Counter(before))).elements())
    assert stale <= touched_range(changed, [*before, *after])
    left_alone = [hour for hour in HOURS if hour.key not in stale]
    rows = {hour.key: opened.rows(name, hour) for hour in left_alone}
    opened.write(before)
    assert {hour.key: opened.rows(name, hour) for hour in left_alone} == rows


def test_order_and_files_play_no_part(opened: Opened) -> None:
    some = [Event(number, number % 2, 60 * number, 0, number) for number in range(1, 9)]
    opened.write(some)
    before = opened.digests("exact")
    opened.write(some[::-1])
    assert opened.digests("exact") == before
    assert before[HOURS[1].key].count > 0


def test_an_event_that_was_not_known_yet_touches_no_partition_before(opened: Opened) -> None:
    opened.write([])
    before = opened.digests("exact")
    opened.write([Event(1, 1, 241, 100, 5)])  # of 06:01, known at 07:41, in windows until 09:01
    now = opened.digests("exact")
    assert [hour.end.hour for hour in HOURS if now[hour.key] != before[hour.key]] == [8, 9]


def test_a_duplicate_of_an_event_with_a_key_changes_nothing(opened: Opened) -> None:
    event = Event(1, 1, 241, 0, 5)
    opened.write([event])
    before = {name: opened.digests(name) for name in VIEWS}
    opened.write([event, event])
    unchanged = {name for name in VIEWS if opened.digests(name) == before[name]}
    assert unchanged == set(VIEWS) - {"uncorrected"}


def published(opened: Opened, name: str, hours: Sequence[Partition]) -> None:
    for hour in hours:
        publish(opened.project, audit(opened.project, stage(opened.project, request(name, hour, hour.end), run_id="r")))


@pytest.mark.parametrize("name", ["exact", "rows"])
def test_a_late_event_is_a_reason_for_its_partitions_only(opened: Opened, name: str) -> None:
    hours = HOURS[:4]
    some = [Event(number, 1, 240 + 10 * number, 0, 5) for number in range(20)]
    opened.write(some)
    published(opened, name, hours)
    assert [why_stale(opened.project, name, hour) for hour in hours] == [""] * 4
    opened.write([*some, replace(some[0], payment_id=99, card_id=2, at=365)])
    why = [why_stale(opened.project, name, hour) for hour in hours]
    assert why == (["", "", "1 late events", "1 late events"] if name == "exact" else ["", "", "its rows changed", ""])
    published(opened, name, [hour for hour, reason in zip(hours, why, strict=True) if reason])
    assert [why_stale(opened.project, name, hour) for hour in hours] == [""] * 4


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5), st.integers(0, 2**64 - 1)), max_size=20),
    st.lists(st.integers(0, 12), unique=True).map(sorted),
)
def test_ticks_add_up_the_intervals_that_hold_them(spans: list[tuple[int, int, int]], ticks: list[int]) -> None:
    def at(number: int) -> datetime:
        return BEGIN + timedelta(hours=number)

    found = by_tick([(at(start), at(start + n), Digest(1, value)) for start, n, value in spans], list(map(at, ticks)))
    for tick in ticks:
        held = [value for start, n, value in spans if start <= tick < start + n]
        assert found[at(tick)] == Digest(len(held), sum(held) % 2**64)

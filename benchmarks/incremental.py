"""What an hourly run costs while the history grows, and what a copy of changes to an online store costs. Prints JSON.

* Hours: a source of events in Parquet files of a day, sorted by time, 10,000 events an hour: one million are four
  days, a hundred million fourteen months. A view by the hour with windows of 1 hour, 1 day and 3 days is up to date;
  then an hour of events arrives, and one late event. Timed is everything that ``fp materialize`` does then: finding
  out what is stale, building, checking, publishing. Once for a source without a key, once for one with.
* Growth: the same with five times as many events in the new hour.
* Online: a million entities, one in a hundred changed: a copy of changes against a full snapshot, on both stores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import redis

from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from feature_platform.stores.online_protocol import OnlineChanges, OnlineStore, OnlineTable
from feature_platform.stores.online_writes import keys_only
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.types import Column, DataType, TableSchema

PER_HOUR = 10_000
CARDS = 20_000
NOW = datetime(2026, 6, 1, 12)
PROJECT = """
    kind: platform
    name: bench
    purposes: {fraud_detection: Stopping fraud.}
    profiles: {embedded: {stores: {warehouse: {type: duckdb_delta, memory_limit: 2GB, threads: 2}}}}
"""
DOMAIN = """
    kind: domain
    name: payments
    owner: team:payments
    ---
    kind: entity
    name: card
    keys: [{name: card_id, type: bigint, pii: none}]
    ---
    kind: source
    name: events
    path: events/*.parquet
    format: parquet
    event_time: event_time
    KEY
    columns:
      event_id: {type: bigint, pii: none}
      card_id: {type: bigint, pii: none}
      event_time: {type: timestamp, pii: none}
      amount: {type: bigint, pii: none}
    ---
    kind: feature_view
    name: spend
    entity: card
    source: events
    aggregations:
      - {function: sum, column: amount, windows: [1h, 1d, 3d]}
      - {function: count, windows: [1h, 1d]}
    materialization: {offline: warehouse, schedule: "@hourly", start: 2020-01-01, lookback: 3h}
    contract: {freshness: 2h}
"""


def main() -> None:
    """``python benchmarks/incremental.py [--events 1000000 ...] [--entities 1000000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="*", default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"hourly_run": []}
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as folder:
        for events in arguments.events:
            for key in ("", "key: [event_id]"):
                measured = _hourly(Path(folder) / "hourly", events, key, arguments.repeats)
                result["hourly_run"].append({"history": events, "source": "with key" if key else "plain", **measured})
                print(result["hourly_run"][-1], file=sys.stderr, flush=True)
        if arguments.entities:
            result["online"] = _online(Path(folder), arguments.entities, arguments.repeats)
    print(json.dumps(result, indent=2))


def _hourly(folder: Path, events: int, key: str, repeats: int) -> dict[str, Any]:
    root, data = folder / "feature_defs", folder / ".fp" / "data" / "events"
    (root / "payments").mkdir(parents=True)
    data.mkdir(parents=True)
    (root / "platform.yaml").write_text(textwrap.dedent(PROJECT))
    (root / "payments" / "bench.yaml").write_text(
        textwrap.dedent(DOMAIN.replace("KEY", key or "description: Payments."))
    )
    _generate(data, events)
    seconds: dict[str, list[float]] = {"seconds": [], "wall_seconds": [], "five_times_the_events": []}
    with Project.open(root) as project:
        moment = NOW
        assert materialize(project, as_of=moment, partition=_hours(moment, 4)).ok
        for turn in range(2 * repeats):
            factor = 1 if turn % 2 == 0 else 5
            _write(data, f"new_{turn}", moment, moment + timedelta(hours=1), PER_HOUR * factor, events + turn * 10**6)
            late = moment - timedelta(minutes=90)
            _write(data, f"late_{turn}", late, late + timedelta(seconds=1), 1, events + turn * 10**6 + 10**5 * 9)
            moment += timedelta(hours=1)
            began, clock = time.process_time(), time.perf_counter()
            (report,) = materialize(project, as_of=moment).assets
            took, wall = time.process_time() - began, time.perf_counter() - clock
            assert len(report.partitions) == 3, report  # the new hour, and the two that the late event touches
            seconds["seconds" if factor == 1 else "five_times_the_events"].append(took)
            if factor == 1:
                seconds["wall_seconds"].append(wall)
    files = len(list(data.iterdir()))
    shutil.rmtree(folder)
    return {name: round(min(of), 3) for name, of in seconds.items()} | {"files": files}


def _hours(moment: datetime, count: int) -> str:
    first, last = moment - timedelta(hours=count), moment - timedelta(hours=1)
    return f"{first:%Y-%m-%d-%H:%M}..{last:%Y-%m-%d-%H:%M}"


def _generate(folder: Path, events: int) -> None:
    """Files of a day, sorted by time, up to ``NOW``."""
    hours = -(-events // PER_HOUR)
    begin = NOW - timedelta(hours=hours)
    day = begin
    while day < NOW:
        end = min(datetime(day.year, day.month, day.day) + timedelta(days=1), NOW)
        count = round((end - day) / timedelta(hours=1) * PER_HOUR)
        _write(folder, f"{day:%Y%m%d}", day, end, count, round((day - begin) / timedelta(hours=1) * PER_HOUR))
        day = end


def _write(  # noqa: PLR0913, PLR0917 - a file's parts
    folder: Path, name: str, start: datetime, end: datetime, count: int, first_id: int
) -> None:
    step = max(1, (end - start) // timedelta(microseconds=1) // count)
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT $first + i AS event_id, hash(i) % $cards AS card_id, "
            "$start::TIMESTAMP + to_microseconds(i * $step) AS event_time, hash(i + 1) % 500 AS amount "
            f"FROM range($count) AS r(i)) TO '{folder / name}.parquet' (FORMAT parquet)",
            {"first": first_id, "cards": CARDS, "start": start, "step": step, "count": count},
        ).fetchall()


def _online(folder: Path, entities: int, repeats: int) -> dict[str, Any]:
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedRedis(folder / "redis", keep_data=False))
        database = stack.enter_context(EmbeddedPostgres(folder / "postgres", keep_data=False))
        client = stack.enter_context(redis.Redis.from_url(server.url))
        session = stack.enter_context(psycopg.connect(database.url, autocommit=True))
        in_redis = stack.enter_context(closing(RedisOnlineStore("bench", server.url, key_prefix="bench")))
        in_postgres = stack.enter_context(closing(PostgresOnlineStore("bench", database.url, schema_prefix="bench")))

        def received() -> int:
            return int(client.info("stats")["total_net_input_bytes"])

        def logged() -> int:
            row = session.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
            assert row is not None
            return int(row[0])

        return {
            "entities": entities,
            "changed": entities // 100,
            "redis": _copies(in_redis, entities, repeats, received, "bytes_received"),
            "postgres": _copies(in_postgres, entities, repeats, logged, "bytes_of_log"),
        }


def _copies(
    store: OnlineStore, entities: int, repeats: int, count: Callable[[], int], counted: str
) -> dict[str, dict[str, float]]:
    columns = [Column("id", DataType.parse("bigint")), Column("event_time", DataType.parse("timestamp"))]
    columns += [Column(f"f{number}", DataType.parse("double")) for number in range(5)]
    table = OnlineTable("bench", "customer", ("id",), TableSchema(tuple(columns)), "bench")
    nothing = keys_only(table).schema.arrow().empty_table()
    measured: dict[str, dict[str, float]] = {}

    def timed(name: str, publish: Callable[[], object]) -> None:
        before, clock = count(), time.perf_counter()
        publish()
        found = {"seconds": round(time.perf_counter() - clock, 3), counted: count() - before}
        if name not in measured or found["seconds"] < measured[name]["seconds"]:
            measured[name] = found

    for turn in range(repeats):
        every = partial(_rows, table, entities, 1, turn)
        timed("snapshot", lambda: store.publish(store.stage(table, every)))  # noqa: B023 - called at once
        base = store.changeable(table)
        assert base is not None
        few = OnlineChanges(base, partial(_rows, table, entities, 100, turn + 1), nothing.to_reader, NOW)
        timed("changes", lambda: store.publish(store.stage_changes(table, few)))  # noqa: B023 - called at once
    return measured


def _rows(table: OnlineTable, entities: int, every: int, salt: int) -> pa.RecordBatchReader:
    values = ", ".join(f"(hash(i * {number + 2} + {salt}) % 1000)::DOUBLE AS f{number}" for number in range(5))

    def batches() -> Iterator[pa.RecordBatch]:
        with duckdb.connect(config={"threads": 1}) as connection:
            query = (
                f"SELECT i AS id, TIMESTAMP '2026-06-01' AS event_time, {values} "
                f"FROM range(0, {entities}, {every}) AS r(i)"
            )
            yield from connection.sql(query).to_arrow_reader(100_000)

    return pa.RecordBatchReader.from_batches(table.schema.arrow(), batches())


if __name__ == "__main__":
    os.environ.setdefault("FP_TOKEN_KEY", bytes(range(32)).hex())
    main()

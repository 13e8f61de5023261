"""Windowed aggregates in a training set: 100,000 spine rows × 1,000,000 events × {1h, 1d, 30d} × {sum, count, max},
JSON out.

Every event has a time of availability (up to a minute late) and one in fifty is corrected an hour later. Two spreads:
many entities with few events each, and a hundred entities with ten thousand each, which is where joining events with
query times explodes.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from feature_platform.compiler.project import compile_project
from feature_platform.compiler.training import compile_training_set
from feature_platform.registry.load import load_registry
from feature_platform.types import BIGINT, TIMESTAMP, Column, TableSchema

EVENTS = 1_000_000
SPINE = 100_000
DAYS = 90

PLATFORM = """
kind: platform
name: bench
purposes: {analysis: Measuring.}
profiles: {embedded: {stores: {warehouse: {type: duckdb_delta}}}}
---
kind: domain
name: cards
owner: team:cards
---
kind: entity
name: card
keys: [{name: card, type: bigint, pii: none}]
"""
VIEWS = """
kind: source
name: payments
table: payments
event_time: happened
available_at: told
key: [id]
columns:
  id: {type: bigint, pii: none}
  card: {type: bigint, pii: none}
  happened: {type: timestamp, pii: none}
  told: {type: timestamp, pii: none}
  amount: {type: "decimal(18,2)", pii: none}
---
kind: feature_view
name: spend
entity: card
source: payments
aggregations:
  - {function: sum, column: amount, windows: [1h, 1d, 30d]}
  - {function: count, windows: [1h, 1d, 30d]}
  - {function: max, column: amount, windows: [1h, 1d, 30d]}
"""


def moment(seed: str) -> str:
    """SQL for a time of the benchmark's period, the same in every run."""
    return f"TIMESTAMP '2026-01-01' + to_microseconds((hash({seed}) % {DAYS * 86_400_000_000})::BIGINT)"


def main() -> None:
    """Prints one JSON object."""
    result = {f"{entities}_entities": measure(entities) for entities in (50_000, 100)}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"windows": result, "spine": SPINE, "events": EVENTS, "peak_mb": round(peak_mb)}, indent=2))


def measure(entities: int) -> dict[str, float]:
    """Seconds to compile and to run, and rows with any event."""
    with (
        duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as connection,
        tempfile.TemporaryDirectory() as folder,
    ):
        fill(connection, entities)
        started = time.perf_counter()
        sql = training_sql(Path(folder))
        compiled = time.perf_counter()
        (rows, seen) = connection.execute(
            f'SELECT count(*), count("spend__amount_sum_30d") FROM ({sql})'
        ).fetchone() or (0, 0)
        done = time.perf_counter()
    assert rows == SPINE
    return {"compile_s": round(compiled - started, 3), "run_s": round(done - compiled, 2), "rows_with_events": seen}


def fill(connection: duckdb.DuckDBPyConnection, entities: int) -> None:
    """Events with late arrivals and corrections, and a spine."""
    connection.execute("CREATE SCHEMA sources; CREATE SCHEMA inputs")
    connection.execute(
        f"""CREATE TABLE sources.payments AS
            SELECT i AS id, (hash(i) % {entities})::BIGINT AS card, {moment("i * 7")} AS happened,
                   happened + to_seconds((hash(i * 11) % 60)::INT) AS told,
                   ((hash(i * 3) % 1000000)::BIGINT / 100)::DECIMAL(18, 2) AS amount
            FROM range({EVENTS}) AS r(i)"""
    )
    connection.execute(
        """INSERT INTO sources.payments
           SELECT id, card, happened, told + INTERVAL 1 HOUR, amount + 1 FROM sources.payments WHERE id % 50 = 0"""
    )
    connection.execute(
        f"""CREATE TABLE inputs.spine AS
            SELECT i AS fp_row, (hash(i * 13) % {entities})::BIGINT AS card, {moment("i * 17")} AS at
            FROM range({SPINE}) AS r(i)"""
    )


def training_sql(folder: Path) -> str:
    """The training query, from YAML."""
    (folder / "cards").mkdir(exist_ok=True)
    (folder / "platform.yaml").write_text(PLATFORM)
    (folder / "cards" / "spend.yaml").write_text(VIEWS)
    registry = load_registry(folder)
    compiled = compile_project(registry)
    wanted = [("spend", feature.name) for feature in compiled.views["spend"].features]
    spine = TableSchema((Column("fp_row", BIGINT), Column("card", BIGINT), Column("at", TIMESTAMP)))
    return compile_training_set(registry, compiled, wanted, spine, time="at").sql["duckdb"]


if __name__ == "__main__":
    sys.exit(main())

"""A process that materializes into a warehouse and can be killed: says on standard output which phase it has reached.

Arguments: kind, place, prefix, phase. Publishes rows of value 2 for ever in phase ``publish``; rests in the middle of
staging (``stage``) or after it (``staged``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import StreamTable, Warehouse
from tests.stores.warehouse_cases import SPEND, schema

NUMBERS = schema(number="bigint", value="bigint")
BATCH = 5_000


def main(kind: str, place: str, prefix: str, phase: str) -> None:
    warehouse: Warehouse = (
        DuckDBDeltaWarehouse("warehouse", Path(place), memory_limit="300MB", threads=1)
        if kind == "duckdb_delta"
        else PostgresWarehouse("warehouse", place, schema_prefix=prefix)
    )
    if phase == "publish":
        say("publish")
        while True:
            warehouse.publish(warehouse.stage(SPEND, NUMBERS, numbers(10)))
    staged = warehouse.stage(SPEND, NUMBERS, numbers(20, rest_at=10 if phase == "stage" else None))
    say("staged")
    rest()
    warehouse.publish(staged)


def numbers(batches: int, rest_at: int | None = None) -> StreamTable:
    def produced() -> Iterator[pa.RecordBatch]:
        for index in range(batches):
            if index == rest_at:
                say("stage")
                rest()
            start = index * BATCH
            yield pa.record_batch({"number": pa.array(range(start, start + BATCH)), "value": pa.array([2] * BATCH)})

    return StreamTable(lambda: pa.RecordBatchReader.from_batches(NUMBERS.arrow(), produced()))


def say(phase: str) -> None:
    sys.stdout.write(f"{phase}\n")
    sys.stdout.flush()


def rest() -> None:
    time.sleep(60)

"""Loads and reads of the online stores against the bare servers, in one run on the same data. Prints JSON.

* Redis: the store's whole way from an Arrow stream to published rows, against the very bytes that it sends, made
  beforehand and sent from a file: by ``redis-cli --pipe``, and by a socket with the replies drained beside it; and
  against redis-py's pipelines.
* PostgreSQL: the same way, against ``COPY ... FROM STDIN (FORMAT binary)`` of ready bytes, without and with building
  the key.
* Reads: p50 and p99 of 1 and of 100 entities × 10 features, against the bare command or statement without decoding.
* Peak memory of a process that loads N and 10 N rows.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import redis

from feature_platform.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from feature_platform.stores.online_encoding_stream import snapshot_chunks
from feature_platform.stores.online_protocol import OnlineStore, OnlineTable
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_online_layout import bucket_count, group_keys
from feature_platform.stores.redis_online_load import BucketWriter
from feature_platform.types import Column, DataType, TableSchema

REPEATS = 3
READ_ROWS = 200_000
PIECE = 1 << 20
KINDS = ("double", "bigint", "decimal(18,2)", "double", "string")
SQL = {
    "double": "random() * 1000",
    "bigint": "(random() * 100)::BIGINT",
    "decimal(18,2)": "(random() * 10000)::DECIMAL(18, 2)",
    "string": "'segment ' || (i % 7)",
}


def main() -> None:
    """``python benchmarks/online.py [--rows 1000000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--memory", action="store_true", help="only peak memory, at a tenth of the rows and at all of them"
    )
    parser.add_argument("--only", choices=("redis", "postgres"), help="one of the stores")
    parser.add_argument("--load", nargs=2, metavar=("STORE", "URL"), help="only load, print the peak memory in MB")
    arguments = parser.parse_args()
    if arguments.load:
        print(_load_alone(*arguments.load, arguments.rows))
        return
    stores = {"redis": (EmbeddedRedis, _redis), "postgres": (EmbeddedPostgres, _postgres)}
    result: dict[str, Any] = {"rows": arguments.rows}
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as folder:
        for name, (server, measure) in stores.items():
            if arguments.only not in (None, name):
                continue
            with server(Path(folder) / name, keep_data=False) as running:
                alone = {"peak_megabytes": _memory(name, running.url, arguments.rows)} if arguments.memory else None
                result[name] = alone or measure(running.url, arguments.rows, Path(folder))
    print(json.dumps(result, indent=2))


def _table(features: int) -> OnlineTable:
    columns = [Column(f"f{place}", DataType.parse(KINDS[place % len(KINDS)])) for place in range(features)]
    schema = (Column("id", DataType.parse("bigint")), Column("event_time", DataType.parse("timestamp")), *columns)
    return OnlineTable(f"bench_{features}", "customer", ("id",), TableSchema(schema), f"bench {features}")


def _source(table: OnlineTable, rows: int) -> Callable[[], pa.RecordBatchReader]:
    """Rows as DuckDB streams them, shuffled keys."""
    import duckdb

    values = ", ".join(f"{SQL[str(column.type)]} AS {column.name}" for column in table.schema.columns[2:])
    query = (
        f"SELECT (i * 7919) % {rows} AS id, TIMESTAMP '2026-06-30' + to_seconds(i % 86400) AS event_time, {values} "
        f"FROM range({rows}) AS r(i)"
    )

    def read() -> pa.RecordBatchReader:
        return duckdb.connect(config={"threads": 1}).sql(query).to_arrow_reader(100_000)

    return read


def _redis(url: str, rows: int, folder: Path) -> dict[str, Any]:
    table = _table(5)
    store = RedisOnlineStore("bench", url, key_prefix="bench")
    ready = folder / "redis.bytes"
    commands = _write_commands(table, rows, ready)
    with redis.Redis.from_url(url) as client, contextlib.closing(store):
        ours, raw, piped = [], [], []
        for _ in range(REPEATS):
            client.flushall()
            ours.append(_seconds(lambda: store.publish(store.stage(table, _source(table, rows)))))
            used = client.info("memory")["used_memory"]
            client.flushall()
            raw.append(_seconds(lambda: _send_file(client, ready, commands)))
            client.flushall()
            piped.append(_seconds(lambda: _redis_cli(client, ready, commands)))
        pipelines = _seconds(lambda: _redis_py(client, table, rows // 10)) * 10
        client.flushall()
        _fill_bare(client, min(rows, READ_ROWS))
        return {
            **_rates(rows, ours, raw, "raw_pipelined_rows_per_second"),
            "redis_cli_pipe_rows_per_second": round(rows / statistics.median(piped)),
            "share_of_redis_cli_pipe": round(statistics.median(piped) / statistics.median(ours), 2),
            "redis_py_pipeline_rows_per_second": round(rows / pipelines),
            "bytes_per_row_in_redis": round(used / rows),
            "read": _reads(store, rows, lambda keys: _bare_hmget(client, keys)),
            "peak_megabytes": _memory("redis", url, rows),
        }


def _write_commands(table: OnlineTable, rows: int, file: Path) -> int:
    group = group_keys("bench", table.entity, table.view, 0)
    writer = BucketWriter(table, [group], [0], "0" * 16, bucket_count(None), 3_600)
    commands = 0
    with file.open("wb") as out:
        for chunk in snapshot_chunks(table, _source(table, rows)):
            for payload in writer.payloads(chunk):
                out.write(payload.data)
                commands += payload.commands
    return commands


def _send_file(client: redis.Redis, file: Path, commands: int) -> None:
    """What ``redis-cli --pipe`` does: bytes in, replies counted."""
    with socket.socket(socket.AF_UNIX) as wire, file.open("rb") as ready:
        wire.connect(client.connection_pool.connection_kwargs["path"])

        def drain() -> None:
            replies = 0
            while replies < commands:
                replies += wire.recv(PIECE).count(b"\r\n")

        drained = threading.Thread(target=drain)
        drained.start()
        while piece := ready.read(PIECE):
            wire.sendall(piece)
        drained.join()


def _redis_cli(client: redis.Redis, file: Path, commands: int) -> None:
    """``redis-cli --pipe``: the server's own tool for loading many rows."""
    program = shutil.which("redis-cli", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert program is not None, "it comes with the extra `embedded`"
    command = [program, "-s", client.connection_pool.connection_kwargs["path"], "--pipe"]
    with file.open("rb") as ready:
        said = subprocess.run(command, stdin=ready, stdout=subprocess.PIPE, check=True, text=True).stdout
    assert f"errors: 0, replies: {commands}" in said, said


def _redis_py(client: redis.Redis, table: OnlineTable, rows: int) -> None:
    """One hash per entity, as text, through redis-py: what one would write by hand."""
    for batch in _source(table, rows)():
        for start in range(0, batch.num_rows, 1_000):
            pipeline = client.pipeline(transaction=False)
            for row in batch.slice(start, 1_000).to_pylist():
                pipeline.hset(f"plain:{row.pop('id')}", mapping={name: str(value) for name, value in row.items()})
            pipeline.execute()


def _fill_bare(client: redis.Redis, rows: int) -> None:
    for start in range(0, rows, 10_000):
        client.hset("bare", mapping=dict.fromkeys(range(start, min(rows, start + 10000)), b"x" * 90))


def _bare_hmget(client: redis.Redis, keys: list[int]) -> None:
    """Values of the same size from one hash that holds them all: no grouping, no pointer, no decoding."""
    client.hmget("bare", keys)


def _postgres(url: str, rows: int, folder: Path) -> dict[str, Any]:
    table = _table(5)
    store = PostgresOnlineStore("bench", url, schema_prefix="bench_")
    with psycopg.connect(url, autocommit=True) as connection, contextlib.closing(store):
        ours, raw, keyed = [], [], []
        ready = folder / "postgres.bytes"
        for _ in range(REPEATS):
            ours.append(_seconds(lambda: store.publish(store.stage(table, _source(table, rows)))))
            live = store.publication(table.view)
            assert live is not None
            version = live.version
            _copy_out(connection, f'"bench_online"."snapshot_{version}"', ready)
            connection.execute("DROP TABLE IF EXISTS raw")
            connection.execute(f'CREATE TABLE raw (LIKE "bench_online"."snapshot_{version}" INCLUDING DEFAULTS)')
            connection.execute("ALTER TABLE raw ALTER COLUMN id DROP NOT NULL")
            raw.append(_seconds(lambda: _copy_in(connection, ready)))
            keyed.append(raw[-1] + _seconds(lambda: connection.execute("ALTER TABLE raw ADD PRIMARY KEY (id)")))
        return {
            **_rates(rows, ours, raw, "raw_copy_rows_per_second"),
            "raw_copy_and_key_rows_per_second": round(rows / statistics.median(keyed)),
            "share_of_raw_with_key": round(statistics.median(keyed) / statistics.median(ours), 2),
            "read": _reads(store, rows, lambda keys: _bare_select(connection, keys)),
            "peak_megabytes": _memory("postgres", url, rows),
        }


def _copy_out(connection: psycopg.Connection[Any], table: str, file: Path) -> None:
    with file.open("wb") as out, connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
        for piece in copy:
            out.write(piece)


def _copy_in(connection: psycopg.Connection[Any], file: Path) -> None:
    with file.open("rb") as ready, connection.cursor().copy("COPY raw FROM STDIN (FORMAT binary)") as copy:
        while piece := ready.read(PIECE):
            copy.write(piece)


def _bare_select(connection: psycopg.Connection[Any], keys: list[int]) -> None:
    connection.execute("SELECT * FROM raw WHERE id = ANY(%s)", [keys], prepare=True, binary=True).fetchall()


def _reads(store: OnlineStore, rows: int, bare: Callable[[list[int]], None]) -> dict[str, Any]:
    """Microseconds: ours of a view of 10 features, decoded; the bare server's beside it."""
    table, count = _table(10), min(rows, READ_ROWS)
    store.publish(store.stage(table, _source(table, count)))
    result: dict[str, Any] = {}
    for entities, times in ((1, 3_000), (100, 600)):
        ours, theirs = [], []
        for keys in _drawn(count, entities, times):
            asked = [(key,) for key in keys]
            ours.append(_seconds(lambda asked=asked: store.read(table, asked)))
            theirs.append(_seconds(lambda keys=keys: bare(keys)))
        result[f"{entities} x 10"] = {"ours_us": _percentiles(ours), "bare_us": _percentiles(theirs)}
    return result


def _drawn(count: int, entities: int, times: int) -> Iterator[list[int]]:
    generator = random.Random(1)
    return ([generator.randrange(count) for _ in range(entities)] for _ in range(times))


def _percentiles(seconds: list[float]) -> dict[str, int]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1e6), "p99": round(cuts[98] * 1e6)}


def _rates(rows: int, ours: list[float], raw: list[float], raw_name: str) -> dict[str, Any]:
    return {
        "rows_per_second": round(rows / statistics.median(ours)),
        raw_name: round(rows / statistics.median(raw)),
        "share_of_raw": round(statistics.median(raw) / statistics.median(ours), 2),
    }


def _memory(store: str, url: str, rows: int) -> dict[str, float]:
    """Peak resident memory of a process that only loads, by number of rows."""
    command = [sys.executable, __file__, "--load", store, url, "--rows"]
    sizes = (max(1, rows // 10), rows)
    return {
        f"{size} rows": float(
            subprocess.run([*command, str(size)], stdout=subprocess.PIPE, check=True, text=True).stdout
        )
        for size in sizes
    }


def _load_alone(kind: str, url: str, rows: int) -> int:
    store: OnlineStore = (
        RedisOnlineStore("bench", url, key_prefix="bench")
        if kind == "redis"
        else PostgresOnlineStore("bench", url, schema_prefix="bench_")
    )
    table = _table(5)
    with contextlib.closing(store):
        store.discard(store.stage(table, _source(table, rows)))
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()

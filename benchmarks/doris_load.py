"""What loading into Doris costs on the client's side, and that memory does not grow with rows. JSON.

The same Arrow batches become the same Parquet chunks on both ways: written to a local file (and synced), or sent by
Stream Load, through the ledger's interface and both steps, to a server on this machine that reads and forgets them. It
is no Doris: the figure is what the client can do. Ways alternate, the best of three counts, in CPU seconds of this
process and in seconds by the clock. ``peak_rss_mb`` is that of a process which only loads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from feature_platform.stores.doris.chunks import parquet_chunks
from feature_platform.stores.doris.loads import Loads, PlannedLoad
from feature_platform.stores.doris.settings import Address, DorisSettings
from feature_platform.stores.doris.stream_load import StreamLoadClient, Target
from feature_platform.types import Column, DataType, TableSchema

SCHEMA = TableSchema(
    tuple(
        Column(name, DataType.parse(kind))
        for name, kind in {
            "customer_id": "bigint",
            "event_time": "timestamp",
            "amount_sum_30d": "decimal(38,2)",
            "amount_avg_30d": "double",
            "count_30d": "bigint",
            "country": "string",
            "is_new": "boolean",
        }.items()
    )
)
BATCH = 65_536
CHUNK_BYTES = 32 << 20
ROUNDS = 3


class Sink:
    """Takes loads as a frontend and a backend would, in a process of its own, and keeps nothing."""

    def __enter__(self) -> Sink:
        self._process = subprocess.Popen([sys.executable, __file__, "--sink"], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


class Ledger:
    """Keeps nothing: what PostgreSQL costs is one statement per chunk."""

    def plan(self, _: PlannedLoad) -> str:
        return "planned"

    def settle(self, labels: Sequence[str], state: str) -> None:
        pass


def serve() -> None:
    """First 307 to itself, then reads the body and says how many rows a header of the client announced."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer, args=(connection, server.getsockname()[1]), daemon=True).start()


def answer(connection: socket.socket, port: int) -> None:
    with closing(connection), connection.makefile("rb") as stream:
        path = stream.readline().split()[1].decode()
        headers = {}
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        left, buffer = int(headers["content-length"]), bytearray(1 << 20)
        if left == 0:
            reply = f"HTTP/1.1 307 x\r\nLocation: http://u:p@127.0.0.1:{port}{path}?\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(reply.encode())
            return
        tail = b""
        while left:
            got = stream.readinto(memoryview(buffer)[: min(left, len(buffer))])
            left -= got
            tail = (tail + bytes(buffer[max(0, got - (1 << 16)) : got]))[-(1 << 16) :]
        rows = rows_in_footer(tail)
        said = json.dumps({"Status": "Success", "NumberLoadedRows": rows, "NumberFilteredRows": 0,
                           "NumberUnselectedRows": 0}).encode()  # fmt: skip
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))


def rows_in_footer(tail: bytes) -> int:
    """Rows of the Parquet file that ends in ``tail``."""
    import pyarrow.parquet as pq

    size = int.from_bytes(tail[-8:-4], "little")
    return int(pq.read_metadata(pa.BufferReader(b"PAR1" + tail[-8 - size :])).num_rows)


def batches(rows: int) -> pa.RecordBatchReader:
    """Rows as a query gives them; the same ones each time."""

    def made() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, BATCH):
            number = pa.array(range(start, min(rows, start + BATCH)), pa.int64())
            cents = pc.multiply(number, 7_919)
            country = pc.take(pa.array(["CZ", "DE", "PL", "SK"]), pc.bit_wise_and(number, 3))
            yield pa.record_batch(
                [
                    number,
                    pc.add(pc.multiply(number, 1_000_003), 1_767_225_600_000_000).cast(pa.timestamp("us")),
                    cents.cast(pa.decimal128(36, 0)).cast(pa.decimal128(38, 2)),
                    pc.divide(cents.cast(pa.float64()), 700.0),
                    pc.bit_wise_and(number, 63),
                    country,
                    pc.equal(pc.bit_wise_and(number, 7), 0),
                ],
                schema=SCHEMA.arrow(),
            )

    return pa.RecordBatchReader.from_batches(SCHEMA.arrow(), made())


def load(rows: int, port: int) -> None:
    settings = DorisSettings((Address("127.0.0.1", port),), "u", "p", http_port=port, chunk_bytes=CHUNK_BYTES)
    loads = Loads(settings, StreamLoadClient(settings), Ledger())
    chunks = parquet_chunks(batches(rows), SCHEMA, chunk_bytes=CHUNK_BYTES)
    assert loads.load(Target("d", "t"), f"{time.time_ns():x}", SCHEMA.names, chunks) == rows


def write(rows: int, folder: Path) -> None:
    for chunk in parquet_chunks(batches(rows), SCHEMA, chunk_bytes=CHUNK_BYTES):
        with (folder / "chunk.parquet").open("wb") as file:
            file.write(chunk.body)
            file.flush()
            os.fsync(file.fileno())


def timed(action: Callable[[], None]) -> tuple[float, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - clock, time.process_time() - cpu


def measured(rows: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        load(BATCH, sink.port)  # imports
        loads, files = [], []
        for _ in range(ROUNDS):
            loads.append(timed(lambda: load(rows, sink.port)))
            files.append(timed(lambda: write(rows, Path(folder))))
    load_seconds, load_cpu = (min(each[n] for each in loads) for n in (0, 1))
    file_seconds, file_cpu = (min(each[n] for each in files) for n in (0, 1))
    return {
        "rows": rows,
        "rows_per_second": round(rows / load_seconds),
        "of_local_file": round(file_seconds / load_seconds, 2),
        "of_local_file_cpu": round(file_cpu / load_cpu, 2),
        "load_seconds": round(load_seconds, 2),
        "local_file_seconds": round(file_seconds, 2),
    }


def peak(rows: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--peak", str(rows)], stdout=subprocess.PIPE, text=True, check=True
    )
    return {"rows": rows, "peak_rss_mb": json.loads(done.stdout)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--memory-rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sink:
        serve()
    elif given.peak:
        with Sink() as sink:
            load(given.peak, sink.port)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    else:
        print(json.dumps({"load": measured(given.rows), "memory": [peak(rows) for rows in given.memory_rows]}))


if __name__ == "__main__":
    main()

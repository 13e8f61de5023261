"""Layouts of a view's rows in Redis, measured on one server with the same rows. Prints JSON, or a Markdown table.

1,000,000 entities × 10 features and a time, keys are tokens of 52 bytes. Commands are made beforehand and sent as
``redis-cli --pipe`` does; reads are bare commands on one connection, with nothing decoded.

* *A field per feature*: a hash per entity and view, features as text.
* *A string per entity*: the packed row under a key of its own.
* *Buckets*: hashes from entity to packed row, in one group (a single server) or in 256 (a cluster), behind each group's
  rows its pointer, as readers ask.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.online import _send_file
from feature_platform.stores.embedded import EmbeddedRedis
from feature_platform.stores.redis_online_layout import LIVE_FIELDS, bucket_count, bucket_of, group_keys, group_of
from feature_platform.stores.redis_servers import Command, Part, packed

ROWS_AT_ONCE = 10_000
LOADS = 3
"""The fastest counts: what else the machine does is no property of a layout."""
READS = ((1, 3_000), (100, 400))
ROW = struct.Struct("<BH q 6d 3q q")
"""Format, NULL bits, the time, six doubles, three integers, a time: 91 bytes."""

Write = Callable[[Sequence[int]], list[Command]]
Read = Callable[[Sequence[int]], list[Command]]


def main() -> None:
    """``python benchmarks/redis_layouts.py [--rows 1000000] [--table]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--table", action="store_true", help="print what stands in the decision record")
    arguments = parser.parse_args()
    result = {}
    for name, (write, read) in layouts(arguments.rows).items():
        with (
            tempfile.TemporaryDirectory(prefix="fp-bench-") as folder,
            EmbeddedRedis(Path(folder) / "redis", keep_data=False) as server,
            redis.Redis.from_url(server.url) as client,
        ):
            client.config_set("appendonly", "no")
            result[name] = measured(client, arguments.rows, write, read, Path(folder) / "commands")
    print(table(result) if arguments.table else json.dumps(result, indent=2))


def layouts(rows: int) -> dict[str, tuple[Write, Read]]:
    """What writes some rows, and what reads some entities, by layout."""
    found: dict[str, tuple[Write, Read]] = {
        "a hash per entity, a field per feature, text": (_write_fields, _read_fields),
        "a string per entity, packed": (_write_strings, _read_strings),
    }
    for groups in (1, 256):
        buckets = bucket_count(rows, groups)
        name = f"buckets of packed rows, {groups} group{'s' if groups > 1 else ''} of {buckets}"
        found[name] = (_bucket_writer(groups, buckets), _bucket_reader(groups, buckets))
    return found


def measured(client: Any, rows: int, write: Write, read: Read, file: Path) -> dict[str, int]:
    """Rows per second, bytes per row, and microseconds (p50) of reads."""
    before, commands = client.info("memory")["used_memory"], 0
    with file.open("wb") as out:
        for start in range(0, rows, ROWS_AT_ONCE):
            made = write(range(start, min(rows, start + ROWS_AT_ONCE)))
            out.write(packed([Part(b"", made)]))
            commands += len(made)
    taken_to_load = []
    for _ in range(LOADS):
        client.flushall()
        taken_to_load.append(_seconds(lambda: _send_file(client, file, commands)))
    seconds = min(taken_to_load)
    found = {
        "rows_per_second": round(rows / seconds),
        "bytes_per_row": round((client.info("memory")["used_memory"] - before) / rows),
    }
    with _connection(client) as connection:
        for entities, times in READS:
            taken = []
            for numbers in _drawn(rows, entities, times):
                asked = read(numbers)
                payload = packed([Part(b"", asked)])
                taken.append(_seconds(lambda payload=payload, asked=asked: _ask(connection, payload, len(asked))))
            found[f"read_{entities}_us"] = round(statistics.median(taken) * 1e6)
    return found


def table(result: dict[str, dict[str, int]]) -> str:
    """As it stands in the decision record."""
    lines = ["| layout | load, rows/s | bytes per row | 1 entity | 100 entities |", "|---|---|---|---|---|"]
    for name, found in result.items():
        load, size, one, hundred = found.values()
        lines.append(f"| {name} | {load:,} | {size} | {one} µs | {hundred} µs |")
    return "\n".join(lines)


def _token(number: int) -> bytes:
    return b"tok_payment_card_v1_" + blake2b(b"%d" % number, digest_size=16).hexdigest().encode()


def _values(number: int) -> list[Any]:
    drawn = random.Random(number)
    return [
        1_782_820_800_000_000 + number,
        *(drawn.random() * 1_000 for _ in range(6)),
        *(drawn.randrange(10_000) for _ in range(3)),
        1_782_820_800_000_000 - number,
    ]


def _row(number: int) -> bytes:
    return ROW.pack(1, 0, *_values(number))


def _write_fields(numbers: Sequence[int]) -> list[Command]:
    commands: list[Command] = []
    for number in numbers:
        named = (
            word
            for place, value in enumerate(_values(number))
            for word in (b"feature_%d" % place, repr(value).encode())
        )
        commands.append((b"HSET", b"fp:card_spend:" + _token(number), *named))
    return commands


def _read_fields(numbers: Sequence[int]) -> list[Command]:
    return [(b"HGETALL", b"fp:card_spend:" + _token(number)) for number in numbers]


def _write_strings(numbers: Sequence[int]) -> list[Command]:
    return [(b"SET", b"fp:card_spend:" + _token(number), _row(number)) for number in numbers]


def _read_strings(numbers: Sequence[int]) -> list[Command]:
    return [(b"MGET", *(b"fp:card_spend:" + _token(number) for number in numbers))]


def _by_bucket(numbers: Sequence[int], groups: int, buckets: int) -> dict[tuple[int, int], list[int]]:
    found: dict[tuple[int, int], list[int]] = {}
    for number in numbers:
        token = _token(number)
        found.setdefault((group_of(token, groups), bucket_of(token, groups, buckets)), []).append(number)
    return found


def _bucket_writer(groups: int, buckets: int) -> Write:
    def write(numbers: Sequence[int]) -> list[Command]:
        commands: list[Command] = []
        for (group, bucket), members in _by_bucket(numbers, groups, buckets).items():
            key = group_keys("fp", "card", "card_spend", group).bucket("0" * 16, bucket)
            commands.append((b"HSET", key, *(word for n in members for word in (_token(n), _row(n)))))
        return commands

    return write


def _bucket_reader(groups: int, buckets: int) -> Read:
    def read(numbers: Sequence[int]) -> list[Command]:
        commands: list[Command] = []
        concerned: set[int] = set()
        for (group, bucket), members in _by_bucket(numbers, groups, buckets).items():
            key = group_keys("fp", "card", "card_spend", group).bucket("0" * 16, bucket)
            commands.append((b"HMGET", key, *map(_token, members)))
            concerned.add(group)
        pointers = (group_keys("fp", "card", "card_spend", group).live for group in concerned)
        return [*commands, *((b"HMGET", live, *LIVE_FIELDS) for live in pointers)]

    return read


@contextlib.contextmanager
def _connection(client: Any) -> Iterator[Any]:
    connection = client.connection_pool.get_connection()
    yield connection
    client.connection_pool.release(connection)


def _ask(connection: Any, payload: bytes, replies: int) -> None:
    connection.send_packed_command([payload])
    for _ in range(replies):
        connection.read_response()


def _drawn(rows: int, entities: int, times: int) -> Iterator[list[int]]:
    generator = random.Random(1)
    return ([generator.randrange(rows) for _ in range(entities)] for _ in range(times))


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()

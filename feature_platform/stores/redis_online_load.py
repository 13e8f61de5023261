"""Bulk load into Redis: commands as ready bytes, sent by one thread while another counts the replies.

The caller makes the next bytes while the last ones are on their way, so that making, sending and Redis's own work
overlap. At most a few payloads wait: a slow server slows the caller down instead of filling memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_platform.errors import StoreError
from feature_platform.stores.codes import ONLINE_DUPLICATE_KEY
from feature_platform.stores.online_encoding_arrow import encode_rows, join_rows
from feature_platform.stores.online_encoding_keys import encode_fields
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.stores.redis_errors import staged_rows_gone
from feature_platform.stores.redis_online_attempts import Attempts
from feature_platform.stores.redis_online_layout import GroupKeys, StagedEntry, ViewKeys, command_head
from feature_platform.stores.redis_online_publish import STAGING_TTL_SECONDS, Publisher

if TYPE_CHECKING:
    import numpy.typing as npt

_WAITING_PAYLOADS = 3


class Wire(Protocol):
    """What a load needs of a connection; redis-py's ``Connection`` has it."""

    def send_packed_command(self, command: Iterable[bytes], check_health: bool = ...) -> None: ...

    def read_response(self) -> object: ...


@dataclass(slots=True)
class Load:
    """One version on its way into its buckets: of :meth:`begun`, :meth:`send`, :meth:`finished`, in this order."""

    attempts: Attempts
    keys: ViewKeys
    token: str
    entry: StagedEntry
    writer: BucketWriter
    wires: Sequence[Wire]
    added: int = 0

    @classmethod
    def begun(cls, attempts: Attempts, publisher: Publisher, table: OnlineTable, token: str, buckets: int) -> Load:
        """Writes down which buckets may exist, before the first of them does.

        Raises:
            StoreError: somebody took this writer for dead.
        """
        keys = ViewKeys(publisher.prefix, table.view)
        entry = attempts.entry(keys, token)
        if entry is None:
            raise staged_rows_gone(table.view, publisher.store)
        entry = replace(entry, buckets=buckets)
        attempts.write(keys, token, entry)
        groups = publisher.groups(table.entity, table.view, entry.groups)
        wires, places = attempts.connections(token, groups)
        writer = BucketWriter(table, groups, places, token, buckets, STAGING_TTL_SECONDS)
        return cls(attempts, keys, token, entry, writer, wires)

    def send(self, chunks: Iterable[Sequence[Payload]]) -> None:
        """Sends everything and waits until it has arrived.

        Raises:
            redis.RedisError: a server refused a command, or a connection is gone.
        """
        with PipelinedSend(self.wires) as pipeline:
            for payloads in chunks:
                for payload in payloads:
                    pipeline.send(payload)
            self.added = pipeline.finish() - len(self.writer.used)

    def finished(self, count: int, newest: datetime | None) -> None:
        """Writes down how many rows each group got. ``count`` is of the rows that were sent.

        Raises:
            StoreError: some have the same key.
        """
        if self.added != count:
            raise StoreError(
                ONLINE_DUPLICATE_KEY.problem(
                    f"'{self.keys.view}': {count - self.added} of {count} rows repeat the key of another",
                    mend="Make the view give one row per entity, e.g. the newest.",
                )
            )
        rows = tuple(int(number) for number in self.writer.rows)
        event_time = newest.isoformat(timespec="microseconds") if newest else ""
        self.attempts.write(self.keys, self.token, replace(self.entry, rows=rows, event_time=event_time))


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes of whole commands, for which of the wires they are, and what to expect of their replies."""

    wire: int
    data: bytes
    commands: int


@dataclass(slots=True)
class BucketWriter:
    """Makes the commands that put rows into the buckets of one version."""

    table: OnlineTable
    groups: Sequence[GroupKeys]
    wires: Sequence[int]
    """By group, where its commands go."""
    version: str
    buckets: int
    """Of each group."""
    ttl_seconds: int
    """Until publication every bucket would vanish by itself after so long."""
    used: set[int] = field(default_factory=set)
    """Buckets that have rows by now, numbered through all groups."""
    rows: npt.NDArray[np.int64] = field(init=False)
    """Written by now, by group."""

    def __post_init__(self) -> None:
        self.rows = np.zeros(len(self.groups), np.int64)

    def payloads(self, chunk: pa.RecordBatch) -> list[Payload]:
        """One ``HSET`` per bucket that ``chunk`` has rows for, and an ``EXPIRE`` where the bucket is new."""
        return self._payloads(encode_fields(self.table, chunk), encode_rows(self.table, chunk))

    def removals(self, chunk: pa.RecordBatch) -> list[Payload]:
        """As :meth:`payloads` for keys whose rows go: what stands for them is empty, as no row is."""
        fields = encode_fields(self.table, chunk)
        return self._payloads(fields, pa.array([b""] * len(fields), pa.binary()))

    def _payloads(self, fields: pa.BinaryArray, values: pa.BinaryArray) -> list[Payload]:
        pairs = _field_value_pairs(fields, values)
        numbers = self._bucket_numbers(fields)
        self.rows += np.bincount(numbers // self.buckets, minlength=len(self.groups))
        order = _order(numbers, self.buckets * len(self.groups))
        if self.buckets * len(self.groups) > 1:
            pairs = pairs.take(pa.array(order))
        parts: list[list[bytes | memoryview]] = [[] for _ in range(max(self.wires) + 1)]
        commands = [0] * len(parts)
        for number, rows, data in _by_bucket(numbers[order], pairs):
            group, bucket = divmod(number, self.buckets)
            key, wire = self.groups[group].bucket(self.version, bucket), self.wires[group]
            parts[wire] += [command_head(2 + 2 * rows, b"HSET", key), data]
            commands[wire] += 1
            if number not in self.used:
                self.used.add(number)
                parts[wire].append(command_head(3, b"EXPIRE", key, b"%d" % self.ttl_seconds))
                commands[wire] += 1
        return [
            Payload(wire, b"".join(pieces), count)
            for wire, (pieces, count) in enumerate(zip(parts, commands, strict=True))
            if count
        ]

    def _bucket_numbers(self, fields: pa.BinaryArray) -> npt.NDArray[np.int64]:
        """:func:`group_of` and :func:`bucket_of` of each row, as one number: group × buckets + bucket."""
        groups, buckets = len(self.groups), self.buckets
        if groups * buckets == 1:
            return np.zeros(len(fields), np.int64)
        checksums = np.fromiter(map(crc32, fields.to_pylist()), np.int64, len(fields))
        return checksums % groups * buckets + checksums // groups % buckets


def _order(numbers: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """What sorts ``numbers`` below ``count``. Short integers are sorted by radix, six times as fast as by comparing."""
    return np.argsort(numbers.astype(np.uint16) if count <= 1 << 16 else numbers, kind="stable")


def _field_value_pairs(fields: pa.BinaryArray, rows: pa.BinaryArray) -> pa.BinaryArray:
    """Per row two arguments in the Redis protocol: the field name and the value."""
    return join_rows([_head(b"$", fields), fields, _head(b"\r\n$", rows), rows, pa.scalar(b"\r\n", pa.binary())])


def _head(before: bytes, values: pa.BinaryArray) -> pa.BinaryArray:
    """What stands before each value: its length. There are few lengths, so each is written once."""
    lengths, places = np.unique(pc.binary_length(values).to_numpy(), return_inverse=True)
    heads = pa.array([before + b"%d\r\n" % length for length in lengths], pa.binary())
    return heads.take(pa.array(places))


def _by_bucket(numbers: npt.NDArray[np.int64], pairs: pa.BinaryArray) -> Iterator[tuple[int, int, memoryview]]:
    """(bucket, rows, their bytes) for rows sorted by bucket: neighbours' bytes lie side by side in Arrow's buffer."""
    offsets = np.frombuffer(pairs.buffers()[1], np.int32, count=pairs.offset + len(pairs) + 1)[pairs.offset :]
    data = memoryview(pairs.buffers()[2])
    starts = np.flatnonzero(np.diff(numbers, prepend=-1)) if len(numbers) else np.empty(0, np.int64)
    for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        yield int(numbers[start]), int(end - start), data[offsets[start] : offsets[end]]


class PipelinedSend:
    """Sends payloads over connections without waiting for replies, and adds up the replies' integers.

    Use as a context manager; :meth:`finish` at the end gives the sum. The first error that a server or the network
    reports is raised by the next :meth:`send` to it or by :meth:`finish`; what was not sent by then is dropped.
    """

    def __init__(self, wires: Sequence[Wire]) -> None:
        self._lanes = [_Lane(wire) for wire in wires]

    def __enter__(self) -> PipelinedSend:
        for lane in self._lanes:
            lane.start()
        return self

    def __exit__(self, *_: object) -> None:
        for lane in self._lanes:
            lane.join()

    def send(self, payload: Payload) -> None:
        """Queues ``payload``; waits while enough others are queued for its connection.

        Raises:
            redis.RedisError: the server refused an earlier command, or the connection is gone.
        """
        self._lanes[payload.wire].send(payload)

    def finish(self) -> int:
        """Waits for every reply; gives the sum of their integers.

        Raises:
            redis.RedisError: as :meth:`send`.
        """
        return sum(lane.finish() for lane in self._lanes)


class _Lane:
    """One connection: a thread that sends, and one that adds up the replies' integers."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._outgoing: queue.Queue[Payload | None] = queue.Queue(_WAITING_PAYLOADS)
        self._expected: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._sum = 0
        self._threads = [
            threading.Thread(target=self._send_all, name="redis-load-send", daemon=True),
            threading.Thread(target=self._drain_all, name="redis-load-replies", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def send(self, payload: Payload) -> None:
        if self._failure:
            raise self._failure
        self._outgoing.put(payload)

    def finish(self) -> int:
        self.join()
        if self._failure:
            raise self._failure
        return self._sum

    def join(self) -> None:
        if any(thread.is_alive() for thread in self._threads):
            self._outgoing.put(None)
            for thread in self._threads:
                thread.join()

    def _send_all(self) -> None:
        while payload := self._outgoing.get():
            if self._failure:
                continue  # keeps emptying the queue, so that nobody waits for room in it
            self._expected.put(payload.commands)
            try:
                self._wire.send_packed_command([payload.data], check_health=False)
            except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
                self._fail(error)
        self._expected.put(None)

    def _drain_all(self) -> None:
        from redis.exceptions import ResponseError

        while (commands := self._expected.get()) is not None:
            for _ in range(commands):
                try:
                    reply = self._wire.read_response()
                except ResponseError as error:
                    self._fail(error)  # one reply of many: those behind it still have to be taken off the wire
                except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
                    self._fail(error)
                    return
                else:
                    self._sum += int(reply)  # type: ignore[call-overload]  # HSET and EXPIRE answer integers

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error

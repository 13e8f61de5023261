"""Bulk load into Redis: commands as ready bytes, sent by one thread while another counts the replies.

The caller makes the next bytes while the last ones are on their way, so that making, sending and Redis's own work
overlap. At most a few payloads wait: a slow server slows the caller down instead of filling memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_platform.stores.online_encoding_arrow import encode_rows, join_rows
from feature_platform.stores.online_encoding_keys import encode_fields
from feature_platform.stores.protocols import OnlineTable
from feature_platform.stores.redis_online_layout import ViewKeys, bucket_of, command_head

if TYPE_CHECKING:
    import numpy.typing as npt

_WAITING_PAYLOADS = 3


class Wire(Protocol):
    """What a load needs of a connection; redis-py's ``Connection`` has it."""

    def send_packed_command(self, command: Iterable[bytes], check_health: bool = ...) -> None: ...

    def read_response(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes of whole commands, and what to expect of their replies."""

    data: bytes
    commands: int


@dataclass(slots=True)
class BucketWriter:
    """Makes the commands that put rows into the buckets of one version."""

    table: OnlineTable
    keys: ViewKeys
    version: str
    buckets: int
    ttl_seconds: int
    """Until publication every bucket would vanish by itself after so long."""
    used: set[int]
    """Buckets that have rows by now."""

    def payload(self, chunk: pa.RecordBatch) -> Payload:
        """One ``HSET`` per bucket that ``chunk`` has rows for, and an ``EXPIRE`` where the bucket is new."""
        return self._payload(encode_fields(self.table, chunk), encode_rows(self.table, chunk))

    def removals(self, chunk: pa.RecordBatch) -> Payload:
        """As :meth:`payload` for keys whose rows go: what stands for them is empty, as no row is."""
        fields = encode_fields(self.table, chunk)
        return self._payload(fields, pa.array([b""] * len(fields), pa.binary()))

    def _payload(self, fields: pa.BinaryArray, values: pa.BinaryArray) -> Payload:
        pairs = _field_value_pairs(fields, values)
        numbers = _bucket_numbers(fields, self.buckets)
        order = np.argsort(numbers, kind="stable")
        if self.buckets > 1:
            pairs = pairs.take(pa.array(order))
        parts: list[bytes | memoryview] = []
        commands = 0
        for number, rows, data in _by_bucket(numbers[order], pairs):
            key = self.keys.bucket(self.version, number)
            parts += [command_head(2 + 2 * rows, b"HSET", key), data]
            commands += 1
            if number not in self.used:
                self.used.add(number)
                parts.append(command_head(3, b"EXPIRE", key, b"%d" % self.ttl_seconds))
                commands += 1
        return Payload(b"".join(parts), commands)


def _field_value_pairs(fields: pa.BinaryArray, rows: pa.BinaryArray) -> pa.BinaryArray:
    """Per row two arguments in the Redis protocol: the field name and the value."""
    dollar, newline = pa.scalar(b"$", pa.binary()), pa.scalar(b"\r\n", pa.binary())
    between = pa.scalar(b"\r\n$", pa.binary())
    return join_rows([dollar, _length(fields), newline, fields, between, _length(rows), newline, rows, newline])


def _length(values: pa.BinaryArray) -> pa.BinaryArray:
    return pc.binary_length(values).cast(pa.string()).cast(pa.binary())


def _bucket_numbers(fields: pa.BinaryArray, buckets: int) -> npt.NDArray[np.uint16]:
    if buckets == 1:
        return np.zeros(len(fields), np.uint16)
    return np.fromiter((bucket_of(field, buckets) for field in fields.to_pylist()), np.uint16, len(fields))


def _by_bucket(numbers: npt.NDArray[np.uint16], pairs: pa.BinaryArray) -> Iterator[tuple[int, int, memoryview]]:
    """(bucket, rows, their bytes) for rows sorted by bucket: neighbours' bytes lie side by side in Arrow's buffer."""
    offsets = np.frombuffer(pairs.buffers()[1], np.int32, count=pairs.offset + len(pairs) + 1)[pairs.offset :]
    data = memoryview(pairs.buffers()[2])
    starts = np.flatnonzero(np.diff(numbers, prepend=-1)) if len(numbers) else np.empty(0, np.int64)
    for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        yield int(numbers[start]), int(end - start), data[offsets[start] : offsets[end]]


class PipelinedSend:
    """Sends payloads over one connection without waiting for replies, and adds up the replies' integers.

    Use as a context manager; :meth:`finish` at the end gives the sum. The first error that the server or the network
    reports is raised by the next :meth:`send` or by :meth:`finish`; what was not sent by then is dropped.
    """

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

    def __enter__(self) -> PipelinedSend:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._join()

    def send(self, payload: Payload) -> None:
        """Queues ``payload``; waits while enough others are queued.

        Raises:
            redis.RedisError: the server refused an earlier command, or the connection is gone.
        """
        if self._failure:
            raise self._failure
        self._outgoing.put(payload)

    def finish(self) -> int:
        """Waits for every reply; gives the sum of their integers.

        Raises:
            redis.RedisError: as :meth:`send`.
        """
        self._join()
        if self._failure:
            raise self._failure
        return self._sum

    def _join(self) -> None:
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

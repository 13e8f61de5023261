"""Whether a snapshot will fit into a Redis server, known before a byte is sent.

During a load the server holds the new snapshot beside the live one. A server that runs out of memory half-way refuses
the load, which costs time and brings everybody else on it to the limit; one that may evict keys gives up rows without a
word. So the first rows are encoded, what Redis allocates for them is worked out, and the rest is taken to be like them.

What is worked out is what a hash that is no listpack takes, which those of more than 512 rows, or of values longer than
64 bytes, are: an entry of the dictionary, its slot in the table, and two strings, each with its header, rounded up to
what the allocator hands out. ``docs/adr/0030-online-publication.md`` compares it with what servers use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_platform.errors import StoreError
from feature_platform.stores.codes import ONLINE_EVICTS, ONLINE_NO_ROOM

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

SAMPLE_ROWS: Final = 4_096
_ENTRY: Final = 24
"""Three pointers: key, value, next."""
_POINTER: Final = 8
_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """What a server (in a cluster: the node that the view lies on) says of its memory, in bytes."""

    used: int
    limit: int
    """``maxmemory``, or all that the machine has; 0: not known."""
    policy: str
    """``maxmemory-policy``; empty where nothing is ever evicted, for lack of a limit."""


def server_memory(info: Mapping[str, Any]) -> ServerMemory:
    """From the answer to ``INFO memory``."""
    limit = int(info.get("maxmemory", 0))
    if limit:
        return ServerMemory(int(info["used_memory"]), limit, str(info.get("maxmemory_policy", "")))
    return ServerMemory(int(info["used_memory"]), int(info.get("total_system_memory", 0)), "")


def estimated_bytes(fields: pa.BinaryArray, values: pa.BinaryArray, rows: int, buckets: int) -> int:
    """What ``rows`` rows like these take up in ``buckets`` hashes: the sample's mean, and the tables of slots."""
    import pyarrow.compute as pc

    lengths = [pc.binary_length(part).to_numpy(zero_copy_only=False) for part in (fields, values)]
    strings = sum(float(_allocated(each).mean()) for each in lengths) if len(fields) else 0.0
    per_bucket = -(-rows // buckets)
    slots = buckets * (1 << max(2, (per_bucket - 1).bit_length())) if rows else 0
    return round(rows * (_ENTRY + strings)) + slots * _POINTER


def check_room(view: str, store: str, needed: int, memory: ServerMemory) -> None:
    """Refuses what will not fit, and what would not stay.

    Raises:
        StoreError: the rows need more than is free, or the server may evict any key.
    """
    if memory.policy.startswith("allkeys"):
        raise StoreError(
            ONLINE_EVICTS.problem(
                f"'{view}': '{store}' has maxmemory-policy {memory.policy}: it gives up rows of any view when "
                "memory is short, and they would be missing without an error",
                mend="Set maxmemory-policy to noeviction (or volatile-…), or `memory_check: false` in the profile.",
            )
        )
    if memory.limit and memory.used + needed > memory.limit:
        raise StoreError(
            ONLINE_NO_ROOM.problem(
                f"'{view}' needs about {_shown(needed)} beside what is live; '{store}' uses {_shown(memory.used)} of "
                f"{_shown(memory.limit)}",
                mend="Give the server more memory (a view needs twice its size during a load), or set "
                "`memory_check: false` in the profile to try all the same.",
            )
        )


def _allocated(lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Bytes of strings of these lengths, with header and end, in jemalloc's size classes: multiples of 8 up to 64, then
    four to each doubling."""
    size = lengths.astype(np.int64)
    size += 1 + np.select([size < 32, size < 256, size < 65_536], [1, 3, 5], 9)
    step = np.maximum(8, 1 << np.maximum(0, np.ceil(np.log2(np.maximum(size, 1))).astype(np.int64) - 3))
    classes: npt.NDArray[np.int64] = -(-size // step) * step
    return classes


def _shown(number: int) -> str:
    return f"{number / _MEGABYTE:,.0f} MB"

"""Whether a snapshot will fit into a Redis server, known before a byte is sent.

During a load the server holds the new snapshot beside the live one. A server that runs out of memory half-way refuses
the load, which costs time and brings everybody else on it to the limit; one that may evict keys gives up rows without a
word. So the first rows are encoded, what Redis allocates for them is worked out, and the rest is taken to be like them.

What is worked out is what a hash that is no listpack takes, which those of more than 512 rows, or of values longer than
64 bytes, are: an entry of the dictionary, its slot in the table, and two strings, each with its header, rounded up to
what the allocator hands out. ``docs/adr/0030-online-publication.md`` compares it with what servers use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from feature_platform.stores.online_encoding_arrow import encode_rows
from feature_platform.stores.online_encoding_keys import encode_fields
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.stores.redis_online_layout import GroupKeys
from feature_platform.stores.redis_server_memory import check_room, memory_shares
from feature_platform.stores.redis_servers import Servers

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

SAMPLE_ROWS: Final = 4_096
_ENTRY: Final = 24
"""Three pointers: key, value, next."""
_POINTER: Final = 8


def needed_bytes(  # noqa: PLR0913, PLR0917 - what is loaded, and where
    servers: Servers,
    store: str,
    table: OnlineTable,
    groups: Sequence[GroupKeys],
    sample: pa.RecordBatch,
    rows: int,
    buckets: int,
    *,
    check: bool,
) -> int:
    """What ``rows`` rows like those of ``sample`` will take up, in ``buckets`` hashes of each group.

    Raises:
        StoreError: with ``check``: a server has no room for its share, or would not keep it.
    """
    shares = memory_shares(servers, groups)
    some = sample.slice(0, SAMPLE_ROWS)
    allocator = shares[0][0].allocator if shares else ""
    fields, values = encode_fields(table, some), encode_rows(table, some)
    needed = estimated_bytes(fields, values, rows, buckets * len(groups), allocator)
    if check:
        for memory, count in shares:
            check_room(table.view, store, needed * count // len(groups), memory)
    return needed


def estimated_bytes(fields: pa.BinaryArray, values: pa.BinaryArray, rows: int, buckets: int, allocator: str) -> int:
    """What ``rows`` rows like these take up in ``buckets`` hashes: the sample's mean, and the tables of slots."""
    allocated = _by_libc if allocator.startswith("libc") else _by_jemalloc
    sizes = [_with_header(pc.binary_length(part).to_numpy(zero_copy_only=False)) for part in (fields, values)]
    strings = sum(float(allocated(each).mean()) for each in sizes) if len(fields) else 0.0
    per_bucket = -(-rows // buckets)
    slots = buckets * (1 << max(2, (per_bucket - 1).bit_length())) if rows else 0
    return round(rows * (_ENTRY + strings)) + slots * _POINTER


def _with_header(lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Bytes of Redis's strings of these lengths: with their header, and a zero at the end."""
    size = lengths.astype(np.int64)
    found: npt.NDArray[np.int64] = size + 1 + np.select([size < 32, size < 256, size < 65_536], [1, 3, 5], 9)
    return found


def _by_jemalloc(size: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Size classes as Redis builds them: multiples of 8 up to 64, then four to each doubling."""
    step = np.maximum(8, 1 << np.maximum(0, np.ceil(np.log2(size)).astype(np.int64) - 3))
    found: npt.NDArray[np.int64] = -(-size // step) * step
    return found


def _by_libc(size: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Usable bytes of glibc's chunks: multiples of 16 less a word, at least three words."""
    return np.maximum(24, -(-(size + 8) // 16) * 16 - 8)

"""One digest for the values of a table, however its batches were cut and whatever lies behind its NULLs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from feature_platform.stores.maps import entries

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 65_536


class ColumnDigests:
    """SHA-256 of each column, fed batch by batch; memory stays at one batch."""

    def __init__(self, names: Sequence[str]) -> None:
        self._sums = {name: hashlib.sha256() for name in names}
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes the columns of one batch of :func:`rechunked`."""
        self.rows += batch.num_rows
        for name, total in self._sums.items():
            for part in _parts(batch.column(name)):
                total.update(part)

    def by_column(self) -> Mapping[str, str]:
        """Hexadecimal digests by column."""
        return {name: total.hexdigest() for name, total in self._sums.items()}

    def together(self) -> str:
        """One digest of names, order and values of all columns."""
        total = hashlib.sha256(str(self.rows).encode())
        for name, digest in self.by_column().items():
            total.update(f"\0{name}\0{digest}".encode())
        return total.hexdigest()


def rechunked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of 65,536, so that a digest does not depend on how an engine cut them."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, _ROWS - rows)
            waiting.append(piece)
            rows += piece.num_rows
            start += piece.num_rows
            if rows == _ROWS:
                yield pa.concat_batches(waiting)
                waiting, rows = [], 0
    if waiting:
        yield pa.concat_batches(waiting)


def _parts(array: pa.Array) -> Iterator[bytes]:
    """The type, which rows are NULL, and the values of the others, as bytes."""
    import numpy as np
    import pyarrow as pa

    kind = array.type
    yield str(kind).encode()
    yield np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes()
    present = array.drop_null()
    if pa.types.is_dictionary(kind):
        yield from _parts(present.dictionary_decode())
    elif pa.types.is_boolean(kind):
        yield np.packbits(present.to_numpy(zero_copy_only=False)).tobytes()
    elif pa.types.is_map(kind):
        inside = entries(present)
        yield np.diff(inside.offsets).astype(np.int64).tobytes()
        yield from _parts(pa.StructArray.from_arrays([inside.keys, inside.values], ["key", "value"]))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield _lengths(present)
        yield from _parts(present.flatten())
    elif pa.types.is_struct(kind):
        for child in present.flatten():
            yield from _parts(child)
    elif _is_text(kind):
        whole = present.cast(pa.large_binary() if not pa.types.is_large_string(kind) else pa.large_string())
        yield _lengths(whole)
        yield b"".join(value.as_buffer() for value in whole)
    elif not pa.types.is_null(kind):
        yield _fixed(present)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def _lengths(array: pa.Array) -> bytes:
    import pyarrow as pa
    import pyarrow.compute as pc

    count = pc.list_value_length if pa.types.is_nested(array.type) else pc.binary_length
    return bytes(count(array).cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes())


def _fixed(array: pa.Array) -> bytes:
    """The values of a type of fixed width, side by side."""
    import pyarrow as pa

    if not len(array):
        return b""
    copied = pa.concat_arrays([array])
    width = copied.type.bit_width // 8
    buffer = copied.buffers()[1]
    return bytes(buffer.slice(copied.offset * width, len(copied) * width).to_pybytes())

"""A snapshot on its way into an online store: its columns checked, its batches of a steady size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from feature_platform.errors import StoreError
from feature_platform.stores.codes import COLUMNS_DIFFER, ONLINE_NULL_KEY
from feature_platform.stores.online_encoding import EVENT_TIME
from feature_platform.stores.protocols import OnlineTable, StreamSource

CHUNK_ROWS = 16_384
CHUNK_BYTES = 16 * 1024 * 1024


def snapshot_chunks(table: OnlineTable, rows: StreamSource) -> Iterator[pa.RecordBatch]:
    """The rows of one snapshot in chunks of at most ``CHUNK_ROWS`` rows, each but the last near a full one.

    Memory is one batch of the source and one chunk, whatever the number of rows.

    Raises:
        StoreError: columns differ from ``table.schema``, or a key is NULL.
    """
    with rows() as reader:
        _check_columns(table, reader.schema)
        for chunk in _rechunked(reader):
            ordered = chunk.select(list(table.schema.names)).cast(table.schema.arrow())
            _check_keys(table, ordered)
            yield ordered


def newest_event_time(newest: datetime | None, chunk: pa.RecordBatch) -> datetime | None:
    """The later of ``newest`` and the chunk's latest ``event_time``; None while there is none."""
    if EVENT_TIME not in chunk.schema.names:
        return newest
    found: datetime | None = pc.max(chunk.column(EVENT_TIME)).as_py()
    return max(filter(None, (newest, found)), default=None)


def _rechunked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    pending: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        step = _step(batch)
        for start in range(0, batch.num_rows, step):
            piece = batch.slice(start, step)
            if pending and count + piece.num_rows > step:
                yield _joined(pending)
                pending, count = [], 0
            pending.append(piece)
            count += piece.num_rows
            if count >= step:
                yield _joined(pending)
                pending, count = [], 0
    if pending:
        yield _joined(pending)


def _step(batch: pa.RecordBatch) -> int:
    """Rows per chunk, fewer where rows are wide."""
    per_row = max(1, batch.nbytes // max(1, batch.num_rows))
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES // per_row))


def _joined(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)


def _check_columns(table: OnlineTable, found: pa.Schema) -> None:
    wanted = table.schema.arrow()
    problems = [
        COLUMNS_DIFFER.problem(
            f"'{table.view}': column '{name}' is {_described(found, name)}, declared is {_described(wanted, name)}",
            mend="Cast the column in the view's SQL, or declare the type that it has.",
        )
        for name in sorted({*wanted.names, *found.names})
        if found.names.count(name) != wanted.names.count(name)
        or not _same(found.field(name).type, wanted.field(name).type)
    ]
    if problems:
        raise StoreError(problems)


def _described(schema: pa.Schema, name: str) -> str:
    times = schema.names.count(name)
    return "missing" if times == 0 else f"there {times} times" if times > 1 else str(schema.field(name).type)


def _same(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether two Arrow types hold the same values, however they lie in memory."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_string(wanted):
        return pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    if pa.types.is_list(wanted):
        is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
        return is_list and _same(found.value_type, wanted.value_type)
    return bool(found == wanted)


def _check_keys(table: OnlineTable, chunk: pa.RecordBatch) -> None:
    for name in table.keys:
        missing = pc.sum(chunk.column(name).is_null()).as_py() or 0
        if missing:
            raise StoreError(
                ONLINE_NULL_KEY.problem(
                    f"'{table.view}': key '{name}' is NULL in at least {missing} rows of the snapshot",
                    mend="Filter rows without a key in the view's SQL.",
                )
            )

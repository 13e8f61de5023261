"""A snapshot on its way into an online store: its columns checked, its batches of a steady size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from feature_platform.errors import StoreError
from feature_platform.stores.codes import COLUMNS_DIFFER, ONLINE_NULL_KEY
from feature_platform.stores.columns import by_name, check_columns, stream_schema
from feature_platform.stores.online_encoding import EVENT_TIME
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.stores.protocols import StreamSource

CHUNK_ROWS = 16_384
CHUNK_BYTES = 16 * 1024 * 1024


def snapshot_chunks(table: OnlineTable, rows: StreamSource) -> Iterator[pa.RecordBatch]:
    """The rows of one snapshot in chunks of at most ``CHUNK_ROWS`` rows, each but the last near a full one.

    Memory is one batch of the source and one chunk, whatever the number of rows.

    Raises:
        StoreError: columns differ from ``table.schema``, or a key is NULL.
    """
    with rows() as reader:
        check_columns(by_name(stream_schema(reader.schema)), by_name(table.schema))
        for chunk in _rechunked(reader):
            ordered = _declared(table, chunk)
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
    per_row: int = max(1, batch.nbytes // max(1, batch.num_rows))
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES // per_row))


def _joined(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)


def _declared(table: OnlineTable, chunk: pa.RecordBatch) -> pa.RecordBatch:
    """The declared columns in their order, in the declared types' own Arrow layout."""
    try:
        return chunk.select(list(table.schema.names)).cast(table.schema.arrow())
    except pa.ArrowInvalid:  # its text quotes a value
        problem = COLUMNS_DIFFER.problem(
            f"'{table.view}': a value does not fit its declared type, e.g. a time finer than microseconds",
            mend="Round or cast the column in the view's SQL.",
        )
        raise StoreError(problem) from None


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

"""Arrow batches as Parquet files of bounded size, in memory: what one Stream Load sends.

Times are written as naive microseconds. Doris reads those verbatim; those with a zone it shifts to the load's zone, and
its Arrow reader takes every time for one of UTC+8. Names are in lower case, as Doris matches them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from feature_platform.types import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS: Final = 128 * 1024


@dataclass(frozen=True)
class Constant:
    """A column with one value in every row, besides those of the schema."""

    name: str
    value: datetime


@dataclass(frozen=True)
class Chunk:
    """One file."""

    number: int
    rows: int
    body: memoryview
    digest: str
    """SHA-256 of ``body``, in hex."""


def parquet_chunks(
    rows: pa.RecordBatchReader, schema: TableSchema, *, chunk_bytes: int, constant: Constant | None = None
) -> Iterator[Chunk]:
    """``rows``, which have the columns of ``schema`` in any order, as files that end soon after ``chunk_bytes``.

    No rows give no file. Casts are exact or fail; a stream's narrower integers become the declared ones.
    """
    import pyarrow as pa

    fields = [pa.field(column.name.lower(), column.type.arrow()) for column in schema.columns]
    if constant is not None:
        fields.append(pa.field(constant.name, pa.timestamp("us"), nullable=False))
    file = _File(pa.schema(fields), 0)
    for batch in rows:
        columns = [batch.column(column.name).cast(column.type.arrow()) for column in schema.columns]
        if constant is not None:
            columns.append(pa.repeat(pa.scalar(constant.value, pa.timestamp("us")), batch.num_rows))
        file.add(pa.record_batch(columns, schema=file.schema))
        if file.size >= chunk_bytes:
            yield file.finished()
            file = _File(file.schema, file.number + 1)
    if file.rows:
        yield file.finished()


class _File:
    def __init__(self, schema: pa.Schema, number: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.schema = schema
        self.number = number
        self.rows = 0
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            version="2.6",
            compression="snappy",
            use_deprecated_int96_timestamps=False,
            coerce_timestamps="us",
        )
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    @property
    def size(self) -> int:
        return int(self._sink.tell())

    def add(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        if self._waiting_rows >= _GROUP_ROWS:
            self._write()

    def finished(self) -> Chunk:
        self._write()
        self._writer.close()
        body = memoryview(self._sink.getvalue())
        return Chunk(self.number, self.rows, body, sha256(body).hexdigest())

    def _write(self) -> None:
        import pyarrow as pa

        if self._waiting_rows:
            table = pa.Table.from_batches(self._waiting, schema=self.schema)
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
            self._waiting, self._waiting_rows = [], 0

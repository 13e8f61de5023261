"""A stream of rows in parts of some million, for statements that are run over one part after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


class Parts:
    """The rows of ``source``, ``rows`` at a time and in their order. One batch is in memory, not a part."""

    def __init__(self, source: pa.RecordBatchReader, rows: int) -> None:
        self._source = source
        self._rows = rows
        self._rest: pa.RecordBatch | None = None
        self.ended = False
        """Whether the newest part, read to its end, was the last one."""

    def next(self) -> pa.RecordBatchReader:
        """The next part; of a stream without rows the first part has none either."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._source.schema, self._taken())

    def close(self) -> None:
        self._source.close()

    def _taken(self) -> Iterator[pa.RecordBatch]:
        wanted = self._rows
        while (batch := self._rest or self._read()) is not None:
            self._rest = None
            if not wanted:
                self._rest = batch
                return
            yield batch.slice(0, wanted)
            if batch.num_rows > wanted:
                self._rest = batch.slice(wanted)
                return
            wanted -= batch.num_rows
        self.ended = True

    def _read(self) -> pa.RecordBatch | None:
        return next((batch for batch in self._source if batch.num_rows), None)

"""Searches Arrow batches: texts as bytes, numbers and dates as values.

Bytes alone would miss a date that a column holds as a number of days, and a card number that somebody cast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feature_platform.canaries.forms import days, numbers
from feature_platform.canaries.needles import Hit, Needles

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


@dataclass(frozen=True)
class Tables:
    """Searches tables for the canaries of ``needles``."""

    needles: Needles

    def parquet(self, file: Path) -> set[tuple[str, Hit]]:
        """(column, hit) of a Parquet file's rows, row group by row group."""
        import pyarrow.parquet as pq

        hits: set[tuple[str, Hit]] = set()
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=65_536):
                hits |= self.batch(batch)
        return hits

    def batch(self, batch: pa.RecordBatch) -> set[tuple[str, Hit]]:
        """(column, hit) of one batch."""
        return {
            (name, hit)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
            for hit in self._array(column)
        }

    def _array(self, array: pa.Array) -> set[Hit]:
        import pyarrow as pa

        kind = array.type
        if pa.types.is_dictionary(kind):
            return self._array(array.dictionary)
        if pa.types.is_struct(kind):
            return {hit for number in range(kind.num_fields) for hit in self._array(array.field(number))}
        if pa.types.is_map(kind):
            return self._array(array.keys) | self._array(array.items)
        if pa.types.is_nested(kind):
            return self._array(array.flatten())
        if _is_bytes(kind):
            return self._bytes(array)
        return set(self._values(array))

    def _bytes(self, array: pa.Array) -> set[Hit]:
        """The buffer in which all cells stand one after the other, as it lies in memory."""
        import pyarrow as pa

        if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
            array = array.cast(pa.large_binary())
        data = array.buffers()[-1]
        return self.needles.find(data) if data is not None else set()

    def _values(self, array: pa.Array) -> Iterator[Hit]:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = array.type
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            wanted: dict[Any, Any] = {day: canary for canary in self.needles.canaries for day in days(canary)}
            values = array.cast(pa.timestamp("us"), safe=False).cast(pa.date32(), safe=False)
            form, as_values = "date", pa.array(list(wanted), pa.date32())
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            # Doubles are exact for every number up to 2^53, which has sixteen digits.
            wanted = {float(number): canary for canary in self.needles.canaries for number in numbers(canary)}
            values = array.cast(pa.float64(), safe=False)
            form, as_values = "number", pa.array(list(wanted), pa.float64())
        else:
            return
        if not wanted:
            return
        found = values.filter(pc.is_in(values, value_set=as_values)).unique().to_pylist()
        yield from (Hit(wanted[value], form) for value in found)


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_string_view,
        pa.types.is_binary_view,
    )
    return any(test(kind) for test in tests)

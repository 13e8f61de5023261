"""Rows of a spine on their way to an engine and back: numbered, so that what comes back can be held to what went.

Features are put beside the spine's columns without a join, so the engine's answer has to have every row once, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from feature_platform.errors import FeaturePlatformError, StoreError
from feature_platform.sdk.spine import Spine
from feature_platform.stores.codes import QUERY_FAILED
from feature_platform.types import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

ROW: Final = "fp_row"
"""The column with the number, from 0."""
_OTHER_ROWS: Final = "the engine's answer does not have every row of the spine once, in its order"


def numbered(spine: Spine, inputs: TableSchema, faults: list[FeaturePlatformError]) -> pa.RecordBatchReader:
    """What an engine reads. Engines make an error of their own of one in a stream, so it is kept in ``faults``."""
    import numpy as np
    import pyarrow as pa

    schema = inputs.arrow()
    names = [name for name in inputs.names if name != ROW]

    def batches() -> Iterator[pa.RecordBatch]:
        first = 0
        with spine.open() as reader:
            try:
                for batch in reader:
                    numbers = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
                    first += batch.num_rows
                    yield pa.RecordBatch.from_arrays([numbers, *(batch.column(name) for name in names)], schema=schema)
            except FeaturePlatformError as error:
                faults.append(error)
                raise

    return pa.RecordBatchReader.from_batches(schema, batches())


def without_numbers(reader: pa.RecordBatchReader, faults: Sequence[FeaturePlatformError] = ()) -> pa.RecordBatchReader:
    """The features alone, if there is one row for each of the spine's, in its order: they are put beside its columns.

    Raises:
        StoreError: the engine gave others.
        FeaturePlatformError: what is wrong with rows of the spine that are read later.
    """
    import numpy as np
    import pyarrow as pa

    place = reader.schema.get_field_index(ROW)
    schema = reader.schema.remove(place)

    def batches() -> Iterator[pa.RecordBatch]:
        first = 0
        with reader, reporting(faults):
            for batch in reader:
                expected = np.arange(first, first + batch.num_rows)
                if not np.array_equal(batch.column(place).to_numpy(zero_copy_only=False), expected):
                    raise StoreError(
                        QUERY_FAILED.problem(_OTHER_ROWS, mend="report it: features may be beside wrong rows")
                    )
                first += batch.num_rows
                yield batch.remove_column(place)

    return pa.RecordBatchReader.from_batches(schema, batches())


@contextmanager
def reporting(faults: Sequence[FeaturePlatformError]) -> Iterator[None]:
    """Where an engine failed because the spine's rows did, that is what is told."""
    try:
        yield
    except StoreError:
        if faults:
            raise faults[0] from None
        raise

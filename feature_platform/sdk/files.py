"""Rows written to files: as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from feature_platform.errors import UsageError
from feature_platform.sdk.codes import UNWRITABLE_TYPE

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.stores.protocols import StreamSource

Format = Literal["parquet", "csv"]


def written(rows: StreamSource, path: Path, form: Format, count: Callable[[int], None] = lambda _rows: None) -> int:
    """Writes all rows, one batch in memory at a time, and gives their number; ``count`` is told of each batch.

    Raises:
        UsageError: FP-SDK-015, a column has a type that the format does not have.
        OSError: the file can't be written.
    """
    number = 0
    with replacing(path) as draft, rows() as reader, writer_of(draft, reader.schema, form) as writer:
        for batch in reader:
            writer.write_batch(batch)
            number += batch.num_rows
            count(batch.num_rows)
    return number


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside ``path``, which takes its place in one step when the block ends well, and is removed if not.

    A symbolic link in that place is replaced; what it leads to stays as it is.
    """
    draft = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}.tmp")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def writer_of(path: Path, schema: pa.Schema, form: Format = "parquet") -> Iterator[Any]:
    """A writer of record batches.

    Raises:
        UsageError: FP-SDK-015, a column has a type that the format does not have.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        with (
            parquet.ParquetWriter(path, schema, compression="zstd")
            if form == "parquet"
            else csv.CSVWriter(path, schema) as writer
        ):
            yield writer
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError):
        odd = ", ".join(f"'{field.name}' ({field.type})" for field in schema if not _fits(field, form))
        if not odd:
            raise  # something else failed while rows were written
        raise UsageError(
            UNWRITABLE_TYPE.problem(
                f"a {form} file can't hold {odd}",
                mend="leave the column out of the spine, or convert it",
            )
        ) from None


def _fits(field: pa.Field, form: Format) -> bool:
    """Whether the format takes an empty column of this type."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        table = pa.schema([field]).empty_table()
        sink = pa.BufferOutputStream()
        parquet.write_table(table, sink) if form == "parquet" else csv.write_csv(table, sink)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True

"""Rows that are handed to people: read lazily, in the library of their choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from feature_platform.governance.labels import CLEAN, Labels, describe
from feature_platform.sdk.files import written

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from feature_platform.registry.graph import ColumnRef

Role = Literal["spine", "feature", "column"]


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """What is known of a column of a result.

    ``type`` is the logical type's name; for columns that a spine brought along, Arrow's. ``direct`` are the columns
    whose values flow into it, ``indirect`` those that decide about rows or branches.
    """

    name: str
    type: str
    role: Role = "column"
    labels: Labels = CLEAN
    direct: frozenset[ColumnRef] = frozenset()
    indirect: frozenset[ColumnRef] = frozenset()
    description: str = ""
    transforms: frozenset[str] = frozenset()
    """Governed transforms on the way."""

    def __str__(self) -> str:
        return f"{self.name}: {self.type} ({describe(self.labels)})"


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table that a training set reads."""

    name: str
    store: str
    rows: int | None
    """As its store's metadata has them; None where nobody looked or they don't say."""
    moved: bool
    """Whether it is streamed to the store that computes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a training set is computed."""

    store: str
    engine: str
    why: str
    """Why there."""
    spine: str
    """How the spine gets there."""
    join: str
    """Which plans join it with published rows, and what decides; empty where there is no choice."""
    tables: tuple[TablePlan, ...]


@dataclass(frozen=True)
class Result:
    """Rows of a query or a training set. Nothing is computed before it is read; each read computes anew.

    Timestamps are ``timestamp[us, tz=UTC]``, decimals ``decimal128``, a missing value is NULL (in pandas: ``NaN``,
    ``NaT``, ``None`` or, of 64-bit integers, ``NA``).
    """

    columns: tuple[ColumnInfo, ...]
    _open: Callable[[], pa.RecordBatchReader]
    plan: Plan | None = None
    """How a training set is computed; None of queries."""

    def reader(self) -> pa.RecordBatchReader:
        """A stream of batches: memory does not grow with the number of rows."""
        return self._open()

    def to_arrow(self) -> pa.Table:
        """All rows as one Arrow table."""
        with self._open() as reader:
            return reader.read_all()

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a pandas data frame; see :func:`pandas_frame`."""
        return pandas_frame(self.to_arrow())

    def to_polars(self) -> pl.DataFrame:
        """All rows as a polars data frame; see :func:`polars_frame`."""
        return polars_frame(self.to_arrow())

    def to_parquet(self, path: Path | str) -> int:
        """Writes all rows to a Parquet file, batch by batch, and gives their number.

        The file is there as a whole or not at all: it takes the place of what was there, a symbolic link included, once
        the last row is written.

        Raises:
            UsageError: FP-SDK-015, a column of the spine has a type that Parquet does not have.
            OSError: the file can't be written.
        """
        return written(self.reader, Path(path), "parquet")

    def column(self, name: str) -> ColumnInfo:
        """The column called ``name``. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def features(self) -> tuple[ColumnInfo, ...]:
        """The columns that are features."""
        return tuple(column for column in self.columns if column.role == "feature")


TrainingSet = Result
"""A spine with features beside it: its rows, order, duplicates and extra columns are the caller's."""


def in_utc(schema: pa.Schema, keep: Sequence[str] = ()) -> pa.Schema:
    """``schema`` with every zoneless timestamp as ``timestamp[us, tz=UTC]``, nested ones too, but for the columns in
    ``keep``."""
    import pyarrow as pa

    def aware(field: pa.Field) -> pa.Field:
        return field if field.name in keep else field.with_type(in_zone(field.type))

    def in_zone(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(kind) and kind.tz is None:
            return pa.timestamp("us", tz="UTC")
        if pa.types.is_struct(kind):
            return pa.struct([part.with_type(in_zone(part.type)) for part in kind])
        if pa.types.is_map(kind):
            return pa.map_(in_zone(kind.key_type), in_zone(kind.item_type))
        return pa.list_(in_zone(kind.value_type)) if pa.types.is_list(kind) else kind

    return pa.schema([aware(field) for field in schema])


def cast_stream(reader: pa.RecordBatchReader, schema: pa.Schema) -> pa.RecordBatchReader:
    """The same batches, as ``schema``; only for casts that lose nothing."""
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        with reader:
            for batch in reader:
                # Columns that have their type already are not touched: not every type of Arrow can be cast to itself.
                columns = [
                    values if values.type.equals(field.type) else values.cast(field.type)
                    for values, field in zip(batch.columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def pandas_frame(rows: pa.Table) -> pd.DataFrame:
    """The rows in pandas. Decimals are ``decimal.Decimal`` objects, times are aware (UTC), maps are dictionaries.

    A column of 64-bit integers with a NULL is ``Int64`` (or ``UInt64``): as ``float64``, which pandas would take, an
    identifier beyond 2^53 is another one.
    """
    import pandas as pd
    import pyarrow as pa

    exact = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
    frame: pd.DataFrame = rows.to_pandas(maps_as_pydicts="strict")
    for place, column in enumerate(rows.columns):
        if column.null_count and column.type in exact:
            frame.isetitem(place, column.to_pandas(types_mapper=exact.get))
    return frame


def polars_frame(rows: pa.Table) -> pl.DataFrame:
    """The rows in polars. It has no maps: they are lists of (key, value)."""
    import polars as pl

    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame

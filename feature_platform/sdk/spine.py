"""Spines: the rows that a training set is made for, whatever library they come from.

A spine's rows, order, duplicates and extra columns are the caller's and come back as they were. Only what takes part
in the join is converted: keys and request values to their declared types, keys that are personal to tokens, the time
to UTC. Memory stays at one batch, whatever the number of rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from feature_platform.errors import Location, Problem, UsageError, did_you_mean
from feature_platform.sdk.codes import (
    SPINE_COLUMN_CLASH,
    SPINE_COLUMN_MISSING,
    SPINE_COLUMN_TYPE,
    SPINE_NOT_READABLE,
)
from feature_platform.sdk.parquet_spine import parquet_rows
from feature_platform.types import STRING, DataType

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from feature_platform.sdk.sql_spine import Sql

    Rows: TypeAlias = (
        pa.Table | pa.RecordBatch | pa.RecordBatchReader | pd.DataFrame | pl.DataFrame | pl.LazyFrame | str | Path
    )
    SpineLike: TypeAlias = Rows | Sql

Tokenise = Callable[[str, "pa.Array"], "pa.Array"]
"""(classification, values) → tokens; tokens among the values stay as they are."""

TIME_TYPE: Final = DataType("timestamp")
_BATCH_ROWS: Final = 65_536


@dataclass(frozen=True, slots=True)
class NeededColumn:
    """A column that takes part in the join: a key, a request value, or the time."""

    name: str
    type: DataType
    classification: str | None = None
    needed_by: str = ""


@dataclass(frozen=True)
class Spine:
    """Rows that can be read again and again."""

    schema: pa.Schema
    open: Callable[[], pa.RecordBatchReader]
    once: bool = False
    """Whether ``open`` works a single time only, because the caller gave a stream."""
    varies: bool = False
    """Whether ``open`` may give the rows in another order each time: keep them with :func:`kept` before they are read
    twice."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.schema.names)


def open_spine(spine: Rows, needed: Sequence[NeededColumn] = ()) -> Spine:
    """The rows of an Arrow table or reader, a pandas or polars data frame, or Parquet files; ``needed`` gives the types
    of columns that are named by the files' folders.

    Raises:
        UsageError: it is none of these, the file can't be read, or a column name occurs twice.
    """
    opened = _opened(spine, needed)
    twice = sorted({name for name in opened.names if opened.names.count(name) > 1})
    if twice:
        raise UsageError(
            SPINE_COLUMN_CLASH.problem(f"the spine has two columns called '{name}'", mend="rename one of them")
            for name in twice
        )
    return opened


def normalised(
    spine: Spine, *, time: str, needed: Sequence[NeededColumn], tokenise: Tokenise, reserved: Sequence[str] = ()
) -> Spine:
    """The spine with its join columns as the platform holds them: declared types, tokens, ``timestamp[us]`` in UTC
    without a zone.

    A naive time is UTC already; an aware one is converted; a date is its midnight. ``reserved`` are names that the
    result needs.

    Raises:
        UsageError: a column is missing, has a type that doesn't convert, or a reserved name. Values that don't convert
        raise when the rows are read.
    """
    wanted = {column.name: column for column in needed} | {time: NeededColumn(time, TIME_TYPE, needed_by="the time")}
    check_columns(spine.schema, list(wanted.values()), reserved)
    import pyarrow as pa

    schema = held_as(spine.schema, wanted.values())

    def opened() -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            with spine.open() as reader:
                for batch in reader:
                    yield _converted(batch, schema, wanted, tokenise)

        return pa.RecordBatchReader.from_batches(schema, batches())

    ready = Spine(schema, opened, varies=spine.varies)
    return kept(ready) if spine.once else ready


def check_columns(
    schema: pa.Schema,
    needed: Sequence[NeededColumn],
    reserved: Sequence[str],
    *,
    where: Location | None = None,
    any_case: bool = False,
) -> None:
    """Refuses a spine that lacks a needed column, has one whose type doesn't convert, or one with a name in
    ``reserved``; with ``any_case`` also one that differs from it in case only, which engines don't tell apart.

    Raises:
        UsageError: all of these, at ``where``.
    """
    wanted = {column.name: column for column in needed}
    problems = [*_missing(schema, wanted), *_clashes(schema, reserved, any_case=any_case), *_misfits(schema, wanted)]
    if problems:
        raise UsageError(replace(problem, where=where) for problem in problems)


def held_as(schema: pa.Schema, needed: Iterable[NeededColumn]) -> pa.Schema:
    """``schema`` with the needed columns as the platform holds them: declared types, tokens as text."""
    wanted = {column.name: column for column in needed}
    import pyarrow as pa

    return pa.schema(
        [field.with_type(_held_as(wanted[field.name])) if field.name in wanted else field for field in schema]
    )


def kept(spine: Spine) -> Spine:
    """The rows on disk, as Arrow IPC in a file that goes when nobody refers to the spine any more: they can be read
    again and again, in one order.
    """
    import pyarrow as pa

    file = tempfile.NamedTemporaryFile(prefix="fp-spine-", suffix=".arrow")  # noqa: SIM115 - lives as long as the spine
    with pa.ipc.new_stream(file.name, spine.schema) as writer, spine.open() as reader:
        for batch in reader:
            writer.write_batch(batch)

    def opened() -> pa.RecordBatchReader:
        return pa.ipc.open_stream(pa.OSFile(file.name))

    return Spine(spine.schema, opened)


def beside(left: pa.RecordBatchReader, right: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Two streams of equally many rows as one stream with the columns of both."""
    import pyarrow as pa

    schema = pa.schema([*left.schema, *right.schema])

    def batches() -> Iterator[pa.RecordBatch]:
        with left, right:
            waiting: pa.RecordBatch | None = None
            for batch in left:
                start = 0
                while start < batch.num_rows:
                    while waiting is None or not waiting.num_rows:
                        waiting = right.read_next_batch()
                    rows = min(batch.num_rows - start, waiting.num_rows)
                    columns = [*batch.slice(start, rows).columns, *waiting.slice(0, rows).columns]
                    yield pa.RecordBatch.from_arrays(columns, schema=schema)
                    waiting = waiting.slice(rows)
                    start += rows

    return pa.RecordBatchReader.from_batches(schema, batches())


def _opened(spine: Any, needed: Sequence[NeededColumn]) -> Spine:
    import pyarrow as pa

    if isinstance(spine, str | Path):
        types = {column.name: STRING if column.classification else column.type for column in needed}
        rows = parquet_rows(Path(spine), types)
        return Spine(rows.schema, rows.open)
    if isinstance(spine, pa.RecordBatchReader):
        return Spine(spine.schema, lambda: spine, once=True)
    if isinstance(spine, pa.RecordBatch):
        spine = pa.Table.from_batches([spine])
    kind = type(spine).__module__.partition(".")[0]
    if kind == "pandas":
        spine = _from_pandas(spine)
    elif kind == "polars":
        spine = (spine.collect() if hasattr(spine, "collect") else spine).to_arrow()
    if not isinstance(spine, pa.Table):
        raise UsageError(
            SPINE_NOT_READABLE.problem(
                f"the spine is a {type(spine).__module__}.{type(spine).__qualname__}",
                mend="give an Arrow table, a reader, a pandas or polars data frame, a Parquet path, or `Sql(…)`",
            )
        )
    table: pa.Table = spine
    return Spine(table.schema, lambda: table.to_reader(max_chunksize=_BATCH_ROWS))


def _from_pandas(frame: Any) -> pa.Table:
    import pyarrow as pa

    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        return pa.table([pa.nulls(0)] * len(names), names=names)  # refused by name before any row is read
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        # pyarrow's own message quotes a value, which may be personal
        raise UsageError(
            SPINE_NOT_READABLE.problem(
                "a column of the pandas data frame holds values of several types",
                mend="give every column one type, e.g. with `frame.convert_dtypes()` or `frame[column].astype(...)`",
            )
        ) from None


def _missing(schema: pa.Schema, wanted: Mapping[str, NeededColumn]) -> Iterator[Problem]:
    for column in wanted.values():
        if column.name not in schema.names:
            has = ", ".join(schema.names) or "none"
            yield SPINE_COLUMN_MISSING.problem(
                f"the spine has no column '{column.name}', needed by {column.needed_by}."
                f"{did_you_mean(column.name, schema.names)}",
                mend=f"add it, or rename a column to '{column.name}'; the spine has {has}",
            )


def _clashes(schema: pa.Schema, reserved: Sequence[str], *, any_case: bool) -> Iterator[Problem]:
    taken = {name.lower() if any_case else name for name in reserved}
    for name in sorted(each for each in schema.names if (each.lower() if any_case else each) in taken):
        yield SPINE_COLUMN_CLASH.problem(
            f"the spine has a column '{name}', and so will the result", mend="rename or drop the spine's column"
        )


def _misfits(schema: pa.Schema, wanted: Mapping[str, NeededColumn]) -> Iterator[Problem]:
    import pyarrow as pa

    for field in schema:
        column = wanted.get(field.name)
        if column is None:
            continue
        given = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not _converts(given, column.type) and not (column.classification and _converts(given, DataType("string"))):
            yield SPINE_COLUMN_TYPE.problem(
                f"the spine's column '{field.name}' is {field.type}, needed is {column.type} for {column.needed_by}",
                mend=f"convert the column to {column.type}",
            )


def _converts(given: pa.DataType, to: DataType) -> bool:
    """Whether the two are of one family. Numbers never become text, nor text numbers: `007` would lose its zeros."""
    import pyarrow as pa

    types = pa.types
    if types.is_null(given):
        return True
    if to.is_numeric:
        return bool(types.is_integer(given) or types.is_floating(given) or types.is_decimal(given))
    if to.is_temporal:
        return bool(types.is_timestamp(given) or types.is_date(given))
    if to.kind == "string":
        return bool(types.is_string(given) or types.is_large_string(given) or types.is_string_view(given))
    if to.kind == "boolean":
        return bool(types.is_boolean(given))
    return bool(given == to.arrow())


def _held_as(column: NeededColumn) -> pa.DataType:
    return DataType("string").arrow() if column.classification else column.type.arrow()


def _converted(
    batch: pa.RecordBatch, schema: pa.Schema, wanted: Mapping[str, NeededColumn], tokenise: Tokenise
) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = []
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        column = wanted.get(name)
        if column is not None:
            values = _cast(values, column)  # noqa: PLW2901 - the array of the same column, converted
        arrays.append(tokenise(column.classification, values) if column and column.classification else values)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(values: pa.Array, column: NeededColumn) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type) and column.type.kind == "timestamp":
        if values.type.unit == "ns":
            # towards the past, also before 1970, where a plain cast would go towards the future
            values = pc.floor_temporal(values, unit="microsecond")
        return values.cast(pa.timestamp("us", tz=values.type.tz), safe=False).cast(pa.timestamp("us"))
    if column.classification and _converts(values.type, DataType("string")):
        return values.cast(pa.string())  # the key itself as text, or tokens that were handed out before
    try:
        return _decimals(values, column.type) if column.type.kind == "decimal" else values.cast(column.type.arrow())
    except pa.ArrowInvalid:
        # pyarrow's own message quotes the value, which may be personal
        raise UsageError(
            SPINE_COLUMN_TYPE.problem(
                f"a value of the spine's column '{column.name}' does not fit {column.type}",
                mend=f"the column holds what a {column.type} can't, such as fractions or more digits; convert it",
            )
        ) from None


def _decimals(values: pa.Array, to: DataType) -> pa.Array:
    """Exact, or ArrowInvalid: Arrow itself rounds doubles, and asks for more digits than whole numbers have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(values.type):
        values = values.cast(pa.decimal128(20, 0)).cast(pa.decimal128(38, to.scale))
    exact = values.cast(to.arrow())
    if pa.types.is_floating(values.type) and pc.any(pc.not_equal(exact.cast(values.type), values)).as_py():
        raise pa.ArrowInvalid("digits would be lost")
    return exact

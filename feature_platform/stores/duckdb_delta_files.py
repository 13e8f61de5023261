"""Files as DuckDB reads them: which ones a source has, and the SELECTs that give them their types.

Nothing is guessed about types. A Parquet column of another type is cast where no value can lose anything unnoticed; CSV
fields are parsed as the declared type or the query fails.
"""

from __future__ import annotations

import csv
import glob
import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feature_platform.errors import Problem, StoreError, did_you_mean
from feature_platform.stores.codes import FILES_COLUMNS, FILES_MISSING, FILES_OUTSIDE, FILES_TYPES, FILES_UNREADABLE
from feature_platform.stores.duckdb_delta_footers import Footers, paths_literal
from feature_platform.stores.protocols import FilesTable, Size
from feature_platform.stores.quoting import identifier, literal
from feature_platform.types import Column, DataType

_DELIMITERS = (",", ";", "\t", "|")
_HEADER_LIMIT = 1 << 20
_FOOTERS = 256
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"})
_TIMESTAMPS = frozenset(
    {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}
)


def matching_files(table: FilesTable, roots: Sequence[Path]) -> tuple[str, ...]:
    """The files behind ``table``, sorted, with symbolic links followed.

    Raises:
        StoreError: there is none, or one lies outside of ``roots``.
    """
    found = [table.path] if os.path.exists(table.path) else sorted(glob.glob(table.path))
    files = tuple(dict.fromkeys(os.path.realpath(path) for path in found if os.path.isfile(path)))
    if not files:
        raise StoreError(
            FILES_MISSING.problem(
                f"no file matches {table.path}",
                mend="put the file there, or correct the source's `path` or the profile's data folder",
            )
        )
    allowed = tuple(os.path.realpath(root) for root in roots)
    for file in files:
        if not any(os.path.commonpath((file, root)) == root for root in allowed):
            raise StoreError(
                FILES_OUTSIDE.problem(
                    f"{table.path} leads to {file}, which is not below the data folder",
                    mend="keep the files below the profile's data folder, or set that folder to where they lie",
                )
            )
    return files


def files_version(files: Sequence[str]) -> str:
    """A digest of names, sizes and modification times: it changes when a file is added, replaced or removed."""
    from hashlib import sha256

    digest = sha256()
    for file in files:
        status = os.stat(file)
        digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def files_size(table: FilesTable, files: Sequence[str]) -> Size:
    """Bytes on disk; rows where the footers of Parquet files say so, and there are few enough to look at all."""
    rows = None
    if table.format == "parquet" and len(files) <= _FOOTERS:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            rows = sum(parquet.read_metadata(file).num_rows for file in files)
        except (pa.ArrowInvalid, OSError):
            rows = None  # whoever reads the file will be told what is wrong with it
    return Size(rows, sum(os.stat(file).st_size for file in files))


def select_files(connection: Any, table: FilesTable, files: Sequence[str], footers: Footers) -> str:
    """A SELECT that gives exactly ``table.schema`` from ``files``.

    Raises:
        StoreError: a file lacks a column, or has one whose type cannot become the declared one; all of them together.
    """
    if table.format == "csv":
        return _select_csv(table, files)
    return _select_parquet(connection, table, footers.groups(connection, files))


def _select_parquet(connection: Any, table: FilesTable, groups: Sequence[Sequence[str]]) -> str:
    problems: list[Problem] = []
    selects: list[str] = []
    for group in groups:
        described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({paths_literal(group[:1])})").fetchall()  # noqa: S608 - a literal
        present = {name: kind for name, kind, *_ in described}
        columns: list[str] = []
        for column in table.schema.columns:
            if column.name not in present:
                problems.append(_lacks(table, column.name, present))
            elif (expression := _cast(identifier(column.name), present[column.name], column.type)) is None:
                problems.append(_cannot_become(table, column, present[column.name]))
            else:
                columns.append(f"{expression} AS {identifier(column.name)}")
        selects.append(f"SELECT {', '.join(columns)} FROM read_parquet({paths_literal(group)})")  # noqa: S608 - quoted, literals
    if problems:
        raise StoreError(dict.fromkeys(problems))
    return " UNION ALL ".join(selects)


def _cast(name: str, present: str, declared: DataType) -> str | None:
    """An expression of the declared type that loses nothing unnoticed; None when there is none.

    A double becomes an integer only where it is whole (pandas writes integers with gaps as doubles), and a decimal of
    the declared scale (that is what declaring it asks for). Nanoseconds are cut to whole microseconds.
    """
    target = declared.sql("duckdb")
    if _compact(present) == _compact(target):
        return name
    if declared.is_integer and present in ("DOUBLE", "FLOAT"):
        whole = f"{name} IS NULL OR {name} = trunc({name})"
        failure = literal("a value that is not whole stands where an integer is declared")
        return f"CASE WHEN {whole} THEN CAST({name} AS {target}) ELSE error({failure}) END"
    if declared.kind == "timestamp" and present in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        # DuckDB's cast rounds, which would move an event to a microsecond in which it had not happened yet.
        return f"make_timestamp((epoch_ns({name}) - (epoch_ns({name}) % 1000 + 1000) % 1000) // 1000)"
    return f"CAST({name} AS {target})" if _fits(present, declared) else None


def _fits(present: str, declared: DataType) -> bool:
    number = present in _INTEGERS or present in ("FLOAT", "DOUBLE")
    element = declared.element
    rules: dict[str, bool] = {
        "int": present in _INTEGERS,
        "bigint": present in _INTEGERS,
        "double": number or present.startswith("DECIMAL("),
        "decimal": number or _scale(present) <= declared.scale,
        "timestamp": present in _TIMESTAMPS or present == "DATE",
        "string": present.startswith("ENUM(") or present in ("VARCHAR", "UUID"),
        "array": element is not None and present.endswith("[]") and _fits(present[:-2], element),
    }
    return _compact(present) == _compact(declared.sql("duckdb")) or rules.get(declared.kind, False)


def _compact(type_: str) -> str:
    return type_.replace(", ", ",")


def _scale(present: str) -> int:
    if not present.startswith("DECIMAL("):
        return 99
    return int(present.removesuffix(")").rpartition(",")[2])


def _select_csv(table: FilesTable, files: Sequence[str]) -> str:
    problems: list[Problem] = []
    selects: list[str] = []
    declared = {column.name: column for column in table.schema.columns}
    wanted = ", ".join(identifier(name) for name in declared)
    by_header: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for file in files:
        by_header.setdefault(_header(file, declared), []).append(file)
    for (delimiter, header), group in by_header.items():
        problems += [_lacks(table, name, header) for name in declared if name not in header]
        kinds = ", ".join(f"{literal(name)}: {literal(_csv_type(declared.get(name)))}" for name in header)
        options = "header = true, auto_detect = false, nullstr = '', quote = '\"', escape = '\"', strict_mode = true"
        scan = f"read_csv({paths_literal(group)}, columns = {{{kinds}}}, delim = {literal(delimiter)}, {options})"
        selects.append(f"SELECT {wanted} FROM {scan}")  # noqa: S608 - names are quoted, paths are literals
    if problems:
        raise StoreError(problems)
    return " UNION ALL ".join(selects)


def _csv_type(column: Column | None) -> str:
    return column.type.sql("duckdb") if column else "VARCHAR"


def _header(file: str, declared: dict[str, Column]) -> tuple[str, tuple[str, ...]]:
    """Delimiter and names of the first line. Of several delimiters that one which finds most declared columns."""
    open_text = gzip.open if file.endswith(".gz") else open
    try:
        with open_text(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as lines:
            first = lines.readline(_HEADER_LIMIT)
        readings = [(each, tuple(next(csv.reader([first], delimiter=each), []))) for each in _DELIMITERS]
    except (OSError, EOFError, csv.Error) as error:
        raise StoreError(
            FILES_UNREADABLE.problem(
                f"{file} cannot be read as CSV: {type(error).__name__}",
                mend="write the file again: comma-separated UTF-8 with a header line, gzipped if its name ends in .gz",
            )
        ) from None
    return max(readings, key=lambda reading: sum(name in declared for name in reading[1]))


def _cannot_become(table: FilesTable, column: Column, present: str) -> Problem:
    return FILES_TYPES.problem(
        f"column '{column.name}' of {table.path} is {present}, declared {column.type}",
        mend="declare the type that the files have, and convert in the view's SQL",
    )


def _lacks(table: FilesTable, column: str, present: Sequence[str] | dict[str, str]) -> Problem:
    return FILES_COLUMNS.problem(
        f"{table.path} has no column '{column}'",
        mend=f"declare only columns that every file has.{did_you_mean(column, present)}",
    )

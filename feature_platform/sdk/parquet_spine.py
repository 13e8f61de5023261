"""Spines in Parquet: a file, a folder of files, a pattern; what folders name (``day=2026-03-01``) are columns.

Rows come file by file, files in the order of their paths, one batch in memory at a time.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from feature_platform.errors import UsageError
from feature_platform.sdk.codes import SPINE_NOT_READABLE
from feature_platform.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS: Final = (".parquet", ".parq", ".pq")
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
_BATCH_ROWS: Final = 65_536


@dataclass(frozen=True)
class ParquetRows:
    """Rows of Parquet files with the same columns."""

    schema: pa.Schema
    files: tuple[Path, ...]
    partitions: Mapping[Path, Mapping[str, pa.Scalar]]
    """Of each file the columns that its folders name."""

    def open(self) -> pa.RecordBatchReader:
        """A fresh stream of all rows."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for path in self.files:
            named = self.partitions[path]
            own = self.schema.names[: len(self.schema) - len(named)]
            # Buffered beforehand, every row group that was read stays in memory until the file is closed.
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(_BATCH_ROWS):
                    columns = [batch.column(name) for name in own]
                    columns += [pa.repeat(value, batch.num_rows) for value in named.values()]
                    yield pa.RecordBatch.from_arrays(columns, schema=self.schema)


def parquet_rows(path: Path, types: Mapping[str, DataType]) -> ParquetRows:
    """The rows behind ``path``; a column that folders name has its type in ``types``, else it is text.

    Raises:
        UsageError: nothing is there, a file can't be read, or files have different columns.
    """
    files, root = _files(path)
    texts = {file: _named(file, root) for file in files}
    names = next(iter(texts.values())).keys()
    if any(each.keys() != names for each in texts.values()):
        raise _unreadable(f"folders below '{path}' name different columns", "partition all files by the same columns")
    schema = _schema(files[0])
    for file in files[1:]:
        if not _schema(file).equals(schema):
            raise _unreadable(
                f"'{file}' has other columns than '{files[0]}'", "write all files with the same columns and types"
            )
    import pyarrow as pa

    partitions = {
        file: {name: _value(name, text, types.get(name)) for name, text in of.items()} for file, of in texts.items()
    }
    found = [pa.field(name, value.type) for name, value in partitions[files[0]].items()]
    return ParquetRows(pa.schema([*schema, *found]), files, partitions)


def _files(path: Path) -> tuple[tuple[Path, ...], Path]:
    """The files, in order, and the folder below which the names of folders count."""
    if path.is_file():
        return (path,), path.parent
    if path.is_dir():
        found, root = _below(path), path
    else:
        matches = [Path(each) for each in sorted(glob.glob(str(path), recursive=True))]
        found = [file for each in matches for file in (_below(each) if each.is_dir() else [each])]
        fixed = next((place for place, part in enumerate(path.parts) if glob.has_magic(part)), len(path.parts))
        root = Path(*path.parts[:fixed])
    if not found:
        raise _unreadable(f"'{path}' is not a Parquet file that can be read", "check the path")
    return tuple(dict.fromkeys(found)), root


def _below(folder: Path) -> list[Path]:
    """Parquet files of a folder and of those in it; what begins with a dot or an underscore is no data."""
    if (folder / "_delta_log").is_dir():
        raise _unreadable(
            f"'{folder}' is a Delta table, in which files may have been replaced",
            "read it with `deltalake` and give its rows, or declare it as a source and give a query",
        )
    files = [each for each in folder.rglob("*") if each.suffix.lower() in ENDINGS and each.is_file()]
    visible = [each for each in files if not any(part[0] in "._" for part in each.relative_to(folder).parts)]
    return sorted(visible, key=lambda each: each.parts)


def _named(file: Path, root: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for part in file.relative_to(root).parts[:-1]:
        name, equals, value = part.partition("=")
        if equals:
            found[unquote(name)] = None if value == _NO_VALUE else unquote(value)
    return found


def _value(name: str, text: str | None, of: DataType | None) -> pa.Scalar:
    import pyarrow as pa

    from feature_platform.sdk.values import parse_text

    kind = of or DataType("string")
    try:
        return pa.scalar(None if text is None else parse_text(text, kind), kind.arrow())
    except (ValueError, pa.ArrowInvalid):
        raise _unreadable(
            f"a folder's '{name}=…' is no {kind}", f"name folders by values of {kind}, or rename the column"
        ) from None


def _schema(path: Path) -> pa.Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path).remove_metadata()
    except (OSError, pa.ArrowInvalid):
        raise _unreadable(f"'{path}' is not a Parquet file that can be read", "check the path") from None


def _unreadable(what: str, mend: str) -> UsageError:
    return UsageError(SPINE_NOT_READABLE.problem(what, mend=mend))

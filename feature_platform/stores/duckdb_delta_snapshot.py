"""Reading a Delta table's log: its live version, the files of it, and a lease for as long as they are read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import STORE_UNREACHABLE, UNSUPPORTED_TABLE
from feature_platform.stores.duckdb_delta_layout import commit_path, reader_lease
from feature_platform.stores.leases import Lease, shared
from feature_platform.stores.protocols import TableName
from feature_platform.stores.publication_rules import not_published
from feature_platform.types import Column, DataType, TableSchema, map_of

if TYPE_CHECKING:
    from deltalake import DeltaTable

PARTITION_COLUMN: Final = "fp_partition"
TIMESTAMPS: Final = "timestampNtz"
_READER_FEATURES: Final = frozenset({TIMESTAMPS})
_REMEMBERED: Final = 256
"""Tables whose newest version is kept in memory."""
_TYPES: Final = {"integer": "int", "long": "bigint", "timestamp_ntz": "timestamp"}


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A file of the live version."""

    path: str
    """Relative to the table's folder."""
    partition: str | None
    rows: int
    published_at: datetime


@dataclass(frozen=True)
class Snapshot:
    """One version of a table."""

    folder: Path
    version: int
    schema: TableSchema
    files: tuple[LiveFile, ...]

    def paths_by_shape(self, files: Iterable[LiveFile]) -> dict[str, list[str]]:
        """Absolute paths in groups of equal columns."""
        groups: dict[str, list[str]] = {}
        for file in files:
            groups.setdefault(os.path.dirname(file.path), []).append(str(self.folder / file.path))
        return groups


def snapshot(folder: Path) -> Snapshot | None:
    """The live version, or None when nothing was published.

    Raises:
        StoreError: the table was made by others, with features that cannot be read exactly.
    """
    if (known := _newest.get(folder)) and known.is_newest():
        return known.snapshot
    table = opened(folder)
    live = _snapshot_of(folder, table) if table else None
    if live and (seen := _Seen.now(live)):
        if len(_newest) >= _REMEMBERED:
            _newest.clear()
        _newest[folder] = seen
    return live


def pinned(folder: Path, name: TableName) -> tuple[Snapshot, Lease]:
    """The live version with a lease: its files stay until the lease is released.

    Raises:
        StoreError: nothing was published.
    """
    while True:
        live = snapshot(folder)
        if live is None:
            raise StoreError(not_published(name))
        lease = shared(reader_lease(folder, live.version))
        if commit_path(folder, live.version).exists() and not commit_path(folder, live.version + 1).exists():
            return live, lease
        lease.release()  # superseded before the lease was held: its files may be going


@contextmanager
def delta_reported(folder: Path) -> Iterator[None]:
    """Turns errors of the file system and of the Delta log into ``StoreError``."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError) as error:
        raise StoreError(
            STORE_UNREACHABLE.problem(
                f"{folder} cannot be read or written: {str(error).partition(chr(10))[0]}",
                mend="check permissions and disk; if the _delta_log is damaged, remove the table and publish anew",
            )
        ) from None


def opened(folder: Path, version: int | None = None) -> DeltaTable | None:
    """The table at a version, or at its newest; None: nothing was published.

    Raises:
        StoreError: its log cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    with delta_reported(folder):
        if not (folder / "_delta_log").is_dir():
            return None
        try:
            return DeltaTable(str(folder), version=version)
        except TableNotFoundError:
            return None


def files_of(table: DeltaTable) -> tuple[LiveFile, ...]:
    """The files of an opened version."""
    import pyarrow as pa

    actions = pa.table(table.get_add_actions(flatten=True))
    wanted = ("path", "num_records", "modification_time", f"partition.{PARTITION_COLUMN}")
    rows = actions.select([name for name in wanted if name in actions.column_names]).to_pylist()
    return tuple(
        LiveFile(
            path=row["path"],
            partition=row.get(f"partition.{PARTITION_COLUMN}"),
            rows=row.get("num_records") or 0,
            published_at=datetime.fromtimestamp(row["modification_time"] / 1000, UTC).replace(tzinfo=None),
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """A version that was the newest when somebody looked. Replaying the log takes milliseconds, asking the file system
    microseconds.
    """

    snapshot: Snapshot
    commit: tuple[int, int, int]
    """What the file system says of the version's commit: a table that was removed and made anew has another file."""

    @classmethod
    def now(cls, live: Snapshot) -> _Seen | None:
        commit = _identity(commit_path(live.folder, live.version))
        return cls(live, commit) if commit else None

    def is_newest(self) -> bool:
        """Versions follow each other without gaps, so the newest is the one that has no next."""
        folder, version = self.snapshot.folder, self.snapshot.version
        if _identity(commit_path(folder, version)) != self.commit:
            return False
        return not commit_path(folder, version + 1).exists()


_newest: Final[dict[Path, _Seen]] = {}


def _snapshot_of(folder: Path, table: DeltaTable) -> Snapshot | None:
    unknown = frozenset(table.protocol().reader_features or ()) - _READER_FEATURES
    partitioned = table.metadata().partition_columns
    if unknown or partitioned not in ([], [PARTITION_COLUMN]):
        what = f"features {', '.join(sorted(unknown))}" if unknown else f"partitions by {', '.join(partitioned)}"
        raise StoreError(
            UNSUPPORTED_TABLE.problem(
                f"the Delta table in {folder} has {what}",
                mend="declare the files as a source with `path`, or publish the table through this platform",
            )
        )
    files = files_of(table)
    return Snapshot(folder, table.version(), _schema_of(folder, table), files) if files else None


def _schema_of(folder: Path, table: DeltaTable) -> TableSchema:
    fields = json.loads(table.schema().to_json())["fields"]
    try:
        columns = [Column(each["name"], _type_of(each["type"])) for each in fields if each["name"] != PARTITION_COLUMN]
    except (ValueError, KeyError) as error:
        raise StoreError(
            UNSUPPORTED_TABLE.problem(
                f"the Delta table in {folder} has a column without an exact counterpart: {error}",
                mend="declare the files as a source with `path`",
            )
        ) from None
    return TableSchema(tuple(columns))


def _type_of(delta: Any) -> DataType:
    if isinstance(delta, dict) and delta["type"] == "map":
        return map_of(_type_of(delta["keyType"]), _type_of(delta["valueType"]))
    if isinstance(delta, dict):
        return DataType("array", element=_type_of(delta["elementType"]))
    return DataType.parse(_TYPES.get(delta, delta))


def _identity(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written again; None: it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size

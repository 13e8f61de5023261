"""One Delta table as a folder: its live files, publishing by one commit, and removing files that nobody needs any more.

::

    <table>/_delta_log/…                the table, for any reader of Delta
    <table>/data/<shape>/<token>.parquet  one file per staged write; live once the log says so
    <table>/_fp/publish.lock            held while committing and while files are removed
    <table>/_fp/attempts/<token>        held by the process that stages ``token``
    <table>/_fp/readers/<version>       shared by readers of that version

``<shape>`` is a digest of the columns, so that files of several generations of a growing schema can be read together
without opening each. Properties of a publication lie in the Parquet footer of its file: they cannot part from the rows,
and reading them never scans the log.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import STORE_UNREACHABLE, UNSUPPORTED_TABLE
from feature_platform.stores.leases import Lease, shared, try_exclusive
from feature_platform.stores.protocols import Holdings, Publication, StagedWrite, TableName
from feature_platform.stores.publication_rules import check_fits, not_published, staged_rows_gone
from feature_platform.types import Column, DataType, TableSchema, map_of

if TYPE_CHECKING:
    from deltalake import DeltaTable

PARTITION_COLUMN: Final = "fp_partition"
FOOTER_KEY: Final = "feature_platform"
_CONFIGURATION: Final = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 2 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
_TIMESTAMPS: Final = "timestampNtz"
_READER_FEATURES: Final = frozenset({_TIMESTAMPS})
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_NAME_LENGTH: Final = 200
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

    def paths_by_shape(self) -> dict[str, list[str]]:
        """Absolute paths in groups of equal columns."""
        groups: dict[str, list[str]] = {}
        for file in self.files:
            groups.setdefault(os.path.dirname(file.path), []).append(str(self.folder / file.path))
        return groups


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
        commit = _identity(_commit_path(live.folder, live.version))
        return cls(live, commit) if commit else None

    def is_newest(self) -> bool:
        """Versions follow each other without gaps, so the newest is the one that has no next."""
        folder, version = self.snapshot.folder, self.snapshot.version
        if _identity(_commit_path(folder, version)) != self.commit:
            return False
        return not _commit_path(folder, version + 1).exists()


_newest: Final[dict[Path, _Seen]] = {}


def table_folder(root: Path, table: TableName) -> Path:
    """Where ``table`` lies below ``root``. Whatever its name holds, the folder cannot lie elsewhere."""
    return root / _file_name(table.schema) / _file_name(table.name)


def staged_path(folder: Path, schema: TableSchema, token: str) -> Path:
    """Where the rows of attempt ``token`` are written."""
    return folder / "data" / shape(schema) / f"{_file_name(token)}.parquet"


def publish_lock(folder: Path) -> Path:
    return folder / "_fp" / "publish.lock"


def attempt_lease(folder: Path, token: str) -> Path:
    return folder / "_fp" / "attempts" / _file_name(token)


def shape(schema: TableSchema) -> str:
    """A short digest of column names and types."""
    text = "\0".join(f"{column.name}\0{column.type}" for column in schema.columns)
    return sha256(text.encode()).hexdigest()[:12]


def snapshot(folder: Path) -> Snapshot | None:
    """The live version, or None when nothing was published.

    Raises:
        StoreError: the table was made by others, with features that cannot be read exactly.
    """
    if (known := _newest.get(folder)) and known.is_newest():
        return known.snapshot
    table = _open(folder)
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
        lease = shared(_reader_lease(folder, live.version))
        if not _commit_path(folder, live.version + 1).exists():
            return live, lease
        lease.release()  # superseded before the lease was held: its files may be going


@contextmanager
def reported(folder: Path) -> Iterator[None]:
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


def publications(folder: Path, name: TableName) -> list[Publication]:
    """One entry per partition, or a single one; none when nothing was published."""
    live = snapshot(folder)
    if live is None:
        return []
    return [_publication(live, name, file) for file in sorted(live.files, key=lambda file: file.partition or "")]


def holdings(folder: Path) -> Holdings:
    """The live files that are there; a file is whole or not there."""
    live = snapshot(folder)
    sizes = {file.path: _size(folder / file.path) for file in live.files} if live else {}
    missing = tuple(path for path, size in sizes.items() if size is None)
    return Holdings(None, sum(size or 0 for size in sizes.values()), missing)


def publication(folder: Path, staged: StagedWrite) -> Publication:
    """That of a staged write which is live."""
    live = snapshot(folder)
    assert live is not None  # the caller has just published
    path = staged_path(folder, staged.schema, staged.token).relative_to(folder).as_posix()
    return _publication(live, staged.target, next(file for file in live.files if file.path == path))


@lru_cache(maxsize=8192)
def properties(path: str) -> Mapping[str, str]:
    """What was recorded in a file's footer. Files never change, so neither does the answer."""
    from pyarrow import parquet

    recorded: dict[str, str] = json.loads((parquet.read_metadata(path).metadata or {}).get(FOOTER_KEY.encode(), b"{}"))
    return recorded


def commit(folder: Path, staged: StagedWrite) -> None:
    """Makes a staged file live in place of its partition's (or the table's) files: one Delta commit.

    The caller holds the table's publish lock. Does nothing when the file is live already.

    Raises:
        StoreError: the staged file is gone, or the table's live partitions could not be read with it.
    """
    from deltalake import Schema
    from deltalake.transaction import AddAction, create_table_with_add_actions

    file = staged_path(folder, staged.schema, staged.token)
    partition = staged.partition.key if staged.partition else None
    live = snapshot(folder)
    relative = file.relative_to(folder).as_posix()
    if live and any(each.path == relative for each in live.files):
        return
    if live:
        check_fits(staged, live.schema, [each.partition for each in live.files])
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        raise StoreError(staged_rows_gone(staged)) from None
    now_ms = time.time_ns() // 1_000_000
    stats = json.dumps({"numRecords": staged.rows})
    action = AddAction(relative, size, {PARTITION_COLUMN: partition}, now_ms, True, stats)
    columns = Schema.from_arrow(_stored_schema(staged.schema))
    if live is None:
        create_table_with_add_actions(
            str(folder), columns, [action], mode="error", partition_by=[PARTITION_COLUMN], configuration=_CONFIGURATION
        )
        return
    table = _open(folder)
    assert table is not None
    _allow_timestamps(table)
    table.create_write_transaction(
        [action],
        "overwrite",
        columns,
        [PARTITION_COLUMN],
        partition_filters=None if partition is None else [(PARTITION_COLUMN, "=", partition)],
    )


def remove_unneeded(folder: Path) -> int:
    """Removes files that are neither live, nor read, nor being staged; gives how many attempts of the dead went.

    The caller holds the table's publish lock, so nothing becomes live or superseded meanwhile.
    """
    needed = _needed_files(folder)
    dead = 0
    in_progress: set[str] = set()
    for attempt in _listed(folder / "_fp" / "attempts"):
        lease = try_exclusive(attempt, create=False)
        if lease is None:
            in_progress.add(attempt.name)
            continue
        left = [path for path in (folder / "data").glob(f"*/{attempt.name}.parquet") if path not in needed]
        for path in left:
            path.unlink(missing_ok=True)
        dead += len(left) or not any(path.stem == attempt.name for path in needed)
        lease.release(remove=True)
    for path in (folder / "data").glob("*/*.parquet"):
        if path not in needed and path.stem not in in_progress:
            path.unlink(missing_ok=True)
    for path in (folder / "_delta_log").glob("_commit_*.tmp"):
        path.unlink(missing_ok=True)
    return dead


def _allow_timestamps(table: DeltaTable) -> None:
    """A table that was made without timestamps must be declared to have some before it gets the first, or it can't be
    read any more. That is a commit of its own, which changes no row.
    """
    from deltalake import TableFeatures

    if _TIMESTAMPS not in (table.protocol().reader_features or ()):
        table.alter.add_feature(TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True)


def _publication(live: Snapshot, name: TableName, file: LiveFile) -> Publication:
    return Publication(
        table=name,
        partition=file.partition,
        version=str(live.version),
        rows=file.rows,
        published_at=file.published_at,
        properties=properties(str(live.folder / file.path)),
    )


def _needed_files(folder: Path) -> set[Path]:
    live = snapshot(folder)
    if live is None:
        return set()
    needed = {folder / file.path for file in live.files}
    for lease_file in _listed(folder / "_fp" / "readers"):
        if lease_file.name == str(live.version):
            continue
        if lease := try_exclusive(lease_file, create=False):
            lease.release(remove=True)
        else:
            table = _open(folder, version=int(lease_file.name))
            assert table is not None
            needed |= {folder / file.path for file in _files_of(table)}
    return needed


def _open(folder: Path, version: int | None = None) -> DeltaTable | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    with reported(folder):
        if not (folder / "_delta_log").is_dir():
            return None
        try:
            return DeltaTable(str(folder), version=version)
        except TableNotFoundError:
            return None


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
    files = _files_of(table)
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


def _files_of(table: DeltaTable) -> tuple[LiveFile, ...]:
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


def _stored_schema(schema: TableSchema) -> Any:
    import pyarrow as pa

    return schema.arrow().append(pa.field(PARTITION_COLUMN, pa.string()))


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _identity(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written again; None: it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _reader_lease(folder: Path, version: int) -> Path:
    return folder / "_fp" / "readers" / str(version)


def _commit_path(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020d}.json"


def _listed(folder: Path) -> Sequence[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def _file_name(text: str) -> str:
    """``text`` as one component of a path: letters, digits, ``_`` and ``-`` as they are, other bytes as ``~2e``.

    Not percent signs: libraries take paths for URLs and decode those.
    """
    name = "".join(chr(byte) if chr(byte) in _PLAIN else f"~{byte:02x}" for byte in text.encode())
    return name if len(name) <= _NAME_LENGTH else f"{name[:100]}~~{sha256(text.encode()).hexdigest()[:24]}"

"""Writing a Delta table: publishing by one commit, what is live, and removing files that nobody needs any more."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import StoreError
from feature_platform.stores.duckdb_delta_layout import staged_path
from feature_platform.stores.duckdb_delta_snapshot import (
    PARTITION_COLUMN,
    TIMESTAMPS,
    LiveFile,
    Snapshot,
    files_of,
    opened,
    snapshot,
)
from feature_platform.stores.leases import try_exclusive
from feature_platform.stores.protocols import Holdings, Publication, StagedWrite, TableName
from feature_platform.stores.publication_order import check_order
from feature_platform.stores.publication_rules import being_written, check_fits, staged_rows_gone
from feature_platform.types import TableSchema

if TYPE_CHECKING:
    from deltalake import DeltaTable

FOOTER_KEY: Final = "feature_platform"
_CONFIGURATION: Final = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 2 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}


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


def commit(folder: Path, staged: StagedWrite, *, backwards: bool) -> None:
    """Makes a staged file live in place of its partition's (or the table's) files: one Delta commit.

    The caller holds the table's publish lock. Does nothing when the file is live already.

    Raises:
        StoreError: the staged file is gone, what is live is later, or the table's live partitions could not be read
            with it.
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
        replaced = [each for each in live.files if partition is None or each.partition == partition]
        known = [properties(str(folder / each.path)) for each in replaced if (folder / each.path).exists()]
        check_order(staged, known, backwards=backwards)
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        raise StoreError(staged_rows_gone(staged)) from None
    now_ms = time.time_ns() // 1_000_000
    stats = json.dumps({"numRecords": staged.rows})
    action = AddAction(relative, size, {PARTITION_COLUMN: partition}, now_ms, True, stats)
    columns = Schema.from_arrow(_stored_schema(staged.schema))
    table = opened(folder)
    if table is None:
        create_table_with_add_actions(
            str(folder), columns, [action], mode="error", partition_by=[PARTITION_COLUMN], configuration=_CONFIGURATION
        )
        return
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


def remove_table(folder: Path, name: TableName) -> bool:
    """Takes all files out of the table, by a commit, and removes what nobody reads; with the last file the folder goes.
    Gives whether it went. The caller holds the table's publish lock.

    Raises:
        StoreError: somebody is staging rows.
    """
    if any(try_exclusive(attempt, create=False) is None for attempt in _listed(folder / "_fp" / "attempts")):
        raise StoreError(being_written(str(name)))
    if live := snapshot(folder):
        table = opened(folder)
        assert table is not None, "it has a live version"
        table.create_write_transaction([], "overwrite", table.schema(), [PARTITION_COLUMN])
        assert snapshot(folder) is None, f"version {live.version} is not the newest"
    remove_unneeded(folder)
    if any((folder / "data").glob("*/*.parquet")):
        return False  # somebody reads them
    for part in ("data", "_delta_log", "_fp"):
        shutil.rmtree(folder / part, ignore_errors=True)
    with suppress(OSError):  # somebody begins to write
        folder.rmdir()
    return True


def _allow_timestamps(table: DeltaTable) -> None:
    """A table that was made without timestamps must be declared to have some before it gets the first, or it can't be
    read any more. That is a commit of its own, which changes no row.
    """
    from deltalake import TableFeatures

    if TIMESTAMPS not in (table.protocol().reader_features or ()):
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
    needed = {folder / file.path for file in live.files} if live else set()
    for lease_file in _listed(folder / "_fp" / "readers"):
        if live and lease_file.name == str(live.version):
            continue
        if lease := try_exclusive(lease_file, create=False):
            lease.release(remove=True)
        else:
            table = opened(folder, version=int(lease_file.name))
            assert table is not None
            needed |= {folder / file.path for file in files_of(table)}
    return needed


def _stored_schema(schema: TableSchema) -> Any:
    import pyarrow as pa

    return schema.arrow().append(pa.field(PARTITION_COLUMN, pa.string()))


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _listed(folder: Path) -> Sequence[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()

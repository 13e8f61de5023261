"""Writes Delta tables onto a disk that gets full. Called in processes of their own, see :class:`writer.Writers`."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from feature_platform.errors import FeaturePlatformError
from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.protocols import Query, StreamTable, TableName
from tests.faults.writer import Tell
from tests.stores.warehouse_cases import schema

TABLE: Final = TableName("features", "spend")
NUMBERS: Final = schema(number="bigint", value="bigint")
ROWS: Final = 30_000
_NEW_NAMESPACES: Final = 0x00020000 | 0x10000000
"""Mounts and users."""
_BYTES: Final = 4 << 20


def limited(tell: Tell, *, folder: str, sizes: list[int], at: str) -> list[list[str]]:
    """Publishes over what is live while no file may grow beyond each of ``sizes`` bytes, from ``at`` on (``stage`` or
    ``publish``). Gives per try the code and the text of the error, or nothing."""
    found: list[list[str]] = []
    for size in sizes:
        with Tables(Path(folder)) as tables:
            try:
                tables.publish_limited(size, at)
                found.append([])
            except FeaturePlatformError as error:
                found.append([error.code, str(error)])
    return found


def on_small_disk(tell: Tell, *, folder: str, left: list[int], at: str) -> list[Any]:
    """Does the same on a file system of 4 MB of its own, with so many bytes left each time.

    Gives per try: the error's code or "", whether the rows before are live and alone (or the new ones, without an
    error), and how many leftovers there are after the disk has room again and the next attempt is published. None: this
    system lets nobody mount one.
    """
    if not _mounted(Path(folder)):
        return [None]
    found: list[Any] = []
    for number, free in enumerate(left):
        with Tables(Path(folder)) as tables:
            tables.publish(number * 10)
            ballast = Path(folder) / "ballast"
            code, staged = "", None
            try:
                if at == "publish":
                    staged = tables.stage(number * 10 + 1)
                _fill(ballast, free)
                staged = staged or tables.stage(number * 10 + 1)
                tables.warehouse.publish(staged)
            except FeaturePlatformError as error:
                code = error.code
                if staged is not None:
                    tables.warehouse.discard(staged)
            seen = tables.values()
            ballast.unlink()
            tables.publish(number * 10 + 2)
            found.append([code, seen == ({number * 10 + (1 if not code else 0)}, ROWS), tables.leftovers()])
    return found


class Tables:
    """A warehouse in a folder, with one table whose rows all have one value."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.warehouse = DuckDBDeltaWarehouse("warehouse", folder, memory_limit="200MB", threads=1)

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, *_: object) -> None:
        self.warehouse.close()

    def stage(self, value: int) -> Any:
        return self.warehouse.stage(TABLE, NUMBERS, _numbers(value))

    def publish(self, value: int) -> None:
        """As a run does: sweep, stage, publish."""
        self.warehouse.sweep(TABLE)
        self.warehouse.publish(self.stage(value))

    def publish_limited(self, file_bytes: int, at: str) -> None:
        staged = self.stage(2) if at == "publish" else None
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, before[1]))
        try:
            self.warehouse.publish(staged or self.stage(2))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def values(self) -> tuple[set[int], int]:
        """Which values there are, and how many rows."""
        query = Query(
            "SELECT value, count(*) AS n FROM features.spend GROUP BY value", "duckdb", {}, {TABLE: self._live()}
        )
        rows = self.warehouse.read(query).read_all().to_pylist()
        return {row["value"] for row in rows}, sum(row["n"] for row in rows)

    def leftovers(self) -> int:
        """Files of rows beside the live one, and marks of attempts."""
        self.warehouse.sweep(TABLE)
        files = [*self._folder.glob("*/*/data/*/*.parquet"), *self._folder.rglob("_fp/attempts/*")]
        return len(files) - len(self.warehouse.publications(TABLE))

    def _live(self) -> Any:
        binding = self.warehouse.binding(TABLE)
        assert binding is not None
        return binding


def _numbers(value: int) -> StreamTable:
    """Rows that do not become small when they are compressed."""

    def produced() -> Iterator[pa.RecordBatch]:
        numbers = [index * 2_654_435_761 % (1 << 61) for index in range(ROWS)]
        yield pa.record_batch({"number": pa.array(numbers), "value": pa.array([value] * ROWS)})

    return StreamTable(lambda: pa.RecordBatchReader.from_batches(NUMBERS.arrow(), produced()))


def _fill(path: Path, free: int) -> None:
    """Leaves about so many bytes of the file system."""
    there = os.statvfs(path.parent)
    path.write_bytes(b"\0" * max(0, there.f_bavail * there.f_frsize - free))


def _mounted(folder: Path) -> bool:
    """Puts a small file system there, which only this process sees and which goes with it."""
    system = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if system.unshare(_NEW_NAMESPACES) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return False
    return bool(system.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=%d" % _BYTES) == 0)

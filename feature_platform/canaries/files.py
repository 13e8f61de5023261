"""Searches files: every byte as it lies on disk, and what formats hide, unpacked.

Parquet is searched twice: its bytes, for statistics, footers and pages that are not compressed, and its rows. SQLite
likewise, since a long value is split over pages; its bytes also have rows that were deleted. Gzip is unpacked.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from feature_platform.canaries.needles import Hit, Needles
from feature_platform.canaries.tables import Tables

_CHUNK: Final = 1 << 20
_PARQUET: Final = b"PAR1"
_SQLITE: Final = b"SQLite format 3\0"
_PACKED: Final[dict[bytes, Callable[..., Any]]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@dataclass(frozen=True)
class Place:
    """Somewhere in a store: ``warehouse/features/card_spend``, ``column device``."""

    name: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.name}, {self.part}" if self.part else self.name


@dataclass(frozen=True)
class Unsearched:
    """A place that could not be looked into: as bad as a hit, since nobody knows."""

    place: Place
    why: str


@dataclass(frozen=True)
class Files:
    """Searches files for the canaries of ``needles``."""

    needles: Needles

    def search(self, file: Path, shown: str) -> Iterator[tuple[Place, Hit] | Unsearched]:
        """What is in a file, by the parts of it; ``shown`` is its name in a report."""
        hits = self.needles.find_text(file.name)
        yield from ((Place(str(Path(shown).parent), "the name of a file"), hit) for hit in hits)
        name = "a file whose name is one" if hits else shown
        try:
            with file.open("rb") as opened:
                head = opened.read(len(_SQLITE))
                opened.seek(0)
                found = self.needles.find_all(_chunks(opened))
            yield from ((Place(name), hit) for hit in found)
            yield from self._unpacked(file, head, name)
        except FileNotFoundError:
            return  # it was temporary
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            yield Unsearched(Place(name), type(error).__name__)

    def _unpacked(self, file: Path, head: bytes, name: str) -> Iterator[tuple[Place, Hit] | Unsearched]:
        if head.startswith(_PARQUET):
            try:
                yield from (
                    (Place(name, f"column {column}"), hit) for column, hit in Tables(self.needles).parquet(file)
                )
            except (OSError, ValueError) as error:  # Arrow's errors are ValueErrors; a staged file may be half written
                if file.exists():
                    yield Unsearched(Place(name, "rows"), type(error).__name__)
        elif head == _SQLITE:
            try:
                yield from self._sqlite(file, name)
            except sqlite3.Error as error:
                yield Unsearched(Place(name, "tables"), type(error).__name__)
        for magic, open_packed in _PACKED.items():
            if head.startswith(magic):
                with open_packed(file, "rb") as opened:
                    yield from ((Place(name, "unpacked"), hit) for hit in self.needles.find_all(_chunks(opened)))

    def _sqlite(self, file: Path, name: str) -> Iterator[tuple[Place, Hit]]:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=10)) as database:
            database.text_factory = bytes
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                quoted = '"' + table.decode().replace('"', '""') + '"'
                rows = database.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - a quoted name of the file's own
                hits = self.needles.find_all(_cells(rows))
                yield from ((Place(name, f"table {table.decode()}"), hit) for hit in hits)


def below(folders: Sequence[Path], *, without: Sequence[Path] = ()) -> Iterator[Path]:
    """Every file below some folders, each once, symbolic links to files followed; nothing in or under ``without``."""
    left_out = {path.resolve() for path in without}
    seen: set[Path] = set()
    for folder in folders:
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
            real = path.resolve()
            if real in seen or real in left_out or any(parent in left_out for parent in real.parents):
                continue
            if real.is_file():
                seen.add(real)
                yield path


def _chunks(opened: IO[Any]) -> Iterator[bytes]:
    while chunk := opened.read(_CHUNK):
        yield chunk


def _cells(rows: sqlite3.Cursor) -> Iterator[bytes]:
    for row in rows:
        for cell in row:
            if isinstance(cell, bytes):
                yield cell + b"\0"
            elif cell is not None:
                yield f"{cell}\0".encode()

"""Where documents and their fields stand in files.

Places are kept packed, one integer per field: a large project has hundreds of thousands of fields, and only those that
have a problem are ever looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from feature_platform.errors import Location

Path = tuple[str | int, ...]
"""The way to a field of a document, e.g. ``("aggregations", 0, "column")``."""

_COLUMN_BITS: Final = 24


def pack(line: int, column: int) -> int:
    """One integer for a line and a column, both counted from 1."""
    return line << _COLUMN_BITS | column


def unpack(packed: int) -> tuple[int, int]:
    """Line and column."""
    return packed >> _COLUMN_BITS, packed & (1 << _COLUMN_BITS) - 1


class Places(Mapping[Path, Location]):
    """A mapping from field to location over packed places."""

    __slots__ = ("_file", "_packed")

    def __init__(self, file: str, packed: Mapping[Path, int]) -> None:
        self._file = file
        self._packed = packed

    def __getitem__(self, path: Path) -> Location:
        return Location(self._file, *unpack(self._packed[path]))

    def __iter__(self) -> Iterator[Path]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def __reduce__(self) -> tuple[type[Places], tuple[str, Mapping[Path, int]]]:
        return (Places, (self._file, self._packed))


@dataclass(frozen=True)
class Origin:
    """Where a document stands: its own location and that of every field in it.

    ``fields`` has the place of each field's *value*, keyed by path, e.g. ``("aggregations", 0, "column")``. Of text it
    is the place of the first character of the text itself: behind a quotation mark or, for a block (``sql: |``), on the
    line below. ``keys`` has the place of each field's *name*.
    """

    location: Location
    fields: Mapping[Path, Location]
    keys: Mapping[Path, Location] = field(default_factory=dict)

    def where(self, *path: str | int) -> Location:
        """The place of a field's value, or of its nearest ancestor that was written."""
        return self._nearest(self.fields, path)

    def where_key(self, *path: str | int) -> Location:
        """The place of a field's name: what to point at when the name itself is wrong."""
        return self.keys.get(path) or self.where(*path)

    def inside(self, line: int, column: int, *path: str | int) -> Location:
        """The place in the file of a character inside a field's text, where ``line`` and ``column`` count from 1.

        Exact for text on one line and for blocks (``|``). Folded text (``>``) has lost its lines: there it is near.
        """
        start = self.where(*path)
        if path not in self.fields:
            return start
        return Location(start.file, start.line + line - 1, start.column + column - 1)

    def _nearest(self, places: Mapping[Path, Location], path: Path) -> Location:
        for length in range(len(path), 0, -1):
            if (found := places.get(path[:length])) is not None:
                return found
        return self.location

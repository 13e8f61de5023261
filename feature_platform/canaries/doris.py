"""Searches a Doris cluster: every table that its user may read, what attempts left staged, and what the cluster says of
them in names, comments, statistics and its audit log, which are tables too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from feature_platform.canaries.files import Place, Unsearched
from feature_platform.canaries.needles import Needles
from feature_platform.canaries.servers import Found
from feature_platform.stores.doris.names import quoted
from feature_platform.stores.doris.problems import DorisError, Kind
from feature_platform.stores.doris.sessions import Sessions
from feature_platform.stores.doris.settings import DorisSettings

_TIMEOUT_SECONDS: Final = 3_600
_SAID: Final = "WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql')"
_TABLES: Final = f"SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COMMENT FROM information_schema.tables {_SAID}"  # noqa: S608 - literals
_COLUMNS: Final = f"SELECT COLUMN_NAME, COLUMN_COMMENT FROM information_schema.columns {_SAID}"  # noqa: S608 - literals
_VIEWS: Final = f"SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.views {_SAID}"  # noqa: S608 - literals
_REMEMBERED: Final = {
    "names and comments of tables": _TABLES,
    "names and comments of columns": _COLUMNS,
    "definitions of views": _VIEWS,
}


@dataclass(frozen=True)
class Doris:
    """Searches one cluster."""

    needles: Needles
    settings: DorisSettings
    sources: frozenset[tuple[str, str]] = frozenset()
    """(database, table) of raw sources that the cluster holds; they are left out."""

    def search(self) -> Iterator[Found]:
        """Every table, temporary partitions included, and what is known of them."""
        sessions = Sessions(self.settings)
        try:
            for database, table, _ in sessions.rows(_TABLES):
                if (database, table) not in self.sources:
                    yield from self._table(sessions, str(database), str(table))
            for what, statement in _REMEMBERED.items():
                yield from self._read(sessions, statement, Place(what))
        finally:
            sessions.close()

    def _table(self, sessions: Sessions, database: str, table: str) -> Iterator[Found]:
        name = f"{quoted(database)}.{quoted(table)}"
        place = Place(f"{database}.{table}")
        yield from self._read(sessions, f"SELECT * FROM {name}", place)  # noqa: S608 - quoted names
        try:
            staged = [str(row[1]) for row in sessions.rows(f"SHOW TEMPORARY PARTITIONS FROM {name}")]
        except DorisError as error:
            # A view, or a table of another kind, has none.
            if error.kind is Kind.UNREACHABLE:
                yield Unsearched(place, error.kind.name)
            return
        for part in staged:
            rows = f"SELECT * FROM {name} TEMPORARY PARTITION ({quoted(part)})"  # noqa: S608 - quoted names
            yield from self._read(sessions, rows, Place(f"{database}.{table}", "staged"))

    def _read(self, sessions: Sessions, statement: str, place: Place) -> Iterator[Found]:
        shown = Place("a table whose name is one") if self.needles.find_text(place.name) else place
        try:
            with sessions.streamed(statement, _TIMEOUT_SECONDS) as pieces:
                texts = ("\0".join(value or "" for row in piece for value in row).encode() for piece in pieces)
                hits = self.needles.find_all(texts)
        except DorisError as error:
            if error.kind is not Kind.MISSING:  # else it was dropped meanwhile
                yield Unsearched(shown, error.kind.name)
            return
        yield from ((shown, hit) for hit in hits)

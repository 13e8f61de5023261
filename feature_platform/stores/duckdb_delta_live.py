"""Published tables as SELECTs over their live files, and only as far back as a query's stream can see.

A view of years has a file for every day. A spine about the last week can see those of that week and of the ttl before
it: the others are not opened, and of the files that are, row groups of other times are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import FILES_UNREADABLE
from feature_platform.stores.duckdb_delta_session import checked, reported
from feature_platform.stores.duckdb_delta_snapshot import LiveFile, Snapshot
from feature_platform.stores.protocols import Query, TableName
from feature_platform.stores.quoting import identifier, literal

if TYPE_CHECKING:
    import duckdb

_FILE_ROWS: Final = 1 << 40
"""More than a Parquet file has rows."""
_PUBLISH_AGAIN: Final = "publish the partition again, or restore the file"


def select_live(live: Snapshot, *, row_ids: bool) -> str:
    """All rows of a version. Columns that older files lack are NULL there."""
    return _select(live, live.files, row_ids=row_ids)


def look_back(connection: duckdb.DuckDBPyConnection, query: Query, published: Mapping[TableName, Snapshot]) -> None:
    """Binds the tables of the query's lookback, without rows that those of the stream, which is there, can't see.

    Raises:
        StoreError: what ``checked`` refuses of a text; a file is not there.
    """
    if query.lookback is None:
        return
    wanted = {name: live for name, live in published.items() if name in query.lookback.tables}
    first = last = None
    if any(len(live.files) > 1 for live in wanted.values()):  # of one file nothing can be left out
        text = query.lookback.moments
        parameters = checked(connection, query, text)
        with reported():
            ((first, last),) = connection.execute(text, parameters or None).fetchall()
    with reported():
        for name, live in wanted.items():
            back = query.lookback.tables[name]
            row_ids = name in query.row_ids
            select = _seen(live, row_ids=row_ids, first=first, last=last, microseconds=back)
            target = f"{identifier(name.schema)}.{identifier(name.name)}"
            connection.execute(f"CREATE OR REPLACE VIEW {target} AS {select}").fetchall()


def _seen(live: Snapshot, *, row_ids: bool, first: str | None, last: str | None, microseconds: int | None) -> str:
    """The rows from ``microseconds`` before the first moment until the last; all if nothing is asked about, or no file
    falls out.
    """
    if first is None or last is None:
        return select_live(live, row_ids=row_ids)
    files = _files_of(live.files, None if microseconds is None else first, last, microseconds or 0)
    if len(files) == len(live.files):  # times are looked at by the statement itself: twice costs a tenth of the whole
        return select_live(live, row_ids=row_ids)
    for path in (live.folder / file.path for file in files):
        if not path.exists():  # DuckDB would say that the path is closed to it
            raise StoreError(FILES_UNREADABLE.problem(f"{path} is not there", mend=_PUBLISH_AGAIN))
    seen = f"event_time <= TIMESTAMP {literal(last)}"
    if microseconds is not None:
        seen += f" AND event_time >= TIMESTAMP {literal(first)} - INTERVAL '{microseconds} microseconds'"
    return f"{_select(live, files, row_ids=row_ids)} WHERE {seen}"


def _files_of(files: tuple[LiveFile, ...], first: str | None, last: str, microseconds: int) -> tuple[LiveFile, ...]:
    """Those that may have rows of the time; at least one, so that there are columns."""
    try:
        until = datetime.fromisoformat(last)
        since = datetime.fromisoformat(first) - timedelta(microseconds=microseconds, days=1) if first else None
    except (ValueError, OverflowError):  # a time that only the engine has
        return files
    kept = tuple(file for file in files if _overlaps(file, since, until))
    return kept or files[:1]


def _overlaps(file: LiveFile, since: datetime | None, until: datetime) -> bool:
    """Whether the day that the file's partition begins with is not over before a day after ``since``, nor after
    ``until``.
    """
    try:
        day = datetime.fromisoformat((file.partition or "")[:10])
    except ValueError:
        return True
    return day <= until and (since is None or day >= since)


def _select(live: Snapshot, files: Iterable[LiveFile], *, row_ids: bool) -> str:
    names = [name for name in live.schema.names if not row_ids or name.lower() != "rowid"]
    columns = ", ".join(map(identifier, names))
    groups = live.paths_by_shape(files)
    paths = [path for group in groups.values() for path in group]
    if row_ids:
        alone = len(paths) == 1  # then the number is a plain column, by which a join can skip parts of the file
        place = "file_row_number" if alone else f"file_index::BIGINT * {_FILE_ROWS} + file_row_number"
        columns += f", {place} AS rowid"
    by_name = ", union_by_name = true" if len(groups) > 1 else ""
    return f"SELECT {columns} FROM read_parquet([{', '.join(map(literal, paths))}]{by_name})"  # noqa: S608 - names are quoted, paths are literals

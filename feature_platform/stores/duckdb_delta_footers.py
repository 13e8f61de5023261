"""What the footers of Parquet files say, read once per file and not once per query.

A source of years has a file for every day or hour. To bind it, its files' columns have to be compared; to answer a
query about an hour, DuckDB would open every file to find that its row groups lie outside. Both are known here after
the first query: a file that is as large and as old as it was then has the same footer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from feature_platform.stores.protocols import Span
from feature_platform.stores.quoting import literal

_REMEMBERED: Final = 100_000
"""Files; whoever has more begins anew."""
_ROUNDING: Final = timedelta(seconds=1)
"""Statistics may be written coarser or finer than the microseconds that a query compares."""

_Times = tuple[datetime, datetime] | None
"""The least and the greatest value of a column in a file (naive UTC); None: not known."""


@dataclass(frozen=True, slots=True)
class _Footer:
    """What is known of one file, and what told that it was this very file."""

    size: int
    changed: int
    shape: str = ""
    times: dict[str, _Times] = field(default_factory=dict)
    """By column."""


class Footers:
    """Remembers footers. Safe for use by several threads: what two of them find out is the same."""

    def __init__(self) -> None:
        self._known: dict[str, _Footer] = {}

    def groups(self, connection: Any, files: Sequence[str]) -> list[list[str]]:
        """The files in groups of equal columns. DuckDB alone would take the first file's types for all of them."""
        found = self._looked_up(files)
        if unknown := [file for file, footer in found.items() if not footer.shape]:
            for file, shape in _shapes(connection, unknown).items():
                found[file] = self._remember(file, replace(found[file], shape=shape))
        groups: dict[str, list[str]] = {}
        for file in sorted(found):
            groups.setdefault(found[file].shape, []).append(file)
        return list(groups.values())

    def within(self, connection: Any, files: Sequence[str], span: Span) -> list[str]:
        """The files that may have rows in ``span``; at least one, so that there are columns."""
        found = self._looked_up(files)
        if unknown := [file for file, footer in found.items() if span.column not in footer.times]:
            times = _times(connection, unknown, span.column)
            for file in unknown:
                known = {**found[file].times, span.column: times.get(file)}
                found[file] = self._remember(file, replace(found[file], times=known))
        kept = [file for file in files if _overlap(found[file].times[span.column], span)]
        return kept or list(files[-1:])

    def _looked_up(self, files: Sequence[str]) -> dict[str, _Footer]:
        # Sizes and times are looked at before a file is opened: a change in between shows the next time.
        found = {}
        for file in files:
            status = os.stat(file)
            known = self._known.get(file)
            if known is None or (known.size, known.changed) != (status.st_size, status.st_mtime_ns):
                known = _Footer(status.st_size, status.st_mtime_ns)
            found[file] = known
        return found

    def _remember(self, file: str, footer: _Footer) -> _Footer:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[file] = footer
        return footer


def paths_literal(files: Sequence[str]) -> str:
    """The files as a list in SQL."""
    return f"[{', '.join(literal(file) for file in files)}]"


def _shapes(connection: Any, files: Sequence[str]) -> dict[str, str]:
    shape = "list((name, type, converted_type, logical_type::VARCHAR, scale, precision))"
    scan = f"parquet_schema({paths_literal(files)})"
    rows = connection.execute(f"SELECT file_name, {shape} FROM {scan} GROUP BY ALL").fetchall()  # noqa: S608 - literals
    return {file: repr(columns) for file, columns in rows}


def _times(connection: Any, files: Sequence[str], column: str) -> dict[str, _Times]:
    """Of the files whose every row group tells its least and greatest value of ``column``, and tells it once."""
    least, most = (f"coalesce(stats_{end}_value, stats_{end})" for end in ("min", "max"))
    rows = connection.execute(
        f"""SELECT file_name, min(TRY_CAST({least} AS TIMESTAMP)), max(TRY_CAST({most} AS TIMESTAMP))
            FROM parquet_metadata({paths_literal(files)}) WHERE path_in_schema = $column GROUP BY file_name
            HAVING count(DISTINCT row_group_id) = count(*) AND count(TRY_CAST({least} AS TIMESTAMP)) = count(*)
            AND count(TRY_CAST({most} AS TIMESTAMP)) = count(*)""",  # noqa: S608 - constants and literals
        {"column": column},
    ).fetchall()
    return {file: (first, last) for file, first, last in rows}


def _overlap(times: _Times, span: Span) -> bool:
    if times is None:
        return True
    first, last = times
    after = span.since is not None and last < span.since - _ROUNDING
    return not after and first <= span.until + _ROUNDING

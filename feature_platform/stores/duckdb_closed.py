"""DuckDB as a calculator: an engine in this process that reaches nothing but the values it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import duckdb

_CLOSED: Final[dict[str, Any]] = {
    "threads": 1,
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}


def connect_closed() -> duckdb.DuckDBPyConnection:
    """A connection without files, extensions and variables of Python, in UTC, that does not optimise: planning is most
    of the time that a statement over nothing, or a handful of rows, takes.
    """
    import duckdb

    connection = duckdb.connect(config=_CLOSED)
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    connection.execute("PRAGMA disable_optimizer").fetchall()
    return connection

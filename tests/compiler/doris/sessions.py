"""DuckDB in Doris' place: runs texts for Doris by way of :mod:`portable`."""

from __future__ import annotations

from typing import Any

import duckdb

from tests.compiler.doris.portable import as_duckdb, set_up
from tests.compiler.event_project import DuckDBSession


class PortableSession(DuckDBSession):
    """Takes texts for Doris."""

    def run(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        return super().run(as_duckdb(sql), **parameters)


def portable_session() -> PortableSession:
    """A session on a database of its own."""
    connection = duckdb.connect(config={"threads": 1})
    set_up(connection)
    return PortableSession(connection)

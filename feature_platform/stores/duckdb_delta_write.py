"""The file of a staged write: rows go from the engine to the disk, with what is recorded about them in its footer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_platform.stores.columns import check_columns
from feature_platform.stores.duckdb_delta_session import reported
from feature_platform.stores.duckdb_delta_table import FOOTER_KEY
from feature_platform.stores.quoting import identifier, literal
from feature_platform.types import TableSchema

if TYPE_CHECKING:
    import duckdb


def written(  # noqa: PLR0913, PLR0917 - a statement, its parameters, and what becomes of it
    connection: duckdb.DuckDBPyConnection,
    source: str,
    parameters: dict[str, Any],
    schema: TableSchema,
    path: Path,
    recorded: Mapping[str, str],
) -> int:
    """``COPY`` of what stands in FROM as ``source``; gives the number of rows. They are on the disk then.

    Raises:
        StoreError: the columns differ from ``schema``, or the engine refuses.
    """
    columns = ", ".join(identifier(name) for name in schema.names)
    footer = f"{{{identifier(FOOTER_KEY)}: {literal(json.dumps(recorded, sort_keys=True))}}}"
    with reported():
        _check_columns(connection, source, parameters, schema)
        copy = f"COPY (SELECT {columns} FROM {source} AS relation) TO {literal(str(path))} "  # noqa: S608 - quoted
        options = f"(FORMAT parquet, COMPRESSION snappy, KV_METADATA {footer})"
        rows = connection.execute(copy + options, parameters or None).fetchall()
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return int(rows[0][0])


def _check_columns(
    connection: duckdb.DuckDBPyConnection, source: str, parameters: dict[str, Any], schema: TableSchema
) -> None:
    relation = connection.sql(f"SELECT * FROM {source} AS relation LIMIT 0", params=parameters or None)  # noqa: S608 - checked to be one SELECT
    present = {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
    declared = {column.name: column.type.sql("duckdb") for column in schema.columns}
    check_columns(_compact(present), _compact(declared))


def _compact(types: Mapping[str, str]) -> dict[str, str]:
    return {name: type_.replace(", ", ",") for name, type_ in types.items()}

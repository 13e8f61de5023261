"""Opens the stores that a profile describes, and reads tables from one store for another."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from feature_platform.errors import StoreError
from feature_platform.project.codes import ADDRESS_MISSING, WRONG_KIND_OF_STORE
from feature_platform.specs.models import DuckDBDeltaStore, PostgresStore, Profile, RedisStore, StoreSpec
from feature_platform.stores.protocols import (
    Binding,
    OnlineStore,
    Query,
    SessionSetup,
    StreamSource,
    TableName,
    Warehouse,
)
from feature_platform.types import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class StoreContext:
    """What stores need besides their spec."""

    state: Path
    data: Path
    session: SessionSetup
    servers: ExitStack
    """Embedded servers that were started are released through it, after the stores."""


def is_embedded(profile: Profile) -> bool:
    """Whether everything that the profile names runs on this machine, under the state folder."""
    return all(getattr(spec, "url_env", None) is None for spec in profile.stores.values())


def table_stream(warehouse: Warehouse, table: TableName, schema: TableSchema, binding: Binding) -> StreamSource:
    """Opens all rows of a table of ``warehouse``, for another store to read."""
    from sqlglot import exp

    columns = [exp.column(name, quoted=True) for name in schema.names]
    statement = exp.select(*columns).from_(exp.table_(table.name, db=table.schema, quoted=True))
    query = Query(statement.sql(dialect=warehouse.engine), warehouse.engine, tables={table: binding})

    def open_stream() -> pa.RecordBatchReader:
        return warehouse.read(query)

    return open_stream

"""Queries that a person writes: guarded like a feature's, for the session's own purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.project.key_versions import (
    opened_with_versions,
    query_versions,
    shown_versions,
    with_versions,
)
from feature_platform.sdk.results import ColumnInfo, Result, cast_stream, in_utc
from feature_platform.stores.protocols import Query
from feature_platform.types import Column, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.project.project import Project
    from feature_platform.sdk.selection import Asker


def run_sql(project: Project, asker: Asker, text: str) -> Result:
    """See :meth:`feature_platform.sdk.client.FeatureStore.sql`."""
    with project.audit.refusals("query", "query", asker, sql=text):
        guarded = guard(text, project.catalog, project.access(asker.purpose, asker.role))
        if "duckdb" in guarded.engines:
            project.binder.check(guarded.sql("duckdb"), guarded.columns, guarded.reads, project.compiled.views)
        store = project.compute_store(guarded.reads)
        warehouse = project.warehouse(store)
        sent = guarded.sql(warehouse.engine)
    tables, maps = project.bindings(guarded.reads, store), _schema(guarded).maps
    query = Query(sent, warehouse.engine, tables=tables, maps=maps)
    event = project.audit.query(text, guarded, sent, warehouse.engine, asker)
    schema = in_utc(_schema(guarded).arrow())
    shown = shown_versions(project, guarded.columns, query_versions(project, guarded.reads))

    def read(versions: Mapping[str, int]) -> pa.RecordBatchReader:
        return warehouse.read(replace(query, key_versions=versions))

    def opened() -> pa.RecordBatchReader:
        rows = opened_with_versions(project, guarded.reads, read, lambda reader: reader.close())
        return cast_stream(rows, schema)

    return Result(_columns(guarded, shown), project.audit.released(event, opened))


def _schema(guarded: GuardedQuery) -> TableSchema:
    return TableSchema(tuple(Column(column.name, column.type) for column in guarded.columns))


def _columns(guarded: GuardedQuery, versions: Mapping[str, int]) -> tuple[ColumnInfo, ...]:
    return tuple(
        ColumnInfo(
            column.name,
            str(column.type),
            labels=with_versions(column.labels, versions),
            direct=column.direct,
            indirect=column.indirect,
            description=column.description,
            transforms=column.transforms,
        )
        for column in guarded.columns
    )

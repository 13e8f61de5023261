"""Which part of a source a query needs, so that a store opens only the files that have some of it.

A run every hour over years of files reads hours of them; what it must not do is look into each file to find that out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from feature_platform.compiler.plan import CompiledQuery
from feature_platform.stores.protocols import Binding, FilesTable, Span, TableName


def span_of(compiled: CompiledQuery, parameters: Mapping[str, Any]) -> Span | None:
    """The event times that matter to a query with these values (naive UTC); None: any may."""
    reach = compiled.reach
    if reach is None:
        return None
    first: datetime = parameters[reach.first]
    since = None
    if reach.back is not None and timedelta(microseconds=reach.back) < first - datetime.min:  # noqa: DTZ901 - naive UTC
        since = first - timedelta(microseconds=reach.back)
    return Span(reach.column, since, parameters[reach.last])


def within(tables: Mapping[TableName, Binding], span: Span | None) -> Mapping[TableName, Binding]:
    """``tables``, those that are files with the span of theirs that matters."""
    if span is None:
        return tables
    return {
        name: replace(table, span=span) if isinstance(table, FilesTable) else table for name, table in tables.items()
    }

"""Rows as the gate and profiles read them: staged by a run, or live in a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlglot import exp

from feature_platform.compiler.platform_sql import platform_sql
from feature_platform.stores.protocols import Binding, Query, StagedWrite, TableName, Warehouse
from feature_platform.types import Engine

if TYPE_CHECKING:
    import pyarrow as pa


STATEMENT_SECONDS: Final = 900.0
"""What one statement of the gate may take: a billion cells on a machine with few cores."""


class ReadableTable(Protocol):
    """A table for statements over :attr:`source`."""

    @property
    def engine(self) -> Engine: ...

    @property
    def source(self) -> exp.Table:
        """The table, for a FROM."""
        ...

    def rows(self, statement: exp.Query, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The statement's rows as dictionaries."""
        ...


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A table of ``warehouse`` as it is now, such as a source."""

    warehouse: Warehouse
    name: TableName
    binding: Binding
    timeout_seconds: float = STATEMENT_SECONDS

    @property
    def engine(self) -> Engine:
        return self.warehouse.engine

    @property
    def source(self) -> exp.Table:
        """The table, for a FROM."""
        return _table(self.name)

    def rows(self, statement: exp.Query, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The statement's rows as dictionaries."""
        tables = {self.name: self.binding}
        answer = _read(self.warehouse, statement, parameters, tables, self.timeout_seconds)
        return _as_dictionaries(answer)


@dataclass(frozen=True, slots=True)
class StagedTable:
    """Rows that ``warehouse`` staged, readable by statements over :meth:`source`."""

    warehouse: Warehouse
    staged: StagedWrite
    timeout_seconds: float = STATEMENT_SECONDS

    @property
    def engine(self) -> Engine:
        return self.warehouse.engine

    @property
    def source(self) -> exp.Table:
        """The table, for a FROM."""
        return _table(TableName("staged", self.staged.token))

    def schema(self) -> pa.Schema:
        """The columns of the rows, as the store gives them."""
        # Doris reads no stars; of what was staged there the store names every column itself.
        every = [column(name) for name in self.staged.schema.names] if self.engine == "doris" else [exp.Star()]
        return self.read(exp.select(*every).from_(self.source).limit(0)).schema

    def read(self, statement: exp.Query, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The statement's rows."""
        return _read(self.warehouse, statement, parameters, self.staged.reading, self.timeout_seconds)

    def rows(self, statement: exp.Query, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The statement's rows as dictionaries."""
        return _as_dictionaries(self.read(statement, parameters))


def column(name: str) -> exp.Column:
    """A column by its exact name."""
    return exp.column(name, quoted=True)


def count_where(condition: exp.Expression) -> exp.Expression:
    """``count(*) FILTER (WHERE condition)``."""
    return exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition))


def _read(
    warehouse: Warehouse,
    statement: exp.Query,
    parameters: Mapping[str, Any] | None,
    tables: Mapping[TableName, Binding],
    seconds: float,
) -> pa.Table:
    text = platform_sql(statement, warehouse.engine)
    query = Query(text, warehouse.engine, parameters or {}, tables, timeout_seconds=seconds)
    return warehouse.read(query).read_all()


def _as_dictionaries(table: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def _table(name: TableName) -> exp.Table:
    return exp.table_(name.name, db=name.schema, quoted=True)

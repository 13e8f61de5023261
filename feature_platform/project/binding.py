"""The last check before a query is released: a real engine binds it over empty tables.

The compiler says what a query reads and gives; here DuckDB says it, over tables that have the declared columns and no
row. If it sees something else, or refuses the text, compiler and engine disagree about what was written, and the query
is not released. Nothing is computed: describing a query only binds it. The engine has no file, no extension, no key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from feature_platform.compiler.plan import COMPILER_VERSION
from feature_platform.errors import GuardError, Location, Problem
from feature_platform.governance.token_engines import set_up_duckdb
from feature_platform.project.bound_texts import BoundTexts
from feature_platform.project.codes import NOT_BOUND
from feature_platform.registry.graph import TableRef
from feature_platform.stores.duckdb_closed import connect_closed
from feature_platform.types import Column, DataType, TableSchema

if TYPE_CHECKING:
    import duckdb

    from feature_platform.compiler.plan import CompiledView, OutputColumn
    from feature_platform.registry.graph import Registry

_MOMENT: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - parameters are naive UTC, and no row is ever compared with it


class Binder:
    """An engine with empty tables. Safe for use by several threads; opened when it is first needed."""

    def __init__(self, registry: Registry, remembered: Path | None = None) -> None:
        """``remembered`` is a file that tells several processes what was bound already."""
        self._registry = registry
        self._lock = Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._tables: dict[tuple[str, str], TableSchema] = {}
        self._bound = BoundTexts(remembered)
        self._types: dict[DataType, str] = {}

    def check_view(self, view: CompiledView, views: Mapping[str, CompiledView]) -> None:
        """Binds what materializes a view. Derived views are bound where their inputs are.

        Raises:
            GuardError: the engine refuses it, or sees other columns.
        """
        query = view.materialize
        if query is None or "duckdb" not in query.sql:
            return
        where = self._registry.views[view.name].origin.location
        self.check(query.sql["duckdb"], query.columns, query.reads, views, query.parameters, where)

    def check(  # noqa: PLR0913, PLR0917 - a query's parts
        self,
        sql: str,
        columns: Sequence[OutputColumn],
        reads: Sequence[TableRef],
        views: Mapping[str, CompiledView],
        parameters: Sequence[str] = (),
        where: Location | None = None,
        *,
        inputs: Mapping[str, TableSchema] | None = None,
        lasting: bool = False,
    ) -> None:
        """Binds a guarded query in DuckDB's SQL. ``inputs`` are tables of the schema ``inputs`` that come with it. What
        was bound once, over the same tables, is not bound again; with ``lasting`` not by later processes either: for
        texts that come from definitions alone.

        Raises:
            GuardError: the engine refuses it, or sees other columns.
        """
        import duckdb

        tables = {(ref.schema, ref.name): self._schema(ref, views) for ref in reads}
        tables |= {("inputs", name): schema for name, schema in (inputs or {}).items()}
        asked = _digest(sql, columns, tables, parameters, duckdb.__version__)
        with self._lock:
            if asked in self._bound:
                return
            try:
                connection = self._open()
                for (schema, name), table in tables.items():
                    self._declare(connection, schema, name, table)
                found = _described(connection, sql, dict.fromkeys(parameters, _MOMENT))
                wanted = [(column.name, self._written(connection, column.type)) for column in columns]
            except duckdb.Error as error:
                # The engine's message may quote the text, with constants of the author's.
                raise GuardError(_refusal(f"DuckDB refuses it ({type(error).__name__})", where)) from None
            if found == wanted:
                self._bound.add(asked, lasting=lasting)
                return
        different = [f"'{name}' {kind}" for name, kind in found if (name, kind) not in wanted]
        if not different:
            different = [f"{len(found)} columns"]
        raise GuardError(_refusal(f"DuckDB sees {', '.join(different)} where the compiler does not", where))

    def close(self) -> None:
        """Gives the engine's memory back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
                self._tables.clear()

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            connection = connect_closed()
            set_up_duckdb(connection, ())  # the function's name and type; no key
            connection.execute("SET lock_configuration = true").fetchall()
            self._connection = connection
        return self._connection

    def _written(self, connection: duckdb.DuckDBPyConnection, type_: DataType) -> str:
        """How the engine writes a type."""
        if type_ not in self._types:
            ((_, self._types[type_]),) = _described(connection, f"SELECT CAST(NULL AS {type_.sql('duckdb')})", {})
        return self._types[type_]

    def _schema(self, ref: TableRef, views: Mapping[str, CompiledView]) -> TableSchema:
        if ref.kind == "view":
            return views[ref.name].schema
        declared = self._registry.sources[ref.name].spec.columns
        return TableSchema(tuple(Column(name, column.type) for name, column in declared.items()))

    def _declare(self, connection: duckdb.DuckDBPyConnection, schema: str, name: str, table: TableSchema) -> None:
        from feature_platform.stores.quoting import identifier

        if self._tables.get((schema, name)) == table:
            return
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}").fetchall()
        columns = ", ".join(f"{identifier(column.name)} {column.type.sql('duckdb')}" for column in table.columns)
        connection.execute(f"CREATE OR REPLACE TABLE {identifier(schema)}.{identifier(name)} ({columns})").fetchall()
        self._tables[schema, name] = table


def _digest(
    sql: str,
    columns: Sequence[OutputColumn],
    tables: Mapping[tuple[str, str], TableSchema],
    parameters: Sequence[str],
    version: str,
) -> str:
    """Of everything that decides what the engine makes of a query."""
    given = [(column.name, str(column.type)) for column in columns]
    declared = [(*name, [(each.name, str(each.type)) for each in of.columns]) for name, of in sorted(tables.items())]
    whole = json.dumps([COMPILER_VERSION, version, sql, given, declared, sorted(parameters)])
    return hashlib.blake2b(whole.encode(), digest_size=24).hexdigest()


def _described(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = connection.execute(f"DESCRIBE {sql}", dict(parameters)).fetchall()
    return [(row[0], row[1]) for row in rows]


def _refusal(what: str, where: Location | None) -> Problem:
    return NOT_BOUND.problem(
        f"the guarded query is not what the engine understands: {what}",
        mend="say it in another way, and tell the platform's maintainers: the text should not have got this far",
        where=where,
    )

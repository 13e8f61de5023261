"""The PostgreSQL warehouse: computes where the data lies, keeps what was published in tables of the same database.

A staged write is a table of its own, filled by ``INSERT … SELECT`` (rows of a query never leave the server) or by
binary ``COPY`` from Arrow. Publishing changes rows of ``<prefix>_meta.writes`` in one short transaction; see
``postgres_writes``.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql

from feature_platform.errors import StoreError
from feature_platform.stores.columns import by_name, check_columns, stream_schema
from feature_platform.stores.owned_batches import OwnedBatches
from feature_platform.stores.postgres_attempts import Attempts, lock_number
from feature_platform.stores.postgres_connection import Bounds, Session, Sessions, reported
from feature_platform.stores.postgres_copy_in import copy_in
from feature_platform.stores.postgres_copy_out import CopySource, copy_out
from feature_platform.stores.postgres_query import DriverQuery, driver_query, short
from feature_platform.stores.postgres_relations import (
    Readable,
    all_held,
    copy_statement,
    create_table,
    live_rows,
    loaded,
    maps_of,
    newest,
    opened_stream,
    result_columns,
    users_schema,
    users_size,
    users_table,
    written_size,
)
from feature_platform.stores.postgres_writes import Write, Writes
from feature_platform.stores.protocols import (
    Binding,
    Holdings,
    NativeTable,
    Partition,
    Publication,
    Query,
    Relation,
    SessionSetup,
    Size,
    StagedWrite,
    StreamTable,
    TableName,
)
from feature_platform.stores.publication_order import Order
from feature_platform.stores.publication_rules import being_written, not_published
from feature_platform.types import Engine, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

_ONE_ORDER: Final = """SELECT set_config('max_parallel_workers_per_gather', '0', true),
    set_config('synchronize_seqscans', 'off', true)"""
"""Rows come to a sum in the order in which they lie: no worker has a share, and no scan begins where another is."""
_LOOKS: Final = 100


class PostgresWarehouse:
    """Tables of a PostgreSQL database, computed by its server. Safe to use from several threads and processes."""

    engine: Engine = "postgres"

    def __init__(  # noqa: PLR0913 - a server is two addresses, a prefix and its limits
        self,
        name: str,
        url: str,
        *,
        schema_prefix: str = "fp",
        direct_url: str | None = None,
        setups: Sequence[SessionSetup] = (),
        bounds: Bounds | None = None,
    ) -> None:
        """Connects with the first use.

        Args:
            name: the store's name in the profile.
            url: libpq URL, perhaps of a pooler in transaction mode; never shown anywhere.
            schema_prefix: tables are made in ``<prefix>_features`` and so on.
            direct_url: of the same database, where ``url`` leads to a pooler: for what writes.
            setups: prepared once per session.
            bounds: after which times the server gives up.
        """
        self.name = name
        self._prefix = schema_prefix
        self._order = Order()
        self._writes = Writes(schema_prefix)
        self._sessions = Sessions(url, direct_url=direct_url, bounds=bounds, setups=setups)
        self._lock = threading.Lock()
        self._prepared = False
        self._schemas: set[str] = set()
        self._attempts = Attempts(self._sessions.direct_url, schema_prefix)

    def schema(self, table: TableName) -> TableSchema | None:
        with self._ready().reading() as connection:
            live = self._writes.live(connection, [table]).get(table)
            return newest(live).schema if live else users_schema(connection, table)

    def binding(self, table: TableName) -> Binding | None:
        return NativeTable(table) if self.schema(table) else None

    def version(self, table: Binding) -> str:
        """Of a published table: a number that grows with each publication. Of others: another text once anything in
        the database was written.

        Raises:
            StoreError: there is no such table.
        """
        if not isinstance(table, NativeTable):
            return secrets.token_hex(8)
        with self._ready().reading() as connection:
            if live := self._writes.live(connection, [table.name]).get(table.name):
                return str(newest(live).version)
            if users_schema(connection, table.name) is None:
                raise StoreError(not_published(table.name))
            row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
            assert row is not None
            return f"x{row[0]}"

    def size(self, table: Binding) -> Size | None:
        """Of a published table its rows as counted, of others PostgreSQL's estimate.

        Raises:
            StoreError: there is no such table.
        """
        if not isinstance(table, NativeTable):
            return None
        with self._ready().reading() as connection:
            if live := self._writes.live(connection, [table.name]).get(table.name):
                return written_size(connection, live)
            if users_schema(connection, table.name) is None:
                raise StoreError(not_published(table.name))
            return users_size(connection, table.name)

    def execute(self, query: Query) -> int:
        """Runs a SELECT to its end and gives the number of its rows."""
        return sum(batch.num_rows for batch in self.read(query))

    def read(self, query: Query) -> pa.RecordBatchReader:
        """Streams the rows of a SELECT, some megabytes at a time, from one snapshot, in a read-only transaction.

        Raises:
            StoreError: not one SELECT, a table is not there, or the server refuses; also while streaming.
        """
        import pyarrow as pa

        with ExitStack() as stack:
            connection = stack.enter_context(self._ready().reading(query.timeout_seconds))
            ready = self._bound(connection, query)
            if query.repeatable:
                connection.execute(_ONE_ORDER)
            connection.execute("SET TRANSACTION READ ONLY")
            schema = result_columns(connection, ready)
            cursor = stack.enter_context(connection.cursor())
            copy = stack.enter_context(cursor.copy(copy_statement(connection, ready, schema)))
            source = CopySource(copy)
            stack.callback(source.stop)
            batches = OwnedBatches(copy_out(source, schema), stack.pop_all(), reported)
        return pa.RecordBatchReader.from_batches(schema.arrow(), batches)

    def stage(
        self,
        table: TableName,
        schema: TableSchema,
        relation: Relation,
        *,
        partition: Partition | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> StagedWrite:
        """Fills a new table in one transaction; when that fails, or the process ends, nothing is left behind.

        Raises:
            StoreError: the columns differ from ``schema``, or the query fails.
        """
        token = secrets.token_hex(10)
        target = self._writes.relation(table, token)
        reading: dict[TableName, Binding] = {TableName("staged", token): NativeTable(TableName("staged", token))}
        self._make_schema(target.schema)
        self._attempts.begin(token)
        try:
            with self._sessions.writing() as connection:
                create_table(connection, target, schema)
                rows = self._fill(connection, target, schema, relation)
                staged = StagedWrite(self.name, token, table, schema, partition, rows, reading, dict(properties or {}))
                self._writes.add(connection, staged, target)
        except BaseException:
            self._attempts.end(token)
            raise
        return staged

    def begin(self) -> Mapping[str, str]:
        with self._ready().writing() as connection:
            return self._order.properties(self._writes.next_number(connection))

    def publish(self, staged: StagedWrite, *, backwards: bool = False) -> Publication:
        """One short transaction. Publishing what is live already gives its publication again.

        Raises:
            StoreError: the staged rows are gone, what is live is later, another process publishes for too long, or the
                partition does not fit.
        """
        with self._ready().writing() as connection:
            self._lock_table(connection, staged.target)
            live = self._writes.publish(connection, staged, backwards=backwards)
        self._attempts.end(staged.token)
        self._remove_unneeded(staged.target)
        return live.publication()

    def discard(self, staged: StagedWrite) -> None:
        """Removes staged rows, unless they were published."""
        with self._ready().writing() as connection:
            if write := self._writes.staged(connection, staged.token):
                self._writes.remove(connection, write)
        self._attempts.end(staged.token)

    def publications(self, table: TableName) -> Sequence[Publication]:
        with self._ready().reading() as connection:
            return [write.publication() for write in self._writes.live(connection, [table]).get(table, [])]

    def holdings(self, table: TableName) -> Holdings:
        with self._ready().reading() as connection:
            return self._writes.holdings(connection, table)

    def sweep(self, table: TableName) -> int:
        """Drops staged rows of sessions that ended, and superseded rows that nobody reads."""
        return self._remove_unneeded(table)

    def tables(self) -> Sequence[TableName]:
        with self._sessions.reading() as connection:
            try:
                return self._writes.tables(connection)
            except psycopg.errors.UndefinedTable:  # nothing was ever published here
                return []

    def remove(self, table: TableName) -> bool:
        """One short transaction takes all rows out; their tables are dropped when nobody reads them."""
        with self._ready().writing() as connection:
            self._lock_table(connection, table)
            found = self._writes.not_live(connection, table)
            if not all(self._attempts.is_dead(connection, write.token) for write in found if write.state == "staged"):
                raise StoreError(being_written(str(table)))
            live = self._writes.live(connection, [table]).get(table, [])
            self._writes.retire(connection, [write.token for write in live])
        self._remove_unneeded(table)
        with self._ready().reading() as connection:
            return not self._writes.not_live(connection, table)

    def close(self) -> None:
        """Gives up what was staged and not published, and closes the sessions."""
        self._attempts.close()
        self._sessions.close()

    def _ready(self) -> Sessions:
        """Sessions with a database that has the warehouse's own tables."""
        with self._lock:
            if not self._prepared:
                self._writes.prepare(self._sessions)
                self._prepared = True
        return self._sessions

    def _bound(self, connection: Session, query: Query) -> DriverQuery:
        """``query`` over physical tables that stay until the transaction ends, and over temporary ones for streams."""
        self._sessions.prepare_query(connection, query.key_versions)
        native = {name: table.name for name, table in query.tables.items() if isinstance(table, NativeTable)}
        held = self._hold(connection, list(native.values()))
        tables = {
            name: held[table.name] if isinstance(table, NativeTable) else loaded(connection, opened_stream(table))
            for name, table in query.tables.items()
        }
        ready = driver_query(query, {name: relation for name, (relation, _) in tables.items()})
        columns = {short(name): name for _, schema in tables.values() for name in schema.names}
        maps = maps_of(query, [schema for _, schema in tables.values()])
        return replace(ready, names={**columns, **ready.names}, maps=maps)

    def _hold(self, connection: Session, tables: Sequence[TableName]) -> dict[TableName, Readable]:
        """What to read for each table. A publication may drop one between looking and locking: look again then."""
        for _ in range(_LOOKS):
            live = self._writes.live(connection, tables)
            found = {table: live.get(table) or self._staged(connection, table) for table in tables}
            physical = sorted({write.relation for writes in found.values() for write in writes})
            if all_held(connection, physical):
                return {name: live_rows(of) if of else users_table(connection, name) for name, of in found.items()}
        raise StoreError(not_published(tables[0]))

    def _staged(self, connection: Session, table: TableName) -> list[Write]:
        write = self._writes.staged(connection, table.name) if table.schema == "staged" else None
        return [write] if write else []

    def _fill(self, connection: Session, target: TableName, schema: TableSchema, relation: Relation) -> int:
        into = sql.Identifier(target.schema, target.name)
        columns = sql.SQL(", ").join(sql.Identifier(short(name)) for name in schema.names)
        if isinstance(relation, StreamTable):
            reader = relation.open()
            check_columns(by_name(stream_schema(reader.schema)), by_name(schema))
            with connection.cursor() as cursor:
                statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE true)").format(into, columns)
                return copy_in(cursor, statement, schema, reader)
        ready = self._bound(connection, relation)
        check_columns(by_name(result_columns(connection, ready)), by_name(schema))
        insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM (").format(into, columns, columns).as_string(connection)
        done = connection.execute(f"{insert.replace('%', '%%')}{ready.sql}) AS relation", ready.parameters)
        return done.rowcount

    def _make_schema(self, name: str) -> None:
        if name in self._schemas:
            return
        with self._ready().writing() as connection:
            # CREATE SCHEMA IF NOT EXISTS fails when two sessions do it at once, and for a role that may not make one
            # even where it is there.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number(self._prefix, "meta"),))
            if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        self._schemas.add(name)

    def _lock_table(self, connection: Session, table: TableName) -> None:
        number = lock_number(self._prefix, table.schema, table.name)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (number,))

    def _remove_unneeded(self, table: TableName) -> int:
        with self._ready().writing() as connection:
            found = self._writes.not_live(connection, table)
        return sum(self._removed_staged(write) for write in found)

    def _removed_staged(self, write: Write) -> bool:
        """Drops what a dead writer left or nobody reads any more; gives whether it was staged and went."""
        with self._sessions.writing() as connection:
            if not self._attempts.is_dead(connection, write.token):
                return False
            if write.state == "superseded":
                self._writes.remove(connection, write)
                return False
            # Once more under the lock: it may have been published meanwhile.
            return self._is_staged(connection, write) and self._writes.remove(connection, write)

    def _is_staged(self, connection: Session, write: Write) -> bool:
        return self._writes.staged(connection, write.token) is not None

"""The Doris warehouse: computes where the data lies, publishes by switching partitions and tables.

Rows of a query never leave the cluster (``INSERT … SELECT``); rows from elsewhere come as Stream Loads. Both go to a
temporary partition or a table beside the live one, are counted there, and show in one atomic step.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import UNSUPPORTED_TABLE
from feature_platform.stores.columns import by_name, check_columns, stream_schema
from feature_platform.stores.doris import ddl, layout
from feature_platform.stores.doris.chunks import Constant, parquet_chunks
from feature_platform.stores.doris.ledger import DorisLedger, Write
from feature_platform.stores.doris.loads import Clock, Loads
from feature_platform.stores.doris.names import quoted
from feature_platform.stores.doris.outcomes import wrong_rows
from feature_platform.stores.doris.problems import DorisError, Kind
from feature_platform.stores.doris.publishing import Publishing
from feature_platform.stores.doris.query import literal, ready
from feature_platform.stores.doris.reading import described, flown, result_schema, streamed
from feature_platform.stores.doris.sessions import Sessions
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.stream_load import StreamLoadClient, Target
from feature_platform.stores.doris.tokens import Keys, TokenFunctions
from feature_platform.stores.doris.widening import widened
from feature_platform.stores.owned_batches import OwnedBatches
from feature_platform.stores.protocols import (
    Binding,
    FilesTable,
    Holdings,
    NativeTable,
    Partition,
    Publication,
    Query,
    Relation,
    Size,
    StagedWrite,
    StreamTable,
    TableName,
)
from feature_platform.stores.publication_order import Order
from feature_platform.stores.publication_rules import not_published
from feature_platform.types import Engine, TableSchema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_LOOKS: Final = 4
_STREAMS: Final = TableName("scratch", "stream")
"""Under this name the ledger knows streams that a query reads."""
_OWN: Final = frozenset({"features", "sources", "staged", "inputs", "scratch"})
"""Schemas of the platform: what is not published there is nowhere else."""
_LOG: Final = logging.getLogger(__name__)


class DorisWarehouse:
    """Tables of a Doris cluster, computed by it. Safe to use from several threads and processes."""

    engine: Engine = "doris"

    def __init__(  # noqa: PLR0913 - a cluster, and what the platform knows
        self,
        name: str,
        settings: DorisSettings,
        ledger: DorisLedger,
        *,
        shapes: layout.Shapes = layout.no_shape,
        keys: Keys | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Connects with the first use.

        Args:
            name: the store's name in the profile.
            settings: where the cluster is.
            ledger: what it was given; closed with the warehouse.
            shapes: keys, order and comments of tables.
            keys: of tokens; without them none are made here.
            clock: time; tests give their own.
        """
        self.name = name
        self._settings = settings
        self._ledger = ledger
        self._order = Order()
        self._sessions = Sessions(settings)
        self._functions = TokenFunctions(self._sessions, keys)
        clock = clock or Clock()
        self._loads = Loads(settings, StreamLoadClient(settings), ledger, clock)
        self._publishing = Publishing(settings, self._sessions, ledger, shapes, clock)
        self._scratch = layout.database(settings, "scratch")

    def schema(self, table: TableName) -> TableSchema | None:
        if live := self._publishing.live(table):
            return live[-1].schema
        return self._users_schema(table)

    def binding(self, table: TableName) -> Binding | None:
        return NativeTable(table) if self.schema(table) else None

    def version(self, table: Binding) -> str:
        """Of a published table: a number that grows with each publication. Of others: another text once anything in
        one of its partitions was written.

        Raises:
            StoreError: there is no such table.
        """
        if not isinstance(table, NativeTable):
            return secrets.token_hex(8)
        if live := self._publishing.live(table.name):
            return str(live[-1].version)
        if self._users_schema(table.name) is None:
            raise StoreError(not_published(table.name))
        rows = self._sessions.rows(f"SHOW PARTITIONS FROM {ddl.qualified(table.name)}")
        return f"x{sha256(repr([(row[0], row[2]) for row in rows]).encode()).hexdigest()[:16]}"

    def execute(self, query: Query) -> int:
        """Runs a SELECT to its end and gives the number of its rows."""
        return sum(batch.num_rows for batch in self.read(query))

    def read(self, query: Query) -> pa.RecordBatchReader:
        """Streams the rows of a SELECT. Of one statement all tables are read as of one moment.

        Raises:
            StoreError: not one SELECT, a table is not there, or the server refuses; also while streaming.
        """
        import pyarrow as pa

        with ExitStack() as stack:
            streams = self._streams(query, stack)
            reader = self._looked(query, streams)
            if not streams:
                return reader
            batches = OwnedBatches(iter(reader), stack.pop_all(), _nothing)
        return pa.RecordBatchReader.from_batches(reader.schema, batches)

    def stage(
        self,
        table: TableName,
        schema: TableSchema,
        relation: Relation,
        *,
        partition: Partition | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> StagedWrite:
        """Fills a temporary partition, or a table beside the live one, and counts what is in it.

        Raises:
            StoreError: the columns differ from ``schema``, the query or a load fails, or rows are missing.
        """
        with ExitStack() as stack:
            source = self._checked(relation, schema, stack)
            write = self._publishing.begin(table, schema, partition, dict(properties or {}))
            try:
                rows = self._filled(write, partition, source)
                self._ledger.staged(write.token, rows)
            except BaseException:
                self._publishing.discard(write.token, table)
                raise
        name = TableName("staged", write.token)
        reading: dict[TableName, Binding] = {name: NativeTable(name)}
        return StagedWrite(self.name, write.token, table, schema, partition, rows, reading, write.properties)

    def begin(self) -> Mapping[str, str]:
        return self._order.properties(self._ledger.next_number())

    def publish(self, staged: StagedWrite, *, backwards: bool = False) -> Publication:
        """One atomic step in Doris. Publishing what is live already gives its publication again.

        Raises:
            StoreError: the staged rows are gone, what is live is later, another process publishes for too long, or the
                partition does not fit.
        """
        publication = self._publishing.publish(staged, backwards=backwards).publication()
        self._publishing.sweep(staged.target)
        return publication

    def discard(self, staged: StagedWrite) -> None:
        """Removes staged rows, unless they were published."""
        self._publishing.discard(staged.token, staged.target)

    def publications(self, table: TableName) -> Sequence[Publication]:
        live = sorted(self._publishing.live(table), key=lambda write: write.partition or "")
        return [write.publication() for write in live]

    def size(self, table: Binding) -> Size | None:
        """Rows as they were counted, of tables of others as backends reported them last, some minutes ago at most; so
        are bytes.
        """
        if not isinstance(table, NativeTable):
            return None
        if live := self._publishing.live(table.name):
            return Size(sum(write.rows for write in live), self._publishing.holdings(table.name).bytes)
        if self._users_schema(table.name) is None:
            raise StoreError(not_published(table.name))
        sizes = self._publishing.sizes(table.name).values()
        rows, size = sum(each.rows or 0 for each in sizes), sum(each.bytes for each in sizes)
        return Size(rows if rows > 0 or not size else None, size)  # none, until backends reported them

    def holdings(self, table: TableName) -> Holdings:
        return self._publishing.holdings(table)

    def sweep(self, table: TableName) -> int:
        """Drops staged rows of processes that ended."""
        return self._publishing.sweep(table)

    def tables(self) -> Sequence[TableName]:
        """Without streams that a query reads just now."""
        return [table for table in self._ledger.tables() if table != _STREAMS]

    def remove(self, table: TableName) -> bool:
        """Dropped at once: Doris ends queries that are under way with an error."""
        self._publishing.remove(table)
        return True

    def close(self) -> None:
        """Gives up what was staged and not published, and closes the sessions."""
        self._ledger.close()
        self._sessions.close()

    # -- read ----------------------------------------------------------------------------------------------------------

    def _looked(self, query: Query, streams: Mapping[TableName, str]) -> pa.RecordBatchReader:
        """The rows. A table may be switched for one with other columns between looking and reading: look again then."""
        for look in range(_LOOKS):
            try:
                sql, schema = self._typed(query, streams)
                return self._rows(sql, schema, query.timeout_seconds)
            except DorisError as error:
                if error.kind not in (Kind.MISSING, Kind.COLUMN) or look == _LOOKS - 1:
                    raise
        raise AssertionError("rows or an error end the loop")

    def _typed(self, query: Query, streams: Mapping[TableName, str]) -> tuple[str, TableSchema]:
        """The statement, and the columns that it gives."""
        native = {name: table for name, table in query.tables.items() if isinstance(table, NativeTable)}
        bound = {name: self._relation(table.name) for name, table in native.items()}
        sql = ready(query, {name: each.reading for name, each in bound.items()} | dict(streams), self._functions)
        typing = ready(query, {name: each.typing for name, each in bound.items()} | dict(streams), self._functions)
        self._publishing.make_database(self._scratch)
        return sql, result_schema(self._sessions, self._scratch, typing)

    def _rows(self, sql: str, schema: TableSchema, timeout_seconds: float | None) -> pa.RecordBatchReader:
        """Over Arrow Flight where that is wanted and answers, else over MySQL's protocol."""
        if self._settings.flight and self._sessions.capabilities.arrow_flight:
            try:
                return flown(self._settings, sql, schema, timeout_seconds)
            except (ImportError, DorisError) as error:
                _LOG.warning("Arrow Flight does not answer (%s); reading over MySQL's protocol", type(error).__name__)
        return streamed(self._sessions, sql, schema, timeout_seconds)

    def _relation(self, table: TableName) -> _Relation:
        """What stands in FROM for a table of Doris: staged, live, or somebody else's."""
        if table.schema == "staged":
            write = self._ledger.write(table.name)
            if write is None or write.state == "live":
                raise StoreError(not_published(table))
            part = "" if write.is_own_table else write.part or ""
            reading = layout.selected(write.relation, write.schema, part)
            return _Relation(reading, layout.selected(write.relation, write.schema))
        if live := self._publishing.live(table):
            text = layout.selected(layout.table_name(self._settings, table), live[-1].schema)
            return _Relation(text, text)
        schema = self._users_schema(table)
        if schema is None:
            raise StoreError(not_published(table))
        columns = ", ".join(quoted(name) for name in schema.names)
        text = f"(SELECT {columns} FROM {ddl.qualified(table)})"  # noqa: S608 - quoted names
        return _Relation(text, text)

    def _users_schema(self, table: TableName) -> TableSchema | None:
        """The columns of a table that the platform did not make. Its own databases hold none of those."""
        ours = {layout.database(self._settings, schema) for schema in _OWN} | _OWN
        if not table.schema or table.schema in ours or not self._publishing.is_there(table):
            return None
        return described(self._sessions, table)

    # -- write ---------------------------------------------------------------------------------------------------------

    def _streams(self, query: Query, stack: ExitStack) -> dict[TableName, str]:
        """Tables that hold the rows of streams until ``stack`` ends: a query may read them more than once."""
        found = {}
        for name, table in query.tables.items():
            if isinstance(table, FilesTable):
                raise StoreError(
                    UNSUPPORTED_TABLE.problem(
                        f"Doris does not read files ({table.path})",
                        mend="give the source a `store` of type duckdb_delta, or load the files and name the `table`",
                    )
                )
            if isinstance(table, StreamTable):
                source = _Stream(table.open())
                schema = stream_schema(source.rows.schema)
                write = self._publishing.begin(_STREAMS, schema, None, {})
                stack.callback(self._publishing.discard, write.token, _STREAMS)
                self._filled(write, None, source)
                found[name] = layout.selected(write.relation, schema)
        return found

    def _checked(self, relation: Relation, schema: TableSchema, stack: ExitStack) -> _Stream | _Select:
        """``relation``, ready to be written, if it has the columns of ``schema``."""
        if isinstance(relation, StreamTable):
            stream = _Stream(relation.open())
            check_columns(by_name(stream_schema(stream.rows.schema)), by_name(schema))
            return stream
        sql, found = self._typed(relation, self._streams(relation, stack))
        check_columns(by_name(widened(found, schema)), by_name(schema))
        return _Select(sql, tuple(column.name for column in schema.columns if found.column(column.name) != column))

    def _filled(self, write: Write, partition: Partition | None, source: _Stream | _Select) -> int:
        """Writes rows to where ``write`` says; gives their number, as Doris counts them."""
        part = None if write.is_own_table else write.part
        target = Target(write.relation.schema, write.relation.name, part)
        names = (*layout.lower(write.schema).names, *((layout.PARTITION_COLUMN,) if partition else ()))
        sent = None
        if isinstance(source, _Stream):
            constant = Constant(layout.PARTITION_COLUMN, partition.start) if partition else None
            chunks = parquet_chunks(
                source.rows, write.schema, chunk_bytes=self._settings.chunk_bytes, constant=constant
            )
            sent = self._loads.load(target, write.token, names, chunks)
        else:
            columns = ", ".join(
                f"CAST({quoted(name)} AS {column_type})" if name in source.narrow else quoted(name)
                for name, column_type in ((each.name, each.type.sql("doris")) for each in write.schema.columns)
            )
            start = f", {literal(partition.start)}" if partition else ""
            select = f"SELECT {columns}{start} FROM ({source.sql}) AS relation"  # noqa: S608 - a checked query
            self._loads.insert(target, write.token, names, select, self._sessions.run)
        there = self._count(write.relation, part)
        if sent is not None and sent != there:
            raise StoreError(wrong_rows(f"{write.table}, attempt {write.token}", sent, there))
        return there

    def _count(self, relation: TableName, part: str | None) -> int:
        temporary = f" TEMPORARY PARTITION ({quoted(part)})" if part else ""
        counted = f"SELECT COUNT(*) AS number FROM {ddl.qualified(relation)}{temporary}"  # noqa: S608 - quoted names
        rows = self._sessions.rows(counted)
        return int(rows[0][0] or 0)


@dataclass(frozen=True, slots=True)
class _Relation:
    """What stands in FROM to read rows, and to learn their types: a view cannot name a temporary partition."""

    reading: str
    typing: str


@dataclass(frozen=True, slots=True)
class _Stream:
    rows: pa.RecordBatchReader


@dataclass(frozen=True, slots=True)
class _Select:
    sql: str
    narrow: tuple[str, ...]
    """Columns that it gives in a narrower type than the declared one."""


@contextmanager
def _nothing() -> Iterator[None]:
    """Errors of an inner reader are reported there."""
    yield

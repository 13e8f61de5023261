"""The embedded warehouse: DuckDB computes, Delta tables keep.

A staged write is a Parquet file that DuckDB writes into the table's folder (``COPY``: rows of a query never pass
through Python). Publishing is one Delta commit that names the file. Several processes may read while others publish;
see ``docs/adr/0002-duckdb-over-delta.md``.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import StoreError
from feature_platform.stores import duckdb_delta_layout as layout
from feature_platform.stores import duckdb_delta_table as delta
from feature_platform.stores.codes import TABLE_BUSY
from feature_platform.stores.duckdb_delta_files import files_size, files_version, matching_files, select_files
from feature_platform.stores.duckdb_delta_footers import Footers
from feature_platform.stores.duckdb_delta_live import look_back, select_live
from feature_platform.stores.duckdb_delta_open import KeptSession, Session, SpillFolder
from feature_platform.stores.duckdb_delta_session import (
    BoundFiles,
    Limits,
    bind,
    cheapest,
    checked,
    connect,
    fill,
    limited,
    named,
    registered,
    reported,
)
from feature_platform.stores.duckdb_delta_snapshot import Snapshot, delta_reported, pinned, snapshot
from feature_platform.stores.duckdb_delta_write import written
from feature_platform.stores.leases import Lease, exclusive, own
from feature_platform.stores.owned_batches import OwnedBatches
from feature_platform.stores.parts import Parts
from feature_platform.stores.protocols import (
    Binding,
    FilesTable,
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
from feature_platform.stores.publication_order import Order, next_number
from feature_platform.stores.publication_rules import not_published
from feature_platform.types import Engine, TableSchema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH_ROWS: Final = 65_536
"""Rows per Arrow batch that a reader gives."""
PART_ROWS: Final = 4_000_000
"""Every part reads, and often sorts, all tables that it is joined with again; large parts need more memory or spill."""
PUBLISH_TIMEOUT_SECONDS: Final = 60.0
"""How long a publication waits for another one to the same table."""


class DuckDBDeltaWarehouse:
    """A folder of Delta tables with DuckDB as their engine. Safe to use from several threads and processes."""

    engine: Engine = "duckdb"

    def __init__(  # noqa: PLR0913 - independent options, by keyword
        self,
        name: str,
        path: Path,
        *,
        data_root: Path | None = None,
        memory_limit: str = "1GB",
        threads: int | None = None,
        part_rows: int = PART_ROWS,
        setups: Sequence[SessionSetup] = (),
    ) -> None:
        """Opens nothing yet; the folder is made with the first staged write.

        Args:
            name: the store's name in the profile.
            path: folder of the tables.
            data_root: files of sources are read below it only; None: the store reads no files but its own.
            memory_limit: per query, in DuckDB's notation; beyond it the engine spills to disk.
            threads: per query; None: as many as the machine has.
            part_rows: how many rows of a stream a query takes at a time that can be run in parts.
            setups: prepared once per query's session.

        Raises:
            StoreError: the folder's path cannot be used.
        """
        self.name = name
        self._root = layout.usable_root(path.absolute())
        self._data_roots = (self._root,) if data_root is None else (self._root, data_root.absolute())
        self._memory_limit = memory_limit
        self._threads = threads or os.cpu_count() or 1
        self._part_rows = part_rows
        self._setups = tuple(setups)
        self._attempts: dict[str, Lease] = {}
        self._footers = Footers()
        self._order = Order()
        self._spill = SpillFolder(self._root / "_spill")
        self._kept = KeptSession()

    def schema(self, table: TableName) -> TableSchema | None:
        live = snapshot(self._folder(table))
        return live.schema if live else None

    def binding(self, table: TableName) -> Binding | None:
        return NativeTable(table) if snapshot(self._folder(table)) else None

    def version(self, table: Binding) -> str:
        """Of a table: its Delta version. Of files: a digest of names, sizes, times. Of a stream: never twice the same.

        Raises:
            StoreError: nothing was published, or no file is there.
        """
        if isinstance(table, NativeTable):
            return str(self._live(table.name).version)
        if isinstance(table, FilesTable):
            return files_version(matching_files(table, self._data_roots))
        return secrets.token_hex(8)

    def size(self, table: Binding) -> Size | None:
        """Of a table from its Delta log, of Parquet files from their footers; of CSV files bytes only.

        Raises:
            StoreError: nothing was published, or no file is there.
        """
        if isinstance(table, NativeTable):
            live = self._live(table.name)
            stored = sum((live.folder / file.path).stat().st_size for file in live.files)
            return Size(sum(file.rows for file in live.files), stored)
        if isinstance(table, FilesTable):
            return files_size(table, matching_files(table, self._data_roots))
        return None

    def execute(self, query: Query) -> int:
        """Runs a SELECT to its end and gives the number of its rows: nothing here may be changed by a statement."""
        return sum(batch.num_rows for batch in self.read(query))

    def read(self, query: Query) -> pa.RecordBatchReader:
        """Streams the rows of a SELECT, 65,536 at a time. What it reads stays readable until the stream ends.

        Raises:
            StoreError: not one SELECT, a table is not there, or the engine refuses; also while streaming.
        """
        import pyarrow as pa

        with ExitStack() as stack:
            published: dict[TableName, Snapshot] = {}
            connection, parameters = self._session(query, stack, published=published)
            limited(connection, query.timeout_seconds, stack)
            with reported():
                readers = self._run(connection, query, parameters, published, stack)
                first = next(readers)
            rows = (batch for reader in chain([first], readers) for batch in reader)
            batches = OwnedBatches(rows, stack.pop_all(), reported)
        return pa.RecordBatchReader.from_batches(first.schema, batches)

    def _run(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: Query,
        parameters: dict[str, Any],
        published: Mapping[TableName, Snapshot],
        stack: ExitStack,
    ) -> Iterator[pa.RecordBatchReader]:
        """The answer, of each part of the query's stream if it can be run in parts, each in its cheapest form. Read one
        before the next.
        """
        parts: Parts | None = None
        if query.in_parts is not None:
            stream = query.tables[query.in_parts]
            assert isinstance(stream, StreamTable)
            parts = Parts(stream.open(), self._part_rows)
            stack.callback(parts.close)
        while True:
            if parts is not None and query.in_parts is not None:
                fill(connection, query.in_parts, parts.next())
                look_back(connection, query, published)
            text = query.sql
            if query.forms:
                text = cheapest(connection, query)
                parameters = checked(connection, query, text)
            yield connection.sql(text, params=parameters or None).to_arrow_reader(BATCH_ROWS)
            if parts is None or parts.ended:
                return

    def stage(
        self,
        table: TableName,
        schema: TableSchema,
        relation: Relation,
        *,
        partition: Partition | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> StagedWrite:
        """Writes one Parquet file beside the live ones.

        Raises:
            StoreError: the columns differ from ``schema``, or the query fails; nothing is left behind then.
        """
        token = secrets.token_hex(10)
        folder = self._folder(table)
        path = layout.staged_path(folder, schema, token)
        recorded = dict(properties or {})
        with delta_reported(folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            lease = own(layout.attempt_lease(folder, token))
        try:
            rows = self._write(relation, schema, path, recorded)
        except BaseException:
            path.unlink(missing_ok=True)
            lease.release(remove=True)
            raise
        self._attempts[token] = lease
        reading: dict[TableName, Binding] = {staged_table(token): FilesTable(str(path), "parquet", schema)}
        return StagedWrite(self.name, token, table, schema, partition, rows, reading, recorded)

    def begin(self) -> Mapping[str, str]:
        lock, busy = self._root / "_fp" / "order.lock", TABLE_BUSY.problem("the order of writes is locked", mend=_WAIT)
        with delta_reported(self._root), exclusive(lock, timeout_seconds=PUBLISH_TIMEOUT_SECONDS, busy=busy):
            return self._order.properties(next_number(self._root / "_fp" / "order"))

    def publish(self, staged: StagedWrite, *, backwards: bool = False) -> Publication:
        """One Delta commit. Publishing what is live already gives its publication again.

        Raises:
            StoreError: the staged rows are gone, what is live is later, another process publishes for too long, or the
                partition does not fit.
        """
        folder = self._folder(staged.target)
        with self._publishing(staged.target):
            delta.commit(folder, staged, backwards=backwards)
            self._end_attempt(staged)
            delta.remove_unneeded(folder)
            return delta.publication(folder, staged)

    def discard(self, staged: StagedWrite) -> None:
        """Removes staged rows, unless they were published."""
        folder = self._folder(staged.target)
        path = layout.staged_path(folder, staged.schema, staged.token)
        with self._publishing(staged.target):
            live = snapshot(folder)
            if live is None or all(folder / file.path != path for file in live.files):
                path.unlink(missing_ok=True)
            self._end_attempt(staged)

    def publications(self, table: TableName) -> Sequence[Publication]:
        return delta.publications(self._folder(table), table)

    def holdings(self, table: TableName) -> Holdings:
        return delta.holdings(self._folder(table))

    def sweep(self, table: TableName) -> int:
        """Removes staged rows of processes that ended, and files of old versions that nobody reads."""
        if not self._folder(table).is_dir():
            return 0
        with self._publishing(table):
            return delta.remove_unneeded(self._folder(table))

    def tables(self) -> Sequence[TableName]:
        """A folder whose name had to be shortened is passed over: no view has such a name."""
        folders = [log.parent for name in ("_delta_log", "data") for log in self._root.glob(f"*/*/{name}")]
        return sorted({table for folder in folders if (table := layout.table_of_folder(folder)) is not None})

    def remove(self, table: TableName) -> bool:
        """One Delta commit takes all rows out; files go when nobody reads them, the folder with the last."""
        if not self._folder(table).is_dir():
            return True
        with self._publishing(table):
            return delta.remove_table(self._folder(table), table)

    def close(self) -> None:
        """Gives up what was staged and not published, and removes temporary files."""
        while self._attempts:
            self._attempts.popitem()[1].release()
        self._kept.close()
        self._spill.close()

    def _session(
        self,
        query: Query,
        stack: ExitStack,
        *,
        writes: Path | None = None,
        published: dict[TableName, Snapshot] | None = None,
    ) -> tuple[duckdb.DuckDBPyConnection, dict[str, Any]]:
        """A closed-down connection for ``query``, and its parameters. ``stack`` gives everything back; the versions of
        published tables that it has come into ``published``.
        """
        staged = None if writes else self._audited(query)
        with reported():
            session = self._kept.take(staged)
            fresh = session is None
            if session is None:
                spill = self._spill.new()
                threads = 1 if query.repeatable else self._threads
                session = Session(connect(Limits(self._memory_limit, threads, spill)), spill)
            stack.push(self._kept.giving_back(staged, session))
            connection = session.connection
            # One of several is checked when it is known which.
            parameters = {} if query.forms and writes is None else checked(connection, query, query.sql)
            if fresh:
                whole = {name: table for name, table in query.tables.items() if name != query.in_parts}
                held = {} if published is None else published
                tables = {name: self._bound(connection, query, table, held, stack) for name, table in whole.items()}
                # A kept session answers other queries too.
                setups = [each for each in self._setups if staged or named(each.duckdb_name, query)]
                bind(connection, tables, setups=setups, key_versions=query.key_versions, writes=writes)
        return connection, parameters

    def _audited(self, query: Query) -> str | None:
        """The token of the attempt whose staged rows are all that ``query`` reads."""
        if len(query.tables) != 1 or query.key_versions:
            return None
        (name,) = query.tables
        return name.name if name == staged_table(name.name) and name.name in self._attempts else None

    def _bound(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: Query,
        table: Binding,
        published: dict[TableName, Snapshot],
        stack: ExitStack,
    ) -> BoundFiles | pa.RecordBatchReader:
        if isinstance(table, StreamTable):
            return table.open()
        if isinstance(table, FilesTable):
            files = matching_files(table, self._data_roots)
            if table.span is not None and table.format == "parquet":
                files = tuple(self._footers.within(connection, files, table.span))
            return BoundFiles(select_files(connection, table, files, self._footers), files)
        live, lease = pinned(self._folder(table.name), table.name)
        stack.callback(lease.release)
        published[table.name] = live
        paths = [str(live.folder / file.path) for file in live.files]
        later = query.lookback is not None and table.name in query.lookback.tables
        return BoundFiles(None if later else select_live(live, row_ids=table.name in query.row_ids), paths)

    def _write(self, relation: Relation, schema: TableSchema, path: Path, recorded: Mapping[str, str]) -> int:
        """The relation as a file; gives the number of rows."""
        with ExitStack() as stack:
            if isinstance(relation, Query):
                connection, parameters = self._session(relation, stack, writes=path)
                source = f"({relation.sql}\n)"
            else:
                connection, parameters = self._session(_NOTHING, stack, writes=path)
                source = stack.enter_context(registered(connection, relation.open()))
            return written(connection, source, parameters, schema, path, recorded)

    @contextmanager
    def _publishing(self, table: TableName) -> Iterator[None]:
        busy = TABLE_BUSY.problem(
            f"{table} has been locked by another publication for {PUBLISH_TIMEOUT_SECONDS:.0f} s",
            mend=_WAIT,
        )
        lock = layout.publish_lock(self._folder(table))
        with delta_reported(self._folder(table)), exclusive(lock, timeout_seconds=PUBLISH_TIMEOUT_SECONDS, busy=busy):
            yield

    def _end_attempt(self, staged: StagedWrite) -> None:
        self._kept.drop(staged.token)
        if lease := self._attempts.pop(staged.token, None):
            lease.release(remove=True)

    def _live(self, table: TableName) -> Snapshot:
        live = snapshot(self._folder(table))
        if live is None:
            raise StoreError(not_published(table))
        return live

    def _folder(self, table: TableName) -> Path:
        return layout.table_folder(self._root, table)


def staged_table(token: str) -> TableName:
    """The name under which staged rows are read."""
    return TableName("staged", token)


_WAIT: Final = "wait for the other run, or end it if it hangs; its lock goes with its process"
_NOTHING: Final = Query("SELECT 1", "duckdb")

"""The online store in PostgreSQL: full snapshots, replaced by moving one pointer, read by prepared statements.

``docs/adr/0006-online-layout.md`` says why a pointer and not a renamed table: moving it locks nothing readers need.
Connections must be sessions of their own (no transaction pooling): a writer proves by a session lock that it lives.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from feature_platform.errors import StoreError
from feature_platform.layouts.migrate import bring_up_to_date
from feature_platform.stores.codes import (
    ONLINE_KEY_TYPE,
    STAGED_ROWS_GONE,
)
from feature_platform.stores.online_encoding_keys import KeyTypeError, key_encoder
from feature_platform.stores.online_writes import changes_moved, duplicate_key, keys_only
from feature_platform.stores.postgres_connection import APPLICATION_NAME, connect, reported
from feature_platform.stores.postgres_layouts import ONLINE
from feature_platform.stores.postgres_online_read import SnapshotReader
from feature_platform.stores.postgres_online_sql import (
    LOCK_VIEW,
    OnlineSchema,
    advisory_key,
    snapshot_table,
    view_key,
)
from feature_platform.stores.protocols import (
    Holdings,
    OnlineChanges,
    OnlineRow,
    OnlineTable,
    Publication,
    StagedOnline,
    StreamSource,
    TableName,
)

if TYPE_CHECKING:
    import pyarrow as pa

_CONNECT_SECONDS: Final = 5.0
_LOCK_MILLISECONDS: Final = 5_000
_REVISION: Final = "revision"
"""Property with the token of the changes that were made to a snapshot last."""
_STATEMENTS: Final = 1_000
"""Prepared statements per connection: one per view and version that it reads."""

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresOnlineStore:
    """Keeps each view's newest rows in a table with the entity's key as primary key.

    ``url`` is libpq's. Everything lies in the schema ``<schema_prefix>online``, which the first ``stage`` creates. Safe
    to use from several threads.
    """

    def __init__(self, name: str, url: str, *, schema_prefix: str) -> None:
        self.name = name
        self._url = url
        self._schema = OnlineSchema(f"{schema_prefix}online")
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=0,
            max_size=16,
            open=False,
            timeout=_CONNECT_SECONDS,
            kwargs={"autocommit": True, "application_name": APPLICATION_NAME},
            configure=_configure,
        )
        self._reader = SnapshotReader(self._schema, self._connection)
        self._prepared = False
        self._holders: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def stage(
        self, table: OnlineTable, rows: StreamSource, *, properties: Mapping[str, str] | None = None
    ) -> StagedOnline:
        """Copies a full snapshot into a table of its own and builds its key; memory does not grow with its size.

        Raises:
            StoreError: wrong columns, a NULL or repeated key, a value that PostgreSQL can't hold, the server is gone.
                Nothing is left behind.
        """
        version = token_hex(8)
        with _reported():
            key_encoder(table)
            holder = self._hold(version)
            try:
                if not self._prepared:
                    bring_up_to_date(holder, self._url, ONLINE, self._schema.name)
                    self._prepared = True
                count = self._load(holder, version, table, rows)
            except BaseException:
                self._release(version)
                raise
        return StagedOnline(self.name, table, version, count, dict(properties or {}))

    def stage_changes(
        self, table: OnlineTable, changes: OnlineChanges, *, properties: Mapping[str, str] | None = None
    ) -> StagedOnline:
        """Copies rows and removals into tables of their own, in one transaction.

        Raises:
            StoreError: as :meth:`stage`.
        """
        version = token_hex(8)
        with _reported():
            key_encoder(table)
            holder = self._hold(version)
            try:
                rows, removed = self._load_changes(holder, version, table, changes)
            except BaseException:
                self._release(version)
                raise
        return StagedOnline(self.name, table, version, rows, dict(properties or {}), changes.base.version, removed)

    def changeable(self, table: OnlineTable) -> Publication | None:
        """What is live, if it is of this table's schema and its table is there. Rows can't be missing: all writes are
        transactions."""
        with _reported():
            live = self.publication(table.view)
            if live is None:
                return None
            with self._connection() as connection:
                found = connection.execute(self._schema.live_versions(), [[table.view]]).fetchall()
                name = f"{self._schema.name}.{snapshot_table(_snapshot_of(live.version))}"
                there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
        return live if [row[2] for row in found] == [table.fingerprint] and there == (True,) else None

    def publish(self, staged: StagedOnline) -> Publication:
        """Directs readers to the staged snapshot in one short transaction, then drops the old one; or makes the staged
        changes to the live rows in one transaction. Idempotent.

        Raises:
            StoreError: the staged rows are gone, something else is live than changes were made for, or the server
                refuses. What is live is as it was.
        """
        with _reported():
            live = self.publication(staged.table.view)
            if live is None or staged.token not in live.version.split("+"):
                replaced: str | None = None
                if staged.base is None:
                    replaced = self._flip(staged)
                else:
                    self._change(staged)
                self._release(staged.token)
                if replaced:
                    self._drop_if_idle(replaced)
                live = self.publication(staged.table.view)
        assert live is not None
        return live

    def discard(self, staged: StagedOnline) -> None:
        """Drops a staged snapshot. Does nothing when it was published or removed before."""
        with _reported():
            self._remove(staged.token)

    def read(self, table: OnlineTable, keys: Sequence[tuple[Any, ...]]) -> list[OnlineRow | None]:
        """The live rows of ``keys``, in their order; one round trip as long as nothing was published in between.

        Raises:
            StoreError: a key of another type, another schema is live, or the server is gone.
        """
        return self.read_many([(table, keys)])[0]

    def read_many(
        self, requests: Sequence[tuple[OnlineTable, Sequence[tuple[Any, ...]]]]
    ) -> list[list[OnlineRow | None]]:
        """:meth:`read` for several views at once, still in one round trip."""
        with _reported():
            lookups = [self._reader.lookup(table, keys) for table, keys in requests]
            try:
                return self._reader.read(lookups)
            except PoolTimeout:
                raise
            except psycopg.OperationalError:
                self._pool.check()  # a connection died while it lay in the pool: others may have, too
                return self._reader.read(lookups)

    def publication(self, view: str) -> Publication | None:
        """What is live for ``view``."""
        with _reported():
            try:
                with self._connection() as connection:
                    found = connection.execute(self._schema.publication(), [view]).fetchone()
            except psycopg.errors.UndefinedTable:  # nothing was ever published here
                return None
        if found is None:
            return None
        return _publication(view, found)

    def holdings(self, view: str) -> Holdings:
        """The rows of the live snapshot, counted."""
        live = self.publication(view)
        if live is None:
            return Holdings(0, 0)
        snapshot = _snapshot_of(live.version)
        with _reported(), self._connection() as connection:
            try:
                found = connection.execute(self._schema.holdings(snapshot)).fetchone()
            except psycopg.errors.UndefinedTable:
                return Holdings(0, 0, (snapshot_table(snapshot),))
        assert found is not None
        return Holdings(*found)

    def sweep(self, view: str) -> int:
        """Drops snapshots whose writers are dead, and replaced ones that a reader held on to at the time."""
        with _reported():
            try:
                with self._connection() as connection:
                    found = connection.execute(self._schema.versions_of(), [view]).fetchall()
            except psycopg.errors.UndefinedTable:
                return 0
            return sum(self._reap(version) for version, _ in found)

    def close(self) -> None:
        """Gives connections back. What is staged and not published counts as left by a dead writer from now on."""
        with self._lock:
            holders, self._holders = self._holders, {}
        for holder in holders.values():
            holder.close()
        self._pool.close()

    def _hold(self, version: str) -> Connection:
        """Opens the session that loads the snapshot and whose lock says that its writer lives."""
        holder = connect(self._url)
        with self._lock:
            self._holders[version] = holder
        holder.execute("SELECT pg_advisory_lock(%s)", [advisory_key(version)])
        return holder

    def _load(self, holder: Connection, version: str, table: OnlineTable, rows: StreamSource) -> int:
        """One transaction: a writer that dies in it leaves nothing, and no row passes through the log of a server whose
        ``wal_level`` is minimal."""
        from feature_platform.stores.postgres_copy_in import copy_in

        snapshot = _Snapshot(table, rows)
        try:
            with holder.transaction():
                holder.execute(self._schema.create_snapshot(version, table))
                with holder.cursor() as cursor:
                    count = copy_in(cursor, self._schema.copy(version, table), table.schema, snapshot.reader())
                holder.execute(self._schema.add_key(version, table))
                holder.execute(self._schema.put_version(), [version, table.view, "staged", snapshot.newest])
        except psycopg.errors.UniqueViolation:
            raise duplicate_key(table.view) from None  # the driver's text quotes the key
        return count

    def _load_changes(
        self, holder: Connection, version: str, table: OnlineTable, changes: OnlineChanges
    ) -> tuple[int, int]:
        from feature_platform.stores.postgres_copy_in import copy_in

        rows, keys = _Snapshot(table, changes.rows), keys_only(table)
        removed = _Snapshot(keys, changes.removed)
        try:
            with holder.transaction(), holder.cursor() as cursor:
                cursor.execute(self._schema.create_snapshot(version, table))
                put = copy_in(cursor, self._schema.copy(version, table), table.schema, rows.reader())
                cursor.execute(self._schema.add_key(version, table))
                cursor.execute(self._schema.create_removed(version, keys))
                gone = copy_in(cursor, self._schema.copy_removed(version, keys), keys.schema, removed.reader())
                cursor.execute(self._schema.put_version(), [version, table.view, "staged", changes.newest])
        except psycopg.errors.UniqueViolation:
            raise duplicate_key(table.view) from None  # the driver's text quotes the key
        return put, gone

    def _change(self, staged: StagedOnline) -> None:
        """Makes staged changes to the live rows, in one transaction with what is said of them."""
        view, base = staged.table.view, _snapshot_of(staged.base or "")
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [str(_LOCK_MILLISECONDS)])
            connection.execute(LOCK_VIEW, view_key(self._schema.name, view))
            found = connection.execute(self._schema.publication(), [view]).fetchone()
            live = None if found is None else _publication(view, found)
            if live is not None and live.version == f"{base}+{staged.token}":
                return
            if live is None or live.version != staged.base:
                raise changes_moved(view, self.name)
            known = connection.execute(self._schema.forget_version(), [staged.token]).fetchone()
            if known is None or known[0] != "staged":
                raise self._staged_rows_gone(view)
            removed = connection.execute(self._schema.remove_rows(base, staged.token, staged.table)).rowcount
            added = connection.execute(self._schema.put_rows(base, staged.token, staged.table)).fetchone()
            assert added is not None, "a count has a row"
            now = datetime.now(UTC).replace(tzinfo=None)
            properties = json.dumps({**staged.properties, _REVISION: staged.token})
            connection.execute(self._schema.revise(), [live.rows - removed + added[0], known[1], now, properties, view])
            connection.execute(self._schema.drop_snapshot(staged.token))

    def _staged_rows_gone(self, view: str) -> StoreError:
        return StoreError(
            STAGED_ROWS_GONE.problem(
                f"the rows of '{view}' that were staged in '{self.name}' are not there any more",
                mend="Materialize the view again.",
            )
        )

    def _flip(self, staged: StagedOnline) -> str | None:
        """Moves the pointer; gives the version that it left."""
        view = staged.table.view
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [str(_LOCK_MILLISECONDS)])
            connection.execute(LOCK_VIEW, view_key(self._schema.name, view))
            old = connection.execute(self._schema.publication(), [view]).fetchone()
            if old is not None and old[0] == staged.token:
                return None
            found = connection.execute(self._schema.forget_version(), [staged.token]).fetchone()
            if found is None or found[0] != "staged":
                raise self._staged_rows_gone(view)
            if old is not None:
                connection.execute(self._schema.put_version(), [old[0], view, "replaced", None])
            connection.execute(self._schema.publish(), _publish_values(staged, found[1]))
        return None if old is None else str(old[0])

    def _remove(self, version: str) -> None:
        self._release(version)
        self._reap(version)

    def _reap(self, version: str) -> bool:
        """Drops a version that is not live and that nobody alive is writing; gives whether it was there and went."""
        with self._connection() as connection:
            key = advisory_key(version)
            if connection.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone() != (True,):
                return False
            try:
                return self._drop_if_idle(version)
            finally:
                connection.execute("SELECT pg_advisory_unlock(%s)", [key])

    def _drop_if_idle(self, version: str) -> bool:
        """Drops the table and forgets the version; leaves both when a reader keeps the table locked."""
        try:
            with self._connection() as connection, connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", [str(_LOCK_MILLISECONDS)])
                known = connection.execute(self._schema.forget_version(), [version]).fetchone()
                if known is None:
                    return False
                connection.execute(self._schema.drop_snapshot(version))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
            return False
        return True

    def _release(self, version: str) -> None:
        with self._lock:
            holder = self._holders.pop(version, None)
        if holder is not None:
            with contextlib.suppress(psycopg.Error):  # the server frees the lock of a closed session a moment later
                holder.execute("SELECT pg_advisory_unlock(%s)", [advisory_key(version)])
            holder.close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self._pool.closed:
            self._pool.open()
        with self._pool.connection() as connection:
            yield connection


def _publication(view: str, found: tuple[Any, ...]) -> Publication:
    """A row of ``publications``. Changes that were made to the snapshot are part of the version."""
    version, rows, published_at, properties, event_time = found
    revision = properties.get(_REVISION)
    version = f"{version}+{revision}" if revision else version
    return Publication(TableName("features", view), None, version, rows, published_at, properties, event_time)


def _snapshot_of(version: str) -> str:
    """The snapshot that a publication's rows lie in."""
    return version.partition("+")[0]


def _publish_values(staged: StagedOnline, event_time: datetime | None) -> list[Any]:
    table, now = staged.table, datetime.now(UTC).replace(tzinfo=None)
    properties = json.dumps(dict(staged.properties))
    return [table.view, staged.token, table.fingerprint, staged.rows, event_time, now, properties]


class _Snapshot:
    """The rows on their way, and what was seen of them."""

    def __init__(self, table: OnlineTable, rows: StreamSource) -> None:
        self._table = table
        self._rows = rows
        self.newest: datetime | None = None

    def reader(self) -> pa.RecordBatchReader:
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._table.schema.arrow(), self._watched())

    def _watched(self) -> Iterator[pa.RecordBatch]:
        from feature_platform.stores.online_encoding_stream import newest_event_time, snapshot_chunks

        for chunk in snapshot_chunks(self._table, self._rows):
            self.newest = newest_event_time(self.newest, chunk)
            yield chunk


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Turns errors of the driver and of keys into ours, without any value of a row."""
    try:
        with reported():
            yield
    except KeyTypeError as error:
        raise StoreError(ONLINE_KEY_TYPE.problem(str(error), mend="Pass keys of the entity's types.")) from None


def _configure(connection: Connection) -> None:
    """Statements are looked up by key whatever is asked: one plan serves every call."""
    connection.prepared_max = _STATEMENTS
    connection.execute("SET plan_cache_mode = force_generic_plan")

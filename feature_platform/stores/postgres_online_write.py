"""What stages and publishes rows in the online store in PostgreSQL: full snapshots and changes to the live one.

Everything here needs sessions of the server's own: a writer proves by a lock of its session that it lives.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import psycopg

from feature_platform.errors import StoreError
from feature_platform.layouts.migrate import is_current, migrate
from feature_platform.stores.codes import STAGED_ROWS_GONE
from feature_platform.stores.online_encoding_keys import key_encoder
from feature_platform.stores.online_order import check_order
from feature_platform.stores.online_protocol import OnlineChanges, OnlineTable, StagedOnline
from feature_platform.stores.online_writes import changes_moved, duplicate_key, keys_only
from feature_platform.stores.postgres_attempts import Attempts
from feature_platform.stores.postgres_connection import Session, Sessions
from feature_platform.stores.postgres_copy_in import copy_in
from feature_platform.stores.postgres_layouts import ONLINE
from feature_platform.stores.postgres_online_sql import LOCK_VIEW, OnlineSchema, view_key
from feature_platform.stores.protocols import Publication, StreamSource, TableName
from feature_platform.stores.publication_rules import being_written

if TYPE_CHECKING:
    import pyarrow as pa

_DROP_WAIT: Final = "200ms"
"""Readers queue up behind whoever waits to drop a table: what is still read is left to a sweep."""
_REVISION: Final = "revision"
"""Property with the token of the changes that were made to a snapshot last."""


class SnapshotWriter:
    """Stages, publishes and removes versions of a store's views. Safe to use from several threads."""

    def __init__(self, store: str, sessions: Sessions, schema: OnlineSchema) -> None:
        self._store = store
        self._sessions = sessions
        self._schema = schema
        self._attempts = Attempts(sessions.direct_url, schema.name)
        self._lock = threading.Lock()
        self._prepared = False

    def stage(self, table: OnlineTable, rows: StreamSource, properties: Mapping[str, str]) -> StagedOnline:
        """Copies a full snapshot into a table of its own and builds its key, in one transaction: a writer that dies in
        it leaves nothing, and no row passes through the log of a server whose ``wal_level`` is minimal."""
        key_encoder(table)
        self._prepare()
        version, snapshot = token_hex(8), _Snapshot(table, rows)
        self._attempts.begin(version)
        try:
            with self._sessions.writing() as session:
                session.execute(self._schema.create_snapshot(version, table))
                count = self._filled(session, version, table, snapshot)
                session.execute(self._schema.put_version(), [version, table.view, "staged", snapshot.newest])
        except BaseException:
            self._attempts.end(version)
            raise
        return StagedOnline(self._store, table, version, count, properties)

    def stage_changes(self, table: OnlineTable, changes: OnlineChanges, properties: Mapping[str, str]) -> StagedOnline:
        """Copies rows and removals into tables of their own, in one transaction."""
        key_encoder(table)
        self._prepare()
        version, keys = token_hex(8), keys_only(table)
        self._attempts.begin(version)
        try:
            with self._sessions.writing() as session:
                session.execute(self._schema.create_snapshot(version, table))
                put = self._filled(session, version, table, _Snapshot(table, changes.rows))
                session.execute(self._schema.create_removed(version, keys))
                removed = _Snapshot(keys, changes.removed).reader()
                try:
                    with session.cursor() as cursor:
                        gone = copy_in(cursor, self._schema.copy_removed(version, keys), keys.schema, removed)
                except psycopg.errors.UniqueViolation:
                    raise duplicate_key(table.view) from None  # the driver's text quotes the key
                session.execute(self._schema.put_version(), [version, table.view, "staged", changes.newest])
        except BaseException:
            self._attempts.end(version)
            raise
        return StagedOnline(self._store, table, version, put, properties, changes.base.version, gone)

    def publish(self, staged: StagedOnline, backwards: bool) -> None:
        """Directs readers to the staged snapshot, then drops the old one; or makes the staged changes to the live rows.
        One short transaction either way, in which nobody else publishes the view."""
        replaced: str | None = None
        if staged.base is None:
            replaced = self._flip(staged, backwards)
        else:
            self._change(staged, backwards)
        self._attempts.end(staged.token)
        if replaced:
            with self._sessions.writing() as session:
                self._dropped(session, replaced)

    def remove(self, version: str) -> bool:
        """Drops a version that this process staged."""
        self._attempts.end(version)
        return self._reap(version)

    def sweep(self, view: str) -> int:
        """Drops snapshots whose writers are dead, and replaced ones that a reader held on to at the time."""
        with self._sessions.writing() as session:
            try:
                found = session.execute(self._schema.versions_of(), [view]).fetchall()
            except psycopg.errors.UndefinedTable:
                return 0
        return sum(self._reap(version) for version, _ in found)

    def withdraw(self, view: str) -> bool:
        """Nothing of a view is live from now on, in one transaction; then drops its tables. Gives whether all went:
        one that is read stays until the next time.

        Raises:
            StoreError: somebody is staging rows.
        """
        with self._sessions.writing() as session:
            try:
                live, _ = self._locked(session, view)
            except psycopg.errors.UndefinedTable:  # nothing was ever published here
                return True
            known = session.execute(self._schema.versions_of(), [view]).fetchall()
            if not all(self._attempts.is_dead(session, version) for version, _ in known):
                raise StoreError(being_written(f"'{view}' in '{self._store}'"))
            if live is not None:
                session.execute(self._schema.put_version(), [snapshot_of(live.version), view, "replaced", None])
                session.execute(self._schema.withdraw(), [view])
        self.sweep(view)
        with self._sessions.reading() as session:
            return not session.execute(self._schema.versions_of(), [view]).fetchall()

    def close(self) -> None:
        """What is staged and not published counts as left by a dead writer from now on."""
        self._attempts.close()

    def _prepare(self) -> None:
        with self._lock:
            if self._prepared:
                return
            with self._sessions.writing() as session:
                current = is_current(session, ONLINE, self._schema.name)
            if not current:
                migrate(self._sessions.direct_url, ONLINE, self._schema.name)
            self._prepared = True

    def _filled(self, session: Session, version: str, table: OnlineTable, snapshot: _Snapshot) -> int:
        """Copies rows into the new table of ``version`` and builds its key; gives their number."""
        try:
            with session.cursor() as cursor:
                count = copy_in(cursor, self._schema.copy(version, table), table.schema, snapshot.reader())
            session.execute(self._schema.add_key(version, table))
        except psycopg.errors.UniqueViolation:
            raise duplicate_key(table.view) from None  # the driver's text quotes the key
        return count

    def _locked(self, session: Session, view: str) -> tuple[Publication | None, datetime]:
        """What is live, and the server's time, while nobody else can publish the view until the transaction ends."""
        session.execute(LOCK_VIEW, view_key(self._schema.name, view))
        found = session.execute(self._schema.publication(), [view]).fetchone()
        clock = session.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'").fetchone()
        assert clock is not None, "a clock has a time"
        return None if found is None else publication(view, found), clock[0]

    def _flip(self, staged: StagedOnline, backwards: bool) -> str | None:
        """Moves the pointer; gives the version that it left."""
        view = staged.table.view
        with self._sessions.writing() as session:
            live, now = self._locked(session, view)
            old = None if live is None else snapshot_of(live.version)
            if old == staged.token:
                return None
            check_order(staged, live, now, backwards=backwards)
            newest = self._taken(session, staged)
            if old is not None:
                session.execute(self._schema.put_version(), [old, view, "replaced", None])
            properties = json.dumps(dict(staged.properties))
            values = [view, staged.token, staged.table.fingerprint, staged.rows, newest, now, properties]
            session.execute(self._schema.publish(), values)
        return old

    def _change(self, staged: StagedOnline, backwards: bool) -> None:
        """Makes staged changes to the live rows, in one transaction with what is said of them."""
        view, base = staged.table.view, snapshot_of(staged.base or "")
        with self._sessions.writing() as session:
            live, now = self._locked(session, view)
            if live is not None and live.version == f"{base}+{staged.token}":
                return
            check_order(staged, live, now, backwards=backwards)
            if live is None or live.version != staged.base:
                raise changes_moved(view, self._store)
            newest = self._taken(session, staged)
            removed = session.execute(self._schema.remove_rows(base, staged.token, staged.table)).rowcount
            added = session.execute(self._schema.put_rows(base, staged.token, staged.table)).fetchone()
            assert added is not None, "a count has a row"
            properties = json.dumps({**staged.properties, _REVISION: staged.token})
            rows = live.rows - removed + added[0]
            session.execute(self._schema.revise(), [rows, newest, now, properties, view])
            session.execute(self._schema.drop_snapshot(staged.token))

    def _taken(self, session: Session, staged: StagedOnline) -> datetime | None:
        """Takes a version out of those that are staged; gives its newest event time.

        Raises:
            StoreError: it is not there any more.
        """
        found = session.execute(self._schema.forget_version(), [staged.token]).fetchone()
        if found is None or found[0] != "staged":
            raise StoreError(
                STAGED_ROWS_GONE.problem(
                    f"the rows of '{staged.table.view}' that were staged in '{self._store}' are not there any more",
                    mend="Materialize the view again.",
                )
            )
        newest: datetime | None = found[1]
        return newest

    def _reap(self, version: str) -> bool:
        """Drops a version that is not live and that nobody alive is writing; gives whether it was there and went."""
        with self._sessions.writing() as session:
            return self._attempts.is_dead(session, version) and self._dropped(session, version)

    def _dropped(self, session: Session, version: str) -> bool:
        """Drops the table and forgets the version; leaves both when a reader keeps the table locked."""
        try:
            with session.transaction():
                session.execute("SELECT set_config('lock_timeout', %s, true)", [_DROP_WAIT])
                if session.execute(self._schema.forget_version(), [version]).fetchone() is None:
                    return False
                session.execute(self._schema.drop_snapshot(version))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
            return False
        return True


def publication(view: str, found: tuple[Any, ...]) -> Publication:
    """A row of ``publications``. Changes that were made to the snapshot are part of the version."""
    version, rows, published_at, properties, event_time = found
    revision = properties.get(_REVISION)
    version = f"{version}+{revision}" if revision else version
    return Publication(TableName("features", view), None, version, rows, published_at, properties, event_time)


def snapshot_of(version: str) -> str:
    """The snapshot that a publication's rows lie in."""
    return version.partition("+")[0]


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

"""The online store in PostgreSQL: full snapshots, replaced by moving one pointer, read by prepared statements.

``docs/adr/0006-online-layout.md`` says why a pointer and not a renamed table: moving it locks nothing readers need.
Reads pass through a pooler in transaction mode, then without prepared statements; see ADR 0032.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from feature_platform.errors import StoreError
from feature_platform.stores.codes import ONLINE_KEY_TYPE
from feature_platform.stores.online_encoding_keys import KeyTypeError
from feature_platform.stores.online_protocol import OnlineChanges, OnlineRow, OnlineTable, StagedOnline
from feature_platform.stores.online_reads import time_of_read
from feature_platform.stores.postgres_connection import (
    CONNECTION,
    Bounds,
    Session,
    Sessions,
    network_limits,
    notice_pooler,
    reported,
    timeouts,
)
from feature_platform.stores.postgres_online_read import SnapshotReader
from feature_platform.stores.postgres_online_sql import OnlineSchema, snapshot_table
from feature_platform.stores.postgres_online_write import SnapshotWriter, publication, snapshot_of
from feature_platform.stores.protocols import Holdings, Publication, StreamSource

_CONNECT_SECONDS: Final = 5.0
_STATEMENTS: Final = 1_000
"""Prepared statements per connection: one per view and version that it reads."""


class PostgresOnlineStore:
    """Keeps each view's newest rows in a table with the entity's key as primary key.

    ``url`` is libpq's, perhaps of a pooler; ``direct_url``, of the same database, is for what writes. Everything lies
    in the schema ``<schema_prefix>online``, which the first ``stage`` creates. Safe to use from several threads.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        schema_prefix: str,
        direct_url: str | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self.name = name
        self._schema = OnlineSchema(f"{schema_prefix}online")
        self._sessions = Sessions(url, direct_url=direct_url, bounds=bounds)
        self._pool: ConnectionPool[Session] = ConnectionPool(
            url,
            connection_class=Session,
            min_size=0,
            max_size=16,
            open=False,
            timeout=_CONNECT_SECONDS,
            kwargs=CONNECTION | network_limits(url),
            configure=self._configure,
        )
        limits = timeouts(self._sessions.bounds.online_seconds, self._sessions.bounds.lock_seconds, 0)
        self._reader = SnapshotReader(self._schema, self._connection, limits["statement_timeout"])
        self._writer = SnapshotWriter(name, self._sessions, self._schema)

    def stage(
        self,
        table: OnlineTable,
        rows: StreamSource,
        *,
        properties: Mapping[str, str] | None = None,
        expected_rows: int | None = None,  # noqa: ARG002 - a client is not told how much room the disk has
    ) -> StagedOnline:
        """Copies a full snapshot into a table of its own and builds its key; memory does not grow with its size.

        Raises:
            StoreError: wrong columns, a NULL or repeated key, a value that PostgreSQL can't hold, a pooler stands
                between, the server is gone. Nothing is left behind.
        """
        with _reported():
            return self._writer.stage(table, rows, dict(properties or {}))

    def stage_changes(
        self, table: OnlineTable, changes: OnlineChanges, *, properties: Mapping[str, str] | None = None
    ) -> StagedOnline:
        """Copies rows and removals into tables of their own, in one transaction.

        Raises:
            StoreError: as :meth:`stage`.
        """
        with _reported():
            return self._writer.stage_changes(table, changes, dict(properties or {}))

    def changeable(self, table: OnlineTable) -> Publication | None:
        """What is live, if it is of this table's schema and its table is there. Rows can't be missing: all writes are
        transactions."""
        live = self.publication(table.view)
        if live is None:
            return None
        with self._sessions.reading() as session:
            found = session.execute(self._schema.live_versions(), [[table.view]]).fetchall()
            name = f"{self._schema.name}.{snapshot_table(snapshot_of(live.version))}"
            there = session.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
        return live if [row[2] for row in found] == [table.fingerprint] and there == (True,) else None

    def publish(self, staged: StagedOnline, *, backwards: bool = False) -> Publication:
        """Directs readers to the staged snapshot in one short transaction, then drops the old one; or makes the staged
        changes to the live rows in one transaction. Idempotent.

        Raises:
            StoreError: the staged rows are gone, something else is live than changes were made for, what is live is
                later, another session holds a lock for too long, or the server refuses. What is live is as it was.
        """
        with _reported():
            live = self.publication(staged.table.view)
            if live is None or staged.token not in live.version.split("+"):
                self._writer.publish(staged, backwards)
                live = self.publication(staged.table.view)
        assert live is not None
        return live

    def discard(self, staged: StagedOnline) -> None:
        """Drops a staged snapshot. Does nothing when it was published or removed before."""
        with _reported():
            self._writer.remove(staged.token)

    def read(
        self, table: OnlineTable, keys: Sequence[tuple[Any, ...]], *, at: datetime | None = None
    ) -> list[OnlineRow | None]:
        """The live rows of ``keys``, in their order, without those past the view's ttl; one round trip as long as
        nothing was published in between.

        Raises:
            StoreError: a key of another type, another schema is live, or the server is gone.
        """
        return self.read_many([(table, keys)], at=at)[0]

    def read_many(
        self, requests: Sequence[tuple[OnlineTable, Sequence[tuple[Any, ...]]]], *, at: datetime | None = None
    ) -> list[list[OnlineRow | None]]:
        """:meth:`read` for several views at once, still in one round trip."""
        with _reported():
            lookups = [self._reader.lookup(table, keys, time_of_read(at)) for table, keys in requests]
            try:
                return self._reader.read(lookups)
            except (PoolTimeout, psycopg.errors.QueryCanceled):
                raise
            except psycopg.OperationalError:
                self._pool.check()  # a connection died while it lay in the pool: others may have, too
                return self._reader.read(lookups)

    def publication(self, view: str) -> Publication | None:
        """What is live for ``view``."""
        with self._sessions.reading() as session:
            try:
                found = session.execute(self._schema.publication(), [view]).fetchone()
            except psycopg.errors.UndefinedTable:  # nothing was ever published here
                return None
        return None if found is None else publication(view, found)

    def holdings(self, view: str) -> Holdings:
        """The rows of the live snapshot, counted."""
        live = self.publication(view)
        if live is None:
            return Holdings(0, 0)
        snapshot = snapshot_of(live.version)
        with self._sessions.reading() as session:
            try:
                found = session.execute(self._schema.holdings(snapshot)).fetchone()
            except psycopg.errors.UndefinedTable:
                return Holdings(0, 0, (snapshot_table(snapshot),))
        assert found is not None
        return Holdings(*found)

    def sweep(self, view: str) -> int:
        """Drops snapshots whose writers are dead, and replaced ones that a reader held on to at the time."""
        with _reported():
            return self._writer.sweep(view)

    def views(self) -> Sequence[str]:
        with self._sessions.reading() as session:
            try:
                return [view for (view,) in session.execute(self._schema.views())]
            except psycopg.errors.UndefinedTable:  # nothing was ever published here
                return []

    def remove(self, view: str) -> bool:
        """One short transaction takes the rows out; their tables are dropped when nobody reads them."""
        with _reported():
            return self._writer.withdraw(view)

    def close(self) -> None:
        """Gives connections back. What is staged and not published counts as left by a dead writer from now on."""
        self._writer.close()
        self._sessions.close()
        self._pool.close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Session]:
        if self._pool.closed:
            self._pool.open()
        with self._pool.connection() as session:
            yield session

    def _configure(self, session: Session) -> None:
        """Settings of a session of one's own; through a pooler each read brings its own. Statements look up keys
        whatever is asked: one plan serves every call."""
        notice_pooler(session)
        if session.is_pooled:
            return
        session.prepared_max = _STATEMENTS
        bounds = self._sessions.bounds
        settings = timeouts(bounds.online_seconds, bounds.lock_seconds, 0) | {"plan_cache_mode": "force_generic_plan"}
        for name, value in settings.items():
            session.execute("SELECT set_config(%s, %s, false)", [name, value])


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Turns errors of the driver and of keys into ours, without any value of a row."""
    try:
        with reported():
            yield
    except KeyTypeError as error:
        raise StoreError(ONLINE_KEY_TYPE.problem(str(error), mend="Pass keys of the entity's types.")) from None

"""Dagster's storage in SQLite files, without an engine and a connection of its own for each statement.

Dagster makes both for every event that it stores and for every question that it asks: some hundred for a run over four
small tables. Each time SQLAlchemy compiles the statement again and SQLite reads the schema again, and whoever closes a
file last copies its write-ahead log into it. Here the files that all runs share keep their connections, and the file of
a run keeps its engine. Its connections it does not keep: Dagster's UI learns of events by watching that file, which
changes when the log is copied into it.

To see whether a file has its tables, Dagster imports its hundred migrations, five times for an instance and a run. Here
a file that names its revision has them, and a new one is given the newest by migrations that are imported once.

Commits do not wait for the disk, checkpoints do: a run of many small steps takes a third of the time on an ordinary
disk. No crash of a process loses anything; a power failure may cost the last events, never a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log import SqlEventLogStorageMetadata
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sql import get_alembic_config
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy import NullPool, QueuePool, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_RUNS_AT_ONCE: Final = 8
"""Runs whose engines are kept. A process that executes has few at once; the UI reads those of many."""


class SqliteStorage(DagsterSqliteStorage):
    """Runs, events and schedules under one folder, in the files in which ``DagsterSqliteStorage`` keeps them."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super().__init__(base_dir, inst_data)
        # What the constructor has made is open nowhere: it holds addresses of files that are now up to date.
        self._run_storage = _Runs(self._run_storage._conn_string)
        self._event_log_storage = _Events(self._event_log_storage._base_dir)
        self._schedule_storage = _Schedules(self._schedule_storage._conn_string)


class _Runs(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: Any = None) -> None:
        self._engine = _engine(conn_string, keeps_connections=True)
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


class _Schedules(SqliteScheduleStorage):
    def __init__(self, conn_string: str, inst_data: Any = None) -> None:
        self._engine = _engine(conn_string, keeps_connections=False)  # nobody would close them: it is not disposed of
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection


class _Events(SqliteEventLogStorage):
    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._of_all_runs: Engine | None = None
        self._of_run = lru_cache(_RUNS_AT_ONCE)(self._engine)
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard == INDEX_SHARD_NAME:
                engine = self._of_all_runs = self._of_all_runs or self._engine(shard)
            else:
                engine = self._of_run(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        with suppress(DatabaseError), engine.begin() as connection:  # also another process may make it now
            migrations = MigrationContext.configure(connection)
            if migrations.get_current_revision():
                return
            if not inspect(connection).get_table_names():
                SqlEventLogStorageMetadata.create_all(connection)
                migrations.stamp(_migrations(), "head")
                return
        super()._initdb(engine, for_index_shard)

    def _engine(self, shard: str) -> Engine:
        return _engine(self.conn_string_for_shard(shard), keeps_connections=shard == INDEX_SHARD_NAME)

    def dispose(self) -> None:
        super().dispose()
        if self._of_all_runs is not None:
            self._of_all_runs.dispose()


@cache
def _migrations() -> ScriptDirectory:
    """Dagster's, read once."""
    return ScriptDirectory.from_config(get_alembic_config(sqlite_event_log.__file__))


def _engine(address: str, *, keeps_connections: bool) -> Engine:
    pool = QueuePool if keeps_connections else NullPool
    # Whoever has a connection has it alone, but it may be in another thread than the one before.
    arguments = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
    engine = create_engine(address, poolclass=pool, connect_args=arguments)

    @event.listens_for(engine, "connect")
    def _commit_without_waiting(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine

"""What a Doris cluster was given, in the metadata store: schema ``<prefix>_doris`` of PostgreSQL.

``writes`` has a row per attempt to write a table or partition, from before anything is made in Doris until nothing of
it is left there; ``loads`` a row per chunk, from before it is sent. Doris itself says what is live: partitions and
tables carry their attempt's token. This ledger says what that token stands for.

A write is ``filling``, ``staged``, ``publishing`` (decided, perhaps done), then ``live`` until another takes its place.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import sql

from feature_platform.layouts.migrate import is_current, migrate
from feature_platform.stores.doris.loads import PlannedLoad
from feature_platform.stores.postgres_attempts import Attempts, lock_number
from feature_platform.stores.postgres_connection import Bounds, Session, Sessions, set_locally, timeouts
from feature_platform.stores.postgres_layouts import DORIS
from feature_platform.stores.protocols import Publication, TableName
from feature_platform.types import Column, DataType, TableSchema

LOCK_TIMEOUT_SECONDS: Final = 60
_BOUNDS: Final = Bounds(write_seconds=600, lock_seconds=LOCK_TIMEOUT_SECONDS, idle_seconds=0)
"""A lock is held as long as the cluster takes, while nothing is asked of PostgreSQL."""
_COLUMNS: Final = sql.SQL(
    "token, table_schema, table_name, partition, database, relation, part, columns, rows, properties, state, "
    "version, published_at"
)
_NOW: Final = sql.SQL("timezone('UTC', clock_timestamp())")


@dataclass(frozen=True)
class Write:
    """One attempt."""

    token: str
    table: TableName
    partition: str | None
    relation: TableName
    """The table in Doris: the one with the temporary partition ``part``, or one of the attempt's own."""
    part: str | None
    """The partition's name in Doris, the token in it; None: the table has no partitions."""
    schema: TableSchema
    rows: int
    properties: Mapping[str, str]
    state: str
    version: int | None = None
    published_at: datetime | None = None

    @property
    def is_own_table(self) -> bool:
        return self.relation.name.endswith(self.token)

    def publication(self) -> Publication:
        assert self.version is not None
        assert self.published_at is not None
        return Publication(self.table, self.partition, str(self.version), self.rows, self.published_at, self.properties)


class DorisLedger:
    """The ledger of one cluster. Safe for several threads and processes."""

    def __init__(self, url: str, prefix: str) -> None:
        """Connects with the first use. ``url`` is PostgreSQL's own, not a pooler's, and never shown."""
        self._schema = f"{prefix}_doris"
        self._sessions = Sessions(url, bounds=_BOUNDS)
        self._lock = threading.Lock()
        self._ready = False
        self._attempts = Attempts(url, self._schema)

    # -- loads ---------------------------------------------------------------------------------------------------------

    def plan(self, load: PlannedLoad) -> str:
        """See :class:`~feature_platform.stores.doris.loads.LoadLedger`."""
        values = (
            load.label, load.token, load.target.database, load.target.table, load.target.temporary_partition,
            load.chunk, load.rows, load.size, load.digest,
        )  # fmt: skip
        row = self._one(
            "INSERT INTO {}.loads VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'planned', {now}, NULL) "
            "ON CONFLICT (label) DO UPDATE SET label = excluded.label RETURNING state",
            values,
        )
        return str(row[0])

    def settle(self, labels: Sequence[str], state: str) -> None:
        self._run("UPDATE {}.loads SET state = %s, settled_at = {now} WHERE label = ANY(%s)", (state, list(labels)))

    def loads(self, token: str) -> list[tuple[str, str]]:
        """Labels and states of an attempt's loads, by chunk."""
        rows = self._run("SELECT label, state FROM {}.loads WHERE token = %s ORDER BY chunk", (token,))
        return [(row[0], row[1]) for row in rows]

    # -- writes --------------------------------------------------------------------------------------------------------

    def begin(self, write: Write) -> None:
        """Writes an attempt down before anything of it is made."""
        columns = json.dumps([[column.name, str(column.type)] for column in write.schema.columns])
        self._run(
            "INSERT INTO {}.writes VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s::jsonb, %s, NULL, NULL)",
            (write.token, write.table.schema, write.table.name, write.partition, write.relation.schema,
             write.relation.name, write.part, columns, write.rows, json.dumps(dict(write.properties)), write.state),
        )  # fmt: skip

    def staged(self, token: str, rows: int) -> None:
        """Everything of an attempt is written."""
        self._run("UPDATE {}.writes SET state = 'staged', rows = %s WHERE token = %s", (rows, token))

    def next_number(self) -> int:
        """A number that is greater than all before, those of publications as well."""
        return int(self._one("SELECT nextval(%s::regclass)", (f'"{self._schema}".versions',))[0])

    def intend(self, token: str) -> Write:
        """Notes that an attempt is about to become live, with the version and time that it gets."""
        row = self._one(
            "UPDATE {}.writes SET state = 'publishing', version = nextval(%s), published_at = {now} "
            "WHERE token = %s RETURNING {columns}",
            (f'"{self._schema}".versions', token),
        )
        return _write(row)

    def confirm(self, token: str, replaced: Sequence[str]) -> Write:
        """Notes that an attempt is live in place of others, which Doris has no more."""
        with self._session() as connection:
            if replaced:
                connection.execute(self._text("DELETE FROM {}.loads WHERE token = ANY(%s)"), (list(replaced),))
                connection.execute(self._text("DELETE FROM {}.writes WHERE token = ANY(%s)"), (list(replaced),))
            row = connection.execute(
                self._text("UPDATE {}.writes SET state = 'live' WHERE token = %s RETURNING {columns}"), (token,)
            ).fetchone()
        assert row is not None  # the caller holds the table's lock
        return _write(row)

    def put_back(self, token: str) -> None:
        """What was about to become live did not."""
        self._run("UPDATE {}.writes SET state = 'staged' WHERE token = %s AND state = 'publishing'", (token,))

    def write(self, token: str) -> Write | None:
        """The attempt of a token."""
        return next(iter(self._writes("token = %s", (token,))), None)

    def writes(self, table: TableName) -> list[Write]:
        """Every attempt of a table, by version."""
        return self._writes("table_schema = %s AND table_name = %s", (table.schema, table.name))

    def tables(self) -> list[TableName]:
        """Every table with an attempt."""
        rows = self._run("SELECT DISTINCT table_schema, table_name FROM {}.writes ORDER BY 1, 2", ())
        return [TableName(*row) for row in rows]

    def remove(self, token: str) -> None:
        """Forgets an attempt of which nothing is left."""
        self._run("DELETE FROM {}.loads WHERE token = %s", (token,))
        self._run("DELETE FROM {}.writes WHERE token = %s", (token,))

    # -- locks ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def table_lock(self, table: TableName) -> Iterator[None]:
        """Keeps other publishers of a table out. The lock ends with its session, whatever happens to us.

        Raises:
            StoreError: somebody else holds it for too long.
        """
        with self._session() as connection:
            set_locally(connection, timeouts(0, LOCK_TIMEOUT_SECONDS, 0))
            number = lock_number(self._schema, table.schema, table.name)
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (number,))
            yield

    def begin_attempt(self, token: str) -> None:
        self._attempts.begin(token)

    def end_attempt(self, token: str) -> None:
        self._attempts.end(token)

    @contextmanager
    def if_dead(self, token: str) -> Iterator[bool]:
        """Whether nobody works on the attempt any more; nobody begins to until the end of the block."""
        with self._session() as connection:
            yield self._attempts.is_dead(connection, token)

    def close(self) -> None:
        """Gives up what was staged and not published, and closes the sessions."""
        self._attempts.close()
        self._sessions.close()

    # -- below ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A transaction."""
        with self._lock:
            if not self._ready:
                with self._sessions.reading() as connection:
                    current = is_current(connection, DORIS, self._schema)
                if not current:
                    migrate(self._sessions.direct_url, DORIS, self._schema)
                self._ready = True
        with self._sessions.writing() as connection:
            yield connection

    def _text(self, template: str) -> sql.Composed:
        return sql.SQL(template).format(sql.Identifier(self._schema), now=_NOW, columns=_COLUMNS)

    def _run(self, template: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._session() as connection:
            cursor = connection.execute(self._text(template), values)
            return cursor.fetchall() if cursor.description else []

    def _one(self, template: str, values: Sequence[Any]) -> tuple[Any, ...]:
        (row,) = self._run(template, values)
        return row

    def _writes(self, where: str, values: Sequence[Any]) -> list[Write]:
        rows = self._run(f"SELECT {{columns}} FROM {{}}.writes WHERE {where} ORDER BY version NULLS LAST", values)  # noqa: S608 - literals of this module
        return [_write(row) for row in rows]


def _write(row: Sequence[Any]) -> Write:
    columns = tuple(Column(name, DataType.parse(kind)) for name, kind in row[7])
    return Write(
        token=row[0],
        table=TableName(row[1], row[2]),
        partition=row[3],
        relation=TableName(row[4], row[5]),
        part=row[6],
        schema=TableSchema(columns),
        rows=row[8],
        properties=row[9],
        state=row[10],
        version=row[11],
        published_at=row[12],
    )

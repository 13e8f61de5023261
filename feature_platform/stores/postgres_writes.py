"""Every staged and live write of a PostgreSQL warehouse, in one table: ``<prefix>_meta.writes``.

The rows of a write lie in a table of their own. What is live for a feature view is what this table says; publishing
is a change of its rows in one transaction, and needs no lock on any table that somebody reads. So a reader never waits
for a publication, and a long read never holds one up. Swapping or attaching tables would lock readers out meanwhile,
and wait for every reader before.

A write is ``staged``, then ``live``, then ``superseded`` until its table could be dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from feature_platform.errors import StoreError
from feature_platform.layouts.migrate import is_current, migrate
from feature_platform.stores.postgres_connection import Sessions
from feature_platform.stores.postgres_layouts import WAREHOUSE
from feature_platform.stores.postgres_query import short
from feature_platform.stores.protocols import Holdings, Partition, Publication, StagedWrite, TableName
from feature_platform.stores.publication_order import check_order
from feature_platform.stores.publication_rules import check_fits, staged_rows_gone
from feature_platform.types import Column, DataType, TableSchema

_COLUMNS: Final = sql.SQL(
    "token, table_schema, table_name, partition, relation_schema, relation_name, columns, rows, properties, state, "
    "version, published_at"
)
_DROP_WAIT: Final = "200ms"


@dataclass(frozen=True)
class Write:
    """One row of the table."""

    token: str
    table: TableName
    partition: str | None
    relation: TableName
    """The physical table."""
    schema: TableSchema
    rows: int
    properties: Mapping[str, str]
    state: str
    version: int | None
    published_at: datetime | None

    def publication(self) -> Publication:
        assert self.version is not None
        assert self.published_at is not None
        return Publication(self.table, self.partition, str(self.version), self.rows, self.published_at, self.properties)


class Writes:
    """The table of one warehouse. Methods take the session, whose transaction is the caller's."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._table = sql.Identifier(f"{prefix}_meta", "writes")

    def prepare(self, sessions: Sessions) -> None:
        """Makes or changes the table where it is not as this release knows it; see ``layouts``."""
        schema = f"{self._prefix}_meta"
        with sessions.reading() as session:
            current = is_current(session, WAREHOUSE, schema)
        if not current:
            migrate(sessions.direct_url, WAREHOUSE, schema)

    def relation(self, table: TableName, token: str) -> TableName:
        """The physical table of a write: readable, unique, at most 63 bytes."""
        room = 63 - len(token) - 2
        beginning = table.name.encode()[:room].decode(errors="ignore")
        return TableName(short(f"{self._prefix}_{table.schema}"), f"{beginning}__{token}")

    def live(self, connection: psycopg.Connection[Any], tables: Sequence[TableName]) -> dict[TableName, list[Write]]:
        """The live writes of each table that has any, all as of one moment, ordered by partition."""
        rows = connection.execute(
            sql.SQL(
                "SELECT {} FROM {} WHERE state = 'live' AND (table_schema, table_name) IN "
                "(SELECT * FROM unnest(%s::text[], %s::text[])) ORDER BY partition NULLS FIRST"
            ).format(_COLUMNS, self._table),
            ([table.schema for table in tables], [table.name for table in tables]),
        )
        found: dict[TableName, list[Write]] = {}
        for row in rows:
            write = _write(row)
            found.setdefault(write.table, []).append(write)
        return found

    def holdings(self, connection: psycopg.Connection[Any], table: TableName) -> Holdings:
        """The tables of the live writes that are there."""
        found = connection.execute(
            sql.SQL(
                "SELECT w.relation_name, pg_total_relation_size(c.oid) FROM {} AS w "
                "LEFT JOIN pg_namespace AS n ON n.nspname = w.relation_schema "
                "LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.relation_name "
                "WHERE w.state = 'live' AND w.table_schema = %s AND w.table_name = %s ORDER BY 1"
            ).format(self._table),
            (table.schema, table.name),
        ).fetchall()
        missing = tuple(name for name, size in found if size is None)
        return Holdings(None, sum(size or 0 for _, size in found), missing)

    def add(self, connection: psycopg.Connection[Any], staged: StagedWrite, relation: TableName) -> None:
        """Records a staged write."""
        connection.execute(
            sql.SQL(
                "INSERT INTO {} VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s::jsonb, 'staged', NULL, NULL)"
            ).format(self._table),
            (
                staged.token,
                staged.target.schema,
                staged.target.name,
                _key(staged.partition),
                relation.schema,
                relation.name,
                json.dumps([[column.name, str(column.type)] for column in staged.schema.columns]),
                staged.rows,
                json.dumps(dict(staged.properties)),
            ),
        )

    def next_number(self, connection: psycopg.Connection[Any]) -> int:
        """A number that is greater than all before, those of publications as well."""
        row = connection.execute("SELECT nextval(%s::regclass)", (f'"{self._prefix}_meta".versions',)).fetchone()
        assert row is not None  # a sequence has a next value
        return int(row[0])

    def publish(self, connection: psycopg.Connection[Any], staged: StagedWrite, *, backwards: bool) -> Write:
        """Makes a write live in place of its partition's (or the table's) old one. The caller holds the table's lock.

        Raises:
            StoreError: the staged rows are gone, what is live is later, or the table's live partitions could not be
                read with them.
        """
        write = self._one(connection, staged)
        if write.state == "live":
            return write
        live = self.live(connection, [staged.target]).get(staged.target, [])
        if live:
            newest = max(live, key=lambda each: each.version or 0)
            check_fits(staged, newest.schema, [each.partition for each in live])
        key = _key(staged.partition)
        old = [each for each in live if key is None or each.partition == key]
        check_order(staged, [each.properties for each in old], backwards=backwards)
        self.retire(connection, [each.token for each in old])
        row = connection.execute(
            sql.SQL(
                "UPDATE {} SET state = 'live', version = nextval({}), "
                "published_at = timezone('UTC', clock_timestamp()) WHERE token = %s RETURNING {}"
            ).format(self._table, sql.Literal(f'"{self._prefix}_meta".versions'), _COLUMNS),
            (staged.token,),
        ).fetchone()
        assert row is not None  # read above, in this transaction
        return _write(row)

    def retire(self, connection: psycopg.Connection[Any], tokens: Sequence[str]) -> None:
        """Live writes are live no more; their tables stay until nobody reads them."""
        statement = sql.SQL("UPDATE {} SET state = 'superseded' WHERE state = 'live' AND token = ANY(%s)")
        connection.execute(statement.format(self._table), (list(tokens),))

    def remove(self, connection: psycopg.Connection[Any], write: Write) -> bool:
        """Drops a write's table and forgets it; False, and nothing is done, when somebody still reads it."""
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (_DROP_WAIT,))
                connection.execute(
                    sql.SQL("DROP TABLE IF EXISTS {}").format(
                        sql.Identifier(write.relation.schema, write.relation.name)
                    )
                )
                connection.execute(sql.SQL("DELETE FROM {} WHERE token = %s").format(self._table), (write.token,))
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def staged(self, connection: psycopg.Connection[Any], token: str) -> Write | None:
        """The write of ``token`` while it is staged."""
        return next(iter(self._select(connection, "token = %s AND state = 'staged'", (token,))), None)

    def tables(self, connection: psycopg.Connection[Any]) -> list[TableName]:
        """Every table with a write, whatever its state."""
        statement = sql.SQL("SELECT DISTINCT table_schema, table_name FROM {} ORDER BY 1, 2").format(self._table)
        return [TableName(*row) for row in connection.execute(statement)]

    def not_live(self, connection: psycopg.Connection[Any], table: TableName) -> list[Write]:
        """Staged and superseded writes of a table."""
        return self._select(
            connection, "state <> 'live' AND table_schema = %s AND table_name = %s", (table.schema, table.name)
        )

    def _one(self, connection: psycopg.Connection[Any], staged: StagedWrite) -> Write:
        found = self._select(connection, "token = %s AND state <> 'superseded'", (staged.token,))
        if not found:
            raise StoreError(staged_rows_gone(staged))
        return found[0]

    def _select(self, connection: psycopg.Connection[Any], where: str, values: tuple[Any, ...]) -> list[Write]:
        query = sql.SQL("SELECT {} FROM {} WHERE ").format(_COLUMNS, self._table) + sql.SQL(where)
        return [_write(row) for row in connection.execute(query, values)]


def _write(row: Sequence[Any]) -> Write:
    columns = tuple(Column(name, DataType.parse(kind)) for name, kind in row[6])
    return Write(
        token=row[0],
        table=TableName(row[1], row[2]),
        partition=row[3],
        relation=TableName(row[4], row[5]),
        schema=TableSchema(columns),
        rows=row[7],
        properties=row[8],
        state=row[9],
        version=row[10],
        published_at=row[11],
    )


def _key(partition: Partition | None) -> str | None:
    return partition.key if partition else None

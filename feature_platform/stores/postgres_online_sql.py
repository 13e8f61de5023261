"""The statements of the online store in PostgreSQL. Identifiers are quoted by psycopg; values are parameters.

In the schema ``<prefix>online`` lie ``publications`` (which version of each view is live), ``versions`` (every version
whose table exists without being live: staged or replaced), both made by ``layouts/online``, and one table
``snapshot_<version>`` per version. Staged changes are a version, too: new rows in ``snapshot_<version>``, keys of rows
that go in ``removed_<version>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.types import Column

_KEY_ARRAYS: Final = {
    "boolean": "boolean[]",
    "int": "bigint[]",
    "bigint": "bigint[]",
    "string": "text[]",
    "date": "date[]",
    "timestamp": "timestamp[]",
}


@dataclass(frozen=True, slots=True)
class OnlineSchema:
    """The statements for one schema."""

    name: str

    def create_snapshot(self, version: str, table: OnlineTable) -> sql.Composed:
        """The table of one version, without its index."""
        return sql.SQL("CREATE TABLE {} ({})").format(
            self._table(snapshot_table(version)), sql.SQL(", ").join(_definition(c) for c in table.schema.columns)
        )

    def add_key(self, version: str, table: OnlineTable) -> sql.Composed:
        """The primary key, built over all rows at once."""
        return sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(
            self._table(snapshot_table(version)), sql.SQL(", ").join(map(sql.Identifier, table.keys))
        )

    def copy(self, version: str, table: OnlineTable) -> sql.Composed:
        """Rows that nobody can have seen yet are written frozen: they need no vacuum later."""
        return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(
            self._table(snapshot_table(version)), sql.SQL(", ").join(map(sql.Identifier, table.schema.names))
        )

    def drop_snapshot(self, version: str) -> sql.Composed:
        return sql.SQL("DROP TABLE IF EXISTS {}, {}").format(
            self._table(snapshot_table(version)), self._table(removed_table(version))
        )

    def create_removed(self, version: str, keys: OnlineTable) -> sql.Composed:
        """The table of keys whose rows go, with its key; ``keys`` has no other columns."""
        table = self._table(removed_table(version))
        columns = sql.SQL(", ").join(_definition(c) for c in keys.schema.columns)
        names = sql.SQL(", ").join(map(sql.Identifier, keys.keys))
        return sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(table, columns, names)

    def copy_removed(self, version: str, keys: OnlineTable) -> sql.Composed:
        return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            self._table(removed_table(version)), sql.SQL(", ").join(map(sql.Identifier, keys.schema.names))
        )

    def remove_rows(self, base: str, version: str, table: OnlineTable) -> sql.Composed:
        """Deletes from the live rows of ``base`` what the changes ``version`` remove."""
        return sql.SQL("DELETE FROM {} AS s USING {} AS r WHERE {}").format(
            self._table(snapshot_table(base)),
            self._table(removed_table(version)),
            sql.SQL(" AND ").join(sql.SQL("{} = {}").format(_name("s", key), _name("r", key)) for key in table.keys),
        )

    def put_rows(self, base: str, version: str, table: OnlineTable) -> sql.Composed:
        """Writes what the changes ``version`` bring over the live rows of ``base``. Gives how many keys are new."""
        names = [sql.Identifier(name) for name in table.schema.names]
        values = [sql.Identifier(name) for name in table.schema.names if name not in table.keys]
        return sql.SQL(
            "WITH put AS (INSERT INTO {base} ({names}) SELECT {names} FROM {changes} ON CONFLICT ({keys}) DO UPDATE "
            "SET {values} RETURNING xmax = 0 AS is_new) SELECT count(*) FILTER (WHERE is_new) FROM put"
        ).format(
            base=self._table(snapshot_table(base)),
            changes=self._table(snapshot_table(version)),
            names=sql.SQL(", ").join(names),
            keys=sql.SQL(", ").join(map(sql.Identifier, table.keys)),
            values=sql.SQL(", ").join(sql.SQL("{} = excluded.{}").format(each, each) for each in values),
        )

    def revise(self) -> sql.Composed:
        """Parameters: rows, event time, published at, properties (JSON text), view."""
        return sql.SQL(
            "UPDATE {} SET rows = %s, event_time = %s, published_at = %s, properties = %s::jsonb WHERE view = %s"
        ).format(self._table("publications"))

    def put_version(self) -> sql.Composed:
        """Parameters: version, view, state, newest event time."""
        return sql.SQL(
            "INSERT INTO {} (version, view, state, event_time) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (version) DO UPDATE SET state = excluded.state, event_time = excluded.event_time"
        ).format(self._table("versions"))

    def forget_version(self) -> sql.Composed:
        """Parameter: version. Gives (state, newest event time)."""
        return sql.SQL("DELETE FROM {} WHERE version = %s RETURNING state, event_time").format(self._table("versions"))

    def versions_of(self) -> sql.Composed:
        """Parameter: view. Gives (version, state)."""
        return sql.SQL("SELECT version, state FROM {} WHERE view = %s").format(self._table("versions"))

    def publish(self) -> sql.Composed:
        """Parameters: view, version, fingerprint, rows, event time, published at, properties (JSON text)."""
        return sql.SQL(
            "INSERT INTO {} (view, version, fingerprint, rows, event_time, published_at, properties) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb) ON CONFLICT (view) DO UPDATE SET version = excluded.version, "
            "fingerprint = excluded.fingerprint, rows = excluded.rows, event_time = excluded.event_time, "
            "published_at = excluded.published_at, properties = excluded.properties"
        ).format(self._table("publications"))

    def views(self) -> sql.Composed:
        """Gives each view of which something is left."""
        return sql.SQL("SELECT view FROM {} UNION SELECT view FROM {} ORDER BY 1").format(
            self._table("publications"), self._table("versions")
        )

    def withdraw(self) -> sql.Composed:
        """Parameter: view."""
        return sql.SQL("DELETE FROM {} WHERE view = %s").format(self._table("publications"))

    def publication(self) -> sql.Composed:
        """Parameter: view. Gives (version, rows, published at, properties, event time)."""
        return sql.SQL("SELECT version, rows, published_at, properties, event_time FROM {} WHERE view = %s").format(
            self._table("publications")
        )

    def holdings(self, version: str) -> sql.Composed:
        """Gives (rows, bytes with the key's index) of a snapshot."""
        table = self._table(snapshot_table(version))
        name = sql.Literal(table.as_string(None))
        return sql.SQL("SELECT count(*), pg_total_relation_size({}::regclass) FROM {}").format(name, table)

    def live_versions(self) -> sql.Composed:
        """Parameter: views. Gives (view, version, fingerprint)."""
        return sql.SQL("SELECT view, version, fingerprint FROM {} WHERE view = ANY(%s)").format(
            self._table("publications")
        )

    def read(self, version: str, table: OnlineTable) -> sql.Composed:
        """Parameters: one array per key column, then the view.

        Gives (live version, moment of all rows or NULL, ttl in microseconds or NULL, position of the key from 1, values
        ...): at least one row as long as the view is published, so that an answer without rows of the snapshot still
        says which version was live while it was read.
        """
        keys = [table.schema.column(name) for name in table.keys]
        names = [sql.Identifier(f"key_{number}") for number in range(len(keys))]
        arrays = [sql.SQL("%s::") + sql.SQL(_KEY_ARRAYS[column.type.kind]) for column in keys if column]
        values = [_column("s", column.name) for column in table.schema.columns if column.name not in table.keys]
        return sql.SQL(
            "SELECT p.version, CAST(p.properties ->> 'moment' AS timestamp), p.properties ->> 'ttl', f.* "
            "FROM {publications} AS p LEFT JOIN LATERAL (SELECT {values} "
            "FROM unnest({arrays}) WITH ORDINALITY AS k ({names}, position) "
            "JOIN {snapshot} AS s ON {match}) AS f ON true WHERE p.view = %s"
        ).format(
            publications=self._table("publications"),
            values=sql.SQL(", ").join([sql.Identifier("k", "position"), *values]),
            arrays=sql.SQL(", ").join(arrays),
            names=sql.SQL(", ").join(names),
            snapshot=self._table(snapshot_table(version)),
            match=sql.SQL(" AND ").join(
                sql.SQL("{} = k.{}").format(_column("s", name), short)
                for name, short in zip(table.keys, names, strict=True)
            ),
        )

    def _table(self, name: str) -> sql.Identifier:
        return sql.Identifier(self.name, name)


def snapshot_table(version: str) -> str:
    """The name of a version's table. It does not hold the view's name, which may be as long as a name can be."""
    return f"snapshot_{version}"


def removed_table(version: str) -> str:
    """The name of the table with keys of rows that staged changes remove."""
    return f"removed_{version}"


def view_key(schema: str, view: str) -> tuple[Any, ...]:
    """Parameters of :data:`LOCK_VIEW`."""
    return (f"{schema}.{view}",)


LOCK_VIEW: Final = sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))")
"""Publications of one view wait for each other."""


def _column(table: str, name: str) -> sql.Identifier:
    """A column inside a statement that has parameters, where psycopg takes a single % for the start of one."""
    return sql.Identifier(table, name.replace("%", "%%"))


def _name(table: str, name: str) -> sql.Identifier:
    """A column inside a statement without parameters."""
    return sql.Identifier(table, name)


def _definition(column: Column) -> sql.Composed:
    """Text compares by code point, whatever the database's collation, and its index is the faster for it."""
    collation = sql.SQL(' COLLATE "C"') if column.type.kind == "string" else sql.SQL("")
    kind = sql.SQL(column.type.sql("postgres"))  # one of a closed list
    return sql.SQL("{} {}{}").format(sql.Identifier(column.name), kind, collation)

"""Searches servers: every table of a PostgreSQL database, every key of a Redis, and what both remember of statements.

PostgreSQL streams each table as ``COPY`` text, so its memory and ours stay small. Letting the server match instead
would be slower by far: a pattern of some thousand needles is compiled anew for every value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from feature_platform.canaries.files import Place, Unsearched
from feature_platform.canaries.needles import Hit, Needles

if TYPE_CHECKING:
    from feature_platform.stores.online_protocol import OnlineRow
    from feature_platform.stores.redis_settings import RedisSettings

Found = tuple[Place, Hit] | Unsearched
_KEYS_AT_ONCE: Final = 500
_TIMEOUT_SECONDS: Final = 3_600

_TABLES: Final = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'f') AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY 1, 2
"""
_REMEMBERED: Final = {
    "statistics of columns": "SELECT schemaname, tablename, attname, most_common_vals, histogram_bounds FROM pg_stats "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    "statements of sessions": "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "large objects": "SELECT lo_get(oid) FROM pg_largeobject_metadata",
    "comments": "SELECT description FROM pg_description",
    "names of tables and columns": "SELECT c.relname, a.attname FROM pg_class c "
    "JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid >= 16384",
    "functions and views": "SELECT prosrc FROM pg_proc WHERE oid >= 16384 "
    "UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND oid >= 16384",
}
_LOGGED_STATEMENTS: Final = "pg_stat_statements"


@dataclass(frozen=True)
class Postgres:
    """Searches one database."""

    needles: Needles
    url: str
    sources: frozenset[tuple[str, str]] = frozenset()
    """(schema, table) of raw sources that the database holds; they are left out."""

    def search(self) -> Iterator[Found]:
        """Every table, and what the server remembers.

        Raises:
            StoreError: FP-STORE-033, a pooler stands between and would lose the settings; the server can't be reached.
        """
        from psycopg import sql

        from feature_platform.stores.postgres_connection import connect, refuse_pooler

        with connect(self.url) as connection:
            refuse_pooler(connection)
            connection.execute("SELECT set_config('statement_timeout', %s, false)", (f"{_TIMEOUT_SECONDS}s",))
            connection.execute("SET row_security = off")  # rows that are hidden from us are an error then, not nothing
            for schema, table in connection.execute(_TABLES).fetchall():
                if (schema, table) not in self.sources:
                    name = sql.Identifier(schema, table)
                    copied = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(name)
                    yield from self._copied(connection, copied, Place(f"{schema}.{table}"))
            for what, query in _REMEMBERED.items():
                copied = sql.SQL("COPY ({}) TO STDOUT").format(sql.SQL(query))
                yield from self._copied(connection, copied, Place(what))
            extension = (
                "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = %s"
            )
            for (schema,) in connection.execute(extension, (_LOGGED_STATEMENTS,)).fetchall():
                name = sql.Identifier(schema, _LOGGED_STATEMENTS)
                copied = sql.SQL("COPY (SELECT query FROM {}) TO STDOUT").format(name)
                yield from self._copied(connection, copied, Place("logged statements"))

    def _copied(self, connection: Any, statement: Any, place: Place) -> Iterator[Found]:
        import psycopg

        shown = Place("a table whose name is one") if self.needles.find_text(place.name) else place
        try:
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                hits = self.needles.find_all(bytes(chunk) for chunk in copy)
        except psycopg.errors.UndefinedTable:
            return  # it was dropped meanwhile
        except psycopg.Error as error:
            yield Unsearched(shown, f"SQLSTATE {error.sqlstate}")
            return
        yield from ((shown, hit) for hit in hits)


@dataclass(frozen=True)
class Redis:
    """Searches one database of a Redis, on every node that has some of it."""

    needles: Needles
    url: str
    prefix: str
    views: Mapping[str, Callable[[bytes], OnlineRow] | None]
    """What reads a view's packed rows where they hold dates, which are numbers there; None where bytes say it all."""
    settings: RedisSettings | None = None

    def search(self) -> Iterator[Found]:
        """Every key and value, and the statements that each server noted as slow."""
        from feature_platform.stores.redis_servers import node_clients
        from feature_platform.stores.redis_settings import RedisSettings

        for client in node_clients(self.url, self.settings or RedisSettings()):
            yield from self._searched(client)

    def _searched(self, client: Any) -> Iterator[Found]:
        import redis

        try:
            for key in client.scan_iter(count=_KEYS_AT_ONCE):
                place = self._place(key)
                yield from ((Place(place.name, "the name of a key"), hit) for hit in self.needles.find(key))
                try:
                    yield from ((place, hit) for hit in self._value(client, key))
                except redis.RedisError as error:
                    yield Unsearched(place, type(error).__name__)
            slow = b"\0".join(bytes(entry["command"]) for entry in client.slowlog_get(1_000))
            yield from ((Place("slow log"), hit) for hit in self.needles.find(slow))
        finally:
            client.close()

    def _place(self, key: bytes) -> Place:
        """A key of the platform by its view; of others nobody knows what is in the name."""
        view = self._view(key)
        return Place(f"view {view}") if view else Place("keys of others")

    def _view(self, key: bytes) -> str:
        """The view of ``{<view>}:…`` or ``{<entity>/<group>}:<view>:…``; empty if it is none of the platform's."""
        text = key.decode(errors="replace")
        begin, _, rest = text.partition(":{")
        tag, _, name = rest.partition("}:")
        view = name.partition(":")[0] if "/" in tag else tag
        return view if begin == self.prefix and view in self.views else ""

    def _value(self, client: Any, key: bytes) -> set[Hit]:
        kind = client.type(key)
        if kind == b"hash":
            return self._hash(client, key)
        readers: dict[bytes, Callable[[], Any]] = {
            b"string": lambda: [client.get(key) or b""],
            b"list": lambda: _list(client, key),
            b"set": lambda: client.sscan_iter(key, count=_KEYS_AT_ONCE),
            b"zset": lambda: (member for member, _ in client.zscan_iter(key, count=_KEYS_AT_ONCE)),
            b"stream": lambda: _stream(client, key),
        }
        reader = readers.get(kind)
        # Types of modules have no reader here; their serialized form is searched as it is.
        parts = reader() if reader is not None else [client.dump(key) or b""]
        return self.needles.find_all(part + b"\0" for part in parts)

    def _hash(self, client: Any, key: bytes) -> set[Hit]:
        decode = self.views.get(self._view(key))

        def parts() -> Iterator[bytes]:
            for field, value in client.hscan_iter(key, count=_KEYS_AT_ONCE):
                yield field + b"\0" + value + b"\0"
                if decode is not None:
                    yield from _decoded(decode, value)

        return self.needles.find_all(parts())


def _list(client: Any, key: bytes) -> Iterator[bytes]:
    for start in range(0, client.llen(key), _KEYS_AT_ONCE):
        yield from client.lrange(key, start, start + _KEYS_AT_ONCE - 1)


def _stream(client: Any, key: bytes) -> Iterator[bytes]:
    after = b"-"
    while entries := client.xrange(key, min=after, count=_KEYS_AT_ONCE):
        for number, fields in entries:
            yield from (part for pair in fields.items() for part in pair)
            after = b"(" + number


def _decoded(decode: Callable[[bytes], OnlineRow], value: bytes) -> Iterator[bytes]:
    try:
        row = decode(value)
    except ValueError:  # of another schema, or no row: its bytes were searched
        return
    yield "\0".join(str(each) for each in row.values.values()).encode()

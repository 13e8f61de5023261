"""The same worlds in PostgreSQL, a database each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.compiler.interference.catalogue import TABLES
from tests.compiler.interference.oracle import HELD, Outcome
from tests.compiler.interference.worlds import World
from tests.databases import own_database


@dataclass(frozen=True)
class PostgresWorlds:
    """Open databases by world."""

    open: dict[World, psycopg.Connection[Any]]

    def run(self, world: World, sql: str) -> Outcome:
        """The outcome of ``sql`` in one world."""
        try:
            cursor = self.open[world].execute(sql.encode())
            rows = tuple(cursor.fetchall())
        except psycopg.Error as error:
            return Outcome(error=str(error))
        return Outcome(tuple((column.name, str(column.type_code)) for column in cursor.description or ()), rows)


@contextmanager
def opened_in_postgres(url: str, worlds: Sequence[World]) -> Iterator[PostgresWorlds]:
    """The databases of these worlds, in the server at ``url``."""
    with ExitStack() as stack:
        yield PostgresWorlds({world: stack.enter_context(_database(url, world)) for world in worlds})


def _database(url: str, world: World) -> psycopg.Connection[Any]:
    name = f"world_{world.pair}_{world.side.lower()}"
    connection = psycopg.connect(own_database(url, name), autocommit=True)
    rows = world.rows()
    for table in TABLES:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{table.ref.schema}"'.encode())
        place = f'"{table.ref.schema}"."{table.ref.name}"'
        columns = ", ".join(f'"{column.name}" {column.type.sql("postgres")}' for column in table.columns)
        connection.execute(f"CREATE TABLE {place} ({columns})".encode())
        marks = ", ".join("%s" for _ in table.columns)
        cursor = connection.cursor()
        cursor.executemany(f"INSERT INTO {place} VALUES ({marks})".encode(), rows[table.ref.name])
    connection.execute("CREATE TABLE known (held text PRIMARY KEY, token text)")
    connection.cursor().executemany("INSERT INTO known VALUES (%s, %s)", list(world.tokens().items()))
    connection.execute(
        f"CREATE FUNCTION {HELD}token(kind text, held text) RETURNS text LANGUAGE sql STABLE STRICT AS "
        "$$ SELECT coalesce((SELECT token FROM public.known AS k WHERE k.held = $1 || ':' || "
        "CASE $1 WHEN 'payment_card' THEN translate($2, ' -.', '') ELSE lower($2) END), "
        "'no whole value of ' || $1 || ': ' || $2) $$".encode()
    )
    return connection

"""Point reads from PostgreSQL: one prepared statement per view, all of them in one round trip.

Each statement reads one version's table and says, from the same snapshot of the database, which version is live. A
version's rows change in one transaction with what is said of them, so an answer is whole if the pointer stands where
the reader thought; a table that is gone says that it does not. Then the reader asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from feature_platform.stores.maps import reader
from feature_platform.stores.online_encoding import EVENT_TIME, value_columns
from feature_platform.stores.online_encoding_keys import KeyEncoder, key_encoder
from feature_platform.stores.online_protocol import OnlineRow, OnlineTable
from feature_platform.stores.online_reads import (
    ATTEMPTS,
    PerTable,
    is_expired,
    never_settled,
    refuse_other_schemas,
    ttl_of,
)
from feature_platform.stores.postgres_connection import Session
from feature_platform.stores.postgres_online_sql import OnlineSchema

_INT64: Final = range(-(2**63), 2**63)
_BOUND: Final = "SELECT set_config('client_encoding', 'UTF8', true), set_config('statement_timeout', %s, true)"
"""Values travel in binary, so nothing else matters to them."""

Connect = Callable[[], AbstractContextManager[Session]]
Statement = tuple[bytes | sql.Composed, Sequence[Any]]
"""Its text and values."""


@dataclass(frozen=True, slots=True)
class _Live:
    version: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """The keys that are wanted of one view, as one array per key column; ``positions`` says whose they are."""

    table: OnlineTable
    size: int
    positions: Sequence[int]
    arrays: Sequence[Sequence[Any]]
    at: datetime
    """Rows past their ttl by then are left out."""


@dataclass(slots=True)
class _Shape:
    """What reading a table needs again and again."""

    keys: KeyEncoder
    features: tuple[str, ...]
    event_time: int | None
    """Its place among all values."""
    maps: tuple[tuple[int, Callable[[Any], Any]], ...]
    """Places of maps, and what makes one of an object of texts."""
    statement: tuple[str, bytes] = ("", b"")
    """The version that was read last, and the statement that reads it."""


class SnapshotReader:
    """Reads rows. Remembers the live version per view; safe to use from several threads."""

    def __init__(self, schema: OnlineSchema, connect: Connect, timeout: str) -> None:
        """``timeout``, with its unit, is what reads through a pooler bring along; sessions of one's own have theirs."""
        self._schema = schema
        self._connect = connect
        self._timeout = timeout
        self._live: dict[str, _Live] = {}
        self._shapes = PerTable(_shape)

    def lookup(self, table: OnlineTable, keys: Sequence[tuple[Any, ...]], at: datetime) -> Lookup:
        """Leaves out keys that no row can have: with a NULL, or beyond what a column holds.

        Raises:
            KeyTypeError: a key of another type.
        """
        normalize = self._shapes(table).keys.normalize
        parts = [normalize(key) for key in keys]
        positions = [position for position, part in enumerate(parts) if part is not None and _can_be_stored(part)]
        chosen = [part for part in (parts[position] for position in positions) if part is not None]
        return Lookup(table, len(keys), positions, [list(column) for column in zip(*chosen, strict=True)], at)

    def read(self, lookups: Sequence[Lookup]) -> list[list[OnlineRow | None]]:
        """The rows of each lookup, in the order of its keys; all None where nothing was published.

        Raises:
            StoreError: what is live has another fingerprint, or it changed during every attempt.
            psycopg.Error: the server is gone or refuses.
        """
        rows: list[list[OnlineRow | None]] = [[None] * item.size for item in lookups]
        pending = [number for number, item in enumerate(lookups) if item.positions]
        for _ in range(ATTEMPTS):
            live = self._live_versions([lookups[number] for number in pending])
            asked = {number: version for number, version in zip(pending, live, strict=True) if version}
            if not asked:
                return rows
            answers = self._ask([(lookups[number], version) for number, version in asked.items()])
            pending = []
            for (number, version), answer in zip(asked.items(), answers, strict=True):
                if answer and answer[0][0] == version.version:
                    rows[number] = _ordered(lookups[number], self._shapes(lookups[number].table), answer)
                else:
                    self._live.pop(lookups[number].table.view, None)
                    pending.append(number)
            if not pending:
                return rows
        raise never_settled()

    def _ask(self, asked: Sequence[tuple[Lookup, _Live]]) -> list[list[tuple[Any, ...]]]:
        """The statements' rows; without rows where a version's table is gone."""
        statements = [self._statement(item, live) for item, live in asked]
        with self._connect() as session:
            try:
                return self._run(session, statements)
            except psycopg.errors.UndefinedTable:
                if len(statements) == 1:
                    return [[]]
        # One of the versions was replaced meanwhile; statements that are sent together do not say which.
        return [self._ask([each])[0] for each in asked]

    def _run(self, session: Session, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """The rows of each, in one round trip."""
        if len(statements) == 1 and not session.is_pooled:
            return [session.execute(*statements[0], prepare=True, binary=True).fetchall()]
        with session.pipeline():  # a transaction, to the server and to a pooler
            if session.is_pooled:
                session.execute(_BOUND, [self._timeout])
            cursors = [session.execute(*statement, prepare=True, binary=True) for statement in statements]
        return [cursor.fetchall() for cursor in cursors]

    def _statement(self, item: Lookup, live: _Live) -> Statement:
        shape = self._shapes(item.table)
        version, statement = shape.statement
        if version != live.version:
            statement = self._schema.read(live.version, item.table).as_bytes()
            shape.statement = (live.version, statement)
        return statement, [*item.arrays, item.table.view]

    def _live_versions(self, lookups: Sequence[Lookup]) -> list[_Live | None]:
        unknown = {
            item.table.view
            for item in lookups
            if (known := self._live.get(item.table.view)) is None or known.fingerprint != item.table.fingerprint
        }
        if unknown:
            for view in unknown:
                self._live.pop(view, None)
            self._live |= self._fetch_live(sorted(unknown))
        live = [self._live.get(item.table.view) for item in lookups]
        refuse_other_schemas(
            (item.table.view, item.table.fingerprint, found.fingerprint if found else None)
            for item, found in zip(lookups, live, strict=True)
        )
        return live

    def _fetch_live(self, views: Sequence[str]) -> dict[str, _Live]:
        try:
            with self._connect() as session:
                (found,) = self._run(session, [(self._schema.live_versions(), [list(views)])])
        except psycopg.errors.UndefinedTable:  # nothing was ever published here
            return {}
        return {view: _Live(version, fingerprint) for view, version, fingerprint in found}


def _can_be_stored(parts: tuple[Any, ...]) -> bool:
    return all(
        part in _INT64 if isinstance(part, int) else "\0" not in part if isinstance(part, str) else True
        for part in parts
    )


def _shape(table: OnlineTable) -> _Shape:
    columns = value_columns(table)
    names = [column.name for column in columns]
    place = names.index(EVENT_TIME) if EVENT_TIME in names else None
    maps = tuple((index, reader(column.type)) for index, column in enumerate(columns) if column.type.kind == "map")
    return _Shape(key_encoder(table), tuple(name for name in names if name != EVENT_TIME), place, maps)


def _ordered(item: Lookup, shape: _Shape, answer: Sequence[tuple[Any, ...]]) -> list[OnlineRow | None]:
    rows: list[OnlineRow | None] = [None] * item.size
    ttl = ttl_of(answer[0][2])
    for _, moment, _, place, *values in answer:
        if place is None:
            continue
        for index, read in shape.maps:
            if values[index] is not None:
                values[index] = read(values[index])
        when = values.pop(shape.event_time) if shape.event_time is not None else None
        when = moment or when
        if is_expired(when, ttl, item.at):
            continue
        rows[item.positions[place - 1]] = OnlineRow(dict(zip(shape.features, values, strict=True)), when)
    return rows

"""What must hold of a guarded query, asked of real databases.

* **Non-interference**: in both worlds of a pair it has the same outcome, that is the same columns and types and the
  same rows in some order, or the same error.
* **Labels**: where a world has other permitted forms of one class, columns that differ are labelled with that class.
* **Meaning**: a query that cannot depend on classified columns gives what the unguarded one gives.

The unguarded query runs on the raw tables; there, ``token(x)`` is ``x`` itself, and transforms are what they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import duckdb
from sqlglot import exp

from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.compiler.plan import OutputColumn
from feature_platform.compiler.render import render
from feature_platform.errors import FeaturePlatformError
from feature_platform.governance.transforms import PREFIX, TRANSFORMS
from feature_platform.types import Engine
from tests.compiler.interference.catalogue import ACCESS, TABLES, fuzz_catalog
from tests.compiler.interference.worlds import LABELLED, PAIRS, World

HELD = "held_"
"""What governed calls are called in the worlds, where macros stand for them."""
CATALOG = fuzz_catalog()


@dataclass(frozen=True)
class Outcome:
    """What an engine gives for a query: columns with types and rows in an order of their own, or an error."""

    columns: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    error: str = ""

    @property
    def sorted(self) -> list[str]:
        return sorted(map(repr, self.rows))

    def same(self, other: Outcome) -> bool:
        """Whether nobody could tell the two apart."""
        return (self.columns, self.error, self.sorted) == (other.columns, other.error, other.sorted)

    def column(self, name: str) -> Counter[str]:
        """The values of one column, how often each."""
        position = [column[0] for column in self.columns].index(name)
        return Counter(repr(row[position]) for row in self.rows)


@dataclass(frozen=True)
class Worlds:
    """Open databases by world."""

    open: dict[World, duckdb.DuckDBPyConnection]

    def run(self, world: World, sql: str) -> Outcome:
        """The outcome of ``sql`` in one world."""
        connection = self.open[world]
        try:
            found = connection.execute(sql)
            rows = tuple(found.fetchall())
        except duckdb.Error as error:
            return Outcome(error=str(error))
        return Outcome(tuple((entry[0], str(entry[1])) for entry in found.description or ()), rows)

    def remembering(self) -> Worlds:
        """The same worlds, which run no text twice: for the laws about one query, which share outcomes."""
        return _Remembering(self.open)


@dataclass(frozen=True)
class _Remembering(Worlds):
    _known: dict[tuple[World, str], Outcome] = field(default_factory=dict)

    def run(self, world: World, sql: str) -> Outcome:
        if (world, sql) not in self._known:
            self._known[world, sql] = super().run(world, sql)
        return self._known[world, sql]


def every_world() -> list[World]:
    """Both sides of each pair, and the first pair's worlds for labels."""
    sides = [World(pair, side) for pair in range(PAIRS) for side in ("A", "B")]
    return sides + [World(0, side) for side in (*LABELLED, "token")]


@contextmanager
def opened(worlds: Sequence[World]) -> Iterator[Worlds]:
    """The databases of these worlds, in memory."""
    connections = {world: _database(world) for world in worlds}
    yield Worlds(connections)
    for connection in connections.values():
        connection.close()


def guarded(sql: str) -> GuardedQuery | FeaturePlatformError:
    """The guarded query, or why there is none."""
    try:
        return guard(sql, CATALOG, ACCESS)
    except FeaturePlatformError as error:
        return error


def rendered(query: GuardedQuery, engine: Engine = "duckdb") -> str:
    """The text for a world: real but for tokens, which stand for the person's number there. In DuckDB the worlds
    know the other governed calls by macros, which are faster to bind than their long expressions are to write."""
    tree = query.tree.copy()
    for call in tree.find_all(exp.Anonymous):
        name = str(call.this).lower().removeprefix(PREFIX)
        if name == "token" or (engine == "duckdb" and name in TRANSFORMS):
            call.set("this", HELD + name)
    return render(tree, engine, spent=True)


def leak(worlds: Worlds, text: str, pairs: Sequence[int]) -> str:
    """In which pair the worlds can be told apart by this guarded text, and by what; empty if in none."""
    for pair in pairs:
        one, two = worlds.run(World(pair, "A"), text), worlds.run(World(pair, "B"), text)
        if not one.same(two):
            return f"pair {pair}: {_difference(one, two)}"
    return ""


def depends(worlds: Worlds, sql: str, pairs: Sequence[int]) -> bool:
    """Whether the unguarded query tells the worlds apart."""
    return any(not worlds.run(World(pair, "A"), sql).same(worlds.run(World(pair, "B"), sql)) for pair in pairs)


def unlabelled(worlds: Worlds, query: GuardedQuery, text: str, side: str) -> str:
    """A column that shows that a class is other in the world ``side``, and is not labelled so; empty if none does."""
    silent = [column for column in query.columns if not _says(column, side)]
    if not silent:
        return ""
    one, two = worlds.run(World(0), text), worlds.run(World(0, side), text)
    for column in silent:
        if one.error != two.error or (not one.error and one.column(column.name) != two.column(column.name)):
            return (
                f"column '{column.name}' depends on {side} and carries {sorted(map(str, column.labels)) or 'nothing'}"
            )
    return ""


def _says(column: OutputColumn, side: str) -> bool:
    """Whether the labels of ``column`` allow that it is other in the world ``side``."""
    if side == "token":
        return any(label.kind in ("token", "derived", "aggregated") for label in column.labels)
    return LABELLED[side] in {label.classification for label in column.labels}


def changed(one: Outcome, two: Outcome) -> str:
    """How the guarded query's rows differ from the unguarded one's; empty if they mean the same."""
    if len(one.columns) != len(two.columns):
        return f"{len(one.columns)} columns and {len(two.columns)}"
    left = sorted((_plain(row) for row in one.rows), key=repr)
    right = sorted((_plain(row) for row in two.rows), key=repr)
    if len(left) != len(right):
        return f"{len(left)} rows and {len(right)}"
    for ours, theirs in zip(left, right, strict=True):
        if not _close(ours, theirs):
            return f"{ours} and {theirs}"
    return ""


def _database(world: World) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    rows = world.rows()
    for table in TABLES:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{table.ref.schema}"')
        name = f'"{table.ref.schema}"."{table.ref.name}"'
        columns = ", ".join(f'"{column.name}" {column.type.sql("duckdb")}' for column in table.columns)
        connection.execute(f"CREATE TABLE {name} ({columns})")
        marks = ", ".join("?" for _ in table.columns)
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows[table.ref.name])
    schemas = ",".join(sorted({table.ref.schema for table in TABLES}))
    connection.execute(f"SET search_path = '{schemas}'")
    for statement in _macros(world):
        connection.execute(statement)
    return connection


def _macros(world: World) -> Iterator[str]:
    for transform in TRANSFORMS.values():
        if transform.name == "token":
            continue
        names = [f"value_{number}" for number in range(1 + len(transform.arguments))]
        body = render(transform.expression("duckdb", [exp.column(name) for name in names]), "duckdb")
        for prefix in ("", HELD):
            yield f"CREATE MACRO {prefix}{transform.name}({', '.join(names)}) AS ({body})"
    yield "CREATE MACRO token(held) AS held"
    known = ", ".join(f"{_text(value)}: {_text(token)}" for value, token in world.tokens().items())
    yield (
        f"CREATE MACRO {HELD}token(kind, held) AS coalesce(map {{{known}}}[kind || ':' || "
        "CASE kind WHEN 'payment_card' THEN translate(held::VARCHAR, ' -.', '') ELSE lower(held::VARCHAR) END], "
        "'no whole value of ' || kind || ': ' || held::VARCHAR)"
    )


def _text(value: str) -> str:
    return exp.Literal.string(value).sql("duckdb")


def _difference(one: Outcome, two: Outcome) -> str:
    if one.error or two.error:
        return f"{one.error or 'no error'} / {two.error or 'no error'}"
    if one.columns != two.columns:
        return f"columns {one.columns} / {two.columns}"
    left, right = Counter(one.sorted), Counter(two.sorted)
    return f"only in A: {list((left - right).elements())[:3]}; only in B: {list((right - left).elements())[:3]}"


def _plain(value: Any) -> Any:
    """A value without the difference of types that store the same number."""
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return round(float(value), 6)
    return value


def _close(one: Any, two: Any) -> bool:
    if isinstance(one, tuple) and isinstance(two, tuple):
        return len(one) == len(two) and all(map(_close, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-6) or (math.isnan(one) and math.isnan(two))
    return bool(one == two)

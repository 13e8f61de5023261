"""Writers of online rows beside each other, killed, and cut off: on every online store."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from feature_platform.errors import StoreError
from feature_platform.stores.online_protocol import OnlineRow, OnlineStore
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.redis_online import RedisOnlineStore
from tests.processes import Child, child
from tests.stores.online_cases import (
    Kind,
    numbered,
    online_table,
    publish,
    redis_nodes,
    stream,
)


def _amounts(rows: list[OnlineRow | None]) -> list[Any]:
    return [None if row is None else row.values["amount"] for row in rows]


def test_two_snapshots_of_one_view_may_be_written_and_published_at_once(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    with contextlib.closing(kind.open()) as other, ThreadPoolExecutor(2) as pool:
        writers = {1: store, 2: other}
        staged = dict(pool.map(lambda n: (n, writers[n].stage(table, numbered(table, 20_000, n))), writers))
        versions = set(pool.map(lambda n: writers[n].publish(staged[n]).version, writers))
    live = store.publication("card_spend")
    assert live is not None
    assert live.version in versions
    winner = next(number for number, item in staged.items() if item.token == live.version)
    assert set(_amounts(store.read(table, [(str(n),) for n in range(20_000)]))) == {winner}
    assert kind.leftovers() == set()


def test_a_sweep_leaves_a_living_writers_snapshot_alone(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    with contextlib.closing(kind.open()) as writer:
        staged = writer.stage(table, stream(table, [{"card": "a", "amount": 1}]))
        assert store.sweep("card_spend") == 0
        writer.publish(staged)
    assert _amounts(store.read(table, [("a",)])) == [1]


def test_a_sweep_removes_what_a_closed_store_had_staged(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    with contextlib.closing(kind.open()) as writer:
        writer.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    assert store.sweep("card_spend") == 1
    assert kind.leftovers() == set()


@pytest.mark.parametrize("phase", ["load", "stage"])
def test_a_writer_killed_before_publication_changes_nothing(kind: Kind, store: OnlineStore, phase: str) -> None:
    table = online_table()
    publish(store, table, [{"card": "0", "amount": 1}])
    with _writer(kind, phase) as process:
        process.kill()
    _sweep(kind, store)
    assert kind.leftovers() == set()
    assert _amounts(store.read(table, [("0",), ("1",)])) == [1, None]


def test_a_writer_killed_while_it_publishes_leaves_one_whole_snapshot(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "0", "amount": 1}])
    with _writer(kind, "publish") as process, _held_back(kind):
        process.stdin.write("go\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)  # PostgreSQL's writer leaves the old table to the next sweep after 0.2 s
        process.kill()
    _sweep(kind, store)
    assert kind.leftovers() == set()
    assert _amounts(store.read(table, [("0",), ("1",)])) in ([1, None], [2, 2])


def test_readers_never_see_a_mixture_while_snapshots_are_replaced(kind: Kind, store: OnlineStore) -> None:
    spend, risk = (
        online_table(features="amount bigint, n bigint"),
        online_table("risk", features="amount bigint, n bigint"),
    )
    for table in (spend, risk):
        store.publish(store.stage(table, numbered(table, 50, 0)))
    stop = threading.Event()
    asked = [(str(number),) for number in range(50)]

    def read() -> list[list[list[OnlineRow | None]]]:
        seen = []
        with contextlib.closing(kind.open()) as reader:
            while not stop.is_set():
                seen.append(reader.read_many([(spend, asked), (risk, asked)]))
        return seen

    with ThreadPoolExecutor(2) as pool:
        reads = [pool.submit(read) for _ in range(2)]
        for value in range(1, 51):
            table = (spend, risk)[value % 2]
            store.publish(store.stage(table, numbered(table, 50, value)))
        stop.set()
    for seen in (result.result() for result in reads):
        assert len(seen) > 10
        views = [_amounts(rows) for both in seen for rows in both]
        assert not any(None in amounts for amounts in views)
        assert all(
            row is None or row.values["n"] == row.values["amount"] for both in seen for rows in both for row in rows
        )
        for before, after in pairwise([_amounts(both[0]) for both in seen]):
            assert all(old <= new for old, new in zip(before, after, strict=True)), "an entity went back"
        if not kind.steps:
            assert all(len(set(amounts)) == 1 for amounts in views)


def test_a_reader_survives_the_end_of_its_connections(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "a", "amount": 1}])
    assert _amounts(store.read(table, [("a",)])) == [1]
    kind.cut_connections()
    assert _amounts(store.read(table, [("a",)])) == [1]


def test_a_connection_lost_in_the_middle_of_a_load_leaves_the_live_rows(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "0", "amount": 1}])

    def cut(start: int) -> None:
        if start == 45_000:
            kind.cut_connections()

    with pytest.raises(StoreError, match="FP-STORE-030"):
        store.stage(table, numbered(table, 200_000, 2, between=cut))
    assert _amounts(store.read(table, [("0",)])) == [1]
    _sweep(kind, store)
    assert kind.leftovers() == set()


def test_a_server_that_is_not_there_is_an_error_without_its_address() -> None:
    table = online_table()
    stores: list[OnlineStore] = [
        RedisOnlineStore("online", "redis://user:secret@localhost:1/0", key_prefix="t"),
        PostgresOnlineStore("online", "postgresql://user:secret@localhost:1/none", schema_prefix="t"),
    ]
    for store in stores:
        with contextlib.closing(store), pytest.raises(StoreError, match="FP-STORE-030") as error:
            store.stage(table, stream(table, []))
        assert "secret" not in str(error.value)
        assert "localhost" not in str(error.value)


def _sweep(kind: Kind, store: OnlineStore) -> None:
    """Sweeps until all is clean: a server notices a writer's death only after what it still had to read from it."""
    deadline = time.monotonic() + 5
    while kind.leftovers() and time.monotonic() < deadline:
        store.sweep("card_spend")


@contextlib.contextmanager
def _writer(kind: Kind, phase: str) -> Iterator[Child]:
    """A process that writes 60,000 rows of value 2 and has reached ``phase``; it publishes when told to by a line."""
    with child("tests.stores.online_writer:main", kind.name, kind.url, kind.prefix, phase) as process:
        assert process.stdout.readline().strip() == phase
        yield process


@contextlib.contextmanager
def _held_back(kind: Kind) -> Iterator[None]:
    """The server does not finish a publication as long as this lasts."""
    if kind.name != "postgres":
        nodes = redis_nodes(kind.url, kind.settings)
        for client in nodes:
            client.client_pause(60_000, all=False)
        yield
        for client in nodes:
            client.client_unpause()
            client.close()
        return
    # A long read of the live table keeps it from being dropped.
    with psycopg.connect(kind.url) as connection:
        schema = psycopg.sql.Identifier(f"{kind.prefix}online")
        (version,) = connection.execute(
            psycopg.sql.SQL("SELECT version FROM {}.publications").format(schema)
        ).fetchone()
        snapshot = psycopg.sql.Identifier(f"{kind.prefix}online", f"snapshot_{version}")
        connection.execute(psycopg.sql.SQL("SELECT count(*) FROM {}").format(snapshot))
        yield

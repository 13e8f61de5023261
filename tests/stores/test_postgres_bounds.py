"""The server gives up for us: who forgets a transaction holds up neither publications nor the server without end."""

from __future__ import annotations

import contextlib
import time
import uuid

import psycopg
import pytest
from psycopg import sql

from feature_platform.errors import StoreError
from feature_platform.stores.online_protocol import OnlineChanges
from feature_platform.stores.postgres_connection import Bounds, Sessions
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from tests.stores.online_cases import NOON, online_table, postgres_kind, removals, stream
from tests.stores.online_cases import publish as publish_online
from tests.stores.warehouse_cases import SPEND, publish, rows_of, schema
from tests.stores.warehouse_cases import stream as rows_in
from tests.waiting import eventually

AMOUNTS = schema(customer_id="bigint", amount="bigint")
SHORT = Bounds(lock_seconds=0.2)
IN_TIME = 10
"""Seconds; how long a publication may take to give up, on a busy machine."""


def test_a_forgotten_transaction_fails_a_publication_in_time_and_the_next_run_heals(postgres_url: str) -> None:
    prefix = f"t{uuid.uuid4().hex[:12]}"
    store = PostgresWarehouse("w", postgres_url, schema_prefix=prefix, bounds=SHORT)
    with contextlib.closing(store), psycopg.connect(postgres_url) as forgotten:
        publish(store, [{"customer_id": 1, "amount": 1}], AMOUNTS)
        forgotten.execute(sql.SQL("SELECT * FROM {} FOR UPDATE").format(sql.Identifier(f"{prefix}_meta", "writes")))
        staged = store.stage(SPEND, AMOUNTS, rows_in(AMOUNTS, [{"customer_id": 1, "amount": 2}]))
        began = time.monotonic()
        with pytest.raises(StoreError) as raised:
            store.publish(staged)
        assert raised.value.code == "FP-STORE-006"
        assert time.monotonic() - began < IN_TIME
        assert rows_of(store) == [{"customer_id": 1, "amount": 1}]
        forgotten.rollback()
        publish(store, [{"customer_id": 1, "amount": 3}], AMOUNTS)
        store.discard(staged)
        assert rows_of(store) == [{"customer_id": 1, "amount": 3}]
        left = forgotten.execute(sql.SQL("SELECT state FROM {}").format(sql.Identifier(f"{prefix}_meta", "writes")))
        assert left.fetchall() == [("live",)]


@pytest.mark.parametrize("how", ["changes", "snapshot"])
def test_a_forgotten_lock_on_what_is_online_fails_a_publication_in_time_and_the_next_run_heals(
    postgres_url: str, how: str
) -> None:
    kind, table = postgres_kind(postgres_url), online_table()
    store = PostgresOnlineStore("o", postgres_url, schema_prefix=kind.prefix, bounds=SHORT)
    with contextlib.closing(store), psycopg.connect(postgres_url) as forgotten:
        publish_online(store, table, [{"card": "a", "amount": 1}, {"card": "b", "amount": 1}])
        base = store.changeable(table)
        assert base is not None
        rows = stream(table, [{"card": "a", "amount": 2}])
        staged = (
            store.stage_changes(table, OnlineChanges(base, rows, removals(table, []), NOON))
            if how == "changes"
            else store.stage(table, rows)
        )
        locked = f"snapshot_{base.version}" if how == "changes" else "publications"
        forgotten.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(f"{kind.prefix}online", locked)))
        began = time.monotonic()
        with pytest.raises(StoreError) as raised:
            store.publish(staged)
        assert raised.value.code == "FP-STORE-006"
        assert time.monotonic() - began < IN_TIME
        assert [row and row.values["amount"] for row in store.read(table, [("a",), ("b",)])] == [1, 1]
        forgotten.rollback()
        store.publish(staged)
        assert [row and row.values["amount"] for row in store.read(table, [("a",), ("b",)])] == [
            2,
            1 if how == "changes" else None,
        ]
        assert kind.leftovers() == set()


def test_the_server_ends_a_transaction_of_ours_that_idles(postgres_url: str) -> None:
    sessions = Sessions(postgres_url, bounds=Bounds(idle_seconds=0.2))
    with contextlib.closing(sessions), psycopg.connect(postgres_url, autocommit=True) as other:

        def idle() -> None:
            with sessions.reading() as session:
                alive, pid = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", session.info.backend_pid
                eventually(lambda: other.execute(alive, [pid]).fetchone() == (0,), IN_TIME)
                session.execute("SELECT 1")

        with pytest.raises(StoreError, match="waited longer for us"):
            idle()
        with sessions.reading() as session:
            assert session.execute("SELECT 1").fetchone() == (1,)

"""What is PostgreSQL's own: locks of readers, values that it can't hold, long names, concurrent first use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from feature_platform.errors import StoreError
from feature_platform.stores.postgres_online import PostgresOnlineStore
from tests.stores.online_cases import Kind, numbered, online_table, postgres_kind, publish, stream


@pytest.fixture
def kind(postgres_url: str) -> Kind:
    return postgres_kind(postgres_url)


@pytest.fixture
def store(kind: Kind) -> Iterator[PostgresOnlineStore]:
    with contextlib.closing(PostgresOnlineStore("online", kind.url, schema_prefix=kind.prefix)) as opened:
        yield opened


def test_a_long_read_of_the_old_rows_holds_up_neither_publication_nor_readers(
    kind: Kind, store: PostgresOnlineStore
) -> None:
    table = online_table()
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    store.publish(staged)
    with psycopg.connect(kind.url) as slow:
        old = psycopg.sql.Identifier(f"{kind.prefix}online", f"snapshot_{staged.token}")
        slow.execute(psycopg.sql.SQL("SELECT * FROM {}").format(old))
        publish(store, table, [{"card": "a", "amount": 2}])
        (row,) = store.read(table, [("a",)])
        assert row is not None
        assert row.values["amount"] == 2
        assert kind.leftovers() != set()
    assert store.sweep("card_spend") == 1
    assert kind.leftovers() == set()


def test_a_text_that_postgresql_cannot_hold_is_refused_without_showing_it(
    kind: Kind, store: PostgresOnlineStore
) -> None:
    table = online_table(features="note string")
    with pytest.raises(StoreError, match="FP-STORE-021") as error:
        store.stage(table, stream(table, [{"card": "a", "note": "secret\0"}]))
    assert "secret" not in str(error.value)
    assert kind.leftovers() == set()


def test_a_key_with_a_nul_finds_nothing(store: PostgresOnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "a", "amount": 1}])
    assert store.read(table, [("a\0",)]) == [None]


def test_a_view_may_have_the_longest_name_and_odd_columns(kind: Kind, store: PostgresOnlineStore) -> None:
    table = online_table("v" * 63, keys='Select" string', features="100%s bigint")
    publish(store, table, [{'Select"': "a", "100%s": 1}])
    (row,) = store.read(table, [("a",)])
    assert row is not None
    assert row.values == {"100%s": 1}


def test_the_first_snapshots_of_a_schema_may_be_staged_at_once(kind: Kind) -> None:
    tables = [online_table(f"view_{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool, contextlib.ExitStack() as stack:
        stores = [stack.enter_context(contextlib.closing(kind.open())) for _ in tables]
        staged = list(
            pool.map(lambda pair: pair[0].stage(pair[1], numbered(pair[1], 10, 1)), zip(stores, tables, strict=True))
        )
        for store, item in zip(stores, staged, strict=True):
            store.publish(item)
    assert kind.leftovers() == set()

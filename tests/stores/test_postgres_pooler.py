"""Through a pooler in transaction mode: what reads works, what writes goes to the server itself or not at all."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest

from feature_platform.errors import StoreError
from feature_platform.governance.audit.postgres_ledger import PostgresLedger
from feature_platform.governance.audit.trail import AuditTrail
from feature_platform.governance.tokens import TokenKeys
from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.online_protocol import OnlineChanges
from feature_platform.stores.postgres_connection import Bounds
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import NativeTable, Query, TableName
from tests.databases import own_database
from tests.governance.audit.ledgers import KEYS, filled
from tests.governance.audit.ledgers import rows_in as audited_rows
from tests.stores.online_cases import NOON, Kind, online_table, postgres_kind, removals, stream
from tests.stores.online_cases import publish as publish_online
from tests.stores.pooler import TransactionPooler, moved, pgbouncer, pooling
from tests.stores.warehouse_cases import SPEND, publish, query, rows_of, schema
from tests.stores.warehouse_cases import stream as rows_in
from tests.stores.warehouse_values import EVERY_TYPE

AMOUNTS = schema(customer_id="bigint", amount="bigint")
SPINE = TableName("inputs", "spine")


@pytest.fixture(scope="module")
def postgres_url(postgres_url: str) -> str:
    """A database of these tests' own: other tests have another token key."""
    return own_database(postgres_url, "pooled")


@pytest.fixture(scope="module")
def restless(postgres_url: str) -> Iterator[TransactionPooler]:
    with pooling(postgres_url) as found:
        yield found


@pytest.fixture(scope="module", params=["restless", "pgbouncer"])
def pooled_url(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A pooler that moves clients with every transaction, and the real one."""
    if request.param == "restless":
        yield request.getfixturevalue("restless").url
    else:
        with pgbouncer(postgres_url, tmp_path_factory.mktemp("pgbouncer")) as url:
            yield url


@pytest.fixture
def kind(postgres_url: str) -> Kind:
    return postgres_kind(postgres_url)


@pytest.fixture
def online(kind: Kind, pooled_url: str) -> Iterator[PostgresOnlineStore]:
    store = PostgresOnlineStore("online", pooled_url, schema_prefix=kind.prefix, direct_url=kind.url)
    with contextlib.closing(store):
        yield store


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def warehouse(postgres_url: str, pooled_url: str, prefix: str) -> Iterator[PostgresWarehouse]:
    store = PostgresWarehouse("warehouse", pooled_url, schema_prefix=prefix, direct_url=postgres_url)
    with contextlib.closing(store):
        yield store


def test_the_pooler_for_tests_moves_a_client_with_every_transaction(restless: TransactionPooler) -> None:
    with psycopg.connect(restless.url, autocommit=True) as client:
        for _ in range(4):
            with client.transaction():
                first = client.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
                assert client.execute("SELECT pg_backend_pid()", prepare=False).fetchone() == first
        client.execute("SET extra_float_digits = 0")
        assert client.execute("SHOW extra_float_digits").fetchone() == ("1",)
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            client.execute("SELECT 1", prepare=True)
    pids = restless.pids[-1]
    assert len(set(pids)) > 1
    assert moved(pids)


def test_two_clients_read_whole_rows_online_while_snapshots_and_changes_are_published(
    kind: Kind, online: PostgresOnlineStore, pooled_url: str
) -> None:
    tables = [
        online_table("spend", features="a bigint, b bigint"),
        online_table("visits", features="a bigint, b bigint"),
    ]
    keys = [(str(number),) for number in range(50)]

    def rows(value: int) -> list[dict[str, Any]]:
        return [{"card": key, "a": value, "b": value} for (key,) in keys]

    for table in tables:
        publish_online(online, table, rows(0))
    done = Event()

    def client(reader: PostgresOnlineStore) -> set[int]:
        seen = set()
        while not done.is_set() or not seen:
            for found in reader.read_many([(table, keys) for table in tables]):
                values = {(row.values["a"], row.values["b"]) for row in found if row is not None}
                assert len(values) == 1, "rows of two publications"
                ((first, second),) = values
                assert first == second
                seen.add(first)
        return seen

    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        readers = [
            stack.enter_context(
                contextlib.closing(PostgresOnlineStore("online", pooled_url, schema_prefix=kind.prefix))
            )
            for _ in range(2)
        ]
        seen = [pool.submit(client, reader) for reader in readers]
        try:
            for value in range(1, 4):
                for table in tables:
                    base = online.changeable(table)
                    assert base is not None
                    changes = OnlineChanges(base, stream(table, rows(-value)), removals(table, []), NOON)
                    online.publish(online.stage_changes(table, changes))
                    publish_online(online, table, rows(value))
        finally:
            done.set()
        assert all(each.result(30) <= set(range(-3, 4)) for each in seen)
    for table in tables:
        online.sweep(table.view)  # a table that a slow reader kept from being dropped
    assert kind.leftovers() == set()


def test_a_read_online_through_a_pooler_is_ended_when_it_takes_too_long(kind: Kind, pooled_url: str) -> None:
    table = online_table()
    with contextlib.closing(kind.open()) as writer:
        publish_online(writer, table, [{"card": "a", "amount": 1}])
    bounds = Bounds(online_seconds=0.2)
    reader = PostgresOnlineStore("online", pooled_url, schema_prefix=kind.prefix, bounds=bounds)
    with contextlib.closing(reader), psycopg.connect(kind.url) as other:
        assert reader.read(table, [("a",)])[0] is not None
        other.execute(
            psycopg.sql.SQL("LOCK TABLE {}").format(psycopg.sql.Identifier(f"{kind.prefix}online", "publications"))
        )
        with pytest.raises(StoreError, match="longer than it may"):
            reader.read(table, [("a",)])
        other.rollback()
        assert reader.read(table, [("a",)])[0] is not None


def test_a_warehouse_is_read_and_asked_and_written_to(warehouse: PostgresWarehouse) -> None:
    value: Mapping[str, Any] = dict.fromkeys(EVERY_TYPE.names)
    publish(warehouse, [value], EVERY_TYPE)
    assert warehouse.schema(SPEND) == EVERY_TYPE
    for amount in range(1, 4):  # more than once: a statement is prepared after a few times
        other = TableName("features", "amounts")
        publish(warehouse, [{"customer_id": 1, "amount": amount}], AMOUNTS, table=other)
        bound = {other: NativeTable(other), SPINE: rows_in(AMOUNTS, [{"customer_id": 1, "amount": 7}])}
        tables = '"features"."amounts" AS a JOIN "inputs"."spine" AS s USING (customer_id)'
        sql = f"SELECT a.amount, s.amount AS other FROM {tables}"
        assert warehouse.read(query(warehouse, sql, bound)).read_all().to_pylist() == [{"amount": amount, "other": 7}]
        assert [each.rows for each in warehouse.publications(other)] == [1]
        assert warehouse.holdings(other).missing == ()
        assert warehouse.version(NativeTable(other))
    half_read = warehouse.read(query(warehouse, "SELECT i FROM generate_series(1, 3000000) AS g(i)"))
    half_read.read_next_batch()
    half_read.close()
    del half_read
    assert rows_of(warehouse, TableName("features", "amounts")) == [{"customer_id": 1, "amount": 3}]


def test_tokens_are_those_of_the_version_that_a_query_asks_for(postgres_url: str, pooled_url: str, prefix: str) -> None:
    keys = TokenKeys(bytes(range(7, 47)))
    store = PostgresWarehouse("warehouse", pooled_url, schema_prefix=prefix, direct_url=postgres_url, setups=(keys,))
    with contextlib.closing(store):
        asked = Query("SELECT fp_tokens.token('email', 'a@example.com') AS token", "postgres")
        tokens = {store.read(asked).read_all().to_pylist()[0]["token"] for _ in range(6)}
    assert len(tokens) == 1


def test_the_audit_ledger_takes_records_and_reads_them(postgres_url: str, tmp_path: Path) -> None:
    own = own_database(postgres_url, "pooled_ledger")
    with pooling(own) as pooler, contextlib.closing(PostgresLedger(pooler.url, own)) as ledger:
        trail = AuditTrail(tmp_path, KEYS, lambda: PostgresLedger(pooler.url, own), tool="test")
        filled(trail, segments=4)
        trail.close()
        assert audited_rows(ledger) == list(range(16))
        assert ledger.count() == ledger.head().seq
        assert any(len(set(pids)) > 1 for pids in pooler.pids)


def test_what_writes_is_refused_without_the_servers_own_address_and_nothing_is_half_written(
    kind: Kind, pooled_url: str, prefix: str
) -> None:
    with contextlib.closing(PostgresWarehouse("w", kind.url, schema_prefix=prefix)) as direct:
        publish(direct, [{"customer_id": 1, "amount": 1}], AMOUNTS)
        staged = direct.stage(SPEND, AMOUNTS, rows_in(AMOUNTS, []))
        with contextlib.closing(PostgresWarehouse("w", pooled_url, schema_prefix=prefix)) as warehouse:
            before = tables(kind.url, prefix)
            attempts: list[Callable[[], object]] = [
                lambda: warehouse.stage(SPEND, AMOUNTS, rows_in(AMOUNTS, [{"customer_id": 2, "amount": 2}])),
                lambda: warehouse.publish(staged),
                lambda: warehouse.discard(staged),
                lambda: warehouse.sweep(SPEND),
            ]
            assert [refusal(attempt) for attempt in attempts] == ["FP-STORE-033"] * 4
            assert rows_of(warehouse) == [{"customer_id": 1, "amount": 1}]
            assert tables(kind.url, prefix) == before
    with contextlib.closing(kind.open()) as writer:
        table = online_table()
        publish_online(writer, table, [{"card": "a", "amount": 1}])
        with contextlib.closing(PostgresOnlineStore("o", pooled_url, schema_prefix=kind.prefix)) as store:
            assert refusal(lambda: store.stage(table, stream(table, [{"card": "b", "amount": 2}]))) == "FP-STORE-033"
            assert refusal(lambda: store.sweep(table.view)) == "FP-STORE-033"
            assert [row is None for row in store.read(table, [("a",), ("b",)])] == [False, True]
    assert kind.leftovers() == set()
    ledger = DorisLedger(pooled_url, prefix)
    assert refusal(lambda: ledger.writes(SPEND)) == "FP-STORE-033"
    ledger.close()


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as raised:
        attempt()
    return raised.value.code


def tables(url: str, prefix: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE starts_with(schemaname, %s)", [prefix])
        return {name for (name,) in found}

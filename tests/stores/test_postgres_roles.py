"""The roles that are shipped: each can do its part, and nothing of another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from secrets import token_hex

import psycopg
import pytest
from psycopg import sql

from feature_platform.errors import StoreError
from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.doris.warehouse import DorisWarehouse
from feature_platform.stores.postgres_layouts import migrate, roles
from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import NativeTable, TableName
from tests.stores.doris.double.running import doubled
from tests.stores.online_cases import online_table, stream
from tests.stores.warehouse_cases import SPEND, publish, query, rows_of, schema
from tests.stores.warehouse_cases import stream as rows_in

AMOUNTS = schema(customer_id="bigint", amount="bigint")


@dataclass(frozen=True)
class Setup:
    owner: str
    prefix: str
    publisher: str
    other_publisher: str
    reader: str


@pytest.fixture(scope="module")
def setup(postgres_url: str) -> Iterator[Setup]:
    prefix = f"r{token_hex(5)}"
    logins = {f"{prefix}_a": "publisher", f"{prefix}_b": "publisher", f"{prefix}_c": "reader"}
    migrate(postgres_url, prefix, ledger=True)
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        for _ in range(2):  # it may be repeated
            owner.execute(roles(prefix, ledger=True))
        for login, role in logins.items():
            names = sql.Identifier(login), sql.Identifier(f"{prefix}_{role}")
            owner.execute(sql.SQL("CREATE ROLE {} LOGIN NOINHERIT").format(names[0]))
            owner.execute(sql.SQL("GRANT {} TO {}").format(names[1], names[0]))
            owner.execute(sql.SQL("ALTER ROLE {} SET role = {}").format(names[0], sql.Literal(f"{prefix}_{role}")))
        raw = sql.Identifier(f"{prefix}_raw")
        owner.execute(sql.SQL("CREATE SCHEMA {}").format(raw))
        owner.execute(sql.SQL("CREATE TABLE {}.cards AS SELECT '4111111111111111' AS card").format(raw))
        publisher = sql.Identifier(f"{prefix}_publisher")
        owner.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(raw, publisher))
        owner.execute(sql.SQL("GRANT SELECT ON {}.cards TO {}").format(raw, publisher))
    yield Setup(postgres_url, prefix, *(psycopg.conninfo.make_conninfo(postgres_url, user=each) for each in logins))
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        for schema_name in ("raw", "meta", "features", "doris", "online"):
            full = f"{prefix}online" if schema_name == "online" else f"{prefix}_{schema_name}"
            owner.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(full)))
        for role in (*logins, *(f"{prefix}_{each}" for each in ("publisher", "reader", "owner"))):
            owner.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def refused(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement)


def test_publishers_publish_and_clean_up_after_each_other_and_readers_read(setup: Setup) -> None:
    first = PostgresWarehouse("w", setup.publisher, schema_prefix=setup.prefix)
    second = PostgresWarehouse("w", setup.other_publisher, schema_prefix=setup.prefix)
    reader = PostgresWarehouse("w", setup.reader, schema_prefix=setup.prefix)
    publish(first, [{"customer_id": 1, "amount": 1}], AMOUNTS)
    publish(second, [{"customer_id": 1, "amount": 2}], AMOUNTS)
    assert rows_of(reader) == [{"customer_id": 1, "amount": 2}]
    # a spine is shipped to where the rows are, by readers too
    spine = TableName("inputs", "spine")
    joined = 'SELECT s.amount FROM "inputs"."spine" AS s'
    tables = {spine: rows_in(AMOUNTS, [{"customer_id": 7, "amount": 9}])}
    assert reader.read(query(reader, joined, tables)).read_all().to_pylist() == [{"amount": 9}]
    with psycopg.connect(setup.owner) as owner:
        left = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [f"{setup.prefix}_features"])
        assert len(left.fetchall()) == 1
    with pytest.raises(StoreError):
        reader.remove(SPEND)
    assert first.remove(SPEND), "what another publisher wrote last"
    for each in (first, second, reader):
        each.close()


def test_online_rows_are_published_by_one_and_read_by_another(setup: Setup) -> None:
    publisher = PostgresOnlineStore("o", setup.publisher, schema_prefix=setup.prefix)
    reader = PostgresOnlineStore("o", setup.reader, schema_prefix=setup.prefix)
    table = online_table()
    publisher.publish(publisher.stage(table, stream(table, [{"card": "a", "amount": 1}])))
    (row,) = reader.read(table, [("a",)])
    assert row is not None
    assert row.values["amount"] == 1
    with pytest.raises(StoreError):
        reader.stage(table, stream(table, [{"card": "a", "amount": 2}]))
    with pytest.raises(StoreError):
        reader.remove(table.view)
    other = PostgresOnlineStore("o", setup.other_publisher, schema_prefix=setup.prefix)
    assert other.remove(table.view)
    for each in (publisher, other, reader):
        each.close()


def test_readers_can_neither_publish_nor_see_sources(setup: Setup) -> None:
    reader = PostgresWarehouse("w", setup.reader, schema_prefix=setup.prefix)
    with pytest.raises(StoreError):
        publish(reader, [{"customer_id": 1, "amount": 1}], AMOUNTS)
    cards = TableName(f"{setup.prefix}_raw", "cards")
    with pytest.raises(StoreError):
        reader.read(query(reader, f'SELECT c.card FROM "{cards.schema}"."cards" AS c', {cards: NativeTable(cards)}))
    reader.close()
    refused(setup.reader, f"SELECT * FROM {setup.prefix}_raw.cards")
    refused(setup.reader, f"UPDATE {setup.prefix}_meta.writes SET state = 'live'")
    refused(setup.reader, f"UPDATE {setup.prefix}online.publications SET version = 'x'")
    refused(setup.reader, f"CREATE TABLE {setup.prefix}_features.mine (a int)")


def test_publishers_can_not_change_the_platforms_own_tables(setup: Setup) -> None:
    refused(setup.publisher, f"DROP TABLE {setup.prefix}_meta.writes")
    refused(setup.publisher, f"ALTER TABLE {setup.prefix}online.publications ADD COLUMN a int")
    refused(setup.publisher, f"UPDATE {setup.prefix}_meta.layout SET version_num = 'x'")
    refused(setup.publisher, f"CREATE SCHEMA {setup.prefix}_more")


def test_what_is_loaded_into_doris_is_written_down_by_publishers_and_of_spines_by_readers(setup: Setup) -> None:
    with doubled() as (of_double, _):
        settings = replace(of_double, database_prefix=setup.prefix)
        publisher, reader = (
            DorisWarehouse("d", settings, DorisLedger(url, setup.prefix)) for url in (setup.publisher, setup.reader)
        )
        publish(publisher, [{"customer_id": 1, "amount": 1}], AMOUNTS)
        assert rows_of(reader) == [{"customer_id": 1, "amount": 1}]
        spine = TableName("inputs", "spine")
        tables = {spine: rows_in(AMOUNTS, [{"customer_id": 7, "amount": 9}])}
        shipped = query(reader, 'SELECT s.amount FROM "inputs"."spine" AS s', tables)
        assert reader.read(shipped).read_all().to_pylist() == [{"amount": 9}]
        with pytest.raises(StoreError):
            publish(reader, [{"customer_id": 1, "amount": 2}], AMOUNTS)
        with psycopg.connect(setup.reader, autocommit=True) as session:
            assert session.execute(f"DELETE FROM {setup.prefix}_doris.writes").rowcount == 0
            assert session.execute(f"SELECT count(*) FROM {setup.prefix}_doris.writes").fetchone() == (1,)
        refused(setup.publisher, f"DROP TABLE {setup.prefix}_doris.loads")
        publisher.close()
        reader.close()


def test_views_before_a_store_was_used_need_nothing_but_their_own_schema(setup: Setup) -> None:
    reader = PostgresWarehouse("w", setup.reader, schema_prefix=setup.prefix)
    assert reader.schema(TableName(f"{setup.prefix}_none", "never_published")) is None
    assert SPEND.schema == "features"
    reader.close()

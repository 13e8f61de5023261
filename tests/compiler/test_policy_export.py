"""Policies as SQL for administrators: what the roles of a real PostgreSQL then may read, and Doris' text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.doris.lint import problems
from feature_platform.compiler.policy_export import statements, walls
from feature_platform.governance.access import author_of
from feature_platform.governance.tokens import TokenKeys
from feature_platform.registry.graph import Registry
from feature_platform.registry.load import load_registry
from tests.compiler.sql_projects import PLATFORM
from tests.databases import own_database

SOURCES = {"customers": "raw.customers", "transactions": "raw.transactions"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("walled")
    text = PLATFORM.replace("table: transactions", "table: raw.transactions").replace(
        "table: customers", "table: raw.customers"
    )
    (folder / "project.yaml").write_text(text, encoding="utf-8")
    return load_registry(folder)


def exported(registry: Registry, purpose: str, engine: Any, *, tokens: bool = False) -> list[str]:
    access = replace(author_of(registry), purposes=(purpose,))
    catalog = catalog_of(registry, {})
    found = tuple(walls(catalog, access, engine, SOURCES, tokens=tokens))
    return list(statements(found, access, engine, tokens=tokens))


@pytest.fixture
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(own_database(postgres_url, "walled"), autocommit=True) as connection:
        TokenKeys(bytes(range(7, 47))).postgres(connection)
        connection.execute("CREATE SCHEMA raw")
        connection.execute(
            "CREATE TABLE raw.customers (customer_id bigint, email text, segment text, updated_at timestamp)"
        )
        connection.execute(
            "CREATE TABLE raw.transactions (card_number text, customer_id bigint, amount numeric(18, 2),"
            " event_time timestamp, ingested_at timestamp, day date)"
        )
        connection.execute("INSERT INTO raw.customers VALUES (1, 'ann@shop.example', 'a', '2024-01-01')")
        connection.execute(
            "INSERT INTO raw.transactions VALUES ('4111111111111111', 1, 5, '2024-01-01', '2024-01-01', '2024-01-01')"
        )
        yield connection
        connection.execute("RESET ROLE")
        for role in ("fp_fraud", "fp_marketing"):
            connection.execute(f'DROP OWNED BY "{role}"'.encode())
            connection.execute(f'DROP ROLE "{role}"'.encode())
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("DROP DATABASE walled")


def test_a_role_of_postgres_reads_what_the_policy_lets_through_and_no_table(
    registry: Registry, database: psycopg.Connection[Any]
) -> None:
    for purpose in ("fraud", "marketing"):
        for _ in range(2):  # it may be run again
            for statement in exported(registry, purpose, "postgres", tokens=purpose == "fraud"):
                database.execute(statement.encode())
    database.execute("SET ROLE fp_fraud")
    row = database.execute("SELECT * FROM fp_masked_fraud.customers").fetchone()
    assert row is not None
    assert row[0] == 1
    assert row[1].startswith("tok_email_v1_")
    card = database.execute("SELECT card_number FROM fp_masked_fraud.transactions").fetchone()
    assert card is not None
    assert card[0].startswith("tok_payment_card_v1_")
    for closed in ("raw.customers", "raw.transactions", "fp_masked_marketing.customers"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(f"SELECT * FROM {closed}".encode())
    database.execute("RESET ROLE")
    database.execute("SET ROLE fp_marketing")
    cursor = database.execute("SELECT * FROM fp_masked_marketing.customers")
    assert [column.name for column in cursor.description or ()] == ["customer_id", "segment", "updated_at"]
    cursor.fetchall()
    cards = database.execute("SELECT * FROM fp_masked_marketing.transactions")
    assert "card_number" not in [column.name for column in cards.description or ()]
    cards.fetchall()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute("SELECT fp_tokens.token('email', 'x')")


def test_doris_gets_views_that_its_linter_reads_and_grants_on_clear_columns(registry: Registry) -> None:
    found = exported(registry, "marketing", "doris", tokens=True)
    bodies = [each.partition(" AS\n")[2].rstrip(";") for each in found if each.startswith("CREATE VIEW")]
    assert len(bodies) == 2
    assert all(problems(body) == [] for body in bodies)
    assert all("`raw`." in body and "`sources`" not in body for body in bodies)
    text = "\n".join(found)
    assert "`email`" not in text
    assert "-- customers: without email" in text
    assert "GRANT SELECT_PRIV(`customer_id`, `segment`, `updated_at`) ON `internal`.`raw`.`customers`" in text
    assert "GRANT SELECT_PRIV ON `internal`.`fp_masked_marketing`.`transactions` TO ROLE 'fp_marketing';" in text
    assert "`fp_tokens`.`token`('payment_card'" in text

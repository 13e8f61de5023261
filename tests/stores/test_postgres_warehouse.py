"""What is particular to PostgreSQL: tables that the user has, sessions, names, and who waits for whom."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from feature_platform.errors import GovernanceError, Problem, StoreError
from feature_platform.stores.postgres_connection import Bounds
from feature_platform.stores.postgres_query import driver_query, short
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import FilesTable, NativeTable, Query, TableName
from tests.stores.warehouse_cases import SPEND, publish, query, rows_of, schema

AMOUNTS = schema(customer_id="bigint", amount="bigint")


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def warehouse(postgres_url: str, prefix: str) -> Iterator[PostgresWarehouse]:
    found = PostgresWarehouse("warehouse", postgres_url, schema_prefix=prefix)
    yield found
    found.close()


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_table_of_the_users_database_can_be_read(
    warehouse: PostgresWarehouse, postgres_url: str, prefix: str
) -> None:
    execute(
        postgres_url,
        f'CREATE SCHEMA "{prefix} raw"',
        f'CREATE TABLE "{prefix} raw"."Payments" (id smallint, amount numeric(18,2), note varchar(9), tags text[])',
        f"INSERT INTO \"{prefix} raw\".\"Payments\" VALUES (1, 2.5, '', '{{a,NULL}}')",
    )
    table = TableName(f"{prefix} raw", "Payments")
    assert warehouse.binding(table) == NativeTable(table)
    assert warehouse.schema(table) == schema(id="int", amount="decimal(18,2)", note="string", tags="array<string>")
    source = TableName("sources", "payments")
    sql = 'SELECT p.id, p.note, p.tags FROM "sources"."payments" AS p'
    rows = warehouse.read(query(warehouse, sql, {source: NativeTable(table)})).read_all().to_pylist()
    assert rows == [{"id": 1, "note": "", "tags": ["a", None]}]


def test_the_version_of_a_users_table_changes_after_any_write(
    warehouse: PostgresWarehouse, postgres_url: str, prefix: str
) -> None:
    execute(postgres_url, f"CREATE SCHEMA {prefix}_raw", f"CREATE TABLE {prefix}_raw.t (id bigint)")
    table = NativeTable(TableName(f"{prefix}_raw", "t"))
    before = warehouse.version(table)
    execute(postgres_url, f"INSERT INTO {prefix}_raw.t VALUES (1)")
    assert warehouse.version(table) != before


def test_a_type_without_an_exact_counterpart_is_refused(warehouse: PostgresWarehouse) -> None:
    with pytest.raises(StoreError, match="decimal") as raised:
        warehouse.read(query(warehouse, "SELECT CAST(1 AS numeric) AS a, CAST('{}' AS json) AS b"))
    assert len(raised.value.problems) == 2


def test_files_are_not_read_by_the_server(warehouse: PostgresWarehouse) -> None:
    bound = {TableName("sources", "p"): FilesTable("/data/p.csv", "csv", AMOUNTS)}
    with pytest.raises(StoreError) as raised:
        warehouse.read(query(warehouse, 'SELECT * FROM "sources"."p"', bound))
    assert raised.value.code == "FP-STORE-025"


def test_a_long_read_holds_up_neither_a_publication_nor_other_readers(
    warehouse: PostgresWarehouse, postgres_url: str
) -> None:
    publish(warehouse, [{"customer_id": 1, "amount": 1}], AMOUNTS)
    bound = {SPEND: NativeTable(SPEND)}
    sql = 'SELECT s.amount FROM "features"."spend" AS s, generate_series(1, 2000000) AS g(i)'
    long_read = warehouse.read(query(warehouse, sql, bound))
    long_read.read_next_batch()
    publish(warehouse, [{"customer_id": 1, "amount": 2}], AMOUNTS)
    assert rows_of(warehouse) == [{"customer_id": 1, "amount": 2}]
    assert set(long_read.read_all().column("amount").to_pylist()) == {1}


def test_a_query_cannot_change_anything(warehouse: PostgresWarehouse, postgres_url: str, prefix: str) -> None:
    execute(
        postgres_url,
        f"CREATE SCHEMA {prefix}_raw",
        f"CREATE TABLE {prefix}_raw.t (id bigint)",
        f"CREATE FUNCTION {prefix}_raw.sneak() RETURNS bigint LANGUAGE sql AS "
        f"'INSERT INTO {prefix}_raw.t VALUES (1) RETURNING id'",
    )
    with pytest.raises(StoreError) as raised:
        warehouse.read(query(warehouse, f"SELECT {prefix}_raw.sneak() AS id")).read_all()
    assert raised.value.code == "FP-STORE-020"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT pg_catalog.pg_read_file('/etc/hostname')",
        "SELECT lo_import('/etc/hostname')",
        "SELECT current_setting('data_directory')",
        "SELECT set_config('role', 'x', false)",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT * FROM pg_ls_dir('/') AS d(name)",
        "SELECT 1 INTO x",
        "WITH gone AS (DELETE FROM x RETURNING 1) SELECT * FROM gone",
        "SELECT * FROM pg_stat_activity",
        "SELECT * FROM fp_tokens.pads",
    ],
)
def test_a_query_reaches_nothing_but_its_tables(warehouse: PostgresWarehouse, sql: str) -> None:
    with pytest.raises(StoreError):
        warehouse.execute(query(warehouse, sql))


class Setup:
    """Gives each session a function; or refuses."""

    def __init__(self, problem: Problem | None = None) -> None:
        self.sessions = 0
        self._problem = problem

    duckdb_name = ""

    def duckdb(self, connection: Any, versions: Mapping[str, int] | None = None) -> None:
        raise AssertionError(f"not this engine: {connection} {versions}")

    def postgres_transaction(self, connection: Any, versions: Mapping[str, int]) -> None:
        for version in versions.values():
            connection.execute("SELECT set_config('fp.seen', %s, true)", [str(version)])

    def postgres(self, connection: psycopg.Connection[Any], *, lasting: bool = True) -> None:
        assert lasting, "a session of one's own"
        if self._problem:
            raise GovernanceError(self._problem)
        self.sessions += 1
        connection.execute("CREATE FUNCTION pg_temp.twice(x bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 2 * x'")


def test_a_setup_runs_once_per_session(postgres_url: str, prefix: str) -> None:
    setup = Setup()
    warehouse = PostgresWarehouse("warehouse", postgres_url, schema_prefix=prefix, setups=(setup,))
    for _ in range(3):
        assert warehouse.execute(query(warehouse, "SELECT pg_temp.twice(CAST(2 AS bigint)) AS four")) == 1
    warehouse.close()
    assert setup.sessions == 1


def test_key_versions_of_a_query_hold_for_its_transaction_alone(postgres_url: str, prefix: str) -> None:
    warehouse = PostgresWarehouse("warehouse", postgres_url, schema_prefix=prefix, setups=(Setup(),))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION seen() RETURNS text STABLE LANGUAGE sql AS $$ SELECT current_setting('fp.seen', true) $$"
        )
    asked = query(warehouse, "SELECT seen() AS version")
    with_version = warehouse.read(replace(asked, key_versions={"email": 3})).read_all().to_pylist()
    assert with_version == [{"version": "3"}]
    assert warehouse.read(asked).read_all().to_pylist() in ([{"version": None}], [{"version": ""}])
    warehouse.close()


def test_the_error_of_a_setup_reaches_the_user(postgres_url: str, prefix: str) -> None:
    problem = Problem("FP-GOV-001", "the key differs", mend="use the right key")
    warehouse = PostgresWarehouse("warehouse", postgres_url, schema_prefix=prefix, setups=(Setup(problem),))
    with pytest.raises(GovernanceError, match="the key differs"):
        warehouse.publications(SPEND)
    warehouse.close()


def test_a_server_that_is_not_there_is_a_clear_error_without_the_password(prefix: str) -> None:
    url = "postgresql://user:hunter2@127.0.0.1:1/none"
    warehouse = PostgresWarehouse("warehouse", url, schema_prefix=prefix)
    with pytest.raises(StoreError) as raised:
        warehouse.publications(SPEND)
    assert raised.value.code == "FP-STORE-030"
    assert "hunter2" not in str(raised.value) + repr(warehouse)
    warehouse.close()


def test_a_statement_that_takes_too_long_is_ended(postgres_url: str, prefix: str) -> None:
    warehouse = PostgresWarehouse("warehouse", postgres_url, schema_prefix=prefix, bounds=Bounds(read_seconds=0.2))
    with pytest.raises(StoreError, match="longer than it may"):
        warehouse.execute(query(warehouse, "SELECT count(*) AS n FROM generate_series(1, 1000000000000) AS g(i)"))
    warehouse.close()


def test_a_session_that_the_server_ended_is_replaced(warehouse: PostgresWarehouse, postgres_url: str) -> None:
    publish(warehouse, [{"customer_id": 1, "amount": 1}], AMOUNTS)
    execute(
        postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'feature_platform' AND pid <> pg_backend_pid()",
    )
    assert rows_of(warehouse) == [{"customer_id": 1, "amount": 1}]
    publish(warehouse, [{"customer_id": 1, "amount": 2}], AMOUNTS)


def test_several_processes_may_make_the_first_tables_at_once(postgres_url: str, prefix: str) -> None:
    def first(number: int) -> None:
        warehouse = PostgresWarehouse("warehouse", postgres_url, schema_prefix=prefix)
        publish(warehouse, [{"customer_id": number, "amount": 1}], AMOUNTS, table=TableName("features", f"v{number}"))
        warehouse.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(first, range(8)))


def test_a_short_name_is_itself_and_a_long_one_keeps_to_63_bytes() -> None:
    assert short("amount") == "amount"
    long = "ü" * 60
    assert len(short(long).encode()) <= 63
    assert short(long) != short(long + "b")


def test_percent_signs_and_dollars_in_literals_stay_text() -> None:
    ready = driver_query(Query("SELECT '100%' AS a, '$x %(x)s' AS b, $x AS c", "postgres", {"x": 1, "y": 2}), {})
    assert ready.sql == "SELECT '100%%' AS a, '$x %%(x)s' AS b, %(x)s AS c"
    assert ready.parameters == {"x": 1}


def test_a_query_for_another_engine_is_refused(warehouse: PostgresWarehouse) -> None:
    with pytest.raises(StoreError) as raised:
        warehouse.read(Query("SELECT 1 AS a", "duckdb"))
    assert raised.value.code == "FP-STORE-023"

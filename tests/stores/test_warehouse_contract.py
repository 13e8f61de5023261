"""What every warehouse promises, held against DuckDB over Delta and PostgreSQL alike."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from feature_platform.errors import StoreError
from feature_platform.stores.protocols import Holdings, NativeTable, Sized, StreamTable, TableName, Warehouse
from tests.stores.doris.double.running import doubled
from tests.stores.warehouse_cases import (
    NOON,
    SPEND,
    Kind,
    day,
    doris_kind,
    duckdb_kind,
    live_doris_kind,
    opened,
    postgres_kind,
    publish,
    query,
    rows_of,
    schema,
    stream,
)
from tests.stores.warehouse_values import EVERY_TYPE, rows_of_every_type

AMOUNTS = schema(customer_id="bigint", amount="bigint")
SPINE = TableName("inputs", "spine")


@pytest.fixture(params=["duckdb_delta", "postgres", "doris_double", pytest.param("doris", marks=pytest.mark.doris)])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "postgres":
        yield postgres_kind(request.getfixturevalue("postgres_url"))
    elif request.param == "doris":
        yield live_doris_kind(request.getfixturevalue("postgres_url"))
    elif request.param == "doris_double":
        with doubled() as (settings, cluster):
            yield doris_kind(request.getfixturevalue("postgres_url"), settings, cluster)
    else:
        yield duckdb_kind(tmp_path)


@pytest.fixture
def warehouse(kind: Kind) -> Iterator[Warehouse]:
    with opened(kind) as found:
        yield found


def amounts(*values: int) -> list[dict[str, Any]]:
    return [{"customer_id": index, "amount": value} for index, value in enumerate(values)]


def test_a_warehouse_is_what_the_protocol_asks_for(warehouse: Warehouse) -> None:
    assert isinstance(warehouse, Warehouse)


def test_nothing_is_live_before_the_first_publication(warehouse: Warehouse) -> None:
    assert warehouse.schema(SPEND) is None
    assert warehouse.binding(SPEND) is None
    assert list(warehouse.publications(SPEND)) == []
    with pytest.raises(StoreError) as raised:
        rows_of(warehouse)
    assert raised.value.code == "FP-STORE-004"


@given(rows=rows_of_every_type())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_comes_back_as_it_went_in(warehouse: Warehouse, rows: list[dict[str, Any]]) -> None:
    publish(warehouse, rows, EVERY_TYPE)
    reader = warehouse.read(query(warehouse, 'SELECT * FROM "features"."spend"', {SPEND: NativeTable(SPEND)}))
    found = reader.read_all()
    assert found.schema.equals(EVERY_TYPE.arrow())
    assert comparable(found.to_pylist()) == comparable(rows)


def comparable(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Rows in any order, doubles by their bits."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return struct.pack(">d", value).hex()
        if isinstance(value, list):
            return f"[{', '.join(map(text, value))}]"
        if isinstance(value, tuple):
            return f"({', '.join(map(text, value))})"
        return repr(value)

    return sorted(tuple(text(row[column.name]) for column in EVERY_TYPE.columns) for row in rows)


@given(rows=rows_of_every_type())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_that_a_query_reads_keeps_every_value(warehouse: Warehouse, rows: list[dict[str, Any]]) -> None:
    bound = {SPINE: stream(EVERY_TYPE, rows)}
    found = warehouse.read(query(warehouse, 'SELECT * FROM "inputs"."spine"', bound)).read_all()
    assert comparable(found.to_pylist()) == comparable(rows)


def test_the_schema_is_that_of_the_last_publication(warehouse: Warehouse) -> None:
    publish(warehouse, [], EVERY_TYPE)
    assert warehouse.schema(SPEND) == EVERY_TYPE


def test_staged_rows_are_invisible_until_published(warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1), AMOUNTS)
    staged = warehouse.stage(SPEND, AMOUNTS, stream(AMOUNTS, amounts(2, 3)))
    assert rows_of(warehouse) == amounts(1)
    warehouse.publish(staged)
    assert rows_of(warehouse, order="customer_id") == amounts(2, 3)


def test_staged_rows_can_be_audited(warehouse: Warehouse) -> None:
    staged = warehouse.stage(SPEND, AMOUNTS, stream(AMOUNTS, amounts(2, 3)))
    audit = query(warehouse, f'SELECT sum(amount) = 5 AS fine FROM "staged"."{staged.token}"', staged.reading)
    assert warehouse.read(audit).read_all().to_pylist() == [{"fine": True}]
    assert staged.rows == 2


def test_a_query_is_staged_where_its_inputs_lie(warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1, 2, 3), AMOUNTS)
    sql = 'SELECT amount * 2 AS amount, customer_id FROM "features"."spend" WHERE amount > $least -- the end'
    doubled = TableName("features", "doubled")
    staged = warehouse.stage(doubled, AMOUNTS, query(warehouse, sql, {SPEND: NativeTable(SPEND)}, least=1))
    warehouse.publish(staged)
    assert rows_of(warehouse, doubled, order="customer_id") == [
        {"customer_id": 1, "amount": 4},
        {"customer_id": 2, "amount": 6},
    ]


def test_publishing_twice_is_publishing_once(warehouse: Warehouse) -> None:
    staged = warehouse.stage(SPEND, AMOUNTS, stream(AMOUNTS, amounts(1)))
    assert warehouse.publish(staged) == warehouse.publish(staged)


def test_discarding_leaves_what_was_live(warehouse: Warehouse, kind: Kind) -> None:
    publish(warehouse, amounts(1), AMOUNTS)
    before = kind.leftovers()
    staged = warehouse.stage(SPEND, AMOUNTS, stream(AMOUNTS, amounts(2)))
    warehouse.discard(staged)
    warehouse.discard(staged)
    assert rows_of(warehouse) == amounts(1)
    assert sorted(kind.leftovers()) == sorted(before)


def test_discarding_what_was_published_keeps_it(warehouse: Warehouse) -> None:
    staged = warehouse.stage(SPEND, AMOUNTS, stream(AMOUNTS, amounts(1)))
    warehouse.publish(staged)
    warehouse.discard(staged)
    assert rows_of(warehouse) == amounts(1)


def test_discarded_rows_cannot_be_published(warehouse: Warehouse) -> None:
    staged = warehouse.stage(SPEND, AMOUNTS, stream(AMOUNTS, amounts(1)))
    warehouse.discard(staged)
    with pytest.raises(StoreError) as raised:
        warehouse.publish(staged)
    assert raised.value.code == "FP-STORE-005"


def test_a_publication_tells_what_it_was_made_from(warehouse: Warehouse) -> None:
    properties = {"fingerprint": "f" * 64, "note": 'it\'s "quoted" – ü'}
    staged = warehouse.stage(SPEND, AMOUNTS, stream(AMOUNTS, amounts(1, 2)), properties=properties)
    published = warehouse.publish(staged)
    assert (published.table, published.partition, published.rows) == (SPEND, None, 2)
    assert published.properties == properties
    assert list(warehouse.publications(SPEND)) == [published]


def test_a_partition_replaces_itself_and_no_other(warehouse: Warehouse) -> None:
    monday, tuesday = day("2026-06-29"), day("2026-06-30")
    publish(warehouse, amounts(1), AMOUNTS, partition=monday)
    publish(warehouse, amounts(2), AMOUNTS, partition=tuesday)
    publish(warehouse, amounts(3), AMOUNTS, partition=monday)
    assert sorted(row["amount"] for row in rows_of(warehouse)) == [2, 3]
    assert [(each.partition, each.rows) for each in warehouse.publications(SPEND)] == [
        ("2026-06-29", 1),
        ("2026-06-30", 1),
    ]


def test_a_whole_publication_replaces_all_partitions(warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1), AMOUNTS, partition=day("2026-06-29"))
    publish(warehouse, amounts(2), AMOUNTS)
    assert rows_of(warehouse) == amounts(2)


def test_a_partition_cannot_join_rows_without_partitions(warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1), AMOUNTS)
    with pytest.raises(StoreError) as raised:
        publish(warehouse, amounts(2), AMOUNTS, partition=day("2026-06-29"))
    assert raised.value.code == "FP-STORE-003"
    assert rows_of(warehouse) == amounts(1)


def test_a_partition_may_add_a_column(warehouse: Warehouse) -> None:
    wider = schema(customer_id="bigint", country="string", amount="bigint")
    publish(warehouse, amounts(1), AMOUNTS, partition=day("2026-06-29"))
    publish(warehouse, [{"customer_id": 0, "country": "", "amount": 2}], wider, partition=day("2026-06-30"))
    assert warehouse.schema(SPEND) == wider
    assert rows_of(warehouse, order="amount") == [
        {"customer_id": 0, "country": None, "amount": 1},
        {"customer_id": 0, "country": "", "amount": 2},
    ]


@pytest.mark.parametrize(
    "changed", [schema(customer_id="bigint"), schema(customer_id="bigint", amount="double")], ids=["removed", "retyped"]
)
def test_a_partition_may_not_change_a_column(warehouse: Warehouse, changed: Any) -> None:
    publish(warehouse, amounts(1), AMOUNTS, partition=day("2026-06-29"))
    with pytest.raises(StoreError) as raised:
        publish(warehouse, [], changed, partition=day("2026-06-30"))
    assert raised.value.code == "FP-STORE-002"


def test_the_only_partition_may_change_everything(warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1), AMOUNTS, partition=day("2026-06-29"))
    other = schema(customer_id="string")
    publish(warehouse, [{"customer_id": "a"}], other, partition=day("2026-06-29"))
    assert rows_of(warehouse) == [{"customer_id": "a"}]


def test_a_whole_publication_may_change_everything(warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1), AMOUNTS)
    publish(warehouse, [{"customer_id": "a"}], schema(customer_id="string"))
    assert rows_of(warehouse) == [{"customer_id": "a"}]


def test_no_rows_are_a_publication_too(warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1), AMOUNTS)
    publish(warehouse, [], AMOUNTS)
    assert rows_of(warehouse) == []
    assert warehouse.binding(SPEND) is not None
    assert warehouse.publications(SPEND)[0].rows == 0


def test_sizes_come_from_metadata(warehouse: Warehouse) -> None:
    assert isinstance(warehouse, Sized)
    publish(warehouse, amounts(1, 2, 3), AMOUNTS)
    live = warehouse.binding(SPEND)
    assert live is not None
    size = warehouse.size(live)
    assert size is not None
    assert size.rows == 3
    assert size.bytes > 0
    publish(warehouse, amounts(*range(20_000)), AMOUNTS)
    larger = warehouse.size(live)
    assert larger is not None
    assert larger.rows == 20_000
    assert larger.bytes > size.bytes
    assert warehouse.size(stream(AMOUNTS, [])) is None
    with pytest.raises(StoreError):
        warehouse.size(NativeTable(TableName("features", "nothing")))


def test_a_version_changes_with_each_publication(warehouse: Warehouse) -> None:
    versions = set()
    for value in range(3):
        publish(warehouse, amounts(value), AMOUNTS)
        binding = warehouse.binding(SPEND)
        assert binding is not None
        assert warehouse.version(binding) == warehouse.version(binding)
        versions.add(warehouse.version(binding))
    assert len(versions) == 3


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(1 AS bigint) AS customer_id",
        "SELECT CAST(1 AS bigint) AS customer_id, CAST(1 AS double precision) AS amount",
        "SELECT CAST(1 AS bigint) AS customer_id, CAST(1 AS bigint) AS amount, 'x' AS note",
    ],
    ids=["missing", "other type", "too many"],
)
def test_rows_of_other_columns_are_refused(warehouse: Warehouse, kind: Kind, sql: str) -> None:
    with pytest.raises(StoreError) as raised:
        warehouse.stage(SPEND, AMOUNTS, query(warehouse, sql))
    assert raised.value.code == "FP-STORE-001"
    assert kind.leftovers() == []


def test_a_failing_stream_leaves_nothing_behind(warehouse: Warehouse, kind: Kind) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"customer_id": [1], "amount": [1]})
        raise ConnectionResetError("the source went away")

    broken = StreamTable(lambda: pa.RecordBatchReader.from_batches(AMOUNTS.arrow(), batches()))
    with pytest.raises(Exception):  # noqa: B017, PT011 - Arrow hands the source's error on in its own clothes
        warehouse.stage(SPEND, AMOUNTS, broken)
    assert kind.leftovers() == []


def test_a_stream_may_be_read_twice_by_one_query(warehouse: Warehouse) -> None:
    bound = {SPINE: stream(AMOUNTS, amounts(1, 2, 3))}
    sql = 'SELECT a.amount FROM "inputs"."spine" AS a JOIN "inputs"."spine" AS b ON a.amount = b.amount + 1'
    found = warehouse.read(query(warehouse, sql, bound)).read_all()
    assert sorted(found.column("amount").to_pylist()) == [2, 3]


def test_values_travel_as_parameters(warehouse: Warehouse) -> None:
    sql = "SELECT CAST($name AS varchar) AS name, CAST($at AS timestamp) AS at, '100% $name' AS text"
    hostile = "'; DROP TABLE x; -- %s"
    found = warehouse.read(query(warehouse, sql, name=hostile, at=NOON, unused=1)).read_all().to_pylist()
    assert found == [{"name": hostile, "at": NOON, "text": "100% $name"}]


def test_a_missing_parameter_is_named(warehouse: Warehouse) -> None:
    with pytest.raises(StoreError, match=r"\$as_of") as raised:
        warehouse.read(query(warehouse, "SELECT CAST($as_of AS timestamp) AS at"))
    assert raised.value.code == "FP-STORE-022"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "DROP TABLE features.spend",
        "INSERT INTO features.spend VALUES (1)",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "SELECT 1) TO '/tmp/out.csv' --",
        "SELECT * FROM information_schema.tables",
        'SELECT * FROM "features"."spend"',
        "SELECT * FROM spend",
        "WITH c AS (SELECT * FROM other.secret) SELECT * FROM c",
        "SELECT (SELECT max(x) FROM hidden) AS x",
        "SET threads = 1",
        "",
    ],
)
def test_a_statement_that_is_no_bound_select_is_refused(warehouse: Warehouse, sql: str) -> None:
    with pytest.raises(StoreError):
        warehouse.read(query(warehouse, sql))
    with pytest.raises(StoreError):
        warehouse.stage(SPEND, AMOUNTS, query(warehouse, sql))


def test_an_error_holds_no_values(warehouse: Warehouse) -> None:
    rows = stream(schema(email="string"), [{"email": "jane@example.com"}])
    sql = 'SELECT CAST(email AS bigint) AS number FROM "inputs"."spine"'
    with pytest.raises(StoreError) as raised:
        warehouse.read(query(warehouse, sql, {SPINE: rows})).read_all()
    assert "jane" not in str(raised.value)


def test_execute_gives_the_number_of_rows(warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1, 2, 3), AMOUNTS)
    sql = 'SELECT amount FROM "features"."spend" WHERE amount > 1'
    assert warehouse.execute(query(warehouse, sql, {SPEND: NativeTable(SPEND)})) == 2


def test_a_reader_keeps_its_rows_while_others_publish(warehouse: Warehouse) -> None:
    many = [{"customer_id": index, "amount": 1} for index in range(200_000)]
    publish(warehouse, many, AMOUNTS)
    sql = 'SELECT * FROM "features"."spend"'
    reader = warehouse.read(query(warehouse, sql, {SPEND: NativeTable(SPEND)}))
    first = reader.read_next_batch()
    for value in (2, 3):
        publish(warehouse, amounts(value), AMOUNTS)
    rest = reader.read_all()
    assert first.num_rows + rest.num_rows == 200_000
    assert set(rest.column("amount").to_pylist()) == {1}


def test_old_rows_are_removed_once_nobody_reads_them(warehouse: Warehouse, kind: Kind) -> None:
    for value in range(4):
        publish(warehouse, amounts(value), AMOUNTS)
    assert len(kind.leftovers()) == 1


def test_a_half_read_result_can_be_dropped(warehouse: Warehouse, kind: Kind) -> None:
    many = [{"customer_id": index, "amount": 1} for index in range(300_000)]
    publish(warehouse, many, AMOUNTS)
    for _ in range(3):
        sql = 'SELECT a.amount FROM "features"."spend" AS a'
        reader = warehouse.read(query(warehouse, sql, {SPEND: NativeTable(SPEND)}))
        reader.read_next_batch()
        del reader
    publish(warehouse, amounts(2), AMOUNTS)
    warehouse.sweep(SPEND)
    assert len(kind.leftovers()) == 1


def test_concurrent_queries_do_not_see_each_others_tables(warehouse: Warehouse) -> None:
    def read(value: int) -> list[int]:
        bound = {SPINE: stream(AMOUNTS, amounts(*[value] * 100))}
        found = warehouse.read(query(warehouse, 'SELECT DISTINCT amount FROM "inputs"."spine"', bound)).read_all()
        return list(found.column("amount").to_pylist())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(16))) == [[value] for value in range(16)]


def test_writers_of_different_partitions_both_win(kind: Kind) -> None:
    def write(number: int) -> None:
        with opened(kind) as warehouse:
            publish(warehouse, amounts(number), AMOUNTS, partition=day(f"2026-06-0{number}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(1, 9)))
    with opened(kind) as warehouse:
        assert sorted(row["amount"] for row in rows_of(warehouse)) == list(range(1, 9))


def test_readers_see_one_publication_and_never_a_mix(kind: Kind) -> None:
    with opened(kind) as warehouse:
        publish(warehouse, amounts(*[0] * 500), AMOUNTS)

    def write() -> None:
        with opened(kind) as warehouse:
            for value in range(1, 12):
                publish(warehouse, amounts(*[value] * (500 + value)), AMOUNTS)

    def watch() -> list[tuple[int, int, int]]:
        sql = 'SELECT min(amount) AS low, max(amount) AS high, count(*) AS number FROM "features"."spend"'
        seen = []
        with opened(kind) as warehouse:
            while not writing.done():
                row = warehouse.read(query(warehouse, sql, {SPEND: NativeTable(SPEND)})).read_all().to_pylist()[0]
                seen.append((row["low"], row["high"], row["number"]))
        return seen

    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(write)
        watching = [pool.submit(watch) for _ in range(2)]
        writing.result()
        for seen in (future.result() for future in watching):
            assert all(low == high and number == 500 + low for low, high, number in seen)


@pytest.mark.parametrize("name", ["..", "a/../../b", "x y", 'quo"te', "ü" * 60, "per%cent", "$name", "."])
def test_any_name_makes_a_table_of_its_own(warehouse: Warehouse, name: str) -> None:
    table = TableName("features", name)
    publish(warehouse, amounts(1), AMOUNTS, table=table)
    assert warehouse.schema(table) == AMOUNTS
    assert [each.table for each in warehouse.publications(table)] == [table]


def test_a_long_column_name_survives(warehouse: Warehouse) -> None:
    name = "amount_" * 14
    wide = schema(customer_id="bigint", **{name: "bigint", f"{name}b": "bigint"})
    publish(warehouse, [{"customer_id": 1, name: 2, f"{name}b": 3}], wide)
    sql = f'SELECT t."{name}b" AS "{name}c", t."{name}" FROM "features"."spend" AS t'
    found = warehouse.read(query(warehouse, sql, {SPEND: NativeTable(SPEND)})).read_all().to_pylist()
    assert found == [{f"{name}c": 3, name: 2}]


def test_holdings_are_what_is_there_of_the_live_rows(kind: Kind, warehouse: Warehouse) -> None:
    assert warehouse.holdings(SPEND) == Holdings(None, 0)
    publish(warehouse, amounts(1, 2), AMOUNTS, partition=day("2026-01-01"))
    one = warehouse.holdings(SPEND)
    publish(warehouse, amounts(3, 4), AMOUNTS, partition=day("2026-01-02"))
    publish(warehouse, amounts(5, 6), AMOUNTS, partition=day("2026-01-02"))
    two = warehouse.holdings(SPEND)
    assert not two.missing
    assert one.bytes < two.bytes < 3 * one.bytes  # what was replaced does not count


def test_what_is_removed_was_never_published(kind: Kind, warehouse: Warehouse) -> None:
    other = TableName("features", "other@redis")
    assert list(warehouse.tables()) == []
    assert warehouse.remove(SPEND), "nothing is there to be removed"
    publish(warehouse, amounts(1, 2), AMOUNTS, partition=day("2026-01-01"))
    publish(warehouse, amounts(3), AMOUNTS, partition=day("2026-01-02"))
    publish(warehouse, amounts(4), AMOUNTS, table=other)
    assert list(warehouse.tables()) == [other, SPEND]
    assert warehouse.remove(SPEND)
    assert list(warehouse.tables()) == [other]
    assert warehouse.schema(SPEND) is None
    assert list(warehouse.publications(SPEND)) == []
    assert rows_of(warehouse, other) == amounts(4)
    assert len(kind.leftovers()) == 1, "what is left is of the other table"
    publish(warehouse, amounts(5), AMOUNTS)
    assert rows_of(warehouse) == amounts(5)


def test_what_is_being_written_is_not_removed_but_what_a_dead_writer_left_is(kind: Kind, warehouse: Warehouse) -> None:
    publish(warehouse, amounts(1), AMOUNTS)
    writer = kind.open()
    writer.stage(SPEND, AMOUNTS, stream(AMOUNTS, amounts(2)))
    with pytest.raises(StoreError) as raised:
        warehouse.remove(SPEND)
    assert raised.value.code == "FP-STORE-006"
    assert rows_of(warehouse) == amounts(1)
    writer.close()
    assert warehouse.remove(SPEND)
    assert list(kind.leftovers()) == []


def test_a_reader_of_what_is_removed_gets_its_rows_or_an_error(kind: Kind, warehouse: Warehouse) -> None:
    publish(warehouse, amounts(*range(200_000)), AMOUNTS)
    sql = 'SELECT amount FROM "features"."spend"'
    reader = warehouse.read(query(warehouse, sql, {SPEND: NativeTable(SPEND)}))
    first = reader.read_next_batch()
    gone = warehouse.remove(SPEND)
    with pytest.raises(StoreError, match="holds no rows yet"):
        rows_of(warehouse)
    if warehouse.engine == "doris":
        assert gone, "the cluster ends queries that are under way"
        reader.close()
        return
    assert not gone, "somebody reads it"
    assert list(warehouse.tables()) == [SPEND]
    assert first.num_rows + reader.read_all().num_rows == 200_000
    reader.close()
    assert warehouse.remove(SPEND)
    assert list(kind.leftovers()) == []

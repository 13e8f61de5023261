"""After any faults, deaths and retries, what readers see is what was published: nothing lost, doubled or mixed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from feature_platform.errors import StoreError
from feature_platform.stores.doris.layout import Shape
from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.warehouse import DorisWarehouse
from feature_platform.stores.protocols import NativeTable, Query, TableName
from tests.stores.doris.cases import StandingClock
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.running import doubled
from tests.stores.doris.test_stream_load import SAFE_FAULTS
from tests.stores.warehouse_cases import day, query, rows_of, schema, stream

SPEND = schema(customer_id="bigint", amount="bigint")
DAYS = ("2026-06-28", "2026-06-29", "2026-06-30")
Model = dict[str | None, list[int]]


@dataclass
class Bench:
    cluster: Cluster
    settings: DorisSettings
    open: Callable[[], DorisWarehouse]

    def leftovers(self, table: TableName) -> set[str]:
        """Partitions and tables of ``table`` with an attempt's token in their names."""
        tables = self.cluster.databases.get(f"{self.settings.database_prefix}_features", {})
        ours = {name: found for name, found in tables.items() if name.partition("__")[0] == table.name}
        parts = {name for found in ours.values() for name in (*found.parts, *found.temporary) if "_p" in f"_{name}"}
        return {name for name in ours if "__" in name} | {name for name in parts if "_" in name and name[0] == "p"}


@pytest.fixture(scope="module")
def bench(postgres_url: str) -> Iterator[Bench]:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    with doubled() as (found, cluster):
        settings = replace(found, database_prefix=prefix)

        def opened() -> DorisWarehouse:
            return DorisWarehouse("doris", settings, DorisLedger(postgres_url, prefix), clock=StandingClock())

        yield Bench(cluster, settings, opened)


def rows(amounts: list[int]) -> list[dict[str, Any]]:
    return [{"customer_id": n, "amount": amount} for n, amount in enumerate(amounts)]


def seen(warehouse: DorisWarehouse, table: TableName) -> list[int]:
    if warehouse.schema(table) is None:
        return []
    return sorted(row["amount"] for row in rows_of(warehouse, table))


def flat(model: Model) -> list[int]:
    return sorted(amount for amounts in model.values() for amount in amounts)


def published(
    warehouse: DorisWarehouse, table: TableName, key: str | None, amounts: list[int], *, pushed: bool
) -> None:
    """Loads or, where there is something to read, computes the rows in Doris, and publishes them."""
    relation: Any = stream(SPEND, rows(amounts))
    if pushed:
        listed = " UNION ALL ".join(f"SELECT {n} AS customer_id, {each} AS amount" for n, each in enumerate(amounts))
        sql = (
            f"SELECT CAST(customer_id AS BIGINT) AS customer_id, CAST(amount AS BIGINT) AS amount FROM ({listed}) AS x"
        )
        relation = query(warehouse, sql)
    staged = warehouse.stage(table, SPEND, relation, partition=day(key) if key else None)
    audited = warehouse.read(query(warehouse, f'SELECT amount FROM "staged"."{staged.token}"', staged.reading))
    assert sorted(audited.read_all().column("amount").to_pylist()) == sorted(amounts)
    warehouse.publish(staged)


MYSQL_FAULTS = [
    (f"mysql.{kind}", fault)
    for kind in ("alter", "create", "insert", "select", "show", "drop", "desc")
    for fault in ("drop", "lost", "refuse:get table write lock timeout", "fine")
]
HTTP_FAULTS = [(point, kind) for point, kinds in SAFE_FAULTS.items() for kind in (*kinds, "fine")]


@dataclass(frozen=True)
class Step:
    key: str | None
    amounts: list[int]
    pushed: bool
    faults: list[tuple[str, str]]
    dies: bool
    """After a failure, the process goes without cleaning up."""


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([*DAYS, *DAYS, None]),
        st.lists(st.integers(0, 99), min_size=1, max_size=5),
        st.booleans(),
        st.lists(st.sampled_from(MYSQL_FAULTS) | st.sampled_from(HTTP_FAULTS), max_size=6),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(steps=STEPS)
@rules(max_examples=20, deadline=None)
def test_after_any_faults_readers_see_what_was_published(bench: Bench, steps: list[Step]) -> None:
    table = TableName("features", f"t{uuid.uuid4().hex[:10]}")
    warehouse = bench.open()
    model: Model = {}
    for step in steps:
        after: Model = {None: step.amounts} if step.key is None else {**model, step.key: step.amounts}
        for point, kind in step.faults:
            bench.cluster.faults.plan(point, kind)
        try:
            published(warehouse, table, step.key, step.amounts, pushed=step.pushed)
        except StoreError:
            bench.cluster.faults.clear()
            if step.dies:
                warehouse.close()
                warehouse = bench.open()
            found = seen(warehouse, table)
            assert found in (flat(model), flat(after))
            told = {each.partition: each.rows for each in warehouse.publications(table)}
            model = next(each for each in (model, after) if {key: len(of) for key, of in each.items()} == told)
        else:
            bench.cluster.faults.clear()
            model = after
        assert seen(warehouse, table) == flat(model)
        told = {each.partition: each.rows for each in warehouse.publications(table)}
        assert told == {key: len(amounts) for key, amounts in model.items()}
    warehouse.close()
    healed = bench.open()
    healed.sweep(table)
    assert seen(healed, table) == flat(model)
    assert len(bench.leftovers(table)) == len([key for key in model if key is not None])
    healed.close()


@pytest.mark.parametrize(
    ("key", "fault", "pushed", "numbers"),
    [
        (DAYS[0], "lost", True, range(0, 200, 2)),
        (DAYS[0], "drop", False, range(0, 200, 3)),
        (None, "lost", False, range(0, 200, 2)),
        (None, "drop", True, range(1, 200, 3)),
    ],
)
def test_a_process_may_die_at_any_statement(
    bench: Bench, key: str | None, fault: str, pushed: bool, numbers: range
) -> None:
    """The n-th statement from here is the last that anybody hears of, for n as far as there are statements."""
    cluster = bench.cluster
    for number in numbers:
        table = TableName("features", f"t{uuid.uuid4().hex[:10]}")
        first = bench.open()
        published(first, table, key, [1, 2], pushed=False)
        cluster.faults.plan("mysql.any", *["fine"] * number, fault, *["drop"] * 60)
        finished = False
        try:
            published(first, table, key, [3, 4, 5], pushed=pushed)
            finished = True
        except StoreError:
            pass
        struck = ("mysql.any", fault) in cluster.faults.struck[-70:]
        cluster.faults.clear()
        first.close()
        second = bench.open()
        assert seen(second, table) in ([3, 4, 5], [1, 2])
        assert [each.rows for each in second.publications(table)] == [len(seen(second, table))]
        assert not finished or seen(second, table) == [3, 4, 5]
        published(second, table, key, [6], pushed=pushed)
        assert seen(second, table) == [6]
        second.sweep(table)
        assert len(bench.leftovers(table)) == (0 if key is None else 1)
        second.close()
        if not struck:
            assert number > 5
            return
        cluster.faults.struck.clear()
    raise AssertionError("a publication takes fewer statements")


def test_two_writers_of_one_partition_do_not_mix(bench: Bench) -> None:
    table = TableName("features", "contended")
    one, two = bench.open(), bench.open()
    staged = one.stage(table, SPEND, stream(SPEND, rows([1])), partition=day(DAYS[0]))
    with pytest.raises(StoreError) as raised:
        two.stage(table, SPEND, stream(SPEND, rows([2])), partition=day(DAYS[0]))
    assert raised.value.code == "FP-STORE-006"
    two.stage(table, SPEND, stream(SPEND, rows([3])), partition=day(DAYS[1]))
    one.publish(staged)
    assert seen(two, table) == [1]
    one.close()
    two.close()


@pytest.mark.parametrize("key", [DAYS[0], None])
def test_writers_that_race_publish_one_after_the_other_or_not_at_all(bench: Bench, key: str | None) -> None:
    """Of a partition one stages while the others are told; whole tables are staged side by side, the last stays."""
    table, each_others = TableName("features", f"raced{bool(key)}".lower()), Barrier(3)

    def write(number: int) -> tuple[list[int], str]:
        warehouse = bench.open()
        try:
            each_others.wait()
            staged = warehouse.stage(
                table, SPEND, stream(SPEND, rows([number] * 5)), partition=day(key) if key else None
            )
            return [number] * 5, warehouse.publish(staged).version
        except StoreError as error:
            return [], error.code
        finally:
            warehouse.close()

    reader = bench.open()
    with ThreadPoolExecutor(3) as pool:
        for begin in range(0, 9, 3):
            said = list(pool.map(write, range(begin, begin + 3)))
            assert {code for amounts, code in said if not amounts} <= {"FP-STORE-006"}
            written = [(version, amounts) for amounts, version in said if amounts]
            assert written, "somebody wins"
            version, amounts = max(written, key=lambda each: int(each[0]))
            assert seen(reader, table) == amounts
            assert [each.version for each in reader.publications(table)] == [version]
    reader.sweep(table)
    assert len(bench.leftovers(table)) == (1 if key else 0)
    reader.close()


def test_what_doris_computes_in_a_narrower_type_is_cast_and_nothing_is_cut(bench: Bench) -> None:
    table, warehouse = TableName("features", "narrow"), bench.open()
    wide = schema(days="bigint", price="decimal(18,2)", sizes="array<bigint>")
    sql = "SELECT CAST(7 AS INT) AS days, CAST(1.5 AS DECIMAL(9, 1)) AS price, ARRAY(CAST(3 AS INT)) AS sizes"
    warehouse.publish(warehouse.stage(table, wide, Query(sql, "doris")))
    assert rows_of(warehouse, table) == [{"days": 7, "price": Decimal("1.50"), "sizes": [3]}]
    for cut in ("CAST(1 AS DOUBLE) AS days", "CAST(1 AS DECIMAL(19, 0)) AS days"):
        with pytest.raises(StoreError) as raised:
            warehouse.stage(table, wide, Query(sql.replace("CAST(7 AS INT) AS days", cut), "doris"))
        assert raised.value.code == "FP-STORE-001"
    warehouse.close()


def test_doubled_keys_of_a_unique_table_are_not_published(bench: Bench, postgres_url: str) -> None:
    table = TableName("features", "by_key")
    ledger = DorisLedger(postgres_url, bench.settings.database_prefix)
    shape = Shape(keys=("customer_id",), unique=True, description="One row per customer")
    warehouse = DorisWarehouse("doris", bench.settings, ledger, shapes=lambda _: shape, clock=StandingClock())
    twice = [{"customer_id": 1, "amount": 1}, {"customer_id": 1, "amount": 2}]
    with pytest.raises(StoreError) as raised:
        warehouse.stage(table, SPEND, stream(SPEND, twice))
    assert raised.value.code == "FP-STORE-055"
    staged = warehouse.stage(table, SPEND, stream(SPEND, twice[:1]))
    warehouse.publish(staged)
    assert warehouse.version(NativeTable(table)) == warehouse.publications(table)[0].version
    assert rows_of(warehouse, table) == twice[:1]
    warehouse.close()


def test_rows_without_place_and_wrong_counts_are_not_published(bench: Bench) -> None:
    table = TableName("features", "short")
    warehouse = bench.open()
    bench.cluster.faults.plan("be.load", "short")
    with pytest.raises(StoreError) as raised:
        warehouse.stage(table, SPEND, stream(SPEND, rows([1, 2])))
    assert raised.value.code == "FP-STORE-055"
    assert bench.leftovers(table) == set()
    warehouse.close()

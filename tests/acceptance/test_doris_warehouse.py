"""A project whose warehouse is Doris gives what the same project gives on DuckDB over Delta; the cluster computes.

The cluster is a double of Doris' protocols with its rows in DuckDB: what that shows, and what only a live cluster can,
stands in the guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from feature_platform.canaries.listing import Canary
from feature_platform.canaries.scan import scan
from feature_platform.cli.main import app
from feature_platform.errors import GateError
from feature_platform.governance.tokens import TokenKeys
from feature_platform.orchestration import materialization
from feature_platform.orchestration.history import why_stale
from feature_platform.orchestration.intervals import live_partitions
from feature_platform.orchestration.online import publish_copy, stage_copy
from feature_platform.orchestration.online_changes import Difference
from feature_platform.orchestration.online_rows import copy_of
from feature_platform.orchestration.partitions import partition_of
from feature_platform.orchestration.runs import materialize
from feature_platform.orchestration.store_repair import repair
from feature_platform.orchestration.store_status import store_status
from feature_platform.orchestration.touched import event_digests
from feature_platform.project.placement import placed
from feature_platform.project.project import Project
from feature_platform.sdk.client import FeatureStore
from feature_platform.sdk.sql_spine import Sql
from feature_platform.stores.protocols import NativeTable, Sized, TableName
from tests.orchestration.builders import (
    CARD_MODEL,
    PAYMENT_SIZE,
    PAYMENTS,
    PLATFORM,
    Payment,
    Workplace,
    environment,
    online,
    rows_of,
    utc,
)
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.running import doubled

NOON = utc(2026, 1, 6, 12)
KEYED = PAYMENTS.replace(
    "event_time: event_time\n    columns", "event_time: event_time\n    key: [card_id, event_time]\n    columns"
)
EACH_DAY = ("2026-01-03", "2026-01-04", "2026-01-05")
DAYS = f"{EACH_DAY[0]}..{EACH_DAY[-1]}"
FEATURES = ["last_payment:amount", "last_payment:payer", "daily_spend:*"]

LAST_PAYMENT = """
    kind: feature_view
    name: last_payment
    entity: card
    sql: |
      SELECT card_id, event_time, amount, note, email AS payer, email_domain(email) AS shop_domain FROM transactions
    event_time: event_time
    contract: {rows_min: 1}
    features:
      amount: {min: 0, description: As authorised.}
    materialization: {offline: warehouse, online: redis, schedule: "@daily"}
"""

DAILY_SPEND = """
    kind: feature_view
    name: daily_spend
    entity: card
    source: transactions
    aggregations:
      - {function: sum, column: amount, windows: [1d, 7d]}
      - {function: count, windows: [1d]}
      - {function: count, windows: [7d], where: "amount > 50"}
      - {function: avg, column: amount, windows: [7d]}
      - {function: max, column: amount, windows: [7d], offset: 1d}
      - {function: count_distinct, column: note, windows: [7d]}
      - {function: last, column: amount, windows: [all]}
      - {function: last_k, column: note, k: 2, windows: [7d]}
      - {function: median, column: amount, windows: [7d]}
      - {function: time_since_last, windows: [7d]}
    materialization: {offline: warehouse, online: redis, schedule: "@daily", partition: day, start: 2026-01-01}
"""

VIEWS = (LAST_PAYMENT, PAYMENT_SIZE, DAILY_SPEND, CARD_MODEL)
EVERY_PAYMENT = [
    Payment(
        1 + n % 3,
        utc(2026, 1, 1 + n % 6, 8 + n % 5, n),
        f"{10 * n + 0.25:.2f}",
        f"p{n % 4}@gmail.com",
        f"order {n % 5}",
    )
    for n in range(40)
]


@dataclass(frozen=True)
class Both:
    """The same project twice, published as of one moment."""

    duckdb: Project
    doris: Project
    cluster: Cluster
    loads_while_materializing: tuple[str, ...]
    """Stream Loads that the runs sent: rows that went through this process."""
    second_run: frozenset[str]
    """What a run right after the first made of each asset."""

    @property
    def projects(self) -> tuple[Project, Project]:
        return self.duckdb, self.doris


def keys() -> TokenKeys:
    return TokenKeys.from_environment("FP_TOKEN_KEY")


def of_doris(place: Workplace, http_port: int) -> None:
    """The project with Doris as its warehouse."""
    prefix = f"t{uuid4().hex[:8]}"
    store = (
        f"{{type: doris, url_env: FP_TEST_DORIS, ledger: postgres, http_port: {http_port}, replicas: 1, buckets: 2, "
        f"database_prefix: {prefix}}}"
    )
    platform = PLATFORM.replace("{type: duckdb_delta, memory_limit: 256MB, threads: 2}", store)
    place.write(platform.replace("PREFIX", prefix), file="platform.yaml")
    place.write(
        KEYED.replace("path: transactions/*.csv\n    format: csv", "table: shop.transactions"),
        file="payments/tables.yaml",
    )
    place.write(*VIEWS)


def sold(cluster: Cluster, payments: list[Payment]) -> None:
    """The shop's own table, as the shop filled it."""
    cluster.execute("CREATE DATABASE IF NOT EXISTS `shop`")
    columns = {
        "card_id": "BIGINT",
        "event_time": "DATETIME(6)",
        "amount": "DECIMAL(18, 2)",
        "email": "STRING",
        "note": "STRING",
    }
    listed = ",".join(f"\n  `{name}` {kind} NULL" for name, kind in columns.items())
    cluster.execute(f"CREATE TABLE IF NOT EXISTS `shop`.`transactions` ({listed}\n)\nDISTRIBUTED BY RANDOM BUCKETS 1")
    rows = pa.table({name: [getattr(each, name) for each in payments] for name in columns})
    rows = rows.set_column(2, "amount", rows["amount"].cast(pa.decimal128(18, 2)))
    cluster.load(("shop", "transactions"), rows, None, [])


@contextmanager
def sold_too(cluster: Cluster, payment: Payment) -> Iterator[None]:
    """One more payment for a while."""
    sold(cluster, [payment])
    try:
        yield
    finally:
        cluster.execute("DROP TABLE IF EXISTS `shop`.`transactions` FORCE")
        sold(cluster, EVERY_PAYMENT)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str) -> Iterator[Both]:
    with ExitStack() as stack:
        variables = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment(postgres_url, redis_url).items():
            variables.setenv(name, value)
        variables.delenv("FP_HOME", raising=False)
        settings, cluster = stack.enter_context(doubled())
        login = f"{cluster.user}:{quote(cluster.password, safe='')}"
        variables.setenv("FP_TEST_DORIS", f"doris://{login}@{settings.frontends[0]}")
        cluster.install_tokens(keys(), 1)
        sold(cluster, EVERY_PAYMENT)
        there, here = (Workplace(tmp_path_factory.mktemp(name)) for name in ("doris", "duckdb"))
        of_doris(there, settings.http_port)
        here.write(PLATFORM.replace("PREFIX", f"t{uuid4().hex[:8]}"), file="platform.yaml")
        here.write(KEYED, file="payments/tables.yaml")
        here.write(*VIEWS)
        here.pay(EVERY_PAYMENT)
        duckdb, doris = (stack.enter_context(place.open()) for place in (here, there))
        published(duckdb)
        report = materialize(doris, as_of=NOON, partition=DAYS)
        assert {each.status for each in report.assets} == {"published"}, [each.reason for each in report.assets]
        again = materialize(doris, as_of=NOON, partition=DAYS)
        yield Both(duckdb, doris, cluster, tuple(cluster.streamed), frozenset(each.status for each in again.assets))


def published(project: Project) -> None:
    """What a run does, without Dagster."""
    days = {view: [partition_of(day, "day") for day in EACH_DAY] for view in ("daily_spend",)}
    for view in ("last_payment", "payment_size", "daily_spend"):
        for partition in days.get(view, [None]):
            staged = materialization.stage(project, materialization.request(view, partition, NOON), run_id="r")
            materialization.publish(project, materialization.audit(project, staged))
        for store in project.registry.views[view].spec.storage.online_stores:
            publish_copy(project, stage_copy(project, copy_of(project, view, store, NOON), run_id="r"))


def same(both: Both, read: Any) -> Any:
    """What both projects give, which is the same."""
    one, other = (read(project) for project in both.projects)
    assert one == other
    return one


@pytest.mark.parametrize("view", ["last_payment", "payment_size", "daily_spend"])
def test_every_published_row_is_the_same(both: Both, view: str) -> None:
    rows = same(both, lambda project: rows_of(project, view))
    assert len(rows) == {"last_payment": 40, "payment_size": 40, "daily_spend": 9}[view]


def test_rows_are_computed_in_the_cluster_partition_by_partition(both: Both) -> None:
    assert both.loads_while_materializing == ()
    parts = [each for each in both.cluster.statements if "`daily_spend` TEMPORARY PARTITION" in each]
    filled = [each for each in parts if each.startswith("INSERT INTO")]
    switched = [each for each in both.cluster.statements if "`daily_spend` REPLACE PARTITION" in each]
    assert len(filled) == len(switched) == 3
    assert all("FROM (WITH `fp_events`" in each for each in filled)
    assert [each.key for each in live_partitions(both.doris, "daily_spend")] == list(EACH_DAY)


def test_online_copies_are_the_same(both: Both) -> None:
    rows = same(both, lambda project: online(project, "daily_spend", 1, 2, 3, 4))
    assert [row is None for row in rows] == [False, False, False, True]
    assert same(both, lambda project: online(project, "last_payment", 1, 2, 3))


def test_only_what_changed_goes_online(both: Both) -> None:
    """Found out in the cluster, whose rows before are a mirror there."""

    def copied() -> tuple[Difference | None, Any]:
        staged = materialization.stage(both.doris, materialization.request("last_payment", None, NOON), run_id="again")
        materialization.publish(both.doris, materialization.audit(both.doris, staged))
        copy = stage_copy(both.doris, copy_of(both.doris, "last_payment", "redis", NOON), run_id="again")
        publish_copy(both.doris, copy)
        return copy.difference, online(both.doris, "last_payment", 1, 2)

    before = online(both.doris, "last_payment", 1, 2)
    with sold_too(both.cluster, Payment(1, utc(2026, 1, 6, 11, 59), "9.75", note="order 9")):
        difference, (one, other) = copied()
        assert difference == Difference(0, 1, 0)
        assert (one["amount"], one["note"], other) == (Decimal("9.75"), "order 9", before[1])
    assert copied() == (Difference(0, 1, 0), before)


def test_training_sets_are_the_same(both: Both) -> None:
    times = [NOON.replace(tzinfo=UTC) - timedelta(hours=7 * n) for n in range(12)]
    spine = pa.table(
        {"card_id": [1 + n % 4 for n in range(12)], "event_time": pa.array(times, pa.timestamp("us", "UTC"))}
    )

    def read(project: Project) -> Any:
        store = FeatureStore(project, purpose="fraud_detection")
        return store.training_set(spine, FEATURES).to_arrow().to_pylist()

    rows = same(both, read)
    assert [str(row["last_payment__payer"])[:13] for row in rows if row["card_id"] < 4] == ["tok_email_v1_"] * 9


def test_a_spine_that_is_a_query_never_leaves_the_cluster(both: Both) -> None:
    before = len(both.cluster.streamed)

    def read(project: Project) -> Any:
        spine = Sql("SELECT card_id, event_time FROM last_payment")
        rows = FeatureStore(project, purpose="fraud_detection").training_set(spine, FEATURES).to_arrow().to_pylist()
        return sorted(rows, key=lambda row: (row["card_id"], row["event_time"]))

    assert len(same(both, read)) == 40
    assert len(both.cluster.streamed) == before


def test_a_dataset_is_made_again_as_it_was(both: Both) -> None:
    store = FeatureStore(both.doris, purpose="fraud_detection")
    spine = pa.table({"card_id": [1, 2], "event_time": pa.array([NOON] * 2, pa.timestamp("us"))})
    store.create_dataset("cards", spine, ["card_model"])
    again = store.verify_dataset("cards")
    assert (again.rows, again.differing) == (2, {})


def test_queries_give_the_same(both: Both) -> None:
    sql = "SELECT payer, count(*) AS payments, sum(amount) AS total FROM last_payment GROUP BY payer ORDER BY total"

    def read(project: Project) -> Any:
        return FeatureStore(project, purpose="fraud_detection").sql(sql).to_arrow().to_pylist()

    rows = same(both, read)
    assert [row["payer"][:13] for row in rows] == ["tok_email_v1_"] * 4


def test_status_and_repair_know_the_store(both: Both) -> None:
    found = {
        each.view: each
        for each in store_status(both.doris, ["daily_spend", "last_payment"], NOON)
        if each.role == "offline"
    }
    assert {name: (each.health, each.rows, each.partitions) for name, each in found.items()} == {
        "daily_spend": ("current", 9, 3),
        "last_payment": ("current", 40, 0),
    }
    assert all(each.bytes and each.event_time for each in found.values())
    assert all(each.whole and not each.done for each in repair(both.doris, ["daily_spend", "last_payment"], NOON))


def test_queries_are_placed_where_the_cluster_says_that_most_rows_lie(both: Both) -> None:
    held = both.doris.warehouse()
    assert isinstance(held, Sized)
    source = held.size(NativeTable(TableName("shop", "transactions")))
    assert source is not None
    assert (source.rows, source.bytes > 0) == (40, True)
    reads = both.doris.compiled.views["daily_spend"].reads
    assert placed(both.doris, reads, default="postgres").store == "warehouse"


def test_raw_values_are_in_the_source_alone(both: Both, tmp_path: Path) -> None:
    canaries = [Canary("transactions", "email", "email", "p1@gmail.com")]
    report = scan(both.doris, canaries, tmp_path / "list.json")
    assert report.missing == ()
    assert [each for each in report.findings if each.store == "warehouse"] == []
    assert [each for each in report.unsearched if each[0] == "warehouse"] == []


def test_the_owner_makes_tables_and_roles_of_the_ledger(both: Both) -> None:
    prefix = both.doris.profile.stores["postgres"].schema_prefix  # type: ignore[union-attr]
    roles = CliRunner().invoke(app, ["store", "roles", "-p", str(both.doris.root)])
    assert f"GRANT USAGE ON SCHEMA {prefix}_doris TO {prefix}_publisher" in roles.stdout
    made = CliRunner().invoke(app, ["store", "migrate", "-p", str(both.doris.root), "--json"])
    migrated = json.loads(made.stdout)["migrated"]["postgres"]
    assert f"{prefix}_doris" not in migrated, "the first use made it"
    assert f"{prefix}_meta" in migrated


def test_partitions_are_built_from_the_same_events(both: Both) -> None:
    """Their checksums are each engine's own."""

    def counts(project: Project) -> list[int]:
        view = project.compiled.views["daily_spend"]
        days = [partition_of(day, "day") for day in EACH_DAY]
        return [each.count for each in event_digests(project, view, days, {}).values()]

    assert all(same(both, counts))
    assert [why_stale(both.doris, "daily_spend", partition_of(day, "day")) for day in EACH_DAY] == [""] * 3


def test_a_late_event_makes_stale_what_it_touches_and_nothing_before(both: Both) -> None:
    with sold_too(both.cluster, Payment(1, utc(2026, 1, 4, 10), "5.00")):
        assert [why_stale(both.doris, "daily_spend", partition_of(day, "day")) for day in EACH_DAY] == [
            "",
            "1 late events",
            "1 late events",
        ]


def test_personal_data_does_not_get_past_the_gate(both: Both) -> None:
    before = rows_of(both.doris, "last_payment")
    leak = Payment(1, utc(2026, 1, 6, 11, 59), "1.00", note="please write to jan.novak@example.com")
    with sold_too(both.cluster, leak):
        request = materialization.request("last_payment", None, NOON)
        staged = materialization.stage(both.doris, request, run_id="leak")
        audited = materialization.audit(both.doris, staged)
        assert [each.name for each in audited.outcomes if not each.passed] == ["pii"]
        with pytest.raises(GateError):
            materialization.publish(both.doris, audited)
        materialization.discard(both.doris, staged)
    assert rows_of(both.doris, "last_payment") == before


def test_a_second_run_has_nothing_to_do(both: Both) -> None:
    assert both.second_run == {"up_to_date"}

"""The example project, end to end on a small demonstration: compiled, materialized, trained on, served, and never
leaking.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from feature_platform.canaries.listing import FILE_NAME, read_canaries
from feature_platform.canaries.scan import scan
from feature_platform.cli.main import app
from feature_platform.demo.canaries import FIRST_ID
from feature_platform.demo.generate import DemoData, generate
from feature_platform.demo.run import SPINE
from feature_platform.demo.tables import TABLES, TRANSACTIONS
from feature_platform.errors import GuardError
from feature_platform.orchestration.materialization import table_of
from feature_platform.orchestration.report import RunReport
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from feature_platform.stores.protocols import Query
from tests.acceptance.demo_reference import Demo

ROOT = Path(__file__).parents[2] / "feature_defs"
PARTITIONS = "2026-06-28..2026-06-30"
SPINE_COLUMNS = ("transaction_id", "card_number", "customer_id", "merchant_id", "device_id", "event_time", "amount")
KEYS = ("card_number", "customer_id", "merchant_id", "device_id")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(STATE_VARIABLE, str(tmp_path_factory.mktemp("example")))
        with Project.open(ROOT) as opened:
            yield opened


@pytest.fixture(scope="module")
def data(project: Project) -> DemoData:
    return generate(project.data, transactions=10_000)


@pytest.fixture(scope="module")
def report(project: Project, data: DemoData) -> RunReport:
    return materialize(project, partition=PARTITIONS, as_of=data.end)


@pytest.fixture(scope="module")
def store(project: Project, report: RunReport) -> FeatureStore:
    assert report.ok, [asset.reason for asset in report.of("failed")]
    return FeatureStore(project, purpose="fraud_detection")


@pytest.fixture(scope="module")
def payments(store: FeatureStore) -> pa.Table:
    return store.sql(SPINE).to_arrow()


def test_it_is_as_large_as_a_real_one(project: Project) -> None:
    registry, compiled = project.registry, project.compiled
    assert len(registry.domains) >= 4
    assert len(registry.sources) >= 6
    assert len(registry.entities) >= 5
    assert len(compiled.views) >= 12
    assert len(compiled.services) >= 3
    assert {view.form for view in compiled.views.values()} == {"sql", "aggregations", "derived"}


def test_canaries_reach_the_stores_as_tokens_and_stand_nowhere_but_in_raw_sources(
    project: Project, store: FeatureStore
) -> None:
    row = store.sql(f"SELECT segment FROM customer_profile WHERE customer_id = {FIRST_ID}").to_arrow()
    assert row.num_rows == 1, "the synthetic people go where everybody goes"
    listed = project.data / FILE_NAME
    report = scan(project, read_canaries(listed, project.registry), listed)
    assert report.findings == ()
    assert report.ok
    assert report.files > 500
    assert report.servers == 2


def test_sources_declare_exactly_what_the_data_hold(project: Project) -> None:
    declared = {
        name: {
            column: (str(spec.type), None if spec.pii == "none" else spec.pii)
            for column, spec in source.spec.columns.items()
        }
        for name, source in project.registry.sources.items()
    }
    assert declared == {
        table.name: {column.name: (column.type, column.pii) for column in table.columns} for table in TABLES
    }


def test_sources_have_the_times_and_keys_of_the_data(project: Project) -> None:
    for table in TABLES:
        source = project.registry.sources[table.name].spec
        assert (source.event_time, source.available_at, source.key) == (table.event_time, table.available_at, table.key)


def test_everything_is_published_and_every_check_passes(report: RunReport) -> None:
    assert report.ok, [(asset.asset, asset.reason) for asset in report.of("failed")]
    assert [check for asset in report.assets for check in asset.checks if not check.passed] == []


def test_a_second_run_finds_its_work_done(project: Project, data: DemoData, report: RunReport) -> None:
    again = materialize(project, partition=PARTITIONS, as_of=data.end)
    assert {asset.status for asset in again.assets} == {"up_to_date"}
    assert again.run_ids == ()


def test_training_rows_keep_number_order_and_columns_of_the_spine(store: FeatureStore, payments: pa.Table) -> None:
    doubled = pa.concat_tables([payments, payments.slice(3, 1)])
    rows = store.training_set(doubled, ["fraud_model"]).to_arrow()
    assert rows.select(payments.column_names).to_pylist() == doubled.to_pylist()


def test_windows_equal_a_count_in_plain_python(store: FeatureStore, payments: pa.Table, data: DemoData) -> None:
    rows = store.training_set(payments, ["card_spend:amount_sum_30d", "card_spend:attempts_1d"]).to_arrow().to_pylist()
    for row in rows:
        at = row["event_time"].replace(tzinfo=None)
        known = payments_of(data, store, row["card_number"], at)
        day = [event for event in known if at - timedelta(days=1) <= event["event_time"] < at]
        month = [event for event in known if at - timedelta(days=30) <= event["event_time"] < at]
        approved = [event["amount"] for event in month if event["status"] == "approved"]
        assert row["card_spend__attempts_1d"] == len(day)
        assert row["card_spend__amount_sum_30d"] == sum(approved, Decimal(0))


def test_the_command_gives_what_plain_python_computes_from_the_files(
    project: Project, store: FeatureStore, data: DemoData, tmp_path: Path
) -> None:
    query, out = tmp_path / "spine.sql", tmp_path / "rows.parquet"
    query.write_text(SPINE, encoding="utf-8")
    told = CliRunner().invoke(
        app, ["training-set", "--spine-sql", str(query), "-f", "fraud_model", "-o", str(out), "-p", str(ROOT)]
    )
    assert told.exit_code == 0, told.output
    rows = pq.read_table(out).to_pylist(maps_as_pydicts="strict")
    wanted = {row["transaction_id"] for row in rows}
    events = pq.read_table(data.folder / TRANSACTIONS.name).to_pylist()
    files = {event["transaction_id"]: event for event in events if event["transaction_id"] in wanted}
    demo = Demo(data.folder, project.registry, [data.end - timedelta(days=days) for days in (2, 1, 0)])
    assert len(rows) == 10
    for row in rows:
        expected = demo.fraud_model(files[row["transaction_id"]])
        assert set(row) - set(SPINE_COLUMNS) == set(expected)
        for name, value in expected.items():
            assert row[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), name
    seen = {name: [row[name] for row in rows if row[name]] for name in rows[0]}
    told_nothing = {name for name, values in seen.items() if not values}
    # Ten payments have no dispute, cash or refund among them, nor others in their hour; the rest says something.
    quiet = ("dispute", "card_habits__", "_1h", "email_missing", "gambling")
    assert [name for name in told_nothing if not any(part in name for part in quiet)] == []


def test_maps_equal_a_count_in_plain_python_in_training_rows_and_in_redis(
    store: FeatureStore, payments: pa.Table, data: DemoData
) -> None:
    maps = ["card_spend:by_category_30d", "card_spend:by_merchant_30d", "card_spend:sizes_30d"]
    features = [*maps, "payment_check:gambling_share"]
    rows = store.training_set(payments, features).to_arrow().to_pylist(maps_as_pydicts="strict")
    asked = [(row["card_number"], row["event_time"].replace(tzinfo=None), row) for row in rows]
    served = store.online(
        features, [{"card_number": card, "amount": Decimal(1)} for card in payments["card_number"].to_pylist()]
    )
    asked += [(vector.entity["card_number"], data.end, vector.values) for vector in served]
    for card, at, row in asked:
        attempts = [
            event for event in payments_of(data, store, card, at) if at - timedelta(days=30) <= event["event_time"] < at
        ]
        times = Counter(event["merchant_id"] for event in attempts)
        most = sorted(times, key=lambda merchant: (-times[merchant], merchant))[:3]
        assert row["card_spend__by_merchant_30d"] == ({merchant: times[merchant] for merchant in sorted(most)} or None)
        month = [event for event in attempts if event["status"] == "approved"]
        by_category: dict[str, list[Decimal]] = {}
        for event in month:
            by_category.setdefault(event["merchant_category"], []).append(event["amount"])
        sums = {name: sum(by_category[name]) for name in sorted(by_category)}
        assert row["card_spend__by_category_30d"] == (sums or None)
        share = float(sums.get("gambling", 0)) / float(sum(sums.values())) if sums else None
        assert row["payment_check__gambling_share"] == pytest.approx(share, rel=1e-12)
        edges = [max(edge for edge in (0, 10, 50, 200, 1000) if edge <= event["amount"]) for event in month]
        assert row["card_spend__sizes_30d"] == ({edge: edges.count(edge) for edge in sorted(set(edges))} or None)


@pytest.mark.parametrize("service", ["fraud_model", "credit_limit_model", "next_offer_model", "merchant_monitoring"])
def test_online_equals_a_training_row_as_of_the_same_moment(
    project: Project, store: FeatureStore, payments: pa.Table, data: DemoData, service: str
) -> None:
    session = FeatureStore(project, purpose=project.compiled.services[service].purpose)
    names = list(session.online_inputs(service))
    spine = payments.select(names).append_column("at", pa.array([data.end] * payments.num_rows))
    offline = session.training_set(spine, [service], time="at").to_arrow().to_pylist(maps_as_pydicts="strict")
    online = session.online(service, spine.select(names).to_pylist())
    for row, vector in zip(offline, online, strict=True):
        for name, value in vector.values.items():
            # doubles are added up in another order, so their last digits may differ
            assert value == (pytest.approx(row[name], rel=1e-12) if isinstance(value, float) else row[name]), name


def test_raw_personal_data_are_refused_with_the_rule(store: FeatureStore) -> None:
    with pytest.raises(GuardError, match=r"policies/privacy\.yaml"):
        store.sql("SELECT customer_id, name FROM customers")


def test_no_published_text_is_a_personal_value(project: Project, store: FeatureStore, data: DemoData) -> None:
    raw = personal_values(data)
    for name, view in project.compiled.views.items():
        if view.materialize is None:
            continue
        texts = [column.name for column in view.schema.columns if column.type.kind == "string"]
        for row in published(project, name, texts):
            assert raw.isdisjoint(row.values()), f"a personal value in view '{name}'"


def test_a_card_number_may_be_given_as_it_is(store: FeatureStore, data: DemoData) -> None:
    number = next(iter(raw_cards(data)))
    spine = pa.table({"card_number": [number], "at": [data.end]})
    rows = store.training_set(spine, ["card_profile:status"], time="at").to_arrow().to_pylist()
    assert rows[0]["card_number"].startswith("tok_payment_card_v1_")
    assert rows[0]["card_profile__status"] in {"active", "blocked", "expired"}
    assert rows[0]["at"] == data.end.replace(tzinfo=UTC)


def test_the_python_of_the_readme_and_the_guide_to_the_sdk_runs(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT.parent)
    names: dict[str, Any] = {}
    for page in ("README.md", "docs/guides/sdk.md"):
        text = (ROOT.parent / page).read_text(encoding="utf-8")
        for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            exec(compile(block, page, "exec"), names)  # noqa: S102 - pages of this repository
    printed = capsys.readouterr().out
    for line in (
        "card_spend__amount_sum_1d: decimal(38,2) (clean)",
        "transactions.amount",
        "FP-SQL-020 column 'birth_date'",
    ):
        assert line in printed
    assert set(names["vectors"][0].statuses.values()) <= {"present", "missing"}


def payments_of(data: DemoData, store: FeatureStore, card: str, at: datetime) -> list[dict[str, Any]]:
    """What was known at ``at`` of one card's payments: of each the newest version, refunds left out."""
    columns = ["transaction_id", "event_time", "ingested_at", "card_number", "merchant_id", "merchant_category"]
    columns += ["amount", "status", "is_refund"]
    newest: dict[int, dict[str, Any]] = {}
    events = pq.read_table(data.folder / TRANSACTIONS.name, columns=columns).to_pylist()
    for event in sorted(events, key=lambda event: (event["ingested_at"], event["event_time"])):
        if event["ingested_at"] <= at:
            newest[event["transaction_id"]] = event
    numbers = {event["card_number"] for event in events}
    number = next(number for number in numbers if store.project.tokens.token("payment_card", number) == card)
    return [event for event in newest.values() if event["card_number"] == number and not event["is_refund"]]


def raw_cards(data: DemoData) -> set[str]:
    return set(pq.read_table(data.folder / "cards", columns=["card_number"])["card_number"].to_pylist())


def personal_values(data: DemoData) -> set[str]:
    """Every value of every personal text column of the sources."""
    found: set[str] = set()
    for table in TABLES:
        for column in table.columns:
            if column.pii is not None and column.type == "string":
                values = pq.read_table(data.folder / table.name, columns=[column.name])[column.name]
                found |= {value for value in values.unique().to_pylist() if value is not None}
    return found


def published(project: Project, view: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of a view as its offline store holds them."""
    offline = project.registry.views[view].spec.storage.offline
    assert offline is not None
    warehouse, table = project.warehouse(offline), table_of(view)
    binding = warehouse.binding(table)
    assert binding is not None
    listed = ", ".join(f'"{name}"' for name in columns) or "1 AS one"
    query = Query(f'SELECT {listed} FROM "features"."{view}"', warehouse.engine, tables={table: binding})
    for batch in warehouse.read(query):
        yield from batch.to_pylist()

"""Datasets after a rotation of the token key, in projects with PostgreSQL alone, and after old rows were removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from feature_platform import Sql
from feature_platform.cli.main import app
from feature_platform.errors import StoreError, UsageError
from feature_platform.orchestration.materialization import audit, request, stage
from feature_platform.orchestration.materialization import publish as publish_audited
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from tests.databases import own_database

OLD, NEW = (bytes(range(start, start + 40)).hex() for start in (10, 90))
BOTH = f"v2:{NEW},v1:{OLD}"
CARD = "4111111111111111"
START = datetime.fromisoformat("2026-03-01T00:00:00")
DAY = timedelta(days=1)
PROJECT = """
kind: platform
name: cards
purposes: {fraud: Stopping fraud.}
profiles:
  embedded:
    token_key_env: FP_DATASET_KEY
    stores: {warehouse: {type: postgres, url_env: FP_DATASET_SERVER}}
---
kind: policy
name: privacy
owner: team:privacy
rules: [{classification: payment_card, action: token}]
---
kind: domain
name: cards
owner: team:cards
---
kind: entity
name: card
keys: [{name: card_number, type: string, pii: payment_card}]
---
kind: source
name: payments
domain: cards
table: shop.payments
event_time: paid_at
available_at: told_at
key: [payment_id]
columns:
  payment_id: {type: bigint, pii: none}
  card_number: {type: string, pii: payment_card}
  paid_at: {type: timestamp, pii: none}
  told_at: {type: timestamp, pii: none}
  amount: {type: "decimal(18,2)", pii: none}
---
kind: feature_view
name: spend
domain: cards
entity: card
source: payments
aggregations:
  - {function: sum, column: amount, windows: [30d]}
---
kind: feature_view
name: newest
domain: cards
entity: card
event_time: paid_at
contract: {unique: false}
sql: SELECT card_number, paid_at, amount FROM payments
"""


@pytest.fixture
def server(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[object]]:
    """A database of its own with the source's rows; the project lies in ``tmp_path``."""
    address = own_database(postgres_url, f"datasets_{uuid4().hex[:8]}")
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    monkeypatch.setenv("FP_DATASET_SERVER", address)
    monkeypatch.setenv("FP_DATASET_KEY", OLD)
    (tmp_path / "platform.yaml").write_text(PROJECT, encoding="utf-8")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute(
            "CREATE TABLE shop.payments (payment_id bigint, card_number text, paid_at timestamp, told_at timestamp, "
            "amount numeric(18,2))"
        )
        pay(connection, 1, START + DAY, START + DAY, "10.00")
        pay(connection, 2, START + 2 * DAY, START + 2 * DAY, "2.50")
        yield connection


def pay(server: psycopg.Connection[object], payment: int, paid: datetime, told: datetime, amount: str) -> None:
    server.execute("INSERT INTO shop.payments VALUES (%s, %s, %s, %s, %s)", (payment, CARD, paid, told, amount))


def publish(root: Path) -> None:
    """What a run does for the view, without Dagster around it."""
    with Project.open(root) as project:
        staged = stage(project, request("newest", None, START + 9 * DAY), run_id=uuid4().hex)
        publish_audited(project, audit(project, staged))


def session(root: Path) -> FeatureStore:
    return FeatureStore(Project.open(root), purpose="fraud")


def spine() -> pa.Table:
    return pa.table({"card_number": [CARD, CARD], "event_time": [START + 3 * DAY, START + 1.5 * DAY]})


@pytest.mark.usefixtures("server")
def test_a_dataset_of_a_server_alone_is_made_again(tmp_path: Path, server: psycopg.Connection[object]) -> None:
    publish(tmp_path)
    with session(tmp_path) as store:
        made = store.create_dataset("training", spine(), ["spend:*", "newest:*"])
        assert made.to_arrow()["spend__amount_sum_30d"].to_pylist() == [Decimal("12.50"), Decimal("10.00")]
        pay(server, 3, START, START + 4 * DAY, "5.00")  # back-dated, and told later
        verified = store.verify_dataset("training")
        assert verified.reproduced
        assert verified.tables == ("sources.payments",)


def test_after_a_rotation_a_dataset_is_made_again_with_the_key_of_its_tokens(
    tmp_path: Path, server: psycopg.Connection[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(tmp_path) as store:
        made = store.create_dataset("training", spine(), ["spend:*"])
        assert made.manifest.key_versions == {"payment_card": 1}
        assert made.to_arrow()["card_number"].to_pylist()[0].startswith("tok_payment_card_v1_")
    monkeypatch.setenv("FP_DATASET_KEY", BOTH)
    with session(tmp_path) as store:
        rotated = store.create_dataset("training", spine(), ["spend:*"])
        assert rotated.manifest.key_versions == {"payment_card": 2}
        assert store.verify_dataset("training@1").reproduced
        assert store.verify_dataset("training@2").reproduced
        server.execute("UPDATE shop.payments SET amount = 11 WHERE payment_id = 1")
        assert store.verify_dataset("training@1").differing == {"spend__amount_sum_30d": 2}


@pytest.mark.usefixtures("server")
def test_a_dataset_of_before_versions_were_recorded_knows_them_by_its_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(tmp_path) as store:
        folder = store.create_dataset("training", spine(), ["spend:*"]).folder
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["key_versions"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    monkeypatch.setenv("FP_DATASET_KEY", BOTH)
    with session(tmp_path) as store:
        assert store.verify_dataset("training").reproduced


@pytest.mark.usefixtures("server")
def test_what_can_not_be_made_again_after_a_rotation_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path)
    with session(tmp_path) as store:
        store.create_dataset("training", spine(), ["spend:*", "newest:*"])
    monkeypatch.setenv("FP_DATASET_KEY", BOTH)
    with session(tmp_path) as store:
        assert store.verify_dataset("training").reproduced, "the view still has tokens of the old key"
    publish(tmp_path)
    with session(tmp_path) as store:
        with pytest.raises(UsageError, match=r"FP-SDK-033: .*view 'newest' are v2 now"):
            store.verify_dataset("training")
        assert store.dataset("training").to_arrow().num_rows == 2, "its rows can be read for ever"
    monkeypatch.setenv("FP_DATASET_KEY", f"v2:{NEW}")
    with session(tmp_path) as store, pytest.raises(UsageError, match=r"FP-SDK-033: .*key version 1, which is retired"):
        store.verify_dataset("training")
    told = CliRunner().invoke(app, ["dataset", "verify", "training", "--project", str(tmp_path)])
    assert (told.exit_code, "Traceback" in told.output) == (2, False)


@pytest.mark.usefixtures("server")
def test_tokens_of_a_query_meet_those_of_the_views_while_a_key_is_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path)
    monkeypatch.setenv("FP_DATASET_KEY", BOTH)
    query = Sql(
        "SELECT payment_id, card_number, TIMESTAMP '2026-03-09' AS event_time FROM payments ORDER BY payment_id"
    )
    for version in (1, 2):
        with session(tmp_path) as store:
            result = store.training_set(query, ["newest:amount", "spend:amount_sum_30d"])
            assert str(result.column("card_number")) == f"card_number: string (token(payment_card, v{version}))"
            rows = result.to_arrow().to_pylist()
        assert [row["newest__amount"] for row in rows] == [Decimal("2.50")] * 2
        assert [row["spend__amount_sum_30d"] for row in rows] == [Decimal("12.50")] * 2
        assert all(row["card_number"].startswith(f"tok_payment_card_v{version}_") for row in rows)
        publish(tmp_path)


def test_rows_that_are_gone_are_named_with_their_versions(tmp_path: Path, server: psycopg.Connection[object]) -> None:
    publish(tmp_path)
    with session(tmp_path) as store:
        then = store.create_dataset("training", spine(), ["newest:*"]).manifest.tables["features.newest"]
    publish(tmp_path)  # the same rows, in another version: those of before are removed
    with session(tmp_path) as store:
        verified = store.verify_dataset("training")
        assert verified.reproduced
        assert verified.versions["features.newest"][0] == then != verified.versions["features.newest"][1]
    server.execute("DELETE FROM shop.payments WHERE payment_id = 2")
    publish(tmp_path)
    told = CliRunner().invoke(app, ["dataset", "verify", "training", "--project", str(tmp_path)])
    assert told.exit_code == 1
    assert "newest__amount: 1 of 2 rows differ" in told.stdout
    assert f"rows changed: features.newest (version {then} then," in told.stdout
    server.execute("DROP TABLE shop.payments")
    with session(tmp_path) as store:
        store.verify_dataset("training")  # reads the view alone
        with pytest.raises(StoreError):
            store.create_dataset("training", spine(), ["spend:*"])

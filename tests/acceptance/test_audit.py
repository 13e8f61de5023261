"""Everything that people do with a project is in its ledger, and nothing of what they must not leave there.

A project with real servers: what is done is done through the SDK, the orchestration and the command line, and the
ledger is read in PostgreSQL.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.errors import AuditError, CompileError, GuardError, UsageError
from feature_platform.orchestration.io_managers import PublishedTable
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from tests.databases import own_database

TEMPLATE = Path(__file__).parents[2] / "feature_platform" / "templates"
AUDIT_KEY = bytes(range(7, 39)).hex()
TOKEN_KEY = bytes(range(9, 41)).hex()
PLANTED = ("planted.person@example.com", "planted literal", "planted_alias", "planted comment")
"""Texts in the SQL, the arguments and the data of these tests that must be nowhere in the trail."""
PROFILE = """
  servers:
    stores:
      warehouse: {type: duckdb_delta}
      redis: {type: redis, url_env: SHOP_REDIS, key_prefix: audited}
      ledger: {type: postgres, url_env: SHOP_POSTGRES}
    audit_store: ledger
"""


@pytest.fixture(scope="module")
def ledger_url(postgres_url: str) -> str:
    return own_database(postgres_url, "audited_shop")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, ledger_url: str, redis_url: str) -> Iterator[Path]:
    """The template's project with servers, and one view of it published."""
    folder = tmp_path_factory.mktemp("audited") / "shop"
    shutil.copytree(TEMPLATE / "project", folder)
    shutil.copytree(TEMPLATE / "data", folder / ".fp" / "data")
    customers = folder / ".fp" / "data" / "customers.csv"
    with customers.open("a", encoding="utf-8") as file:
        file.write(f"4242,2026-03-01 00:00:00,{PLANTED[0]},1980-01-01,CZ\n")
    with (folder / "platform.yaml").open("a", encoding="utf-8") as file:
        file.write(PROFILE)
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(STATE_VARIABLE, raising=False)
        environment.setenv("SHOP_POSTGRES", ledger_url)
        environment.setenv("SHOP_REDIS", redis_url)
        environment.setenv("FP_TOKEN_KEY", TOKEN_KEY)
        environment.setenv("FP_AUDIT_KEY", AUDIT_KEY)
        environment.setenv("FP_ACTOR", "ada")
        environment.chdir(folder)
        with opened(folder) as project:
            report = materialize(project, ["customer_profile"])
            assert report.ok, report.of("failed")
        yield folder


def opened(folder: Path) -> Project:
    return Project.open(folder, profile="servers")


class Trail:
    """The events that were recorded since this was made."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._before = self._newest()

    def events(self) -> list[dict[str, Any]]:
        with psycopg.connect(self._url) as connection:
            rows = connection.execute(
                "SELECT event FROM fp_audit.events WHERE seq > %s ORDER BY seq", [self._before]
            ).fetchall()
        return [event for (event,) in rows]

    def only(self, action: str) -> dict[str, Any]:
        (found,) = [event for event in self.events() if event["action"] == action]
        return found

    def _newest(self) -> int:
        with psycopg.connect(self._url) as connection:
            row = connection.execute("SELECT coalesce(max(seq), 0) FROM fp_audit.ledger").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def trail(shop: Path, ledger_url: str) -> Trail:
    return Trail(ledger_url)


def fp(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--profile", "servers"])


def test_compilation_gate_and_publication_are_recorded(shop: Path, ledger_url: str) -> None:
    trail = Trail(ledger_url)
    trail._before = 0
    events = {(event["action"], event["object"]): event for event in trail.events()}
    assert events["policy_change", "policies"]["counts"] == {"privacy": 3}
    compiled = events["compile", "view:customer_profile"]
    assert compiled["decision"] == "mask"
    assert compiled["input_classes"] == ["birth_date"]
    assert compiled["transforms"] == ["age_years"]
    age = next(column for column in compiled["columns"] if column["name"] == "age")
    assert age["decision"] == "mask"
    assert age["labels"] == ["partial(birth_date, age_years)"]
    assert age["inputs"] == ["customers.birth_date", "customers.updated_at"]
    assert "age_years of birth_date by policy 'privacy' (policies/privacy.yaml:8)" in age["rules"]
    assert next(column for column in compiled["columns"] if column["name"] == "country")["decision"] == "allow"
    gate = events["gate", "view:customer_profile"]
    published = events["materialization", "view:customer_profile to store:warehouse"]
    online = events["materialization", "view:customer_profile to store:redis"]
    assert gate["decision"] == "allow"
    assert gate["counts"]["pii"] == 1
    assert gate["rows"] == published["rows"] > 0
    assert gate["run_id"] == published["run_id"]
    assert online["rows"] > 0
    assert events["key_use", "key:tokens"]["counts"]["email"] == 1
    assert published["fingerprint"] == compiled["fingerprint"]
    for event in events.values():
        assert event["actor"]["human"] == "ada"
        assert event["policy_hash"]
        assert event["environment"] == "servers"


def test_opening_again_records_nothing_new(shop: Path, trail: Trail) -> None:
    with opened(shop) as project:
        project.warehouse()
    assert [event["action"] for event in trail.events()] == ["key_use"]


def test_a_query_is_recorded_before_its_rows_and_counted_after(shop: Path, trail: Trail) -> None:
    with opened(shop) as project:
        result = FeatureStore(project, purpose="fraud_detection").sql("SELECT email, country FROM customers")
        rows = result.to_arrow().num_rows
        events = _drained(project, trail)
    query, read, end = (event for event in events if event["action"] in ("query", "read", "read_end"))
    assert query["decision"] == read["decision"] == "mask"
    assert query["purposes"] == ["fraud_detection"]
    assert [column.get("labels", []) for column in query["columns"]] == [["token(email, v1)"], []]
    assert query["inputs"] == ["sources.customers"]
    assert query["sql_before"] != query["sql_after"]
    assert read["request_id"] == end["request_id"]
    assert end["rows"] == rows > 0


def test_a_refused_query_is_recorded_by_code_and_place(shop: Path, trail: Trail) -> None:
    with opened(shop) as project:
        with pytest.raises(GuardError):
            FeatureStore(project, purpose="recommendations").sql("SELECT email FROM customers")
        project.audit.trail.drain()
    denied = trail.only("query")
    assert denied["decision"] == "deny"
    assert denied["refusals"] == [{"code": "FP-SQL-020", "place": "<query>:1:8"}]


def test_a_training_set_and_an_online_read_are_recorded(shop: Path, trail: Trail) -> None:
    spine = pa.table({"customer_id": [1, 2], "event_time": pa.array([0, 0], pa.timestamp("us"))})
    with opened(shop) as project:
        store = FeatureStore(project, purpose="recommendations", role="analyst")
        assert store.training_set(spine, ["customer_profile:*"]).to_arrow().num_rows == 2
        store.create_dataset("kept", spine, ["customer_profile:*"])
        assert store.dataset("kept").manifest.rows == 2
        assert len(store.online(["customer_profile:age"], [{"customer_id": 1}, {"customer_id": 2}])) == 2
        events = _drained(project, trail)
    read = next(event for event in events if event["action"] == "read")
    assert (read["object"], read["role"], read["input_classes"]) == ("training_set", "analyst", ["birth_date"])
    assert next(event for event in events if event["action"] == "read_end")["rows"] == 2
    kept = next(event for event in events if event["object"] == "dataset:kept@1")
    assert (kept["rows"], kept["decision"]) == (2, "mask")
    online = next(event for event in events if event["action"] == "online_read")
    assert (online["rows"], online["object"], online["decision"]) == (2, "customer_profile:age", "mask")
    assert "columns" not in online, "a read is short, and cites what was chosen"
    chosen = next(event for event in events if event.get("fingerprint") == online["fingerprint"])
    assert chosen["action"] == "query"
    assert chosen["columns"][0]["labels"] == ["partial(birth_date, age_years)"]


def test_features_that_a_purpose_may_not_have_are_recorded(shop: Path, trail: Trail) -> None:
    with opened(shop) as project:
        with pytest.raises(UsageError):
            FeatureStore(project, purpose="fraud_detection").online("next_product", {"customer_id": 1})
        project.audit.trail.drain()
    denied = trail.only("read")
    assert (denied["decision"], denied["object"], denied["purposes"]) == ("deny", "features", ["fraud_detection"])
    assert denied["refusals"][0]["code"].startswith("FP-SDK-")


def test_a_changed_policy_is_recorded_with_the_hash_before(shop: Path, trail: Trail) -> None:
    policy = shop / "policies" / "privacy.yaml"
    text = policy.read_text(encoding="utf-8")
    try:
        policy.write_text(text.replace("[email_domain]", "[]"), encoding="utf-8")
        with opened(shop) as project:
            project.audit.trail.drain()
    finally:
        policy.write_text(text, encoding="utf-8")
    with opened(shop) as project:
        project.audit.trail.drain()
    there, back = (event for event in trail.events() if event["action"] == "policy_change")
    assert there["previous"] == back["policy_hash"]
    assert back["previous"] == there["policy_hash"]


def test_raw_values_by_exception_are_recorded_with_their_rule(shop: Path, trail: Trail) -> None:
    policy = shop / "policies" / "privacy.yaml"
    text = policy.read_text(encoding="utf-8")
    raw = "action: raw, roles: [investigator], approver: dpo@example.com, expires: 2099-12-31, ticket: CASE-1}"
    try:
        policy.write_text(text.replace("action: token, transforms: [email_domain]}", raw), encoding="utf-8")
        with opened(shop) as project:
            store = FeatureStore(project, purpose="fraud_detection", role="investigator")
            assert PLANTED[0] in store.sql("SELECT email FROM customers").to_arrow()["email"].to_pylist()
            project.audit.trail.drain()
    finally:
        policy.write_text(text, encoding="utf-8")
    access = trail.only("raw_access")
    assert access["input_classes"] == ["email"]
    assert access["role"] == "investigator"
    assert access["rules"] == ["raw of email by policy 'privacy' (policies/privacy.yaml:6)"]
    assert access["columns"][0]["labels"] == ["raw(email)"]


def test_a_downstream_asset_that_reads_a_published_view_is_recorded(shop: Path, trail: Trail) -> None:
    with opened(shop) as project:
        PublishedTable(project, "customer_profile", "warehouse").read().read_all()
        events = _drained(project, trail)
    read = next(event for event in events if event["action"] == "read")
    assert (read["object"], read["decision"]) == ("view:customer_profile", "mask")


def test_a_search_of_sources_is_recorded(shop: Path, trail: Trail) -> None:
    fp("profile", "customers", "--force")
    scan = trail.only("scan")
    assert (scan["object"], scan["input_classes"]) == ("source:customers", ["birth_date", "email"])


def test_a_project_that_does_not_compile_is_recorded(shop: Path, trail: Trail) -> None:
    views = shop / "shop" / "views.yaml"
    text = views.read_text(encoding="utf-8")
    try:
        views.write_text(text.replace("country, age_years", "email, age_years"), encoding="utf-8")
        with pytest.raises(CompileError):
            opened(shop)
    finally:
        views.write_text(text, encoding="utf-8")
    assert fp("audit", "verify").exit_code == 0
    denied = trail.only("compile")
    assert denied["decision"] == "deny"
    assert {refused["code"][:7] for refused in denied["refusals"]} == {"FP-SQL-"}
    assert denied["refusals"][0]["place"].startswith("shop/views.yaml:")


def test_exports_are_recorded(shop: Path, trail: Trail, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    query = "SELECT country FROM customers"
    assert fp("sql", query, "--purpose", "fraud_detection", "--out", str(out)).exit_code == 0
    assert fp("compile", "customer_profile").exit_code == 0
    assert fp("lineage", "customer_profile:age").exit_code == 0
    assert fp("audit", "verify").exit_code == 0
    exports = [(event["object"], event["engine"]) for event in trail.events() if event["action"] == "export"]
    assert exports == [("query", "csv"), ("view:customer_profile", "sql"), ("lineage:customer_profile:age", "lineage")]


def test_without_ledger_and_spool_no_rows_are_released(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    shutil.copytree(shop / ".fp" / "data", state / "data")
    monkeypatch.setenv(STATE_VARIABLE, str(state))
    monkeypatch.setenv("SHOP_POSTGRES", "postgresql://postgres@127.0.0.1:1/nowhere")
    with opened(shop) as project:
        store = FeatureStore(project, purpose="fraud_detection")
        result = store.sql("SELECT country FROM customers")
        assert store.online(["customer_profile:age"], {"customer_id": 1})[0].statuses
        project.audit.trail.close()
        shutil.rmtree(state / "audit")
        (state / "audit").write_text("a file where the spool should be")
        with pytest.raises(AuditError, match="FP-AUDIT-003"):
            result.to_arrow()
        with pytest.raises(AuditError, match="FP-AUDIT-003"):
            store.sql("SELECT country FROM customers")
        with pytest.raises(AuditError, match="FP-AUDIT-003"):
            store.online(["customer_profile:age"], {"customer_id": 1})


def test_without_its_key_a_profile_with_servers_does_not_even_compile(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FP_AUDIT_KEY")
    (shop / ".fp" / "audit" / "recorded" / "servers.json").unlink()
    with pytest.raises(AuditError, match="FP-AUDIT-001"):
        opened(shop)


def test_no_value_no_literal_and_no_key_is_in_the_trail(shop: Path, ledger_url: str) -> None:
    queries = [
        f"SELECT country AS {PLANTED[2]} FROM customers WHERE country <> '{PLANTED[1]}' -- {PLANTED[3]}",
        f"SELECT email FROM customers WHERE email = '{PLANTED[0]}'",
        f"SELECT '{PLANTED[1]}' || country AS \"{PLANTED[0]}\" FROM customers",
        f"SELECT nothing('{PLANTED[1]}') FROM customers",
        "SELECT DISTINCT email, country FROM customers",
    ]
    with opened(shop) as project:
        for role in ("author", PLANTED[0]):
            store = FeatureStore(project, purpose="fraud_detection", role=role)
            for query in queries:
                try:
                    store.sql(query).to_arrow()
                except GuardError:
                    continue
        tokens = [project.tokens.token("email", PLANTED[0])]
        spooled = b"".join(path.read_bytes() for path in (shop / ".fp" / "audit").rglob("*") if path.is_file())
        project.audit.trail.drain()
    with psycopg.connect(ledger_url) as connection:
        dumped = json.dumps(connection.execute("SELECT record FROM fp_audit.ledger").fetchall())
        dumped += json.dumps(connection.execute("SELECT checkpoint FROM fp_audit.checkpoints").fetchall())
    everything = spooled.decode("utf-8", "replace") + dumped
    assert everything.count('"action') > 20
    for text in (*PLANTED, *tokens, AUDIT_KEY, TOKEN_KEY, "1980-01-01", "SELECT"):
        assert text not in everything, text


def test_auditors_read_verify_and_export(shop: Path, tmp_path: Path) -> None:
    verdict = json.loads(fp("audit", "verify", "--json").stdout)
    assert verdict["whole"]
    assert verdict["records"] == verdict["last"] > 10
    assert "whole" in fp("audit", "verify").stdout
    lines = fp("audit", "tail", "-n", "3", "--json").stdout.splitlines()
    assert len(lines) == 3
    assert json.loads(lines[0])["record"]["event"]["action"]
    assert len(fp("audit", "tail", "-n", "2").stdout.splitlines()) == 2
    out = tmp_path / "events.csv"
    assert fp("audit", "export", "--out", str(out), "--action", "gate").exit_code == 0
    header, *rows = out.read_text(encoding="utf-8").splitlines()
    assert header.startswith("seq,recorded_at,at,action")
    assert rows
    assert all(",gate," in row for row in rows)
    assert fp("audit", "export", "--until", "2000-01-01").stdout == ""
    assert fp("audit", "export", "--until", "someday").exit_code == 2
    assert "CREATE ROLE" in CliRunner().invoke(app, ["audit", "setup"]).stdout


def test_verification_fails_when_somebody_changed_the_ledger(shop: Path, ledger_url: str, tmp_path: Path) -> None:
    assert fp("audit", "checkpoint", "--out", str(tmp_path)).exit_code == 0
    with psycopg.connect(ledger_url, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE fp_audit.ledger DISABLE TRIGGER ALL")
        superuser.execute("UPDATE fp_audit.ledger SET record = replace(record, 'ada', 'bob') WHERE seq = 2")
        try:
            result = fp("audit", "verify", "--checkpoints", str(tmp_path))
            assert result.exit_code == 1
            assert "record 2 does not fit its hash" in result.stdout
            assert "FP-AUDIT-005" in result.stderr
        finally:
            superuser.execute("UPDATE fp_audit.ledger SET record = replace(record, 'bob', 'ada') WHERE seq = 2")
    assert fp("audit", "verify").exit_code == 0


def _drained(project: Project, trail: Trail) -> list[dict[str, Any]]:
    project.audit.trail.drain()
    return trail.events()

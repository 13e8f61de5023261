"""Which ledger a project's trail goes to, and that recording starts no server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import feature_platform
from feature_platform.errors import GuardError, SpecError
from feature_platform.governance.audit import spool
from feature_platform.governance.audit.file_ledger import FileLedger
from feature_platform.governance.audit.keys import KEY_FILE
from feature_platform.governance.audit.postgres_ledger import PostgresLedger
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.stores.embedded import running

TEMPLATE = Path(__file__).parents[2] / "feature_platform" / "templates"
IN_POSTGRES = """---
kind: source
name: refunds
description: What was paid back.
store: postgres
table: shop.refunds
event_time: paid_at
columns:
  paid_at: {type: timestamp, pii: none}
  amount: {type: "decimal(18,2)", pii: none}
"""
POSTGRES = "      postgres: {type: postgres}\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template's project, whose embedded profile makes its own audit key."""
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    monkeypatch.delenv("FP_AUDIT_KEY", raising=False)
    shutil.copytree(TEMPLATE / "project", tmp_path / "shop")
    shutil.copytree(TEMPLATE / "data", tmp_path / "shop" / ".fp" / "data")
    return tmp_path / "shop"


def with_postgres(root: Path, more: str = "") -> Path:
    with (root / "platform.yaml").open("a", encoding="utf-8") as file:
        file.write(POSTGRES + more)
    return root


def test_a_profile_without_postgresql_keeps_its_ledger_in_files(root: Path) -> None:
    with Project.open(root) as project:
        assert isinstance(project.audit.trail.ledger, FileLedger)
        project.warehouse()  # the state folder is in use, so draining costs next to nothing
    with Project.open(root) as project:
        actions = [record.event()["action"] for record in project.audit.trail.ledger.records()]
        assert actions == ["policy_change", "compile", "compile", "compile", "key_use"]
        assert project.audit.trail.verify().whole
    assert (root / ".fp" / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_recording_does_not_start_the_embedded_server_and_the_next_who_has_it_drains(root: Path) -> None:
    with_postgres(root)
    with Project.open(root) as project:
        project.warehouse()
    assert not running(root / ".fp" / "postgres")
    assert len(spool.finished(root / ".fp" / "audit")) == 2, "what compiled, and the key that was used"
    with Project.open(root) as project:
        project.online_store("postgres").publication("customer_orders")
    assert spool.finished(root / ".fp" / "audit") == []
    with Project.open(root) as project:
        assert isinstance(project.audit.trail.ledger, PostgresLedger)
        assert project.audit.trail.verify().whole
        assert project.audit.trail.ledger.head().seq >= 5
    assert not running(root / ".fp" / "postgres")


def test_a_spool_that_fills_up_is_drained_even_if_a_server_has_to_be_started(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_postgres(root)
    monkeypatch.setattr("feature_platform.governance.audit.trail.SPOOL_BYTES", 4_000)
    with Project.open(root):
        pass
    assert spool.finished(root / ".fp" / "audit") == []


def test_the_audit_store_has_to_be_a_postgres_store(root: Path) -> None:
    with_postgres(root, "    audit_store: redis\n")
    with pytest.raises(SpecError, match="'redis', which should keep the audit ledger, is no store of type `postgres`"):
        Project.open(root)


def test_a_query_that_its_engine_can_not_run_is_recorded_as_refused(root: Path) -> None:
    with_postgres(root)
    with (root / "shop" / "sources.yaml").open("a", encoding="utf-8") as file:
        file.write(IN_POSTGRES)
    with feature_platform.connect(root, purpose="fraud_detection") as store:
        with pytest.raises(GuardError, match="FP-SQL-051"):
            store.sql("SELECT a.amount FROM refunds AS a POSITIONAL JOIN refunds AS b")
        store.project.audit.trail.drain()
        *_, last = store.project.audit.trail.ledger.records()
    assert (last.event()["action"], last.event()["decision"]) == ("query", "deny")
    assert [refused["code"] for refused in last.event()["refusals"]] == ["FP-SQL-051"]

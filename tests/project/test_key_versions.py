"""A rotation of the token key from end to end: on DuckDB, PostgreSQL and Redis, without a moment when readers find
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.errors import GovernanceError, UsageError
from feature_platform.orchestration.runs import materialize
from feature_platform.project.key_versions import holders, rotation_status
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from tests.databases import own_database

OLD, NEW = (bytes(range(start, start + 40)).hex() for start in (10, 90))
CARD, OTHER = "4111111111111111", "5500005555555559"
NOW = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)

PROJECT = """
kind: platform
name: cards
purposes: {fraud: Stopping fraud.}
profiles:
  embedded:
    stores:
      warehouse: {type: duckdb_delta, memory_limit: 256MB, threads: 1}
      postgres: {type: postgres, url_env: FP_TEST_POSTGRES, schema_prefix: PREFIX}
      redis: {type: redis, url_env: FP_TEST_REDIS, key_prefix: PREFIX}
---
kind: policy
name: privacy
owner: team:privacy
rules:
  - {classification: payment_card, action: token}
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
name: holders
domain: cards
path: holders.parquet
event_time: updated_at
columns:
  card_number: {type: string, pii: payment_card}
  updated_at: {type: timestamp, pii: none}
  level: {type: string, pii: none}
---
kind: feature_view
name: holder
domain: cards
entity: card
event_time: updated_at
sql: SELECT card_number, updated_at, level FROM holders
materialization: {offline: warehouse, online: redis}
---
kind: feature_view
name: ranked
domain: cards
entity: card
event_time: updated_at
sql: SELECT h.card_number, h.updated_at, upper(v.level) AS rank FROM holder AS v JOIN holders AS h USING (card_number)
materialization: {offline: postgres, online: postgres}
---
kind: feature_view
name: length_of
domain: cards
entity: card
event_time: updated_at
sql: SELECT card_number, updated_at, length(level) AS letters FROM holders
materialization: {offline: warehouse}
---
kind: feature_service
name: scoring
domain: cards
purpose: fraud
features: ["holder:level", "ranked:rank"]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("rotation") / "cards"
    (folder / ".fp" / "data").mkdir(parents=True)
    (folder / "platform.yaml").write_text(PROJECT.replace("PREFIX", f"t{uuid4().hex[:8]}"), encoding="utf-8")
    rows = {"card_number": [CARD, OTHER], "updated_at": [NOW - 5 * DAY] * 2, "level": ["gold", "silver"]}
    pq.write_table(pa.table(rows), folder / ".fp" / "data" / "holders.parquet")
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(STATE_VARIABLE, raising=False)
        environment.setenv("FP_TEST_POSTGRES", own_database(postgres_url, "rotation"))
        environment.setenv("FP_TEST_REDIS", redis_url)
        yield folder


def opened(root: Path, monkeypatch: pytest.MonkeyPatch, keys: str) -> Project:
    """The project as a new process sees it that was given these keys."""
    monkeypatch.setenv("FP_TOKEN_KEY", keys)
    return Project.open(root)


def run(project: Project, *views: str) -> None:
    report = materialize(project, list(views) or None, as_of=NOW)
    assert report.ok, report.of("failed")


def online(project: Project, **entity: Any) -> dict[str, Any]:
    features = ["holder:level", "ranked:rank"]
    vectors = FeatureStore(project, purpose="fraud").online(features, entity or {"card_number": CARD})
    return dict(vectors[0].values)


def trained(project: Project, *features: str, card: str = CARD) -> list[dict[str, Any]]:
    spine = pa.table({"card_number": [card], "at": [NOW]})
    return FeatureStore(project, purpose="fraud").training_set(spine, list(features), time="at").to_arrow().to_pylist()


def sql(project: Project, text: str) -> list[dict[str, Any]]:
    return FeatureStore(project, purpose="fraud").sql(text).to_arrow().to_pylist()


JOINED = "SELECT count(*) AS n FROM holder AS v JOIN holders AS s ON v.card_number = s.card_number"
BETWEEN_VIEWS = "SELECT count(*) AS n FROM holder AS v JOIN length_of AS s ON v.card_number = s.card_number"
FOUND = {"holder__level": "gold", "ranked__rank": "GOLD"}


def test_a_rotation_from_the_first_key_to_its_retirement(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(root, monkeypatch, f"v1:{OLD}") as project:
        run(project)
        assert online(project) == FOUND
        assert {each.versions["payment_card"] for each in holders(project)} == {frozenset({1})}
    with opened(root, monkeypatch, f"v1:{OLD} read:v2:{NEW}") as project:
        the_new_key_is_known_and_nobody_writes_with_it(project)
    with opened(root, monkeypatch, f"v1:{OLD} v2:{NEW}") as project:
        nothing_was_rebuilt_yet(project)
        run(project, "length_of")
        views_are_on_different_versions(project)
        run(project, "holder")
        one_view_is_behind_the_view_that_it_reads(project)
        run(project)
        everything_is_on_the_new_version(project)
    with opened(root, monkeypatch, f"v2:{NEW}") as project:
        nothing_is_missing_without_the_old_key(project)
    a_key_was_taken_away_too_early(root, monkeypatch)


def the_new_key_is_known_and_nobody_writes_with_it(project: Project) -> None:
    assert online(project) == FOUND
    assert all(asset.status == "up_to_date" for asset in materialize(project, as_of=NOW).assets)


def nothing_was_rebuilt_yet(project: Project) -> None:
    """Sources are tokenised with the version of the rows that they meet."""
    assert online(project) == FOUND
    assert sql(project, JOINED) == [{"n": 2}]
    (row,) = trained(project, "holder:level", "ranked:rank")
    assert row == {"card_number": token(project, 1), "at": NOW.replace(tzinfo=UTC), **FOUND}


def views_are_on_different_versions(project: Project) -> None:
    """One view is rebuilt. Its readers find it, alone and online; what would mix versions is refused."""
    assert sql(project, "SELECT min(letters) AS n FROM length_of") == [{"n": 4}]
    assert trained(project, "length_of:letters")[0]["card_number"] == token(project, 2)
    assert online(project) == FOUND
    with pytest.raises(GovernanceError, match=r"FP-GOV-017.*v1 in holder and v2 in length_of") as refusal:
        sql(project, BETWEEN_VIEWS)
    assert "fp materialize holder" in str(refusal.value)
    with pytest.raises(GovernanceError, match="FP-GOV-017"):
        trained(project, "holder:level", "length_of:letters")
    (status,) = rotation_status(project, holders(project))
    assert (status.writing, status.reading, status.retirable, status.missing) == (2, (1,), (), ())
    assert {"holder in warehouse", "holder in redis", "ranked in postgres"} <= set(status.held[1])
    assert status.held[2] == ("length_of in warehouse",)


def one_view_is_behind_the_view_that_it_reads(project: Project) -> None:
    assert online(project) == FOUND
    with pytest.raises(UsageError, match="key version 2; rows of 'ranked' have v1"):
        online(project, card_number=token(project, 2))


def everything_is_on_the_new_version(project: Project) -> None:
    assert online(project) == FOUND
    with pytest.raises(UsageError, match="key version 1; rows of 'holder' have v2"):
        online(project, card_number=token(project, 1))
    assert sql(project, BETWEEN_VIEWS) == [{"n": 2}]
    assert trained(project, "holder:level", "ranked:rank")[0]["ranked__rank"] == "GOLD"
    with pytest.raises(GovernanceError, match="FP-GOV-016"):
        trained(project, "holder:level", card=token(project, 1))
    (status,) = rotation_status(project, holders(project))
    assert (status.retirable, set(status.held)) == ((1,), {2})
    assert "v2" in str(FeatureStore(project, purpose="fraud").sql("SELECT card_number FROM holder").columns[0])


def nothing_is_missing_without_the_old_key(project: Project) -> None:
    assert online(project) == FOUND
    assert all(asset.status == "up_to_date" for asset in materialize(project, as_of=NOW).assets)


def a_key_was_taken_away_too_early(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said so, and rows are not just missing."""
    project = opened(root, monkeypatch, f"v3:{OLD}")
    with project, pytest.raises(GovernanceError, match=r"FP-GOV-016.*version 2"):
        sql(project, JOINED)
    with opened(root, monkeypatch, f"v3:{OLD}") as project, pytest.raises(GovernanceError, match="FP-GOV-016"):
        online(project)
    answer = CliRunner().invoke(app, ["token", "status", "--project", str(root), "--json"])
    assert answer.exit_code == 1, answer.output
    (shown,) = json.loads(answer.stdout)["classifications"]
    assert (shown["writing"], shown["missing"], shown["retirable"]) == (3, [2], [])
    assert "MISSING" in CliRunner().invoke(app, ["token", "status", "--project", str(root)]).stdout


def token(project: Project, version: int) -> str:
    return project.tokens.token("payment_card", CARD, version)

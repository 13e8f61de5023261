"""A rotation of the token key over a partitioned view: all partitions move, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_platform.errors import GovernanceError
from feature_platform.orchestration.history import why_stale
from feature_platform.orchestration.materialization import request, stage
from feature_platform.orchestration.partitions import partition_of
from feature_platform.project.key_versions import published_versions
from feature_platform.project.project import Project
from feature_platform.sdk.client import FeatureStore
from tests.orchestration.builders import Workplace, utc, workplace

OLD, NEW = (bytes(range(start, start + 40)).hex() for start in (10, 90))
NOON = utc(2026, 1, 4, 12)

VIEW = """
    kind: entity
    name: payer
    keys: [{name: email, type: string, pii: email}]
    ---
    kind: feature_view
    name: payer_daily
    entity: payer
    source: transactions
    aggregations: [{function: sum, column: amount, windows: [1d]}]
    materialization: {offline: warehouse, schedule: "@daily", partition: day, start: 2026-01-01}
"""


@pytest.fixture
def payers(tmp_path: Path, stores: dict[str, str]) -> Workplace:
    assert stores
    return workplace(tmp_path, VIEW)


def opened(place: Workplace, monkeypatch: pytest.MonkeyPatch, keys: str) -> Project:
    monkeypatch.setenv("FP_TOKEN_KEY", keys)
    return place.open()


def write(project: Project, day: str) -> None:
    wanted = request("payer_daily", partition_of(day, "day"), NOON)
    project.warehouse().publish(stage(project, wanted, run_id="run").write)


def held(project: Project) -> set[int]:
    return set(published_versions(project, "payer_daily")["email"])


def test_a_new_partition_has_the_version_of_the_others_until_all_of_them_are_moved(
    payers: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [partition_of(f"2026-01-0{day}", "day") for day in (1, 2, 3)]
    with opened(payers, monkeypatch, f"v1:{OLD}") as project:
        write(project, "2026-01-01")
        write(project, "2026-01-02")
    with opened(payers, monkeypatch, f"v1:{OLD} v2:{NEW}") as project:
        write(project, "2026-01-03")
        assert held(project) == {1}
        assert not any(why_stale(project, "payer_daily", day) for day in days)

        project.rotates_partitions = True  # as `--partition all` says
        assert {why_stale(project, "payer_daily", day) for day in days} == {"another version of a token key"}
        write(project, "2026-01-01")
        assert held(project) == {1, 2}
        with pytest.raises(GovernanceError, match="FP-GOV-017"):
            FeatureStore(project, purpose="fraud_detection").sql("SELECT count(*) AS n FROM payer_daily")

    # the run died; new partitions come with the new key now, and another run goes on with those that are left
    with opened(payers, monkeypatch, f"v1:{OLD} v2:{NEW}") as project:
        project.rotates_partitions = True
        assert [bool(why_stale(project, "payer_daily", day)) for day in days] == [False, True, True]
        write(project, "2026-01-02")
        write(project, "2026-01-03")
        assert held(project) == {2}

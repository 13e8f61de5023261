"""A project whose PostgreSQL is reached through a pooler in transaction mode: computed, published, asked and read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest

from feature_platform.errors import StoreError
from feature_platform.orchestration import materialization
from feature_platform.orchestration.intervals import live_partitions
from feature_platform.orchestration.online import publish_copy, stage_copy
from feature_platform.orchestration.online_rows import copy_of
from feature_platform.orchestration.partitions import partition_of
from feature_platform.orchestration.store_status import store_status
from feature_platform.project.project import Project
from feature_platform.sdk.client import FeatureStore
from tests.orchestration.builders import CARD_MODEL, DAILY_SPEND, LAST_PAYMENT, PLATFORM, Workplace, utc, workplace
from tests.stores.pooler import pooling

NOON = utc(2026, 1, 4, 12)
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
ADDRESS = "url_env: FP_TEST_POOLED, direct_url_env: FP_TEST_POSTGRES"


@pytest.fixture
def pooled(stores: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with pooling(stores["FP_TEST_POSTGRES"]) as pooler:
        monkeypatch.setenv("FP_TEST_POOLED", pooler.url)
        yield


def project_with(folder: Path, address: str) -> Workplace:
    def in_postgres(view: str) -> str:
        return view.replace("offline: warehouse, online: redis", "offline: postgres, online: postgres")

    place = workplace(folder, in_postgres(LAST_PAYMENT), in_postgres(DAILY_SPEND), CARD_MODEL)
    platform = PLATFORM.replace("PREFIX", f"t{uuid4().hex[:8]}").replace("url_env: FP_TEST_POSTGRES", address)
    place.write(platform, file="platform.yaml")
    return place


def published(project: Project) -> None:
    """What a run does, without Dagster."""
    for view, partitions in (("last_payment", [None]), ("daily_spend", [partition_of(day, "day") for day in DAYS])):
        for partition in partitions:
            staged = materialization.stage(project, materialization.request(view, partition, NOON), run_id="r")
            materialization.publish(project, materialization.audit(project, staged))
        publish_copy(project, stage_copy(project, copy_of(project, view, "postgres", NOON), run_id="r"))


@pytest.mark.usefixtures("pooled")
def test_a_project_behind_a_pooler_is_computed_published_asked_and_read(tmp_path: Path) -> None:
    with project_with(tmp_path, ADDRESS).open() as project:
        published(project)
        published(project)
        assert [each.key for each in live_partitions(project, "daily_spend")] == list(DAYS)
        found = list(store_status(project, ["last_payment", "daily_spend"], NOON))
        assert [status.rows for status in found] == [4, 2, 5, 2]
        store = FeatureStore(project, purpose="fraud_detection")
        asked = ["last_payment:amount", "daily_spend:amount_sum_7d"]
        for _ in range(8):  # more often than a driver waits before it prepares a statement
            vectors = store.online(asked, [{"card_id": 1}, {"card_id": 2}])
        assert [[str(value) for value in vector.values.values()] for vector in vectors] == [
            ["7.25", "177.25"],
            ["30.50", "30.50"],
        ]
        spine = pa.table({"card_id": [1, 2], "event_time": [utc(2026, 1, 4)] * 2})
        rows = store.training_set(spine, asked).to_arrow().to_pylist()
        assert [str(row["last_payment__amount"]) for row in rows] == ["7.25", "30.50"]


@pytest.mark.usefixtures("pooled")
def test_a_run_with_nothing_but_a_poolers_address_is_refused_and_publishes_nothing(tmp_path: Path) -> None:
    with project_with(tmp_path, "url_env: FP_TEST_POOLED, direct_url_env: FP_TEST_NOT_SET").open() as project:
        with pytest.raises(StoreError) as raised:
            published(project)
        assert raised.value.code == "FP-STORE-033"
        assert live_partitions(project, "daily_spend") == ()
        assert project.online_store("postgres").publication("last_payment") is None

"""A view with three online stores: each is published by itself, and what one lacks it gets from the next run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
import redis

from feature_platform.orchestration.report import RunReport
from feature_platform.orchestration.runs import materialize
from feature_platform.orchestration.store_repair import repair
from feature_platform.orchestration.store_status import StoreStatus, store_status
from feature_platform.project.project import Project
from feature_platform.stores.embedded import EmbeddedRedis
from tests.orchestration.builders import LAST_PAYMENT, PLATFORM, Payment, Workplace, online, utc

NOON = utc(2026, 1, 4, 12)
STORES = ("redis", "postgres", "second")
VIEW = LAST_PAYMENT.replace("online: redis", f"online: [{', '.join(STORES)}]")
SECOND = "          second: {type: redis, url_env: FP_TEST_SECOND, key_prefix: three}\n"


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A server of this test's own, which it may make refuse."""
    with EmbeddedRedis(tmp_path / "second", keep_data=False) as server, redis.Redis.from_url(server.url) as client:
        monkeypatch.setenv("FP_TEST_SECOND", server.url)
        yield client


def refuse(server: redis.Redis, policy: str) -> None:
    server.config_set("maxmemory", "100mb")
    server.config_set("maxmemory-policy", policy)


def became(report: RunReport) -> Mapping[str, str]:
    return {each.store: each.status for each in report.assets if each.store in STORES}


def statuses(project: Project) -> Mapping[str, StoreStatus]:
    return {each.store: each for each in store_status(project, ["last_payment"], NOON)}


def amounts(project: Project) -> list[object]:
    return [row and row["amount"] for store in STORES for row in online(project, "last_payment", 1, store=store)]


def test_a_store_that_refuses_keeps_no_other_from_publishing_and_the_next_run_heals_it_alone(
    cards: Workplace, second: redis.Redis
) -> None:
    cards.write(PLATFORM.replace("PREFIX", "three") + SECOND, file="platform.yaml")
    cards.write(VIEW)
    with cards.open() as project:
        assert became(materialize(project, as_of=NOON)) == dict.fromkeys(STORES, "published")
        before = statuses(project)
        assert {before[store].health for store in STORES} == {"current"}

        cards.pay([Payment(1, utc(2026, 1, 4, 9), "1.00")], file="new.csv")
        refuse(second, "allkeys-lru")
        report = materialize(project, as_of=NOON)
        assert not report.ok
        assert became(report) == {"redis": "published", "postgres": "published", "second": "failed"}
        (failed,) = report.of("failed")
        assert "FP-STORE-061" in failed.reason
        assert amounts(project) == [Decimal("1.00"), Decimal("1.00"), Decimal("7.25")]
        now = statuses(project)
        assert {store: now[store].health for store in STORES} == {
            "redis": "current",
            "postgres": "current",
            "second": "behind",
        }
        assert {store: now[store].version == before[store].version for store in STORES} == {
            "redis": False,
            "postgres": False,
            "second": True,
        }

        refuse(second, "noeviction")
        assert became(materialize(project, as_of=NOON)) == {
            "redis": "up_to_date",
            "postgres": "up_to_date",
            "second": "published",
        }
        assert amounts(project) == [Decimal("1.00")] * 3

        second.flushall()
        done = {each.store: each.done for each in repair(project, ["last_payment"], NOON)}
        assert {store: bool(done[store]) for store in STORES} == {"redis": False, "postgres": False, "second": True}
        assert {each.health for each in statuses(project).values()} == {"current"}
        assert amounts(project) == [Decimal("1.00")] * 3

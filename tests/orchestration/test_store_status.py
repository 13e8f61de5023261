"""Which store has which version: as the stores themselves say, not as somebody remembers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from decimal import Decimal

import psycopg
import pytest
import redis
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.orchestration.runs import materialize
from feature_platform.orchestration.store_repair import repair
from feature_platform.orchestration.store_status import StoreStatus, store_status
from feature_platform.project.project import Project
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_roles import roles
from tests.orchestration.builders import DAILY_SPEND, LAST_PAYMENT, Payment, Workplace, online, utc
from tests.stores.dying_publisher import lose

TWO_TARGETS = LAST_PAYMENT.replace("online: redis", "online: [redis, postgres]")
NOON = utc(2026, 1, 4, 12)


def statuses(project: Project) -> Mapping[tuple[str, str], StoreStatus]:
    return {(each.view, each.store): each for each in store_status(project, list(project.registry.views), NOON)}


def healths(project: Project) -> Mapping[str, str]:
    return {each.store: each.health for each in statuses(project).values() if each.view == "last_payment"}


def test_every_store_of_every_view_is_asked(cards: Workplace) -> None:
    cards.write(TWO_TARGETS, DAILY_SPEND)
    with cards.open() as project:
        assert {each.health for each in statuses(project).values()} == {"never published"}
        assert materialize(project, as_of=NOON).ok
        found = statuses(project)
    assert {each.health for each in found.values()} == {"current"}
    rows = found["last_payment", "warehouse"]
    assert (rows.rows, rows.event_time, rows.partitions) == (4, utc(2026, 1, 3, 10), 0)
    assert rows.lag_seconds(NOON) == 26 * 3600
    for store in ("redis", "postgres"):
        online = found["last_payment", store]
        assert (online.rows, online.event_time) == (2, utc(2026, 1, 3, 10))
        assert online.bytes
    spend = found["daily_spend", "warehouse"]
    assert (spend.partitions, spend.event_time) == (1, utc(2026, 1, 4))


def test_a_store_that_was_left_behind_is_named(cards: Workplace) -> None:
    cards.write(TWO_TARGETS)
    with cards.open() as project:
        materialize(project, as_of=NOON)
        live = project.online_store("postgres").publication("last_payment")
        assert live is not None
        with psycopg.connect(project.server_url("postgres") or "", autocommit=True) as server:
            names = server.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 't%online'").fetchall()
            for (name,) in names:
                server.execute(
                    f"UPDATE {name}.publications SET properties = properties || %s",
                    [json.dumps({"input:features.last_payment": "an older one"})],
                )
        assert healths(project) == {"warehouse": "current", "redis": "current", "postgres": "behind"}
        materialize(project, as_of=NOON)
        assert healths(project) == {"warehouse": "current", "redis": "current", "postgres": "current"}


def test_another_definition_is_no_current_version(cards: Workplace) -> None:
    cards.write(TWO_TARGETS)
    with cards.open() as project:
        materialize(project, as_of=NOON)
    cards.write(TWO_TARGETS.replace("amount, note", "amount + 1 AS amount, note"))
    with cards.open() as project:
        assert set(healths(project).values()) == {"other definition"}


def test_rows_that_a_store_lost_are_noticed(cards: Workplace) -> None:
    cards.write(TWO_TARGETS)
    cards.pay([Payment(number, utc(2026, 1, 2, 9)) for number in range(500)])
    with cards.open() as project:
        materialize(project, as_of=NOON)
        live = project.online_store("redis").publication("last_payment")
        assert live is not None
        with redis.Redis.from_url(project.server_url("redis") or "") as client:
            client.delete(*client.keys(f"*{live.version}:*"))
        shutil.rmtree(next(cards.state.glob("warehouse/**/last_payment")) / "data", ignore_errors=True)
        for file in cards.state.glob("warehouse/**/last_payment/**/*.parquet"):
            file.unlink()
        assert healths(project) == {"warehouse": "damaged", "redis": "damaged", "postgres": "current"}


def test_a_publication_that_was_left_half_done_is_named_and_the_next_run_heals_it(cards: Workplace) -> None:
    cards.write(TWO_TARGETS)
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        store = project.online_store("redis")
        assert isinstance(store, RedisOnlineStore)
        lose(store, 0)
        cards.pay([Payment(number, utc(2026, 1, 3, 9)) for number in range(20)])
        assert not materialize(project, as_of=NOON).ok
        found = statuses(project)["last_payment", "redis"]
        assert found.health == "half published"
        assert "0 of 1 groups" in found.detail
        lose(store, 1)
        assert materialize(project, as_of=NOON).ok
        assert set(healths(project).values()) == {"current"}


def test_a_project_publishes_to_a_cluster(
    cards: Workplace, redis_cluster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = cards.root / "platform.yaml"
    text = platform.read_text(encoding="utf-8")
    platform.write_text(text.replace("{type: redis,", "{type: redis, mode: cluster, groups: 8,"), encoding="utf-8")
    monkeypatch.setenv("FP_TEST_REDIS", redis_cluster_url)
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        assert healths(project) == {"warehouse": "current", "redis": "current"}
        assert [row and row["amount"] for row in online(project, "last_payment", 1, 2, 3)] == [
            Decimal("7.25"),
            Decimal("30.50"),
            None,
        ]
        prefix = project.profile.stores["redis"].key_prefix  # type: ignore[union-attr]
    printed = CliRunner().invoke(app, ["store", "roles", "--store", "redis", "--project", str(cards.root)])
    unknown = CliRunner().invoke(app, ["store", "roles", "--store", "redi", "--project", str(cards.root)])
    assert unknown.exit_code == 2
    assert "Did you mean 'redis'?" in unknown.output
    assert printed.output.strip() == roles(prefix)


def test_online_stores_are_filled_again_from_the_history(cards: Workplace) -> None:
    cards.write(TWO_TARGETS)
    cards.pay([Payment(number, utc(2026, 1, 2, 9)) for number in range(500)])
    with cards.open() as project:
        materialize(project, as_of=NOON)
        with redis.Redis.from_url(project.server_url("redis") or "") as client:
            prefix = project.registry.platform.profiles["embedded"].stores["redis"].key_prefix  # type: ignore[union-attr]
            client.delete(*client.keys(f"{prefix}:*"))
        assert healths(project) == {"warehouse": "current", "redis": "never published", "postgres": "current"}
        done = {each.store: each for each in repair(project, ["last_payment"], NOON)}
        assert (done["redis"].done, done["redis"].whole) == ("wrote all 500 rows", True)
        assert not done["postgres"].done
        assert set(healths(project).values()) == {"current"}
        assert not [each for each in repair(project, ["last_payment"], NOON) if each.done]
        materialize(project, as_of=NOON)
        assert set(healths(project).values()) == {"current"}


def test_a_history_that_lost_rows_is_named_and_nothing_is_copied_from_it(cards: Workplace) -> None:
    cards.write(TWO_TARGETS)
    with cards.open() as project:
        materialize(project, as_of=NOON)
        for file in cards.state.glob("warehouse/**/last_payment/**/*.parquet"):
            file.unlink()
        with redis.Redis.from_url(project.server_url("redis") or "") as client:
            live = project.online_store("redis").publication("last_payment")
            assert live is not None
            client.delete(*client.keys(f"*{live.version}:*"))
        done = {each.store: each for each in repair(project, ["last_payment"], NOON)}
        assert "fp materialize last_payment --partition all --force" in done["warehouse"].done
        assert not done["redis"].whole
        assert healths(project)["redis"] == "damaged"
    ran = CliRunner().invoke(app, ["store", "repair", "--project", str(cards.root)])
    assert ran.exit_code == 1
    assert "--force" in ran.stdout.replace("\n", " ")
    with cards.open() as project:
        assert materialize(project, ["last_payment"], partition="all", force=True, as_of=NOON).ok
        assert set(healths(project).values()) == {"current"}


def test_the_command_shows_the_rest_when_a_server_is_away(cards: Workplace, monkeypatch: object) -> None:
    cards.write(TWO_TARGETS)
    with cards.open() as project:
        materialize(project, as_of=NOON)
    environment = {"FP_TEST_REDIS": "redis://127.0.0.1:1/0"}
    ran = CliRunner().invoke(app, ["store", "status", "--project", str(cards.root), "--json"], env=environment)
    assert ran.exit_code == 1
    found = {each["store"]: each["health"] for each in json.loads(ran.stdout)["stores"]}
    assert found == {"warehouse": "current", "redis": "unreachable", "postgres": "current"}
    shown = CliRunner().invoke(app, ["store", "status", "last_payment", "--project", str(cards.root)])
    assert shown.exit_code == 0
    assert "last_payment" in shown.stdout

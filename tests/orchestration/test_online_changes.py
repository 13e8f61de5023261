"""Only what changed since the last copy goes online, and the result is that of a full snapshot."""

from __future__ import annotations

import random
import time
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
import redis

from feature_platform.orchestration.instance import instance
from feature_platform.orchestration.runs import materialize
from feature_platform.orchestration.store_repair import repair
from feature_platform.orchestration.store_status import store_status
from feature_platform.project.online import online_table
from feature_platform.project.project import Project
from feature_platform.sdk.client import connect
from feature_platform.stores.online_protocol import OnlineRow
from tests.orchestration.builders import DAILY_SPEND, LAST_PAYMENT, Payment, Workplace, online, utc
from tests.orchestration.test_kill import leftovers, materializing

NOON = utc(2026, 1, 4, 12)
CARDS = tuple(range(1, 60))


def written(project: Project, view: str, store: str) -> dict[str, Any]:
    """Metadata of the last online copy."""
    key = dg.AssetKey([store, "payments", view])
    with instance(project) as opened:
        event = opened.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def read(project: Project, view: str, store: str) -> list[OnlineRow | None]:
    table = online_table(project.compiled.views[view])
    return project.online_store(store).read(table, [(card,) for card in CARDS])


def as_a_snapshot(project: Project, view: str, store: str, day: int) -> list[OnlineRow | None]:
    """What a forced run leaves: a full snapshot of the same rows."""
    assert materialize(project, [view], as_of=utc(2026, 1, day, 12), force=True).ok
    assert written(project, view, store)["snapshot_because"] == "asked for"
    return read(project, view, store)


@pytest.fixture(params=["redis", "postgres"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_tick_writes_the_entities_whose_values_changed(cards: Workplace, store: str) -> None:
    cards.write(DAILY_SPEND.replace("online: redis", f"online: {store}").replace("{max: 1000}", "{min: 0}"))
    cards.pay([Payment(card, utc(2026, 1, 3, 9), "5.00") for card in CARDS[4:50]], file="many.csv")
    with cards.open() as project:
        materialize(project, as_of=utc(2026, 1, 5, 12))
        assert written(project, "daily_spend", store)["written_as"] == "snapshot"
        cards.pay([Payment(card, utc(2026, 1, 5, 9), "7.00") for card in (5, 58)], file="new.csv")
        materialize(project, as_of=utc(2026, 1, 6, 12))
        about = written(project, "daily_spend", store)
        assert (about["written_as"], about["rows_written"], about["rows_removed"]) == ("changes", 2, 0)
        found = read(project, "daily_spend", store)
        assert {row.event_time for row in found if row} == {utc(2026, 1, 6)}, "the tick moves on for every row"
        materialize(project, as_of=utc(2026, 1, 10, 12))
        about = written(project, "daily_spend", store)
        assert about["rows_removed"] > 0, "entities without events in their windows go"
        assert read(project, "daily_spend", store) == as_a_snapshot(project, "daily_spend", store, 10)


def test_feature_rows_are_written_where_a_newer_one_came(cards: Workplace, store: str) -> None:
    cards.write(LAST_PAYMENT.replace("online: redis", f"online: {store}"))
    with cards.open() as project:
        materialize(project, as_of=NOON)
        cards.pay([Payment(2, utc(2026, 1, 4, 11), "1.00"), Payment(7, utc(2026, 1, 4, 9), "2.00")], file="new.csv")
        cards.pay([Payment(1, utc(2026, 1, 3, 8), "9.00")], file="old.csv")
        materialize(project, as_of=NOON)
        about = written(project, "last_payment", store)
        assert (about["written_as"], about["rows_written"], about["rows_removed"]) == ("changes", 2, 0)
        assert online(project, "last_payment", 2, store=store)[0]["amount"] == Decimal("1.00")  # type: ignore[index]
        (cards.state / "data" / "transactions" / "new.csv").unlink()
        materialize(project, as_of=NOON)
        about = written(project, "last_payment", store)
        assert (about["rows_written"], about["rows_removed"]) == (1, 1), "a row goes back, an entity goes"
        assert read(project, "last_payment", store) == as_a_snapshot(project, "last_payment", store, 4)


def test_rows_that_nobody_vouches_for_are_replaced_by_a_snapshot(cards: Workplace, store: str) -> None:
    cards.write(LAST_PAYMENT.replace("online: redis", f"online: {store}"))
    with cards.open() as project:
        materialize(project, as_of=NOON)
        table = online_table(project.compiled.views["last_payment"])
        schema = table.schema.arrow()
        foreign = project.online_store(store)
        foreign.publish(foreign.stage(table, schema.empty_table().to_reader), backwards=True)
        materialize(project, as_of=NOON)
        assert written(project, "last_payment", store)["snapshot_because"] == "nothing says what is live"
        assert len([row for row in read(project, "last_payment", store) if row]) == 2


def test_a_definition_with_other_columns_is_a_snapshot_and_one_with_other_values_is_not(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        materialize(project, as_of=NOON)
    cards.write(LAST_PAYMENT.replace("amount, note", "CAST(amount + 1 AS DECIMAL(18,2)) AS amount, note"))
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        assert written(project, "last_payment", "redis")["written_as"] == "changes"
    cards.write(LAST_PAYMENT.replace("amount, note", "amount, note, 1 AS one"))
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        assert written(project, "last_payment", "redis")["snapshot_because"].startswith("nothing of this schema")


def test_a_kill_in_the_middle_of_changes_heals_to_what_a_snapshot_gives(cards: Workplace, store: str) -> None:
    cards.write(LAST_PAYMENT.replace("online: redis", f"online: {store}"))
    cards.pay([Payment(card, utc(2026, 1, 3, 12)) for card in range(100, 5_100)], file="many.csv")
    with cards.open() as project:
        materialize(project, as_of=NOON)
    old = Decimal("7.25")
    cards.pay([Payment(card, utc(2026, 1, 4, 1), "3.00") for card in (1, 7, 200)], file="new.csv")
    with materializing(cards, store, "stage", rests=False) as process:
        time.sleep(random.uniform(0, 0.5))  # any moment will do
        process.kill()
    with cards.open() as project:
        amounts = [row and row["amount"] for row in online(project, "last_payment", 1, 7, 200, store=store)]
        assert amounts in ([old, None, Decimal("10.00")], [Decimal("3.00")] * 3)
        assert materialize(project, as_of=NOON).ok
        healed = read(project, "last_payment", store)
        assert online(project, "last_payment", 200, store=store) == online(project, "last_payment", 7, store=store)
        assert leftovers(cards, project) == []
        assert healed == as_a_snapshot(project, "last_payment", store, 4)


def test_rows_past_their_ttl_are_not_read_directly_and_said_to_be_expired_by_the_sdk(cards: Workplace) -> None:
    cards.write(
        LAST_PAYMENT.replace(
            "event_time: event_time\n    contract", "event_time: event_time\n    ttl: 30d\n    contract"
        )
    )
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        table, store = online_table(project.compiled.views["last_payment"]), project.online_store("redis")
        last = utc(2026, 1, 3, 10)
        assert [row is None for row in store.read(table, [(1,), (2,)], at=last + timedelta(days=30))] == [False, True]
        assert store.read(table, [(1,), (2,)]) == [None, None]
        with redis.Redis.from_url(project.server_url("redis") or "") as client:
            live = store.publication("last_payment")
            assert live is not None
            client.delete(*client.keys(f"*:last_payment:{live.version}:*"))  # what the server does a day after
        (_, online_status) = store_status(project, ["last_payment"], last + timedelta(days=31))
        assert (online_status.health, online_status.detail) == ("behind", "every row was past its ttl, and is gone")
        (_, online_status) = store_status(project, ["last_payment"], last + timedelta(days=30))
        assert online_status.health == "damaged", "before that nothing should be missing"
        assert [each.whole for each in repair(project, ["last_payment"], NOON)] == [True, True]
    with connect(cards.root, purpose="fraud_detection") as features:
        vector = features.online(["last_payment:amount"], {"card_id": 1})[0]
        assert vector.statuses == {"last_payment__amount": "expired"}
        assert vector.values == {"last_payment__amount": None}
        assert vector.event_times == {"last_payment__amount": last.replace(tzinfo=UTC)}
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        assert read(project, "last_payment", "redis")[0] is not None, "a ttl that is taken back is taken back online"

"""A row that is older than its view's ttl when it is read is not there, on both stores."""

from __future__ import annotations

from datetime import timedelta

import pytest

from feature_platform.stores.online_protocol import AT_ANY_TIME, MOMENT, TTL, OnlineChanges, OnlineStore
from feature_platform.stores.online_reads import is_expired
from tests.stores.online_cases import NOON, online_table, removals, stream

TABLE = online_table("ended")
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
ONE_DAY = {TTL: str(DAY // TICK)}


def publish(store: OnlineStore, properties: dict[str, str]) -> None:
    rows = [{"card": "a", "amount": 1}, {"card": "b", "amount": 2, "event_time": NOON + DAY}]
    store.publish(store.stage(TABLE, stream(TABLE, rows), properties=properties))


def amounts(store: OnlineStore, **when: object) -> list[object]:
    found = store.read(TABLE, [("a",), ("b",)], **when)  # type: ignore[arg-type]
    return [row and row.values["amount"] for row in found]


def test_a_row_ends_with_its_ttl(store: OnlineStore) -> None:
    publish(store, ONE_DAY)
    assert amounts(store, at=NOON + DAY) == [1, 2], "both ends are closed"
    assert amounts(store, at=NOON + DAY + TICK) == [None, 2]
    assert amounts(store, at=NOON + 2 * DAY + TICK) == [None, None]
    assert amounts(store, at=AT_ANY_TIME) == [1, 2]
    assert amounts(store) == [None, None], "without a time it is now"


def test_the_ttl_is_that_of_the_publication(store: OnlineStore) -> None:
    publish(store, {})
    assert amounts(store) == [1, 2]
    publish(store, {TTL: str(3 * DAY // TICK)})
    assert amounts(store, at=NOON + 3 * DAY) == [1, 2]
    base = store.changeable(TABLE)
    assert base is not None
    changes = OnlineChanges(base, stream(TABLE, []), removals(TABLE, []), NOON + DAY)
    store.publish(store.stage_changes(TABLE, changes, properties=ONE_DAY))
    assert amounts(store, at=NOON + 2 * DAY) == [None, 2]


def test_rows_of_one_moment_end_together(store: OnlineStore) -> None:
    publish(store, {**ONE_DAY, MOMENT: (NOON + DAY).isoformat()})
    assert amounts(store, at=NOON + 2 * DAY) == [1, 2]
    assert amounts(store, at=NOON + 2 * DAY + TICK) == [None, None]


@pytest.mark.parametrize(("age", "ttl", "expired"), [(DAY, DAY, False), (DAY + TICK, DAY, True), (DAY, None, False)])
def test_the_rule_is_that_of_the_window_standard(age: timedelta, ttl: timedelta | None, expired: bool) -> None:
    assert is_expired(NOON, ttl, NOON + age) is expired
    assert is_expired(None, ttl, NOON) is (ttl is not None)

"""Changes to the rows that are live: as good as a full snapshot, whole or not at all, on both stores."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.errors import StoreError
from feature_platform.stores.online_protocol import MOMENT, OnlineChanges, OnlineStore, OnlineTable
from tests.processes import child
from tests.stores.online_cases import (
    CHANGED_ROWS,
    KINDS,
    NOON,
    Kind,
    changed_table,
    changes_to,
    numbered,
    online_table,
    publish,
    redis_kind,
    removals,
    stream,
)

KEYS = tuple(range(12))
ROWS = st.dictionaries(st.sampled_from(KEYS), st.none() | st.integers(0, 3), max_size=len(KEYS))


def rows(of: Mapping[int, int | None]) -> list[dict[str, object]]:
    return [{"card": str(key), "amount": amount} for key, amount in of.items()]


def change(
    store: OnlineStore, table: OnlineTable, old: Mapping[int, int | None], new: Mapping[int, int | None]
) -> None:
    base = store.changeable(table)
    assert base is not None
    put = {key: amount for key, amount in new.items() if key not in old or old[key] != amount}
    gone = removals(table, old.keys() - new.keys())
    store.publish(store.stage_changes(table, OnlineChanges(base, stream(table, rows(put)), gone, NOON)))


def live(store: OnlineStore, table: OnlineTable) -> dict[int, object]:
    found = store.read(table, [(str(key),) for key in KEYS])
    return {key: row.values["amount"] for key, row in zip(KEYS, found, strict=True) if row}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, min_size=2, max_size=4))
def test_changes_give_what_a_snapshot_would(store: OnlineStore, states: list[dict[int, int | None]]) -> None:
    table = online_table("law")
    publish(store, table, rows(states[0]))
    for old, new in pairwise(states):
        change(store, table, old, new)
        assert live(store, table) == new
        found = store.changeable(table)
        assert found is not None
        assert found.rows == len(new)


def test_a_snapshot_after_changes_replaces_all_of_them(kind: Kind, store: OnlineStore) -> None:
    table = online_table("again")
    publish(store, table, rows({1: 1, 2: 2}))
    change(store, table, {1: 1, 2: 2}, {2: 3, 4: 4})
    publish(store, table, rows({5: 5}))
    assert live(store, table) == {5: 5}
    assert kind.leftovers() == set()


def test_the_moment_of_a_publication_is_the_time_of_every_row(store: OnlineStore) -> None:
    table, later = online_table("ticks"), NOON + timedelta(hours=1)
    staged = store.stage(table, stream(table, rows({1: 1, 2: 2})), properties={MOMENT: NOON.isoformat()})
    store.publish(staged)
    base = store.changeable(table)
    assert base is not None
    changes = OnlineChanges(base, stream(table, rows({2: 3})), removals(table, []), later)
    store.publish(store.stage_changes(table, changes, properties={MOMENT: later.isoformat()}))
    found = store.read(table, [("1",), ("2",), ("3",)])
    assert [row and (row.values["amount"], row.event_time) for row in found] == [(1, later), (3, later), None]
    publish(store, table, rows({1: 1}))
    assert [row and row.event_time for row in store.read(table, [("1",)])] == [NOON]


def test_changes_are_made_to_the_rows_that_they_are_for_or_not_at_all(kind: Kind, store: OnlineStore) -> None:
    table = online_table("moved")
    publish(store, table, rows({1: 1}))
    base = store.changeable(table)
    assert base is not None
    staged = store.stage_changes(table, OnlineChanges(base, stream(table, rows({1: 9})), removals(table, []), NOON))
    change(store, table, {1: 1}, {1: 1, 2: 2})
    with pytest.raises(StoreError, match="FP-STORE-047"):
        store.publish(staged)
    assert live(store, table) == {1: 1, 2: 2}
    store.discard(staged)
    assert kind.leftovers() == set()


def test_publishing_changes_twice_changes_nothing(store: OnlineStore) -> None:
    table = online_table("twice")
    publish(store, table, rows({1: 1}))
    base = store.changeable(table)
    assert base is not None
    staged = store.stage_changes(table, OnlineChanges(base, stream(table, rows({2: 2})), removals(table, [1]), NOON))
    first = store.publish(staged)
    assert store.publish(staged) == first
    assert (live(store, table), first.rows) == ({2: 2}, 1)


def test_changes_that_were_discarded_leave_nothing(kind: Kind, store: OnlineStore) -> None:
    table = online_table("discarded")
    publish(store, table, rows({1: 1}))
    base = store.changeable(table)
    assert base is not None
    store.discard(
        store.stage_changes(table, OnlineChanges(base, stream(table, rows({2: 2})), removals(table, [1]), NOON))
    )
    assert live(store, table) == {1: 1}
    assert kind.leftovers() == set()


def test_rows_of_another_schema_are_not_changed(store: OnlineStore) -> None:
    table = online_table("shape")
    assert store.changeable(table) is None
    publish(store, table, rows({1: 1}))
    assert store.changeable(table) is not None
    assert store.changeable(online_table("shape", features="amount double")) is None


def test_rows_that_somebody_removed_are_noticed(redis_url: str) -> None:
    kind, table = redis_kind(redis_url), online_table("lost")
    with contextlib.closing(kind.open()) as store, redis.Redis.from_url(redis_url) as client:
        publish(store, table, rows({1: 1, 2: 2}))
        (bucket,) = client.scan_iter(f"{kind.prefix}:{{card/0}}:lost:*:0")
        client.hdel(bucket, "1")
        assert store.changeable(table) is None


def test_a_reader_never_sees_a_mixture(kind: Kind, store: OnlineStore) -> None:
    table = online_table("mixed")
    count, rounds = 400, 25
    publish(store, table, [{"card": str(number), "amount": 0} for number in range(count)])
    asked = [(str(number),) for number in range(count)]
    seen: set[tuple[object, ...]] = set()
    ended = threading.Event()

    def read() -> None:
        with contextlib.closing(kind.open()) as reader:
            while not ended.is_set():
                seen.add(tuple({row.values["amount"] if row else None for row in reader.read(table, asked)}))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for value in range(1, rounds):
        base = store.changeable(table)
        assert base is not None
        put = stream(table, [{"card": str(number), "amount": value} for number in range(count)])
        store.publish(store.stage_changes(table, OnlineChanges(base, put, removals(table, []), NOON)))
    ended.set()
    for reader in readers:
        reader.join()
    assert all(None not in values for values in seen)
    assert len(seen) > 1
    if not kind.steps:
        assert all(len(values) == 1 for values in seen)


def amounts(store: OnlineStore, table: OnlineTable) -> list[object]:
    found = store.read(table, [(str(number),) for number in range(CHANGED_ROWS)])
    return [row.values["amount"] if row else None for row in found]


@pytest.mark.parametrize(
    ("kind", "attempt"),
    [(kind, attempt) for kind in KINDS for attempt in range(2 if kind == "redis cluster" else 4)],
    indirect=["kind"],
)
def test_a_kill_at_any_moment_leaves_old_or_new_rows_and_a_rerun_heals(
    kind: Kind, store: OnlineStore, attempt: int
) -> None:
    table = changed_table()
    old: list[object] = [1] * CHANGED_ROWS
    new = [None if number % 7 == 0 else 2 if number % 3 == 0 else 1 for number in range(CHANGED_ROWS)]
    store.publish(store.stage(table, numbered(table, CHANGED_ROWS, 1)))
    with child("tests.stores.online_changer:main", kind.name, kind.url, kind.prefix) as process:
        assert process.stdout.readline() == "begin\n"
        time.sleep(random.uniform(0, 0.08) * attempt)  # any moment will do
        process.kill()
    found = amounts(store, table)
    if not kind.steps:
        assert found in (old, new)
    assert all(row in either for row, *either in zip(found, old, new, strict=True))
    store.sweep(table.view)
    found = amounts(store, table)
    assert found in (old, new)
    if found == old:
        store.publish(store.stage_changes(table, changes_to(store, table)))
    assert amounts(store, table) == new
    assert kind.leftovers() == set()

"""Online an older run never overwrites newer values, whichever of two runs finishes first, on both stores."""

from __future__ import annotations

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from feature_platform.errors import StoreError
from feature_platform.stores.online_order import is_earlier
from feature_platform.stores.online_protocol import MOMENT, OnlineChanges, OnlineStore, StagedOnline
from feature_platform.stores.protocols import AS_OF
from tests.stores.online_cases import NOON, Kind, online_table, removals, stream

TABLE = online_table("ordered")


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def as_of(minutes: int, tick: int | None = None) -> dict[str, str]:
    moment = {} if tick is None else {MOMENT: at(tick).isoformat()}
    return {AS_OF: at(minutes).isoformat(), **moment}


def stage(store: OnlineStore, value: int, properties: dict[str, str]) -> StagedOnline:
    return store.stage(TABLE, stream(TABLE, [{"card": "a", "amount": value}]), properties=properties)


def value(store: OnlineStore) -> object:
    (row,) = store.read(TABLE, [("a",)])
    return row and row.values["amount"]


@pytest.mark.parametrize(
    ("new", "live", "earlier"),
    [
        (as_of(1), as_of(2), True),
        (as_of(2), as_of(2), False),
        (as_of(3), as_of(2), False),
        (as_of(3, tick=1), as_of(2, tick=2), True),
        (as_of(1, tick=2), as_of(2, tick=2), True),
        (as_of(2, tick=2), as_of(3, tick=1), False),  # somebody copied the tick before while this one was built
        (as_of(3, tick=2), as_of(2, tick=2), False),
        (as_of(3), as_of(2, tick=2), False),  # the view is no aggregation any more
        (as_of(3, tick=1), as_of(2), False),
        ({}, as_of(2), True),
        ({}, {}, False),
        (as_of(1), {}, False),
    ],
)
def test_a_run_is_earlier_by_what_it_stands_for(new: dict[str, str], live: dict[str, str], earlier: bool) -> None:
    assert is_earlier(new, live) is earlier


def test_an_older_run_that_ends_last_changes_nothing(kind: Kind, store: OnlineStore) -> None:
    older, newer = stage(store, 1, as_of(1)), stage(store, 2, as_of(2))
    live = store.publish(newer)
    with pytest.raises(StoreError, match="FP-STORE-048"):
        store.publish(older)
    assert (value(store), store.publication(TABLE.view)) == (2, live)
    store.discard(older)
    assert kind.leftovers() == set()


def test_a_run_of_the_same_moment_may_correct_what_is_live(store: OnlineStore) -> None:
    for number in (1, 2):
        store.publish(stage(store, number, as_of(1)))
    assert value(store) == 2


def test_going_back_has_to_be_asked_for(store: OnlineStore) -> None:
    store.publish(stage(store, 2, as_of(2)))
    older = stage(store, 1, as_of(1))
    with pytest.raises(StoreError, match="--force"):
        store.publish(older)
    store.publish(older, backwards=True)
    assert value(store) == 1
    store.publish(stage(store, 2, as_of(2)))
    assert value(store) == 2


def test_rows_of_a_time_to_come_are_refused_by_the_servers_clock(store: OnlineStore) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    store.publish(stage(store, 1, {AS_OF: now.isoformat()}))
    ahead = stage(store, 2, {AS_OF: (now + timedelta(hours=1)).isoformat()})
    with pytest.raises(StoreError, match="FP-STORE-049"):
        store.publish(ahead)
    assert value(store) == 1


def test_of_runs_that_publish_at_once_the_latest_stays(kind: Kind, store: OnlineStore) -> None:
    for round_ in range(0, 30, 6):
        staged = [stage(store, minute, as_of(minute)) for minute in range(round_, round_ + 6)]

        def publish(each: StagedOnline) -> None:
            with contextlib.suppress(StoreError):
                store.publish(each)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(publish, staged))
        for each in staged:
            store.discard(each)
        assert value(store) == round_ + 5
    assert kind.leftovers() == set()


_NUMBERS = itertools.count()
"""Of tables: one that an earlier example wrote to is not empty."""


class Runs(RuleBasedStateMachine):
    """Runs of random moments stage and publish in any order, snapshots and changes."""

    store: OnlineStore

    def __init__(self) -> None:
        super().__init__()
        self.staged: list[tuple[int, dict[str, str], StagedOnline]] = []
        self.live: tuple[int, dict[str, str]] | None = None
        self.count = 0
        self.table = online_table(f"law_{next(_NUMBERS)}")

    @rule(minute=st.integers(0, 5), tick=st.none() | st.integers(0, 3))
    def stage(self, minute: int, tick: int | None) -> None:
        self.count += 1
        rows = stream(self.table, [{"card": "a", "amount": self.count}, {"card": str(self.count), "amount": 0}])
        properties = as_of(minute, tick)
        base = self.store.changeable(self.table) if self.count % 2 else None
        if base is None:
            staged = self.store.stage(self.table, rows, properties=properties)
        else:
            changes = OnlineChanges(base, rows, removals(self.table, [self.live[0]] if self.live else []), NOON)
            staged = self.store.stage_changes(self.table, changes, properties=properties)
        self.staged.append((self.count, properties, staged))

    @rule(which=st.integers(0, 9), backwards=st.sampled_from([False, False, False, True]))
    def publish(self, which: int, backwards: bool) -> None:
        if not self.staged:
            return
        number, properties, staged = self.staged.pop(which % len(self.staged))
        late = self.live is not None and is_earlier(properties, self.live[1])
        live = self.store.publication(self.table.view)
        moved = staged.base is not None and (live is None or live.version != staged.base)
        if late and not backwards:
            with pytest.raises(StoreError, match="FP-STORE-048"):
                self.store.publish(staged, backwards=backwards)
            self.store.discard(staged)
        elif moved:
            with pytest.raises(StoreError, match="FP-STORE-047"):
                self.store.publish(staged, backwards=backwards)
            self.store.discard(staged)
        else:
            self.store.publish(staged, backwards=backwards)
            self.live = number, properties

    @invariant()
    def the_rows_are_those_of_the_latest_moment(self) -> None:
        (row,) = self.store.read(self.table, [("a",)])
        assert (row and row.values["amount"]) == (self.live and self.live[0])
        live = self.store.publication(self.table.view)
        assert (live and dict(live.properties).get(AS_OF)) == (self.live and self.live[1][AS_OF])

    def teardown(self) -> None:
        for _, _, staged in self.staged:
            self.store.discard(staged)


def test_whatever_the_order_of_runs_the_live_moment_never_goes_back(store: OnlineStore) -> None:
    machine = type("Machine", (Runs,), {"store": store})
    checks = settings(max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=checks)

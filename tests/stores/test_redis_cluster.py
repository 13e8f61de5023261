"""What is a cluster's own: an entity on one node, slots on their way, masters that go, publications left half done."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from feature_platform.canaries.listing import Canary
from feature_platform.canaries.needles import Needles
from feature_platform.canaries.servers import Redis
from feature_platform.errors import StoreError
from feature_platform.stores.online_protocol import OnlineChanges, OnlineTable
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_roles import roles
from feature_platform.stores.redis_settings import RedisSettings
from tests.redis_nodes import Node, cluster, cluster_url
from tests.stores.dying_publisher import lose
from tests.stores.online_cases import (
    CLUSTERED,
    NOON,
    Kind,
    numbered,
    online_table,
    redis_client,
    redis_kind,
    redis_nodes,
    removals,
    stream,
)
from tests.waiting import eventually

COUNT = 400
ASKED = [(str(number),) for number in range(COUNT)]


@pytest.fixture
def kind(redis_cluster_url: str) -> Kind:
    return redis_kind(redis_cluster_url, CLUSTERED)


@pytest.fixture
def store(kind: Kind) -> Iterator[RedisOnlineStore]:
    with contextlib.closing(opened(kind)) as made:
        yield made


@pytest.fixture
def client(kind: Kind) -> Iterator[Any]:
    with contextlib.closing(redis_client(kind.url, kind.settings)) as connected:
        yield connected


def opened(kind: Kind) -> RedisOnlineStore:
    return RedisOnlineStore("online", kind.url, key_prefix=kind.prefix, settings=kind.settings)


def amounts(store: RedisOnlineStore, table: OnlineTable) -> list[Any]:
    return [row and row.values["amount"] for row in store.read(table, ASKED)]


def publish(store: RedisOnlineStore, table: OnlineTable, value: int) -> None:
    store.publish(store.stage(table, numbered(table, COUNT, value)))


def test_all_views_of_an_entity_share_a_slot_and_entities_spread_over_all_nodes(
    kind: Kind, store: RedisOnlineStore, client: Any
) -> None:
    tables = [online_table(f"view_{number}") for number in range(3)]
    for table in tables:
        publish(store, table, 1)
    slots: dict[str, set[int]] = {}
    for key in client.scan_iter(f"{kind.prefix}:{{card/*", count=5_000):
        _, _, bucket = key.rpartition(":")
        if bucket != "live":
            for entity in client.hkeys(key):
                slots.setdefault(entity, set()).add(client.cluster_keyslot(key))
    assert len(slots) == COUNT
    assert all(len(of_entity) == 1 for of_entity in slots.values())
    nodes = {client.get_node_from_key(f"{{card/{group}}}").name for group in range(8)}
    assert len(nodes) == 3


def test_one_entity_with_all_its_views_is_one_round_trip_to_one_node(store: RedisOnlineStore) -> None:
    tables = [online_table(f"view_{number}") for number in range(3)]
    for table in tables:
        publish(store, table, 1)
    asked = [(table, [("7",)]) for table in tables]
    store.read_many(asked)
    sent: list[str] = []
    really = store._servers._sent  # type: ignore[attr-defined]
    store._servers._sent = lambda node, parts: (sent.append(node), really(node, parts))[1]  # type: ignore[attr-defined]
    store.read_many(asked)
    assert len(sent) == 1


@pytest.mark.parametrize("groups", [0, 3, 8])
@pytest.mark.parametrize("changes", [False, True])
def test_a_publication_left_half_done_is_told_read_whole_per_entity_and_carried_through(
    kind: Kind, store: RedisOnlineStore, groups: int, changes: bool
) -> None:
    table = online_table()
    publish(store, table, 1)
    before = store.changeable(table)
    assert before is not None
    with contextlib.closing(opened(kind)) as dying:
        if changes:
            put = stream(table, [{"card": str(number), "amount": 2} for number in range(1, COUNT)])
            staged = dying.stage_changes(table, OnlineChanges(before, put, removals(table, [0]), NOON))
        else:
            staged = dying.stage(table, numbered(table, COUNT, 2))
        lose(dying, groups)
        if groups < 8:
            with pytest.raises(StoreError, match="FP-STORE-030"):
                dying.publish(staged)
    if groups < 8:
        held = store.holdings("card_spend")
        assert f"{groups} of 8 groups" in held.unfinished
        assert store.publication("card_spend") == before
    else:
        dying.publish(staged)
    new = [None if changes else 2, *[2] * (COUNT - 1)]
    found = amounts(store, table)
    assert all(row in (1, wanted) for row, wanted in zip(found, new, strict=True))
    assert (found == new) == (groups == 8)
    store.sweep("card_spend")
    assert amounts(store, table) == new
    held = store.holdings("card_spend")
    assert (held.rows, held.missing, held.unfinished) == (COUNT - changes, (), "")
    assert store.changeable(table) is not None
    assert kind.leftovers() == set()


def test_another_publication_carries_the_one_before_through_first(kind: Kind, store: RedisOnlineStore) -> None:
    table = online_table()
    publish(store, table, 1)
    with contextlib.closing(opened(kind)) as dying:
        staged = dying.stage(table, numbered(table, COUNT, 2))
        lose(dying, 2)
        with pytest.raises(StoreError):
            dying.publish(staged)
    publish(store, table, 3)
    assert amounts(store, table) == [3] * COUNT
    assert kind.leftovers() == set()


def test_a_straggler_takes_no_group_back(kind: Kind, store: RedisOnlineStore) -> None:
    table = online_table()
    publish(store, table, 1)

    def overtake() -> None:
        store.sweep("card_spend")  # carries the straggler's publication through
        publish(store, table, 3)

    with contextlib.closing(opened(kind)) as slow:
        staged = slow.stage(table, numbered(table, COUNT, 2))
        lose(slow, 8, overtake)
        slow.publish(staged)
    assert amounts(store, table) == [3] * COUNT
    live = store.publication("card_spend")
    assert live is not None
    assert live.rows == COUNT
    assert kind.leftovers() == set()


def test_rows_lost_after_the_decision_are_named_and_healed_by_a_full_snapshot(
    kind: Kind, store: RedisOnlineStore, client: Any
) -> None:
    table = online_table()
    publish(store, table, 1)
    staged = store.stage(table, numbered(table, COUNT, 2))

    def lose_rows() -> None:
        client.delete(f"{kind.prefix}:{{card/5}}:card_spend:{staged.token}:0")

    lose(store, 8, lose_rows)
    with pytest.raises(StoreError, match="FP-STORE-062"):
        store.publish(staged)
    assert set(amounts(store, table)) == {1, 2}
    held = store.holdings("card_spend")
    assert held.missing == ("group 5 of card_spend",)
    assert store.changeable(table) is None
    lose(store, 8)
    publish(store, table, 3)
    assert amounts(store, table) == [3] * COUNT
    assert store.holdings("card_spend").missing == ()
    assert kind.leftovers() == set()


def test_a_group_without_a_pointer_is_an_error_not_an_unknown_entity(
    kind: Kind, store: RedisOnlineStore, client: Any
) -> None:
    table = online_table()
    publish(store, table, 1)
    client.delete(f"{kind.prefix}:{{card/5}}:card_spend:live")
    with pytest.raises(StoreError, match="FP-STORE-062"):
        store.read(table, ASKED)


def test_keys_in_other_groups_than_the_profile_says_are_refused_for_writing_and_still_read(kind: Kind) -> None:
    table = online_table()
    with contextlib.closing(opened(kind)) as store:
        publish(store, table, 1)
    other = RedisSettings(mode="cluster", groups=16)
    with contextlib.closing(RedisOnlineStore("online", kind.url, key_prefix=kind.prefix, settings=other)) as store:
        assert amounts(store, table) == [1] * COUNT
        with pytest.raises(StoreError, match=r"FP-STORE-063.*8 groups"):
            store.stage(table, numbered(table, COUNT, 2))


def test_reads_follow_a_slot_on_its_way_and_a_publication_waits_for_it(
    kind: Kind, store: RedisOnlineStore, client: Any
) -> None:
    table = online_table()
    publish(store, table, 1)
    assert amounts(store, table) == [1] * COUNT
    staged = store.stage(table, numbered(table, COUNT, 2))
    slot = key_slot(b"card/5")
    source, target = Slot(client, slot), Slot(client, slot, other=True)
    source.begin_to_move(target)
    keys = source.keys()
    ours = [key for key in keys if key.startswith(kind.prefix)]
    assert len(ours) == 3
    source.migrate(ours[:1], target)
    with contextlib.closing(opened(kind)) as fresh:
        assert amounts(store, table) == amounts(fresh, table) == [1] * COUNT  # ASK
    with pytest.raises(StoreError, match=r"TRYAGAIN|ASK"):
        store.publish(staged)
    with pytest.raises(StoreError, match=r"ASK|MOVED"):
        store.stage(table, numbered(table, COUNT, 3))
    source.migrate([key for key in keys if key != ours[0]], target)
    source.end_to_move(target)
    assert set(amounts(store, table)) <= {1, 2}  # MOVED
    store.sweep("card_spend")
    assert amounts(store, table) == [2] * COUNT
    publish(store, table, 3)
    assert amounts(store, table) == [3] * COUNT
    assert kind.leftovers() == set()
    target.begin_to_move(source)  # back: what a node has to hold is counted elsewhere
    target.migrate(target.keys(), source)
    target.end_to_move(source)


class Slot:
    """A slot as its node sees it, or as another node does."""

    def __init__(self, client: Any, slot: int, *, other: bool = False) -> None:
        owner = client.nodes_manager.get_node_from_slot(slot)
        found = next(each for each in client.get_primaries() if (each.name != owner.name) == other)
        self.slot, self.host, self.port = slot, found.host, found.port
        self.node = redis.Redis(found.host, found.port, decode_responses=True)
        self.id = self.node.execute_command("CLUSTER MYID")

    def set(self, state: str, node: str) -> None:
        self.node.execute_command("CLUSTER SETSLOT", self.slot, state, node)

    def begin_to_move(self, to: Slot) -> None:
        to.set("IMPORTING", self.id)
        self.set("MIGRATING", to.id)

    def end_to_move(self, to: Slot) -> None:
        for each in (to, self):
            each.set("NODE", to.id)

    def keys(self) -> list[str]:
        found: list[str] = self.node.execute_command("CLUSTER GETKEYSINSLOT", self.slot, 1_000)
        return found

    def migrate(self, keys: Sequence[str], to: Slot) -> None:
        if keys:
            self.node.execute_command("MIGRATE", to.host, to.port, "", 0, 5_000, "KEYS", *keys)


def test_the_shipped_users_suffice_in_a_cluster(kind: Kind) -> None:
    table, hosts = online_table(), kind.url.removeprefix("redis://")
    for node in redis_nodes(kind.url, kind.settings):
        with contextlib.closing(node):
            for line in roles(kind.prefix).splitlines():
                node.execute_command(*line.split(), ">secret")
    writing, reading = (
        replace(kind, url=f"redis://{kind.prefix}_{role}:secret@{hosts}") for role in ("writer", "reader")
    )
    with contextlib.closing(opened(writing)) as writer, contextlib.closing(opened(reading)) as reader:
        publish(writer, table, 1)
        assert amounts(reader, table) == [1] * COUNT
        assert writer.sweep("card_spend") == 0
        with pytest.raises(StoreError, match=r"FP-STORE-045.*NoPermission"):
            reader.stage(table, numbered(table, COUNT, 2))
    for node in redis_nodes(kind.url, kind.settings):
        with contextlib.closing(node):
            node.execute_command("ACL", "DELUSER", f"{kind.prefix}_writer", f"{kind.prefix}_reader")


def test_the_reader_of_the_reference_page_reads_from_a_cluster(kind: Kind, store: RedisOnlineStore) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/redis-layout.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert program is not None
    documented: dict[str, Any] = {}
    exec(program[1], documented)  # noqa: S102 - the page's own example
    publish(store, online_table(), 7)
    with contextlib.closing(redis.RedisCluster.from_url(kind.url.split(",")[0])) as raw:
        read = [documented["read"](raw, kind.prefix, "card_spend", key.encode()) for (key,) in ASKED[:30]]
        assert {row["amount"] for row in read} == {7}
        assert documented["read"](raw, kind.prefix, "card_spend", b"nobody") is None


def test_a_scan_for_planted_values_searches_every_node(kind: Kind, store: RedisOnlineStore) -> None:
    table = online_table(features="note string")
    rows = [{"card": str(number), "note": f"planted-{number}@example.test"} for number in range(40)]
    store.publish(store.stage(table, stream(table, rows)))
    planted = [Canary("cards", f"c{number}", "email", row["note"]) for number, row in enumerate(rows)]
    search = Redis(Needles.of(planted), kind.url, kind.prefix, {"card_spend": None}, kind.settings).search()
    found = {(str(each[0]), each[1].canary.column) for each in search if isinstance(each, tuple)}
    assert found == {("view card_spend", each.column) for each in planted}


STEPS = st.lists(
    st.tuples(st.sampled_from(["snapshot", "changes"]), st.integers(0, 9), st.booleans()), min_size=1, max_size=5
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_whatever_dies_and_whoever_follows_entities_are_whole_and_the_last_decision_wins(
    kind: Kind, store: RedisOnlineStore, steps: list[tuple[str, int, bool]]
) -> None:
    table = online_table("law", features="amount bigint, n bigint")
    last, before, halfway = [0] * COUNT, [0] * COUNT, False
    store.publish(store.stage(table, numbered(table, COUNT, 0)))
    for value, (how, groups, sweeps) in enumerate(steps, start=1):
        with contextlib.closing(opened(kind)) as writer:
            if how == "changes":
                base = writer.changeable(table)  # carries through what was left
                assert base is not None
                halfway = False
                put = [{"card": str(number), "amount": value, "n": value} for number in range(0, COUNT, 2)]
                staged = writer.stage_changes(table, OnlineChanges(base, stream(table, put), removals(table, []), NOON))
                new = [value if number % 2 == 0 else amount for number, amount in enumerate(last)]
            else:
                staged = writer.stage(table, numbered(table, COUNT, value))
                new = [value] * COUNT
            if not halfway:
                before = last
            elif groups < 8:
                new = last  # it dies while it carries the one before through
            lose(writer, groups)
            with contextlib.nullcontext() if groups >= 8 else pytest.raises(StoreError):
                writer.publish(staged)
        rows = store.read(table, ASKED)
        assert all(row is not None and row.values["amount"] == row.values["n"] for row in rows)
        assert all(amount in either for amount, *either in zip(amounts(store, table), before, last, new, strict=True))
        last, halfway = new, groups < 8 and not sweeps
        if sweeps:
            store.sweep("law")
            assert amounts(store, table) == last
    store.sweep("law")
    assert amounts(store, table) == last
    assert store.holdings("law").rows == COUNT
    assert kind.leftovers() == set()


@pytest.fixture(scope="module")
def failing() -> Iterator[list[Node]]:
    """A cluster of its own whose first master has a replica, and can be killed."""
    with cluster(replicas=1) as nodes:
        yield nodes


def found_again(store: RedisOnlineStore, table: OnlineTable) -> bool:
    """Whether rows can be read; a timeout is how a client notices that somebody else is the master now."""
    with contextlib.suppress(StoreError):
        return amounts(store, table) == [1] * COUNT
    return False


def test_a_master_that_dies_is_followed_by_its_replica(failing: list[Node]) -> None:
    first, *_, replica = failing
    table, kind = online_table(), redis_kind(cluster_url(failing), CLUSTERED)
    careful = RedisSettings(mode="cluster", groups=8, acknowledging_replicas=1)
    with (
        contextlib.closing(opened(kind)) as store,
        contextlib.closing(RedisOnlineStore("online", kind.url, key_prefix=kind.prefix, settings=careful)) as strict,
        contextlib.closing(opened(replace(kind, url=f"{kind.url}?socket_timeout=0.3"))) as hasty,
    ):
        publish(store, table, 1)
        assert amounts(hasty, table) == [1] * COUNT
        with pytest.raises(StoreError, match="fewer than 1 replicas"):  # two of the masters have none
            publish(strict, table, 2)
        staged = store.stage(table, numbered(table, COUNT, 3))
        assert first.client().wait(1, 5_000) == 1
        first.process.send_signal(signal.SIGSTOP)  # as if its network were cut
        with pytest.raises(StoreError, match=r"FP-STORE-030.*Timeout"):
            amounts(hasty, table)
        with replica.client() as promoted:
            promoted.execute_command("CLUSTER FAILOVER", "TAKEOVER")
            eventually(lambda: promoted.info("replication")["role"] == "master")
        eventually(lambda: found_again(hasty, table))  # once the other nodes know
        first.kill()
        assert amounts(store, table) == [1] * COUNT
        with contextlib.suppress(StoreError):  # a version that the lost node registered counts as left behind
            store.publish(staged)
        assert len(set(amounts(store, table))) == 1
        publish(store, table, 4)
        assert amounts(store, table) == [4] * COUNT

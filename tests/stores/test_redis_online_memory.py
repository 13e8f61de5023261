"""What a snapshot will take up in Redis is known before it is sent, and what has no room is not sent."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import redis

from feature_platform.errors import StoreError
from feature_platform.stores.embedded import EmbeddedRedis
from feature_platform.stores.online_protocol import TTL, OnlineTable
from feature_platform.stores.protocols import StreamSource
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_servers import node_clients
from feature_platform.stores.redis_settings import RedisSettings
from tests.stores.online_cases import CLUSTERED, NOON, online_table, stream
from tests.waiting import eventually

NUMBERS = "a double, b double, c double, d bigint, e bigint, f timestamp"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Server:
    url: str
    client: redis.Redis

    @property
    def used(self) -> int:
        return int(self.client.info("memory")["used_memory"])

    def store(self, **settings: Any) -> contextlib.closing[RedisOnlineStore]:
        opened = RedisOnlineStore("online", self.url, key_prefix="t", settings=RedisSettings(**settings))
        return contextlib.closing(opened)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose memory is these tests' own."""
    folder = tmp_path_factory.mktemp("memory")
    with EmbeddedRedis(Path(folder) / "redis", keep_data=False) as own, redis.Redis.from_url(own.url) as client:
        yield Server(own.url, client)


@pytest.fixture
def server(own_server: Server) -> Iterator[Server]:
    yield own_server
    own_server.client.config_set("maxmemory", 0)
    own_server.client.config_set("maxmemory-policy", "noeviction")
    own_server.client.flushall()


def numbered(table: OnlineTable, count: int, key: Callable[[int], object]) -> StreamSource:
    """``count`` rows: keys by ``key``, texts of 0 to 59 characters, lists of 0 to 8 numbers."""
    schema = table.schema.arrow()

    def column(field: pa.Field) -> pa.Array:
        if field.name in table.keys:
            return pa.array([key(number) for number in range(count)], field.type)
        if pa.types.is_string(field.type):
            return pa.array(["x" * (number % 60) for number in range(count)])
        if pa.types.is_list(field.type):
            return pa.array([[1.0] * (number % 9) for number in range(count)], field.type)
        return pa.array(np.arange(count)).cast(field.type)

    batch = pa.RecordBatch.from_arrays([column(field) for field in schema], schema=schema)
    return lambda: pa.RecordBatchReader.from_batches(schema, [batch])


def token(number: int) -> str:
    return f"tok_payment_card_v1_{number:032d}"


def settled(server: Server) -> int:
    """Bytes in use once the server has freed what it frees by and by."""
    deadline = time.monotonic() + 5
    last = -1
    while last != (now := server.used) and time.monotonic() < deadline:
        last = now
        server.client.ping()
    return last


@pytest.mark.parametrize(
    ("features", "keys", "key"),
    [
        ("amount bigint", "id bigint", int),
        (NUMBERS, "card string", token),
        ("s string, t string, u string", "card string", token),
        ("l array<double>; m string", "id bigint", int),
    ],
)
def test_the_estimate_is_near_what_the_server_uses(
    server: Server, features: str, keys: str, key: Callable[[int], object]
) -> None:
    table = online_table(keys=keys, features=features)
    with server.store() as store:
        store.publish(store.stage(table, numbered(table, 10, key)))
        before = settled(server)
        staged = store.stage(table, numbered(table, 20_000, key), expected_rows=20_000)
        used = settled(server) - before
        assert staged.estimated_bytes is not None
        assert staged.estimated_bytes == pytest.approx(used, rel=0.25)


def test_a_snapshot_that_does_not_fit_is_refused_before_it_is_sent(server: Server) -> None:
    table = online_table(keys="id bigint", features=NUMBERS)
    rows = numbered(table, 20_000, int)
    with server.store() as store:
        live = store.publish(store.stage(table, stream(table, [{"id": 1}]), expected_rows=1))
        server.client.config_set("maxmemory", server.used + (1 << 20))
        before = server.client.info("stats")["total_net_input_bytes"]
        with pytest.raises(StoreError, match=r"FP-STORE-060.*needs about 3 MB.*uses \d+ MB of \d+ MB"):
            store.stage(table, rows, expected_rows=20_000)
        assert server.client.info("stats")["total_net_input_bytes"] - before < 100_000
        assert (store.publication(table.view), store.sweep(table.view)) == (live, 0)
        assert store.read(table, [(1,)])[0] is not None
    with server.store(memory_check=False) as store, pytest.raises(StoreError, match="FP-STORE-045"):
        store.stage(table, rows, expected_rows=20_000)


@pytest.mark.parametrize(("policy", "allowed"), [("allkeys-lru", False), ("volatile-lru", True), ("noeviction", True)])
def test_a_server_that_may_give_up_rows_is_refused(server: Server, policy: str, allowed: bool) -> None:
    table = online_table()
    server.client.config_set("maxmemory-policy", policy)
    with server.store() as store:
        store.stage(table, stream(table, [{"card": "a"}]), expected_rows=1)  # without a limit nothing is given up
        server.client.config_set("maxmemory", "100mb")
        with contextlib.nullcontext() if allowed else pytest.raises(StoreError, match="FP-STORE-061"):
            store.stage(table, stream(table, [{"card": "a"}]), expected_rows=1)
    with server.store(memory_check=False) as store:
        store.stage(table, stream(table, [{"card": "a"}]), expected_rows=1)


def test_who_may_not_ask_for_the_servers_memory_gets_an_estimate_and_no_check(server: Server) -> None:
    table = online_table()
    server.client.acl_setuser("writer", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"])
    server.client.config_set("maxmemory", "100mb")
    server.client.config_set("maxmemory-policy", "allkeys-lru")
    with contextlib.closing(
        RedisOnlineStore("online", server.url.replace("unix://", "unix://writer:x@"), key_prefix="t")
    ) as store:
        staged = store.stage(table, stream(table, [{"card": "a"}]), expected_rows=1)
        assert staged.estimated_bytes
        store.publish(staged)


def test_in_a_cluster_each_node_needs_room_for_its_share(redis_cluster_url: str) -> None:
    table = online_table()
    nodes = node_clients(redis_cluster_url, CLUSTERED)
    with contextlib.closing(
        RedisOnlineStore("online", redis_cluster_url, key_prefix="room", settings=CLUSTERED)
    ) as store:
        store.discard(store.stage(table, stream(table, [{"card": "a"}]), expected_rows=300_000))
        try:
            # What other tests left is freed in the background: room that would not be there in the middle of the test.
            eventually(lambda: nodes[-1].info("memory")["lazyfree_pending_objects"] == 0)
            nodes[-1].config_set("maxmemory", nodes[-1].info("memory")["used_memory"] + (6 << 20))
            with pytest.raises(StoreError, match=r"FP-STORE-060.*needs about (8|9|10|11) MB"):
                store.stage(table, stream(table, [{"card": "a"}]), expected_rows=300_000)
            store.discard(store.stage(table, stream(table, [{"card": "a"}]), expected_rows=100_000))
        finally:
            nodes[-1].config_set("maxmemory", 0)
    for node in nodes:
        node.close()


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru"])
def test_rows_of_a_dead_pipeline_vanish_a_day_after_their_ttl(server: Server, policy: str) -> None:
    table = online_table()
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    server.client.config_set("maxmemory", "100mb")
    server.client.config_set("maxmemory-policy", policy)

    def lifetimes() -> list[int]:
        names = [name for name in server.client.keys("t:*") if server.client.type(name) == b"hash"]
        return [left for name in names if (left := server.client.ttl(name)) >= 0]

    with server.store() as store:
        for newest, days in ((now, 3), (NOON, 1)):  # the second was over long ago: it stays for a day
            rows = stream(table, [{"card": "a", "event_time": newest}, {"card": "b", "event_time": NOON}])
            store.publish(store.stage(table, rows, properties={TTL: str(2 * DAY // timedelta(microseconds=1))}))
            if policy == "noeviction":
                assert lifetimes() == [pytest.approx(days * DAY.total_seconds(), abs=120)]
            else:
                assert lifetimes() == [], "an expiry would make them candidates for eviction"
        store.publish(store.stage(table, stream(table, [{"card": "a"}])))
        assert lifetimes() == []

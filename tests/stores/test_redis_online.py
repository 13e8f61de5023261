"""What is Redis's own: the layout, memory that runs out, leases, one round trip."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa
import pytest
import redis

from feature_platform.errors import StoreError
from feature_platform.stores.online_encoding_arrow import encode_rows
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_online_layout import (
    MAX_BUCKETS,
    UNKNOWN_BUCKETS,
    bucket_count,
    bucket_of,
    group_keys,
    group_of,
)
from feature_platform.stores.redis_online_publish import STAGING_TTL_SECONDS
from tests.stores.online_cases import NOON, Kind, numbered, online_table, publish, redis_kind, stream


@pytest.fixture
def kind(redis_url: str) -> Kind:
    return redis_kind(redis_url)


@pytest.fixture
def store(kind: Kind) -> Iterator[RedisOnlineStore]:
    with contextlib.closing(RedisOnlineStore("online", kind.url, key_prefix=kind.prefix)) as opened:
        yield opened


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


def test_the_layout_is_the_documented_one(kind: Kind, store: RedisOnlineStore, client: redis.Redis) -> None:
    table = online_table(features="amount bigint")
    store.publish(store.stage(table, numbered(table, 20_000, 7), properties={"run": "r1"}))
    meta = _texts(client, f"{kind.prefix}:{{card_spend}}:meta")
    assert {name: meta[name] for name in ("format", "rows", "entity", "groups", "buckets")} == {
        "format": "2",
        "rows": "20000",
        "entity": "card",
        "groups": "1",
        "buckets": str(UNKNOWN_BUCKETS),
    }
    assert _texts(client, f"{kind.prefix}:layout") == {"format": "2", "groups": "1"}
    base = f"{kind.prefix}:{{card/0}}:card_spend:"
    pointer = _texts(client, f"{base}live")
    assert {name: pointer[name] for name in ("version", "revision", "fingerprint", "buckets", "rows", "number")} == {
        "version": meta["version"],
        "revision": "",
        "fingerprint": table.fingerprint,
        "buckets": str(UNKNOWN_BUCKETS),
        "rows": "20000",
        "number": "1",
    }
    assert meta["event_time"] == NOON.isoformat(timespec="microseconds")
    assert json.loads(meta["keys"]) == ["card"]
    assert json.loads(meta["columns"]) == [["card", "string"], ["event_time", "timestamp"], ["amount", "bigint"]]
    assert json.loads(meta["properties"]) == {"run": "r1"}
    bucket = crc32(b"123") % UNKNOWN_BUCKETS
    row = client.hget(f"{base}{meta['version']}:{bucket}", "123")
    assert isinstance(row, bytes)
    assert row[-8:] == (7).to_bytes(8, "little")


def _texts(client: redis.Redis, key: str) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in client.hgetall(key).items()}


def test_a_steady_read_of_several_views_is_one_round_trip(kind: Kind, store: RedisOnlineStore) -> None:
    tables = [online_table(f"view_{number}") for number in range(5)]
    for table in tables:
        store.publish(store.stage(table, numbered(table, 100, 1)))
    asked = [(table, [(str(number),) for number in range(50)]) for table in tables]
    store.read_many(asked)
    sent: list[int] = []
    exchange = store._servers.exchange
    store._servers.exchange = lambda parts: (sent.append(len(parts)), exchange(parts))[1]
    store.read_many(asked)
    assert len(sent) == 1


def test_running_out_of_memory_leaves_the_live_rows_and_nothing_else(
    kind: Kind, store: RedisOnlineStore, client: redis.Redis
) -> None:
    table = online_table()
    publish(store, table, [{"card": "0", "amount": 1}])
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 3_000_000)
    try:
        with pytest.raises(StoreError, match="out of memory"):
            store.stage(table, numbered(table, 200_000, 2))
        assert kind.leftovers() == set()
    finally:
        client.config_set("maxmemory", 0)
    (row,) = store.read(table, [("0",)])
    assert row is not None
    assert row.values["amount"] == 1


def test_a_snapshot_that_fits_is_published_even_when_no_memory_is_left(
    store: RedisOnlineStore, client: redis.Redis
) -> None:
    table = online_table()
    publish(store, table, [{"card": "0", "amount": 1}])
    staged = store.stage(table, numbered(table, 100, 2))
    client.config_set("maxmemory", 1)
    try:
        store.publish(staged)
    finally:
        client.config_set("maxmemory", 0)
    (row,) = store.read(table, [("0",)])
    assert row is not None
    assert row.values["amount"] == 2


def test_unpublished_buckets_vanish_by_themselves_and_published_ones_stay(
    kind: Kind, store: RedisOnlineStore, client: redis.Redis
) -> None:
    table = online_table()
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    bucket = f"{kind.prefix}:{{card/0}}:card_spend:{staged.token}:0"
    assert STAGING_TTL_SECONDS - 60 < client.ttl(bucket) <= STAGING_TTL_SECONDS
    store.publish(staged)
    assert client.ttl(bucket) == -1


def test_a_snapshot_of_which_a_part_expired_is_not_published(
    kind: Kind, store: RedisOnlineStore, client: redis.Redis
) -> None:
    table = online_table()
    publish(store, table, [{"card": "0", "amount": 1}])
    staged = store.stage(table, numbered(table, 40_000, 2))
    client.delete(f"{kind.prefix}:{{card/0}}:card_spend:{staged.token}:0")
    with pytest.raises(StoreError, match="FP-STORE-005"):
        store.publish(staged)
    (row,) = store.read(table, [("0",)])
    assert row is not None
    assert row.values["amount"] == 1


def test_what_was_staged_on_a_server_that_has_restarted_counts_as_left_behind(
    kind: Kind, store: RedisOnlineStore, client: redis.Redis
) -> None:
    table = online_table()
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    register = f"{kind.prefix}:{{card_spend}}:staged"
    entry = json.loads(client.hget(register, staged.token) or b"")
    client.hset(register, staged.token, json.dumps({**entry, "server": "another run of the server"}))
    assert store.sweep("card_spend") == 1
    assert kind.leftovers() == set()


def test_where_the_server_does_not_tell_a_day_decides(kind: Kind, store: RedisOnlineStore, client: redis.Redis) -> None:
    table = online_table()
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    register = f"{kind.prefix}:{{card_spend}}:staged"
    entry = json.loads(client.hget(register, staged.token) or b"")
    client.hset(register, staged.token, json.dumps({**entry, "server": "", "client": 0}))
    assert store.sweep("card_spend") == 0
    aged = {**entry, "server": "", "client": 0, "begun_at": entry["begun_at"] - STAGING_TTL_SECONDS}
    client.hset(register, staged.token, json.dumps(aged))
    assert store.sweep("card_spend") == 1


def test_a_row_that_something_else_wrote_is_refused_not_misread(
    kind: Kind, store: RedisOnlineStore, client: redis.Redis
) -> None:
    table = online_table()
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    store.publish(staged)
    client.hset(f"{kind.prefix}:{{card/0}}:card_spend:{staged.token}:0", "a", "secret-junk")
    with pytest.raises(StoreError, match="FP-STORE-044") as error:
        store.read(table, [("a",)])
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("rows", "buckets"),
    [
        (0, 1),
        (16_384, 1),
        (16_385, 2),
        (1_000_000, 64),
        (1_100_000, 128),
        (10**9, MAX_BUCKETS),
        (None, UNKNOWN_BUCKETS),
    ],
)
def test_buckets_are_planned_for_some_ten_thousand_rows(rows: int | None, buckets: int) -> None:
    assert bucket_count(rows) == buckets


def test_rows_of_the_layout_before_are_refused_and_go_with_the_next_publication(
    kind: Kind, store: RedisOnlineStore, client: redis.Redis
) -> None:
    table, base = online_table(), f"{kind.prefix}:{{card_spend}}:"
    before = {
        "format": "1",
        "version": "0123456789abcdef",
        "revision": "",
        "buckets": "2",
        "rows": "1",
        "entity": "card",
    }
    client.hset(f"{base}meta", mapping={**before, "fingerprint": table.fingerprint, "event_time": "", "keys": "[]"})
    client.hset(f"{base}0123456789abcdef:1", "a", "a row")
    client.hset(f"{base}staged", "fedcba9876543210", json.dumps({"buckets": 1, "used": -1, "begun_at": 0}))
    with pytest.raises(StoreError, match="FP-STORE-063"):
        store.read(table, [("a",)])
    assert (store.publication("card_spend"), store.changeable(table)) == (None, None)
    store.sweep("card_spend")
    publish(store, table, [{"card": "a", "amount": 1}])
    assert [row and row.values["amount"] for row in store.read(table, [("a",)])] == [1]
    assert kind.leftovers() == set()


def test_a_view_that_is_given_another_entity_leaves_nothing_under_the_old(kind: Kind, store: RedisOnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "a", "amount": 1}])
    other = replace(table, entity="account")
    publish(store, other, [{"card": "a", "amount": 2}])
    assert [row and row.values["amount"] for row in store.read(other, [("a",)])] == [2]
    assert kind.leftovers() == set()


def test_the_reader_of_the_reference_page_reads_what_was_published(
    kind: Kind, store: RedisOnlineStore, client: redis.Redis
) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/redis-layout.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert program is not None
    documented: dict[str, Any] = {}
    exec(program[1], documented)  # noqa: S102 - the page's own example
    table = online_table(features="n int, note string, x double")
    publish(store, table, [{"card": "a", "n": None, "note": "é", "x": 1.5}])
    assert documented["read"](client, kind.prefix, "card_spend", b"a") == {
        "event_time": int(NOON.replace(tzinfo=UTC).timestamp()) * 10**6,
        "n": None,
        "note": "é",
        "x": 1.5,
    }


def test_the_bytes_of_the_reference_page_are_those_that_are_written() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/redis-layout.md").read_text(encoding="utf-8")
    dump = re.search(r"```\n(01 .*?)```", page, re.DOTALL)
    assert dump is not None
    documented = bytes.fromhex("".join(re.findall(r"^((?:[0-9a-f]{2} )+)", dump[1], re.MULTILINE)))
    table = online_table(features="n int, note string, amount decimal(18,2)")
    rows = [{"card": "a", "event_time": NOON, "n": None, "note": "é", "amount": Decimal("-1.50")}]
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema.arrow())
    assert encode_rows(table, batch).to_pylist() == [documented]


def test_the_worked_example_of_the_reference_page_is_right() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs/reference/redis-layout.md").read_text(encoding="utf-8").split())
    found = re.search(r"`groups` is (\d+), the entity `(\w+)`, its key the text `(\w+)`: its CRC-32 is (\d+)", page)
    assert found is not None
    groups, entity, key, crc = int(found[1]), found[2], found[3], int(found[4])
    named = re.search(r"It says version `(\w+)` and (\d+) buckets", page)
    assert named is not None
    group, bucket = group_of(key.encode(), groups), bucket_of(key.encode(), groups, int(named[2]))
    keys = group_keys("fp", entity, "card_spend", group)
    assert crc32(key.encode()) == crc
    assert f"the pointer `{keys.live.decode()}`" in page
    assert f"`HGET {keys.bucket(named[1], bucket).decode()} {key}`" in page

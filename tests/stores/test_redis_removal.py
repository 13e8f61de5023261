"""A view removed from Redis: stopped at every step, with keys that no record names, by accounts with few rights."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest
import redis

from feature_platform.errors import StoreError
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_servers import Command, Part, Servers
from tests.stores.online_cases import Kind, numbered, online_table, redis_client, store_kind

SPEND, OTHER = online_table("spend"), online_table("spend_2")
LAST = 12
"""More requests than a removal makes until its last one."""


class Cut:
    """Servers that are lost after so many requests."""

    def __init__(self, servers: Servers, requests: int) -> None:
        self._servers, self._left = servers, requests

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servers, name)

    def exchange(self, parts: Sequence[Part]) -> list[list[Any]]:
        self._spend()
        return self._servers.exchange(parts)

    def ask(self, node: str, command: Command) -> Any:
        self._spend()
        return self._servers.ask(node, command)

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise redis.ConnectionError


@pytest.fixture(params=["redis", "redis cluster"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return store_kind(request.param, request.getfixturevalue)


def lose(store: RedisOnlineStore, requests: int) -> None:
    cut: Any = Cut(store._servers, requests)
    store._servers = store._publisher._servers = store._attempts._servers = store._reader._servers = cut


def amounts(store: Any, table: Any, *cards: str) -> list[Any]:
    return [row and row.values["amount"] for row in store.read(table, [(card,) for card in cards])]


def test_a_removal_that_was_stopped_anywhere_is_found_and_done_by_the_next(kind: Kind) -> None:
    stopped = 0
    with contextlib.closing(kind.open()) as store, contextlib.closing(kind.open()) as reader:
        store.publish(store.stage(OTHER, numbered(OTHER, 50, 2)))
        for requests in range(LAST):
            store.publish(store.stage(SPEND, numbered(SPEND, 50, 1)))
            assert amounts(reader, SPEND, "1") == [1]
            dying = kind.open()
            assert isinstance(dying, RedisOnlineStore)
            lose(dying, requests)
            with contextlib.suppress(StoreError):
                dying.remove("spend")
            if "spend" in store.views():
                stopped += 1
                with contextlib.suppress(StoreError):  # pointers are gone, the record is not: no nil for a row
                    assert amounts(reader, SPEND, "1", "49") == [1, 1]
            assert store.remove("spend")
            assert store.views() == ["spend_2"]
            assert not kind.leftovers()
        assert stopped > 5
        assert amounts(reader, OTHER, "1", "49") == [2, 2]


def test_keys_that_no_record_names_are_found_by_the_name_of_their_view(kind: Kind) -> None:
    with contextlib.closing(kind.open()) as store, contextlib.closing(redis_client(kind.url, kind.settings)) as client:
        store.publish(store.stage(OTHER, numbered(OTHER, 50, 2)))
        for key in ("{shop/3}:spend:0123456789abcdef:0", "{spend}:0123456789abcdef:1"):
            client.hset(f"{kind.prefix}:{key}", "a", "row")
        client.hset(f"{kind.prefix}x:{{shop/3}}:spend:0123456789abcdef:0", "a", "somebody else's")
        assert store.views() == ["spend", "spend_2"]
        assert store.remove("spend")
        assert store.views() == ["spend_2"]
        assert not kind.leftovers()
        assert client.exists(f"{kind.prefix}x:{{shop/3}}:spend:0123456789abcdef:0")

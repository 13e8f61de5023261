"""A publisher that loses its servers half-way through a publication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis

from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_online_scripts import CHANGE, FLIP
from feature_platform.stores.redis_servers import Part, Servers


class Dying:
    """Servers that a publisher loses after it has flipped, or changed, so many groups."""

    def __init__(self, servers: Servers, groups: int, between: Callable[[], None] = lambda: None) -> None:
        self._servers, self._groups, self._between = servers, groups, between

    def exchange(self, parts: Sequence[Part]) -> list[list[Any]]:
        if any(command[1] in (FLIP.encode(), CHANGE.encode()) for part in parts for command in part.commands):
            self._between()
            if self._groups < len(parts):
                self._servers.exchange(parts[: self._groups])
                raise redis.ConnectionError
        return self._servers.exchange(parts)


def lose(store: RedisOnlineStore, groups: int, between: Callable[[], None] = lambda: None) -> None:
    """From now on the store's publications stop after ``groups`` groups; ``between`` runs before the first of them."""
    store._publisher._servers = Dying(store._servers, groups, between)  # type: ignore[assignment]

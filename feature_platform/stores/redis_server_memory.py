"""What Redis servers say of their memory, and whether so many bytes more have room there and would stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redis.exceptions import NoPermissionError

from feature_platform.errors import StoreError
from feature_platform.stores.codes import ONLINE_EVICTS, ONLINE_NO_ROOM
from feature_platform.stores.redis_online_layout import GroupKeys
from feature_platform.stores.redis_servers import Part, Servers

_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """What a server (in a cluster: the node that the view lies on) says of its memory, in bytes."""

    used: int
    limit: int
    """``maxmemory``, or all that the machine has; 0: not known."""
    policy: str
    """``maxmemory-policy``; empty where nothing is ever evicted, for lack of a limit."""
    allocator: str
    """``mem_allocator``, e.g. ``jemalloc-5.3.0``."""


def server_memory(told: bytes) -> ServerMemory:
    """From the answer to ``INFO memory``."""
    info = dict(line.split(":", 1) for line in told.decode().splitlines() if ":" in line)
    used, limit, allocator = int(info["used_memory"]), int(info.get("maxmemory", 0)), info.get("mem_allocator", "")
    if limit:
        return ServerMemory(used, limit, info.get("maxmemory_policy", ""), allocator)
    return ServerMemory(used, int(info.get("total_system_memory", 0)), "", allocator)


def memory_shares(servers: Servers, groups: Sequence[GroupKeys]) -> list[tuple[ServerMemory, int]]:
    """Each server that some of the groups lie on, and how many do; nothing where ``INFO`` is not permitted."""
    by_node: dict[str, list[GroupKeys]] = {}
    for group in groups:
        by_node.setdefault(servers.node(group.live), []).append(group)
    try:
        replies = servers.exchange([Part(some[0].live, [(b"INFO", b"memory")]) for some in by_node.values()])
    except NoPermissionError:
        return []
    return [(server_memory(reply[0]), len(some)) for reply, some in zip(replies, by_node.values(), strict=True)]


def check_room(view: str, store: str, needed: int, memory: ServerMemory) -> None:
    """Refuses what will not fit, and what would not stay.

    Raises:
        StoreError: the rows need more than is free, or the server may evict any key.
    """
    if memory.policy.startswith("allkeys"):
        raise StoreError(
            ONLINE_EVICTS.problem(
                f"'{view}': '{store}' has maxmemory-policy {memory.policy}: it gives up rows of any view when "
                "memory is short, and they would be missing without an error",
                mend="Set maxmemory-policy to noeviction (or volatile-…), or `memory_check: false` in the profile.",
            )
        )
    if memory.limit and memory.used + needed > memory.limit:
        raise StoreError(
            ONLINE_NO_ROOM.problem(
                f"'{view}' needs about {_shown(needed)} beside what is live; '{store}' uses {_shown(memory.used)} of "
                f"{_shown(memory.limit)}",
                mend="Give the server more memory (a view needs twice its size during a load), or set "
                "`memory_check: false` in the profile to try all the same.",
            )
        )


def _shown(number: int) -> str:
    return f"{number / _MEGABYTE:,.0f} MB"

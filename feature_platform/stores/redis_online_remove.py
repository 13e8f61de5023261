"""Finds every view that has keys in Redis, and removes one for good.

Keys that the view's record names go first, group by group, the pointer in one step with its rows: a reader has the
rows, or no pointer, and never a nil that stands for a row that went. Then whatever else bears the view's name is looked
for. The record goes last, so that a removal which was stopped half-way is found, and repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from feature_platform.errors import StoreError
from feature_platform.stores.publication_rules import being_written
from feature_platform.stores.redis_online_attempts import Attempts
from feature_platform.stores.redis_online_layout import GroupKeys, ViewKeys, live_pointer
from feature_platform.stores.redis_online_publish import Publisher, pointers_of, script
from feature_platform.stores.redis_online_scripts import WITHDRAW
from feature_platform.stores.redis_servers import Part, Servers, words

_LOOKS: Final = 20
_SCANNED: Final = 1_000
"""Keys that a server looks at in one step: less than a millisecond."""
_UNLINKED: Final = 100


def views_of(servers: Servers, prefix: str) -> list[str]:
    """Every view of which a key is left."""
    record = re.compile(re.escape(f"{prefix}:{{".encode()) + rb"([^{}:]+)}:")
    rows = re.compile(re.escape(f"{prefix}:{{".encode()) + rb"[^{}:]+/\d+}:([^{}:]+):")
    found = set()
    for keys in _scanned(servers, f"{_escaped(prefix)}:{{*"):
        for key in keys:
            if (match := rows.match(key)) or (match := record.match(key)):
                found.add(match[1].decode())
    return sorted(view for view in found if not re.search(r"/\d+$", view))


def remove_view(servers: Servers, publisher: Publisher, attempts: Attempts, keys: ViewKeys, store: str) -> None:
    """Removes all keys of a view.

    Raises:
        StoreError: somebody is writing it.
    """
    publisher.forward(keys)
    attempts.sweep(keys)
    (staged,) = servers.exchange([Part(keys.meta, [(b"HLEN", keys.staged)])])[0]
    if staged:
        raise StoreError(being_written(f"'{keys.view}' in '{store}'"))
    record = publisher.record(keys)
    if b"entity" in record and b"groups" in record:
        _withdraw(servers, publisher.groups(record[b"entity"].decode(), keys.view, int(record[b"groups"])))
    prefix, view = _escaped(keys.prefix), _escaped(keys.view)
    rows = re.compile(re.escape(f"{keys.prefix}:{{".encode()) + rb"[^{}]+}:" + re.escape(f"{keys.view}:".encode()))
    for pattern in (f"{prefix}:{{*}}:{view}:*", f"{prefix}:{{{view}}}:*"):
        for found in _scanned(servers, pattern):
            others = [key for key in found if key not in (keys.meta, keys.staged)]
            mine = others if pattern.endswith("}:*") else [key for key in others if rows.match(key)]
            for start in range(0, len(mine), _UNLINKED):
                servers.exchange([Part(key, [(b"UNLINK", key)]) for key in mine[start : start + _UNLINKED]])
    servers.exchange([Part(keys.meta, [(b"UNLINK", keys.staged, keys.meta)])])


def _withdraw(servers: Servers, groups: Sequence[GroupKeys]) -> None:
    """Removes each group's pointer together with the rows that it names."""
    waiting = list(groups)
    for _ in range(_LOOKS):
        parts = []
        for group, values in zip(waiting, pointers_of(servers, waiting), strict=True):
            live = live_pointer(values)
            buckets = group.buckets(live.version, live.buckets) if live else []
            arguments = words(live.version if live else b"")
            parts.append(Part(group.live, [script(WITHDRAW, [group.live, *buckets], arguments)]))
        answers = servers.exchange(parts)
        waiting = [group for group, (gone,) in zip(waiting, answers, strict=True) if not gone]
        if not waiting:
            return
    # Whoever still publishes here is stopped when the record goes.


def _scanned(servers: Servers, pattern: str) -> Iterator[list[bytes]]:
    """The names of keys, some at a time; one may come twice."""
    for node in servers.nodes():
        cursor = b"0"
        while True:
            cursor, found = servers.ask(node, words("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED))
            yield found
            if cursor == b"0":
                break


def _escaped(text: str) -> str:
    """``text`` in a pattern of Redis, standing for itself."""
    return re.sub(r"([\\*?\[\]^-])", r"\\\1", text)

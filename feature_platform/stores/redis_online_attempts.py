"""Versions that are being written: who writes them, whether the writer lives, and how what it left is removed.

A writer's connection is its lease: the ``staged`` hash says which client of which server run loads a version, and the
server knows which clients it has. Where it does not tell, a day decides, which is also the rows' time to live.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import redis

from feature_platform.stores.redis_online_layout import GroupKeys, StagedEntry, ViewKeys
from feature_platform.stores.redis_online_publish import STAGING_TTL_SECONDS, Publisher, script
from feature_platform.stores.redis_online_record import record_of
from feature_platform.stores.redis_online_scripts import CLAIM
from feature_platform.stores.redis_servers import Command, Part, Servers

_REMOVED = "-"
"""Begins the name of an entry whose rows are being removed."""


class Attempts:
    """The versions that this process writes, and a look at those of others. Safe to use from several threads."""

    def __init__(self, servers: Servers, publisher: Publisher) -> None:
        self._servers = servers
        self._publisher = publisher
        self._held: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def attempt(self, keys: ViewKeys, entity: str, groups: int) -> Iterator[str]:
        """The token of what is being loaded; nothing of it stays after an error."""
        token = token_hex(8)
        try:
            self._begin(keys, token, entity, groups)
            yield token
        except BaseException:
            with contextlib.suppress(redis.RedisError):
                self.remove(keys, token)
            raise

    def _begin(self, keys: ViewKeys, token: str, entity: str, groups: int) -> None:
        """Opens the connection whose life says that the writer lives."""
        node = self._servers.node(keys.staged)
        connection = self._servers.load_connection(node)
        with self._lock:
            self._held[token] = {node: connection}
        server, client = self._identity(keys, connection)
        self.write(keys, token, StagedEntry(entity, groups, 0, None, "", server, client, self._seconds(keys)))

    def connections(self, token: str, groups: Sequence[GroupKeys]) -> tuple[list[Any], list[int]]:
        """A connection to every node that has some of ``groups``, and by group the place of its own among them."""
        held = self._held[token]
        nodes = [self._servers.node(group.live) for group in groups]
        distinct = list(dict.fromkeys(nodes))
        for node in distinct:
            if node not in held:
                held[node] = self._servers.load_connection(node)
        return [held[node] for node in distinct], [distinct.index(node) for node in nodes]

    def entry(self, keys: ViewKeys, token: str) -> StagedEntry | None:
        """What is known of a version; None when it was published or removed."""
        text = self._one(keys, b"HGET", keys.staged, token.encode())
        return None if text is None else StagedEntry.parse(text)

    def write(self, keys: ViewKeys, token: str, entry: StagedEntry) -> None:
        """Writes down which buckets may exist, before the first of them does; and later how many rows they have."""
        self._one(keys, b"HSET", keys.staged, token.encode(), entry.text().encode())

    def remove(self, keys: ViewKeys, token: str) -> bool:
        """Removes a version, unless it was published or is going live; whether there was something to remove."""
        self.release(token)
        claim = script(CLAIM, [keys.meta, keys.staged], [token.encode()])
        text = self._one(keys, *claim)
        if text is None:
            return False
        self._clear(keys, token, StagedEntry.parse(text))
        return True

    def sweep(self, keys: ViewKeys) -> int:
        """Removes what dead writers left; gives how many versions that were."""
        removed = 0
        for name, text in record_of(self._one(keys, b"HGETALL", keys.staged)).items():
            token, entry = name.decode(), StagedEntry.parse(text)
            if token.startswith(_REMOVED):
                self._clear(keys, token.removeprefix(_REMOVED), entry)
                removed += 1
            elif not self._is_alive(keys, entry):
                removed += self.remove(keys, token)
        return removed

    def release(self, token: str) -> None:
        """Ends the connections of a version: it is published, or nobody writes it any more."""
        with self._lock:
            held = self._held.pop(token, {})
        for node, connection in held.items():
            self._servers.release(node, connection)

    def release_all(self) -> None:
        """Ends all connections: what is staged counts as left behind from now on."""
        for token in list(self._held):
            self.release(token)

    def _clear(self, keys: ViewKeys, token: str, entry: StagedEntry) -> None:
        if entry.buckets:
            groups = self._publisher.groups(entry.entity, keys.view, entry.groups)
            self._servers.exchange(
                [Part(group.live, [(b"UNLINK", *group.buckets(token, entry.buckets))]) for group in groups]
            )
        self._one(keys, b"HDEL", keys.staged, f"{_REMOVED}{token}".encode())

    def _identity(self, keys: ViewKeys, connection: Any) -> tuple[str, int]:
        """Which server, and which of its clients, ``connection`` is; empty where the server doesn't tell."""
        try:
            server = self._server_run(keys)
            connection.send_command("CLIENT", "ID")
            return server, int(connection.read_response())
        except redis.ResponseError:
            return "", 0

    def _is_alive(self, keys: ViewKeys, entry: StagedEntry) -> bool:
        try:
            if entry.server:
                if entry.server != self._server_run(keys):
                    return False
                return bool(self._one(keys, b"CLIENT", b"LIST", b"ID", b"%d" % entry.client))
        except redis.ResponseError:
            pass
        return self._seconds(keys) - entry.begun_at < STAGING_TTL_SECONDS

    def _server_run(self, keys: ViewKeys) -> str:
        told = re.search(rb"run_id:(\w+)", self._one(keys, b"INFO", b"server"))
        return told[1].decode() if told else ""

    def now(self, keys: ViewKeys) -> datetime:
        """The clock of the server that has the view's record; naive UTC."""
        seconds, microseconds = self._one(keys, b"TIME")
        return datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None, microsecond=int(microseconds))

    def _seconds(self, keys: ViewKeys) -> int:
        return int(self._one(keys, b"TIME")[0])

    def _one(self, keys: ViewKeys, *command: bytes) -> Any:
        sent: Command = command
        return self._servers.exchange([Part(keys.meta, [sent])])[0][0]

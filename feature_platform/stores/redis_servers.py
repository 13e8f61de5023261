"""Sends commands to the server that has their keys: the only one, the sentinels' master, or a node of a cluster.

Everything that goes through :meth:`Servers.exchange` may be asked twice: reads, and scripts that know what was done
already. So a lost connection, a slot that moved and a master that was replaced are met by asking again, within bounds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, SlotNotCoveredError, TryAgainError

from feature_platform.stores.redis_settings import ANSWER_SECONDS, LOAD_SECONDS, Address, RedisSettings, parse, timeouts

Command = Sequence[bytes]

PAUSES: Final = (0.0, 0.05, 0.2, 0.5, 1.0)
"""Seconds before each further attempt where another node may take over."""
_ELSEWHERE: Final = (MovedError, AskError, TryAgainError, ClusterDownError, ReadOnlyError)
"""What a node answers that has the keys no more, not yet, or is no master."""


@dataclass(frozen=True, slots=True)
class Part:
    """Commands whose keys share one slot: one server answers all of them, in order."""

    key: bytes
    """One of the keys."""
    commands: Sequence[Command]


class Servers(Protocol):
    """Where commands go."""

    def exchange(self, parts: Sequence[Part]) -> list[list[Any]]:
        """The replies of each part: one round trip to every server concerned.

        Raises:
            redis.RedisError: a server refused a command, or could not be reached within bounds.
        """
        ...

    def node(self, key: bytes, /) -> str:
        """Names the server that has ``key``."""
        ...

    def nodes(self) -> list[str]:
        """The names of all servers that have keys of their own."""
        ...

    def ask(self, node: str, command: Command, /) -> Any:
        """The reply of one server to a command without keys, such as ``SCAN``."""
        ...

    def load_connection(self, node: str, /) -> Any:
        """A connection for a load, to be given back by :meth:`release`."""
        ...

    def release(self, node: str, connection: Any, /) -> None:
        """Ends the connection: replies of a broken load may still be on their way."""
        ...

    def close(self) -> None: ...


def open_servers(url: str, settings: RedisSettings) -> Servers:
    """Connects to nothing yet.

    Raises:
        ValueError: ``url`` is not the address of a Redis.
    """
    address = parse(url, settings)
    if settings.mode == "cluster":
        return Cluster(address)
    if settings.mode == "sentinel":
        return OneServer(lambda seconds: _sentinel_pool(address, settings, seconds), PAUSES)
    return OneServer(lambda seconds: _pool(address, address.hosts[0], seconds), PAUSES[:1] * 2)


class OneServer:
    """One server at a time: always the same, or whichever is the master."""

    def __init__(self, pool: Callable[[float], Any], pauses: Sequence[float]) -> None:
        self._pool = pool(ANSWER_SECONDS)
        self._load_pool = pool(LOAD_SECONDS)
        self._pauses = pauses

    def exchange(self, parts: Sequence[Part]) -> list[list[Any]]:
        if not parts:
            return []
        payload = packed(parts)
        error: Exception | None = None
        for pause in self._pauses:
            if pause:
                time.sleep(pause)
            try:
                return self._once(payload, parts)
            except redis.TimeoutError:
                raise
            except (redis.ConnectionError, ReadOnlyError) as failure:
                error = failure
        assert error is not None
        raise error

    def _once(self, payload: bytes, parts: Sequence[Part]) -> list[list[Any]]:
        connection = self._pool.get_connection()
        try:
            connection.send_packed_command([payload])
            return [[connection.read_response() for _ in part.commands] for part in parts]
        except BaseException:
            connection.disconnect()  # replies that nobody took must not meet the next reader
            raise
        finally:
            self._pool.release(connection)

    def node(self, _key: bytes) -> str:
        return ""

    def nodes(self) -> list[str]:
        return [""]

    def ask(self, _node: str, command: Command) -> Any:
        return self.exchange([Part(b"", [command])])[0][0]

    def load_connection(self, _node: str) -> Any:
        return self._load_pool.get_connection()

    def release(self, _node: str, connection: Any) -> None:
        connection.disconnect()
        self._load_pool.release(connection)

    def close(self) -> None:
        self._load_pool.disconnect()
        self._pool.disconnect()


class Cluster:
    """Nodes of a Redis cluster. redis-py keeps the map of slots; commands are sent here, many at once to each node."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.RLock()
        self._known: Any = None
        self._load_pools: dict[str, Any] = {}

    @property
    def _client(self) -> Any:
        """Made, and the cluster asked for its nodes, when it is needed first."""
        with self._lock:
            if self._known is None:
                self._known = self._connected()
        return self._known

    def _connected(self) -> Any:
        from redis.backoff import ExponentialBackoff
        from redis.cluster import ClusterNode, RedisCluster
        from redis.retry import Retry

        options = {name: value for name, value in timeouts(self._address, ANSWER_SECONDS).items() if name != "db"}
        try:
            return RedisCluster(
                startup_nodes=[ClusterNode(*host) for host in self._address.hosts],  # type: ignore[no-untyped-call]
                retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), len(PAUSES)),
                ssl=self._address.tls,
                **options,
            )
        except redis.exceptions.RedisClusterException as error:
            raise redis.ConnectionError(type(error).__name__) from error

    def exchange(self, parts: Sequence[Part]) -> list[list[Any]]:
        answers: list[list[Any]] = [[] for _ in parts]
        waiting = list(range(len(parts)))
        error: Exception | None = None
        for pause in PAUSES:
            if pause:
                time.sleep(pause)
            try:
                waiting, error = self._attempt(parts, waiting, answers)
            except SlotNotCoveredError as failure:
                error = redis.ConnectionError(type(failure).__name__)
                with contextlib.suppress(redis.ConnectionError):
                    self._refresh()
            except redis.TimeoutError:  # long enough was waited for; the next one asks whoever took over meanwhile
                with contextlib.suppress(redis.ConnectionError):
                    self._refresh()
                raise
            except redis.ConnectionError as failure:
                error = failure
            if not waiting:
                return answers
        assert error is not None
        raise error

    def _attempt(
        self, parts: Sequence[Part], waiting: Sequence[int], answers: list[list[Any]]
    ) -> tuple[list[int], Exception | None]:
        """Asks for the parts that wait; gives those that still do, and why."""
        by_node: dict[str, list[int]] = {}
        for number in waiting:
            by_node.setdefault(self.node(parts[number].key), []).append(number)
        failed: list[int] = []
        error: Exception | None = None
        sent = []
        for node, numbers in by_node.items():
            try:
                sent.append((numbers, *self._sent(node, [parts[number] for number in numbers])))
            except redis.ConnectionError as failure:
                failed, error = [*failed, *numbers], failure
        try:
            while sent:
                numbers, pool, connection = sent.pop()
                try:
                    for number in numbers:
                        answers[number] = [_reply(connection) for _ in parts[number].commands]
                except BaseException as failure:
                    connection.disconnect()
                    if not isinstance(failure, redis.ConnectionError):
                        raise
                    failed, error = [*failed, *numbers], failure
                finally:
                    pool.release(connection)
        finally:
            for _, pool, connection in sent:  # after an error elsewhere: nobody takes their replies
                connection.disconnect()
                pool.release(connection)
        if failed:
            self._refresh()
        moved = self._redirected(parts, [number for number in waiting if number not in failed], answers)
        return sorted([*failed, *moved]), error or next(iter(moved.values()), None)

    def _sent(self, node: str, parts: Sequence[Part]) -> tuple[Any, Any]:
        found = self._client.get_node(node_name=node)
        if found is None:
            raise redis.ConnectionError("the node left the cluster")
        pool = self._client.get_redis_connection(found).connection_pool
        connection = pool.get_connection()
        try:
            connection.send_packed_command([packed(parts)])
        except BaseException:
            connection.disconnect()
            pool.release(connection)
            raise
        return pool, connection

    def _redirected(
        self, parts: Sequence[Part], numbers: Sequence[int], answers: list[list[Any]]
    ) -> dict[int, Exception]:
        """Parts that have to be asked again, with what was answered. A slot on its way has its keys on two nodes: such
        a part is asked command by command.

        Raises:
            redis.ResponseError: any other refusal.
        """
        again: dict[int, Exception] = {}
        for number in numbers:
            refusals = [reply for reply in answers[number] if isinstance(reply, Exception)]
            for refusal in refusals:
                if not isinstance(refusal, _ELSEWHERE):
                    raise refusal
            if not refusals:
                continue
            first = refusals[0]
            if type(first) is AskError:
                try:
                    answers[number] = [self._asked(parts[number].key, command) for command in parts[number].commands]
                    continue
                except (*_ELSEWHERE, redis.ConnectionError) as failure:
                    first = failure
            again[number] = first
        if again:
            self._refresh()
        return again

    def _asked(self, key: bytes, command: Command) -> Any:
        """One command to the node that has the key's slot or, if that says so, to the one that is given it."""
        try:
            return self._single(self.node(key), Part(key, [command]), asking=False)
        except MovedError:
            raise
        except AskError as elsewhere:
            return self._single(f"{elsewhere.host}:{elsewhere.port}", Part(key, [command]), asking=True)

    def _single(self, node: str, part: Part, *, asking: bool) -> Any:
        sent = Part(part.key, [[b"ASKING"], *part.commands]) if asking else part
        pool, connection = self._sent(node, [sent])
        try:
            replies = [_reply(connection) for _ in sent.commands]
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)
        if isinstance(replies[-1], Exception):
            raise replies[-1]
        return replies[-1]

    def _refresh(self) -> None:
        try:
            self._client.nodes_manager.initialize()
        except redis.exceptions.RedisClusterException as error:
            raise redis.ConnectionError(type(error).__name__) from error

    def node(self, key: bytes) -> str:
        manager = self._client.nodes_manager
        return str(manager.get_node_from_slot(self._client.keyslot(key)).name)

    def nodes(self) -> list[str]:
        self._refresh()
        return [str(found.name) for found in self._client.get_primaries()]

    def ask(self, node: str, command: Command) -> Any:
        return self._single(node, Part(b"", [command]), asking=False)

    def masters(self) -> list[tuple[str, int]]:
        """Host and port of every node that has keys of its own."""
        return [(found.host, found.port) for found in self._client.get_primaries()]

    def load_connection(self, node: str) -> Any:
        with self._lock:
            if node not in self._load_pools:
                found = self._client.get_node(node_name=node)
                self._load_pools[node] = _pool(self._address, (found.host, found.port), LOAD_SECONDS)
        return self._load_pools[node].get_connection()

    def release(self, node: str, connection: Any) -> None:
        connection.disconnect()
        self._load_pools[node].release(connection)

    def close(self) -> None:
        for pool in self._load_pools.values():
            pool.disconnect()
        if self._known is not None:
            self._known.close()


def node_clients(url: str, settings: RedisSettings) -> list[Any]:
    """A client of redis-py for every server that has keys of its own: in a cluster its masters.

    Raises:
        ValueError: ``url`` is not the address of a Redis.
        redis.RedisError: the cluster can't be reached.
    """
    address = parse(url, settings)
    if settings.mode == "cluster":
        with contextlib.closing(Cluster(address)) as cluster:
            pools = [_pool(address, host, LOAD_SECONDS) for host in cluster.masters()]
    elif settings.mode == "sentinel":
        pools = [_sentinel_pool(address, settings, LOAD_SECONDS)]
    else:
        pools = [_pool(address, address.hosts[0], LOAD_SECONDS)]
    return [redis.Redis.from_pool(pool) for pool in pools]


def packed(parts: Sequence[Part]) -> bytes:
    """The bytes of all commands, in the Redis protocol."""
    pieces: list[bytes] = []
    for part in parts:
        for command in part.commands:
            pieces.append(b"*%d\r\n" % len(command))
            pieces += [b"$%d\r\n%b\r\n" % (len(word), word) for word in command]
    return b"".join(pieces)


def words(*values: bytes | str | int) -> list[bytes]:
    """Arguments of a command as bytes."""
    return [value if isinstance(value, bytes) else str(value).encode() for value in values]


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error  # one of many: those behind it still have to be taken off the wire


def _pool(address: Address, host: tuple[str, int], seconds: float) -> Any:
    from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

    options = timeouts(address, seconds)
    if "path" in options:
        return redis.ConnectionPool(connection_class=UnixDomainSocketConnection, **options)
    kind = SSLConnection if address.tls else Connection
    return redis.ConnectionPool(connection_class=kind, host=host[0], port=host[1], **options)


def _sentinel_pool(address: Address, settings: RedisSettings, seconds: float) -> Any:
    from redis.backoff import NoBackoff
    from redis.retry import Retry
    from redis.sentinel import Sentinel, SentinelConnectionPool

    options = timeouts(address, seconds)
    asked = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl_"))}
    if settings.sentinel_login is not None:
        user, password = settings.sentinel_login
        asked |= {"username": user or None, "password": password}
    # One that is gone is passed over at once: another knows the master, too.
    asked |= {"ssl": address.tls, "socket_timeout": ANSWER_SECONDS, "retry": Retry(NoBackoff(), 0)}
    sentinels = Sentinel(address.hosts, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    service = settings.sentinel_service
    return SentinelConnectionPool(service, sentinels, ssl=address.tls, **options)  # type: ignore[no-untyped-call]

"""Real Redis servers of the tests' own on 127.0.0.1: nodes of a cluster, masters with replicas, sentinels."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from feature_platform.stores.embedded_programs import redis_program
from tests.waiting import eventually

SENTINEL_PASSWORD = "watchword"  # noqa: S105 - of a server of the tests
_SLOTS = 16_384


@dataclass
class Node:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self, **options: Any) -> Any:
        """A client of this server alone."""
        return redis.Redis(port=self.port, host="127.0.0.1", decode_responses=True, **options)

    def kill(self) -> None:
        """Ends the server at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def node(*options: str, sentinel: bool = False) -> Iterator[Node]:
    """A server with ``options``; it ends with the tests, however those end."""
    with tempfile.TemporaryDirectory(prefix="fp-node-") as name:
        folder, port = Path(name), free_port()
        (server, *_) = redis_program(folder, folder / "unused").command
        settings = ["--port", str(port), "--bind", "127.0.0.1", "--dir", name, "--save", "", "--appendonly", "no"]
        command = [server, *settings, *options]
        if sentinel:
            lines = (f"port {port}", "bind 127.0.0.1", f"dir {name}", f"requirepass {SENTINEL_PASSWORD}", "")
            (folder / "sentinel.conf").write_text("\n".join(lines), encoding="ascii")
            command = [server, str(folder / "sentinel.conf"), "--sentinel", *options]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started = Node(port, process)
        try:
            yield started
        finally:
            started.kill()


def free_port() -> int:
    """A port that nobody listens on, nor on the one that a cluster's node opens beside it."""
    while True:
        port = random.randrange(20_000, 32_000)  # below those that the system hands out
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port


@contextlib.contextmanager
def cluster(masters: int = 3, replicas: int = 0, options: Sequence[str] = ()) -> Iterator[list[Node]]:
    """A cluster that takes commands: its masters, which share the slots evenly, then ``replicas`` of the first."""
    with contextlib.ExitStack() as stack:
        settings = ("--cluster-enabled", "yes", "--cluster-node-timeout", "15000", *options)
        nodes = [stack.enter_context(node(*settings)) for _ in range(masters + replicas)]
        clients = [stack.enter_context(each.client()) for each in nodes]
        for client in clients:
            eventually(lambda client=client: answers(client))
        for place, client in enumerate(clients[:masters]):
            client.execute_command(
                "CLUSTER ADDSLOTS", *range(place * _SLOTS // masters, (place + 1) * _SLOTS // masters)
            )
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
        for each in nodes[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", each.port)
        eventually(lambda: all(len(client.cluster("nodes")) == len(nodes) for client in clients))
        if replicas:
            first = clients[0].execute_command("CLUSTER MYID")
            for client in clients[masters:]:
                eventually(lambda client=client: _replicates(client, first))
        eventually(lambda: all(client.cluster("info")["cluster_state"] == "ok" for client in clients))
        for client in clients[masters:]:
            eventually(lambda client=client: client.info("replication")["master_link_status"] == "up")
        yield nodes


@contextlib.contextmanager
def sentinels() -> Iterator[tuple[Node, Node, Node]]:
    """A master, its replica, and a sentinel that calls the master ``payments`` and replaces it when it dies. The
    sentinel wants :data:`SENTINEL_PASSWORD`."""
    with node() as master, node() as replica, node(sentinel=True) as watcher:
        for each in (master, replica, watcher):
            with each.client(password=SENTINEL_PASSWORD if each is watcher else None) as client:
                eventually(lambda client=client: answers(client))
        with replica.client() as client:
            client.replicaof("127.0.0.1", master.port)
            eventually(lambda: client.info("replication")["master_link_status"] == "up")
        with watcher.client(password=SENTINEL_PASSWORD) as client:
            client.execute_command("SENTINEL MONITOR", "payments", "127.0.0.1", master.port, 1)
            for setting, value in (("down-after-milliseconds", 500), ("failover-timeout", 2_000)):
                client.execute_command("SENTINEL SET", "payments", setting, value)
            eventually(lambda: len(client.execute_command("SENTINEL REPLICAS", "payments")) == 1)
        yield master, replica, watcher


def cluster_url(nodes: Sequence[Node]) -> str:
    """The address of a cluster: all of its nodes."""
    return "redis://" + ",".join(each.address for each in nodes)


def answers(client: Any) -> bool:
    """Whether the server is up."""
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _replicates(client: Any, master: str) -> bool:
    try:
        client.execute_command("CLUSTER REPLICATE", master)
    except redis.ResponseError:
        return False
    return True

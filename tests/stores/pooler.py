"""Poolers in transaction mode: one for tests, and PgBouncer where it is installed.

The one for tests speaks PostgreSQL's wire protocol on both sides and understands little of it. A client has a
connection to the server from the first message of a transaction until the server says that it is idle; then the
connection goes to the end of a queue. So consecutive transactions of one client meet different processes, always, which
a real pooler does only under load. Nothing of a session is kept or reset: no settings, no prepared statements.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

_CANCEL, _SSL, _GSS = 80877102, 80877103, 80877104
_ENDED_BY_READY = (b"Q", b"S", b"F")
"""Messages that the server answers with ReadyForQuery."""


@dataclass
class _Server:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pid: int = 0
    secret: int = 0
    greeting: list[bytes] = field(default_factory=list)
    """What it says about itself."""
    client: _Client | None = None
    pending: int = 0


@dataclass
class _Client:
    writer: asyncio.StreamWriter
    server: _Server | None = None
    pids: list[int] = field(default_factory=list)


class TransactionPooler:
    """Runs in a thread; see :func:`pooling`."""

    def __init__(self, url: str, connections: int) -> None:
        self._server = conninfo_to_dict(url)
        self._size = connections
        self._idle: asyncio.Queue[_Server] = asyncio.Queue()
        self._clients: dict[tuple[int, int], _Client] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None
        self.url = ""
        self.pids: list[list[int]] = []
        """Of each client, the process that every transaction met."""

    async def start(self) -> None:
        for _ in range(self._size):
            await self._add()
        listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        user, database = self._server["user"], self._server["dbname"]
        self.url = f"postgresql://{user}@127.0.0.1:{port}/{database}?sslmode=prefer"
        self._listening = listening

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _add(self) -> None:
        path = f"{self._server['host']}/.s.PGSQL.{self._server.get('port') or 5432}"
        server = _Server(*await asyncio.open_unix_connection(path))
        settings = f"user\0{self._server['user']}\0database\0{self._server['dbname']}\0\0".encode()
        server.writer.write(struct.pack("!ii", len(settings) + 8, 196608) + settings)
        while (message := await _message(server.reader))[:1] != b"Z":
            if message[:1] == b"K":
                server.pid, server.secret = struct.unpack("!ii", message[5:13])
            elif message[:1] in (b"R", b"S"):
                server.greeting.append(message)
            elif message[:1] == b"E":
                raise ConnectionError(message)
        task = asyncio.create_task(self._answer(server))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._idle.put_nowait(server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer)
        key = (secrets.randbelow(2**31), secrets.randbelow(2**31))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if not await self._greet(reader, client, key):
                return
            while (message := await _message(reader))[:1] != b"X":
                server = client.server or await self._lend(client)
                server.pending += message[:1] in _ENDED_BY_READY
                server.writer.write(message)
                await server.writer.drain()
        self._clients.pop(key, None)
        writer.close()
        if client.server is not None:  # left in the middle of a transaction
            client.server.client = None
            client.server.writer.close()
            await self._add()

    async def _greet(self, reader: asyncio.StreamReader, client: _Client, key: tuple[int, int]) -> bool:
        """False: it was no client but a request to cancel one's statement."""
        while True:
            (size,) = struct.unpack("!i", await reader.readexactly(4))
            rest = await reader.readexactly(size - 4)
            (code,) = struct.unpack("!i", rest[:4])
            if code not in (_SSL, _GSS):
                break
            client.writer.write(b"N")
        if code == _CANCEL:
            asked = self._clients.get(struct.unpack("!ii", rest[4:12]))  # type: ignore[arg-type]
            if asked is not None and asked.server is not None:
                await self._cancel(asked.server)
            client.writer.close()
            return False
        self._clients[key] = client
        self.pids.append(client.pids)
        server = await self._idle.get()
        self._idle.put_nowait(server)
        known = b"".join(server.greeting)
        client.writer.write(known + struct.pack("!ciii", b"K", 12, *key) + b"Z\0\0\0\5I")
        return True

    async def _cancel(self, server: _Server) -> None:
        path = f"{self._server['host']}/.s.PGSQL.{self._server.get('port') or 5432}"
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(struct.pack("!iiii", 16, _CANCEL, server.pid, server.secret))
        await writer.drain()
        writer.close()

    async def _lend(self, client: _Client) -> _Server:
        server = await self._idle.get()
        while server.reader.at_eof():  # the server ended it while nobody had it
            await self._add()
            server = await self._idle.get()
        server.client, client.server = client, server
        client.pids.append(server.pid)
        return server

    async def _answer(self, server: _Server) -> None:
        """Hands on what the server says, and takes the connection back where a transaction ends."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(server.writer):
            while True:
                message = await _message(server.reader)
                client = server.client
                if client is None:
                    continue  # a setting was changed by an administrator
                client.writer.write(message)
                if message[:1] == b"Z":
                    server.pending -= 1
                    if message[5:6] == b"I" and not server.pending:
                        server.client = client.server = None
                        self._idle.put_nowait(server)
                await client.writer.drain()
        if server.client is not None:
            server.client.server = None
            server.client.writer.close()
            await self._add()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    (size,) = struct.unpack("!i", head[1:])
    return head + await reader.readexactly(size - 4)


@contextmanager
def pooling(url: str, connections: int = 3) -> Iterator[TransactionPooler]:
    """A pooler before the server of ``url``, which listens on a socket in a folder and trusts who comes."""
    loop = asyncio.new_event_loop()
    pooler = TransactionPooler(url, connections)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(pooler.start(), loop).result(10)
    try:
        yield pooler
    finally:
        asyncio.run_coroutine_threadsafe(pooler.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def pgbouncer(url: str, folder: Path) -> Iterator[str]:
    """The URL of a real PgBouncer with two connections to the server of ``url``, or a skipped test."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer on this machine (Debian: apt-get install pgbouncer)")
    server = conninfo_to_dict(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "users").write_text(f'"{server["user"]}" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server['host']} port={server.get('port') or 5432}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users\npool_mode = transaction\ndefault_pool_size = 2\n"
    )
    command = [program, str(folder / "pgbouncer.ini")]
    if os.getuid() == 0:  # it refuses to be root, and then has to be let in
        command += ["-u", "nobody"]
        sockets = Path(str(server["host"]))
        for each in (folder, *folder.parents[:2], sockets):
            each.chmod(each.stat().st_mode | 0o055)
        (sockets / f".s.PGSQL.{server.get('port') or 5432}").chmod(0o777)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _once_it_answers(f"postgresql://{server['user']}@127.0.0.1:{port}/{server['dbname']}")
    finally:
        process.terminate()
        process.wait(10)


def _once_it_answers(url: str) -> str:
    deadline = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return url


def moved(pids: list[int]) -> bool:
    """Whether no two consecutive transactions of a client met the same process."""
    return all(before != after for before, after in itertools.pairwise(pids))

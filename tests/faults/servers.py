"""A real PostgreSQL and a real Redis that can be killed at any time and started again on the same data.

They are the programs of the embedded stores, with the settings that those have, but without their supervisor, which
would stop a server in good order. ``kill`` sends SIGKILL to every process of the server at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from feature_platform.stores.embedded_programs import Program, postgres_program, redis_program

_START_SECONDS = 60.0
_ROOM_BYTES = 1 << 30


class KillableServer:
    """A server on a Unix socket. ``close`` ends it and removes its data."""

    def __init__(
        self, program: Callable[[Path, Path], Program], socket_name: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="fp-faults-", dir=in_memory()))
        self._folder.chmod(0o711)  # PostgreSQL runs as another user where the tests run as root
        self._run = self._folder / "run"
        self._run.mkdir(mode=0o700)
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **(environment or {})}
        self.socket = self._run / socket_name
        where = self._run if socket_name.startswith(".s.PGSQL") else self.socket
        self.data = self._folder / "data"
        self._program = program(self.data, where)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def connect(self) -> socket.socket:
        """A new connection, for a proxy."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection

    def start(self) -> None:
        """Starts it unless it runs; returns when it answers, after recovery."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            program = self._program
            account = {"user": program.uid, "group": program.gid, "extra_groups": []} if program.uid else {}
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    program.command,
                    cwd=program.cwd,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    **account,  # type: ignore[call-overload]
                )
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            assert time.monotonic() < deadline, (self._folder / "log").read_text(errors="replace")[-2_000:]
            assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")[-2_000:]
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether a request is answered now."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL to all of its processes; returns when they are gone."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return
            everyone = [process.pid, *_children(process.pid)]
            for pid in everyone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            while any(_lives(pid) for pid in everyone):
                time.sleep(0.005)

    def close(self) -> None:
        self.kill()
        for folder in (self._folder, *self._program.remove):
            shutil.rmtree(folder, ignore_errors=True)


class KillablePostgres(KillableServer):
    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(postgres_program, ".s.PGSQL.5432", environment)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={quote(str(self._run), safe='')}"

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


class KillableRedis(KillableServer):
    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(redis_program, "redis.sock", environment)

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}?db=0"

    def answers(self) -> bool:
        try:
            with self.connect() as connection:
                connection.settimeout(5)
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def in_memory() -> str:
    """Where files are of no disk, if there is such a place: what dies here is a process, so nothing else is lost with
    it, and a run takes half the time. Short enough for sockets."""
    memory = Path("/dev/shm")  # noqa: S108 - only folders of our own are made there
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_BYTES
    return str(memory) if roomy else "/tmp"  # noqa: S108


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")

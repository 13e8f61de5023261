"""Processes of the tests' own that start at once and can be killed at any moment.

Importing what a child needs (Dagster, DuckDB, Arrow, sqlglot) takes a core for two seconds, mostly longer than what the
child then does. So one process per pytest worker imports it, and children are forked from that: it has no thread, no
connection and no open store. A child is a process like any other: its own pid, environment, folder and streams.

As a command: forks for each request, see :func:`main`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TextIO, cast

_ROOT = Path(__file__).parents[1]
_IMPORTED = (
    "alembic.command",  # Dagster's storage imports it late
    "dagster",
    "dagster._core.storage.dagster_run",
    "deltalake",
    "duckdb",
    "feature_platform.cli.materialize",
    "feature_platform.orchestration.factory",
    "feature_platform.orchestration.runs",
    "feature_platform.sdk.client",
    "feature_platform.stores.postgres_online",
    "feature_platform.stores.postgres_warehouse",
    "feature_platform.stores.redis_online",
    "psycopg",
    "psycopg_pool",
    "pyarrow.compute",
    "pyarrow.parquet",
    "redis",
)


class Child:
    """A process that runs. ``stdin`` and ``stdout`` are its streams; what it says on the third is in ``errors()``."""

    def __init__(self, connection: socket.socket, stdin: TextIO, stdout: TextIO, stderr: IO[str]) -> None:
        self._connection, self._stderr = connection, stderr
        self._told = connection.makefile("r")
        self.stdin, self.stdout = stdin, stdout
        self.pid = int(self._told.readline())
        self.exit_code: int | None = None
        """Negative for a signal; None as long as it lives and nobody asked."""

    def errors(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()

    def poll(self) -> int | None:
        """Its exit code; None while it lives."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.exit_code

    def wait(self, timeout: float) -> int:
        """Its exit code.

        Raises:
            TimeoutExpired: it still lives after ``timeout`` seconds.
        """
        if self.exit_code is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self.exit_code = int(self._told.readline())
        return self.exit_code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.send_signal(signal.SIGKILL)
        self.wait(30)


@contextlib.contextmanager
def child(
    function: str, *arguments: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[Child]:
    """``module:function``, called with ``arguments`` in a process that is killed in the end if it still lives.

    It stands in ``folder`` and has ``environment``, both by default as here. It ends with the code of ``SystemExit``,
    or with a traceback and 1.
    """
    request = {
        "function": function,
        "arguments": arguments,
        "environment": dict(os.environ if environment is None else environment),
        "folder": str(folder or Path.cwd()),
    }
    stdin, given = os.pipe()
    told, stdout = os.pipe()
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as open_files:
        open_files.enter_context(ours)
        giving = open_files.enter_context(_quietly_closed(given))
        telling = open_files.enter_context(open(told))
        errors = open_files.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
        socket.send_fds(_forks()[0], [b"."], [theirs.fileno(), stdin, stdout, errors.fileno()])
        theirs.close()
        for end in (stdin, stdout):
            os.close(end)
        ours.sendall(json.dumps(request).encode() + b"\n")
        started = Child(ours, giving, telling, errors)
        open_files.callback(started.kill)
        yield started


@contextlib.contextmanager
def _quietly_closed(descriptor: int) -> Iterator[TextIO]:
    stream = cast(TextIO, open(descriptor, "w"))  # noqa: SIM115 - closed below
    try:
        yield stream
    finally:
        with contextlib.suppress(BrokenPipeError):
            stream.close()


@functools.cache
def _forks() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The process that forks for this worker, and the connection to it, with which it ends."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes"],
            cwd=_ROOT,
            stdin=theirs,
            start_new_session=True,  # Ctrl-C is for pytest, which ends the connection
        )
    return ours, process


def fp(*arguments: str) -> None:
    """What the console script ``fp`` does; for :func:`child`."""
    from feature_platform.cli.main import main as command

    sys.argv = ["fp", *arguments]
    command()


def main() -> None:
    """Forks for each byte from the connection on standard input, until that ends. Four descriptors come with each: a
    connection and the child's three streams. The connection gives a line of JSON, and is told the child's pid and exit
    code."""
    requests = socket.socket(fileno=os.dup(0))
    for module in _IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # a collection in a child would copy every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait for children are waited for by nobody
    while True:
        byte, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
        if not byte:
            return
        if os.fork() == 0:
            requests.close()
            _wait_for_child(descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _wait_for_child(descriptors: list[int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection, *streams = descriptors
    pid = os.fork()
    if pid == 0:
        os._exit(_run(connection, streams))
    os.write(connection, b"%d\n" % pid)
    for descriptor in (0, 1, 2, *streams):
        os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(connection, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(connection: int, streams: list[int]) -> int:
    with os.fdopen(connection) as lines:
        request = json.loads(lines.readline())
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    module, _, name = request["function"].partition(":")
    code = 0
    try:
        getattr(importlib.import_module(module), name)(*request["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told, whatever it is
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return code


if __name__ == "__main__":
    main()

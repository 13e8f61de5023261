"""Processes that materialize, and that can be killed.

Importing what a run needs takes longer than the run. So one process imports it, and forks for each run; what it forks
tells over a Unix socket what it does, line by line in JSON, and ends. It has no thread and no open store when it forks.

As a command: reads requests from standard input, see :func:`main`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from feature_platform.project.state import STATE_VARIABLE
from tests.faults.clock import preloaded, shift_clock

_PATIENCE_SECONDS = 150.0

Tell = Callable[[Mapping[str, Any]], None]


@dataclass
class Run:
    """A run that is going on, as its messages tell."""

    pid: int
    asset: str = ""
    step: str = "starting"
    report: dict[str, Any] | None = None
    """What it returned; None: it did not come that far."""
    error: str = ""
    steps: set[tuple[str, str]] = field(default_factory=set)
    """(asset, step) that it came to."""
    marked: threading.Event = field(default_factory=threading.Event)
    """It came to the step that it was asked to tell of, or at which its disk is full."""
    over: threading.Event = field(default_factory=threading.Event)
    begun: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def phase(self) -> str:
        return f"{self.step} {self.asset.partition('/')[0]}".strip()

    @property
    def ok(self) -> bool:
        return self.report is not None and bool(self.report["ok"])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def comes_to_mark(self) -> bool:
        """Waits for the mark; False if it ended before."""
        while not self.marked.wait(0.01):
            if self.over.is_set():
                return self.marked.is_set()
        return True

    def wait(self) -> bool:
        """Whether it ended by itself."""
        if self.over.wait(_PATIENCE_SECONDS):
            return True
        self.kill()
        self.over.wait(10)
        return False


class Writers:
    """The process that forks. Close it in the end."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="fp-writers-"))
        self._address = self._folder / "writers.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._address))
        self._listener.listen(8)
        self._listener.settimeout(60)
        # A project of another test may say where state lies; here it lies beside the project.
        others = {name: value for name, value in os.environ.items() if name != STATE_VARIABLE}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.writer", str(self._address)],
            cwd=Path(__file__).parents[2],
            env={**others, **preloaded(), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
        )

    def start(self, root: Path, as_of: datetime, environment: Mapping[str, str], **more: Any) -> Run:
        """Begins a run; ``more`` as :func:`main` understands it."""
        request = {"root": str(root), "as_of": as_of.isoformat(), "environment": dict(environment), **more}
        return self.call("tests.faults.writer:materialized", request)

    def call(self, function: str, arguments: Mapping[str, Any]) -> Run:
        """Begins ``module:function`` in a process of its own. It is called with a function that tells messages and with
        ``arguments``; what it returns is the report."""
        self._ask({"call": function, "arguments": dict(arguments)})
        connection, _ = self._listener.accept()
        lines = connection.makefile("r")
        run = Run(int(lines.readline()))

        def listen() -> None:
            with contextlib.suppress(OSError, ValueError), connection, lines:
                for line in lines:
                    _take(run, json.loads(line))
            run.seconds = time.monotonic() - run.begun
            run.over.set()

        threading.Thread(target=listen, name="writer-messages", daemon=True).start()
        return run

    def learn(self, run: Run) -> None:
        """What that run had to import is imported before further ones are forked."""
        self._ask({"import": run.report["imported"] if run.report else []})

    def _ask(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _take(run: Run, message: Mapping[str, Any]) -> None:
    if "report" in message:
        run.report = message["report"]
    elif "error" in message:
        run.error = message["error"]
    elif "marked" in message:
        run.marked.set()
    else:
        run.asset, run.step = message["asset"], message["step"]
        run.steps.add((run.asset, run.step))


def main(address: str) -> None:
    """Forks for each line of standard input that has a ``call``, see :meth:`Writers.call`; imports the modules of one
    that has an ``import``."""
    import feature_platform.cli.materialize
    import feature_platform.orchestration.execution
    import feature_platform.orchestration.factory
    import feature_platform.sdk.client  # noqa: F401 - all for what it imports

    for heavy in ("dagster", "deltalake", "duckdb", "psycopg", "psycopg_pool", "pyarrow.compute", "redis", "sqlglot"):
        __import__(heavy)
    logging.getLogger().addHandler(logging.NullHandler())  # what goes wrong is told in reports
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that were forked
    for line in sys.stdin:
        request = json.loads(line)
        for module in request.get("import", ()):
            with contextlib.suppress(ImportError):
                __import__(module)
        if "import" not in request and os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os._exit(_run(address, request))


def _run(address: str, request: Mapping[str, Any]) -> int:
    lock = threading.Lock()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(f"{os.getpid()}\n".encode())

        def tell(message: Mapping[str, Any]) -> None:
            with lock, contextlib.suppress(OSError):
                connection.sendall(json.dumps(message).encode() + b"\n")

        try:
            module, _, name = request["call"].partition(":")
            tell({"report": getattr(importlib.import_module(module), name)(tell, **request["arguments"])})
        except BaseException as error:  # noqa: BLE001 - told, whatever it is
            tell({"error": f"{type(error).__name__}: {error}"})
            return 1
    return 0


def hurry(retries: int | None = None) -> None:
    """The attempts within a run follow each other after a tenth of the time; ``retries`` of them instead of the usual
    number."""
    import dagster as dg

    from feature_platform.orchestration import failures

    if retries is not None:
        failures.MAX_RETRIES = retries  # type: ignore[misc]
    failures._BACKOFF = dg.RetryPolicy(2, delay=0.2, backoff=dg.Backoff.EXPONENTIAL)  # type: ignore[misc]


def materialized(
    tell: Tell,
    *,
    root: str,
    as_of: str,
    environment: Mapping[str, str],
    selection: Sequence[str],
    clock_seconds: int = 0,
    mark: Sequence[str] = (),
    file_bytes: int | None = None,
) -> dict[str, Any]:
    """Materializes. ``mark`` is an asset and a step that it tells of; from there on no file may grow beyond
    ``file_bytes``, and the clock is off by ``clock_seconds``: without a mark from the beginning."""
    from feature_platform.orchestration.runs import materialize
    from feature_platform.project.project import Project

    os.environ.update(environment)
    if not mark:
        shift_clock(clock_seconds)
    hurry()

    def hear(event: Any) -> None:
        tell({"asset": event.asset, "step": event.step})
        if [event.asset, event.step] == list(mark):
            tell({"marked": True})
            shift_clock(clock_seconds)
            if file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    known = set(sys.modules)
    with Project.open(Path(root)) as project:
        report = materialize(project, selection, as_of=datetime.fromisoformat(as_of), on_event=hear)
    assets = {each.asset: [each.status, each.reason] for each in report.assets}
    imported = [name for name in sys.modules if name not in known]
    return {"ok": report.ok, "assets": assets, "cpu_seconds": time.process_time(), "imported": imported}


if __name__ == "__main__":
    main(*sys.argv[1:])

"""``fp ui``: Dagster's web UI and daemon over the project's state, in the foreground."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from feature_platform.cli.codes import BAD_VALUE, SERVER_STOPPED, UI_MISSING
from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import opened
from feature_platform.errors import StoreError, UsageError

if TYPE_CHECKING:
    from feature_platform.project.project import Project

USUAL_PORT: Final = 3000
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.2


def ui(
    port: Annotated[
        int | None, typer.Option(help=f"Port. Default: {USUAL_PORT}, or the next free one.", show_default=False)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Start Dagster's web UI and daemon; Ctrl-C stops both."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        if importlib.util.find_spec("dagster_webserver") is None:
            raise UsageError(
                UI_MISSING.problem("dagster-webserver is not installed", mend="pip install 'feature-platform[ui]'")
            )
        chosen = _port(host, port)
        url = f"http://{host}:{chosen}"
        _start_embedded_servers(found)
        with _stopped_by_signals(), _running(_commands(host, chosen), _environment(found)) as servers:
            with screen.working("starting Dagster"):
                _wait_until_ready(url, servers)
            screen.show({"url": url}, lambda: [f"[bold]{url}[/]  (Ctrl-C stops it)"])
            sys.stdout.flush()
            _wait(servers)


def _port(host: str, wanted: int | None) -> int:
    candidates = [wanted] if wanted is not None else list(range(USUAL_PORT, USUAL_PORT + 100))
    for port in candidates:
        if _is_free(host, port):
            return port
    raise UsageError(BAD_VALUE.problem(f"port {candidates[0]} is in use on {host}", mend="give a free one with --port"))


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _start_embedded_servers(project: Project) -> None:
    """So that they run as long as the UI does, and not once per run."""
    from feature_platform.specs.models import PostgresStore, RedisStore

    for name, spec in project.profile.stores.items():
        if isinstance(spec, PostgresStore | RedisStore) and spec.url_env is None:
            project.online_store(name)


def _commands(host: str, port: int) -> Sequence[Sequence[str]]:
    folder = Path(sys.executable).parent
    definitions = ("-m", "feature_platform.definitions")
    return (
        (str(folder / "dagster-webserver"), "-h", host, "-p", str(port), *definitions),
        (str(folder / "dagster-daemon"), "run", *definitions),
    )


def _environment(project: Project) -> Mapping[str, str]:
    from feature_platform.orchestration.instance import dagster_home
    from feature_platform.project.state import STATE_VARIABLE

    return {
        **os.environ,
        "DAGSTER_HOME": str(dagster_home(project)),
        "FP_PROJECT": str(project.root),
        "FP_PROFILE": project.profile_name,
        STATE_VARIABLE: str(project.state),
    }


@contextmanager
def _running(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Servers in sessions of their own, so that one signal reaches each with all its children."""
    servers: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            # their logs are no result: they go where ours go
            servers.append(subprocess.Popen(command, env=environment, start_new_session=True, stdout=2))  # noqa: S603 - ours
        yield servers
    finally:
        for server in servers:
            _signal(server, signal.SIGINT)
        deadline = time.monotonic() + _STOP_SECONDS
        for server in servers:
            with suppress(subprocess.TimeoutExpired):
                server.wait(max(0.0, deadline - time.monotonic()))
            _signal(server, signal.SIGKILL)  # whatever is left of its children
            server.wait()


def _signal(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, number)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and a polite kill end the block; the way out is the same.

    Ctrl-C is asked for by name: a shell starts background jobs with it ignored, and so would the servers be.
    """

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_until_ready(url: str, servers: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        _refuse_if_stopped(servers)
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=5):  # noqa: S310 - http, our own server
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_SECONDS)
    raise StoreError(
        SERVER_STOPPED.problem(
            f"the UI did not answer within {_START_SECONDS:.0f} s", mend="look at what it printed above"
        )
    )


def _wait(servers: Sequence[subprocess.Popen[bytes]]) -> None:
    while True:
        _refuse_if_stopped(servers)
        time.sleep(_POLL_SECONDS)


def _refuse_if_stopped(servers: Sequence[subprocess.Popen[bytes]]) -> None:
    for server in servers:
        if (code := server.poll()) is not None:
            name = Path(str(server.args[0])).name if isinstance(server.args, Sequence) else "a server"
            raise StoreError(
                SERVER_STOPPED.problem(f"{name} stopped with code {code}", mend="look at what it printed above")
            )

"""A real PostgreSQL and a real Redis in a folder, started when somebody needs them and stopped after their last user.

Any number of processes may use one folder at once. Each holds a shared lock while it does; the server's parent process
(``embedded_supervisor``) waits for that lock and then stops the server. Servers listen on a Unix socket in a folder of
mode 0700 and on no port, so that nobody but the account which started them reaches them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from feature_platform.errors import StoreError
from feature_platform.stores.codes import SERVER_FAILED
from feature_platform.stores.embedded_programs import (
    Program,
    postgres_program,
    redis_program,
    throwaway_postgres_program,
)
from feature_platform.stores.leases import Lease, exclusive, shared, try_exclusive, try_shared

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 40.0
_POLL_SECONDS: Final = 0.01
_SOCKET_PATH_BYTES: Final = 100
"""A Unix socket's path has at most 103 (macOS) or 107 (Linux) bytes."""
_REDIS_SOCKET: Final = "redis.sock"
_POSTGRES_SOCKET: Final = ".s.PGSQL.5432"


def running(folder: Path) -> bool:
    """Whether the server of ``folder`` runs now, for anybody."""
    lock = folder / "supervisor.lock"
    lease = try_exclusive(lock, create=False)
    if lease:
        lease.release()
        return False
    return lock.exists()


class EmbeddedPostgres:
    """PostgreSQL over ``folder``. ``url`` starts it; ``close``, or the end of the process, gives it up."""

    def __init__(self, folder: Path, *, keep_data: bool = True) -> None:
        """``keep_data=False`` removes the whole folder with the server: for tests."""
        program = postgres_program if keep_data else throwaway_postgres_program
        self._server = _SharedServer(folder, keep_data, _POSTGRES_SOCKET, program, _postgres_answers)

    @property
    def url(self) -> str:
        """A libpq URL of the database ``postgres``, over a Unix socket.

        Raises:
            StoreError: there is no PostgreSQL, or it does not start.
        """
        return f"postgresql://postgres@/postgres?host={quote(str(self._server.socket().parent), safe='')}"

    def close(self) -> None:
        """Gives the server up; returns when it has stopped, if this was its last user."""
        self._server.close()

    def __enter__(self) -> EmbeddedPostgres:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EmbeddedRedis:
    """Redis (or Valkey) over ``folder``. ``url`` starts it; ``close``, or the end of the process, gives it up."""

    def __init__(self, folder: Path, *, keep_data: bool = True) -> None:
        """``keep_data=False`` removes the whole folder with the server: for tests."""
        self._server = _SharedServer(folder, keep_data, _REDIS_SOCKET, redis_program, _redis_answers)

    @property
    def url(self) -> str:
        """A ``unix://`` URL of database 0.

        Raises:
            StoreError: there is no Redis, or it does not start.
        """
        return f"unix://{quote(str(self._server.socket()))}?db=0"

    def close(self) -> None:
        """Gives the server up; returns when it has stopped, if this was its last user."""
        self._server.close()

    def __enter__(self) -> EmbeddedRedis:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _SharedServer:
    """A server that several processes share. ``control.lock`` is held by whoever starts it or gives it up."""

    def __init__(
        self,
        folder: Path,
        keep_data: bool,
        socket_name: str,
        program: Callable[[Path, Path], Program],
        answers: Callable[[Path], bool],
    ) -> None:
        self._folder = folder.absolute()
        self._keep_data = keep_data
        self._socket_name = socket_name
        self._program = program
        self._answers = answers
        self._user: Lease | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None

    def socket(self) -> Path:
        """Where the server listens; it does when this returns."""
        if self._user is None:
            self._start()
        return self._socket_folder() / self._socket_name

    def close(self) -> None:
        if self._user is None:
            return
        with self._control():
            self._user.release()
            self._user = None
            if not self._has_other_users():
                _wait(lambda: not running(self._folder), _STOP_SECONDS)
                if self._supervisor:
                    self._supervisor.wait(_STOP_SECONDS)

    def _start(self) -> None:
        try:
            self._start_or_join()
        except OSError as error:
            raise StoreError(
                SERVER_FAILED.problem(f"{self._folder} cannot be used: {error}", mend="check permissions and the disk")
            ) from None

    def _start_or_join(self) -> None:
        with self._control():
            user = shared(self._folder / "users.lock")  # waits for a server that is just being stopped
            try:
                # A server whose supervisor was killed may be on its way down: then start it once it is gone.
                if not _wait(lambda: self._answers_now() or not running(self._folder)):
                    raise self._failure("it does not answer")
                if not running(self._folder):
                    self._spawn()
            except BaseException:
                user.release()
                raise
            self._user = user

    def _spawn(self) -> None:
        supervisor = self._supervisor = self._start_supervisor()
        if not _wait(lambda: self._answers_now() or supervisor.poll() is not None):
            raise self._failure("it does not answer")
        if supervisor.poll() is not None:
            raise self._failure("it ended at once")

    def _start_supervisor(self) -> subprocess.Popen[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._forget_killed()
        socket_folder = _new_socket_folder(self._folder)
        try:
            program = self._program(self._folder / "data", self._socket_argument(socket_folder))
        except BaseException:
            shutil.rmtree(socket_folder, ignore_errors=True)
            raise
        remove = [str(folder) for folder in (socket_folder, *program.remove)]
        self._state_file().write_text(json.dumps({"socket_folder": str(socket_folder), "remove": remove}))
        settings = {
            "command": program.command,
            "cwd": str(program.cwd),
            "environment": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            "stop_signal": program.stop_signal if self._keep_data else program.drop_signal,
            "uid": program.uid,
            "gid": program.gid,
            "users_lock": str(self._folder / "users.lock"),
            "supervisor_lock": str(self._folder / "supervisor.lock"),
            "remove": remove if self._keep_data else [*remove, str(self._folder)],
        }
        script = Path(__file__).with_name("embedded_supervisor.py")
        with self._log().open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - this interpreter and a script of ours, without a shell
                [sys.executable, "-I", "-S", str(script), json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for the user's program
            )

    def _socket_argument(self, socket_folder: Path) -> Path:
        return socket_folder if self._socket_name == _POSTGRES_SOCKET else socket_folder / self._socket_name

    def _answers_now(self) -> bool:
        return running(self._folder) and self._answers(self._socket_folder() / self._socket_name)

    def _has_other_users(self) -> bool:
        users = self._folder / "users.lock"
        lease = try_exclusive(users, create=False)
        if lease is None and (lease := try_shared(users)):
            lease.release()
            return True
        if lease:
            lease.release()
        return False

    def _forget_killed(self) -> None:
        """Removes temporary folders of a server whose supervisor was killed."""
        with contextlib.suppress(FileNotFoundError):
            for folder in json.loads(self._state_file().read_text())["remove"]:
                shutil.rmtree(folder, ignore_errors=True)

    def _failure(self, what: str) -> StoreError:
        log = self._log().read_text(errors="replace") if self._log().exists() else ""
        tail = " / ".join(log.strip().splitlines()[-5:]) or "(empty)"
        return StoreError(
            SERVER_FAILED.problem(
                f"the server in {self._folder} did not start: {what}; its log ends with: {tail}",
                mend=f"see {self._log()}; remove {self._folder} to start anew",
            )
        )

    def _socket_folder(self) -> Path:
        state: dict[str, Any] = json.loads(self._state_file().read_text())
        return Path(state["socket_folder"])

    def _state_file(self) -> Path:
        return self._folder / "server.json"

    def _log(self) -> Path:
        return self._folder / "server.log"

    def _control(self) -> contextlib.AbstractContextManager[Lease]:
        busy = SERVER_FAILED.problem(
            f"another process is starting or stopping the server in {self._folder}",
            mend="try again, or end that process",
        )
        return exclusive(self._folder / "control.lock", timeout_seconds=_START_SECONDS + _STOP_SECONDS, busy=busy)


def _new_socket_folder(folder: Path) -> Path:
    """``run`` in ``folder``; a short temporary one where its path would be too long, or root's server too far down."""
    beside = folder / "run"
    if (
        os.geteuid() == 0
        or len(os.fsencode(beside / _POSTGRES_SOCKET)) > _SOCKET_PATH_BYTES
        or not _takes_sockets(folder)
    ):
        base = tempfile.gettempdir() if len(os.fsencode(tempfile.gettempdir())) < _SOCKET_PATH_BYTES // 2 else "/tmp"  # noqa: S108 - mkdtemp makes it private
        return Path(tempfile.mkdtemp(prefix="fp-run-", dir=base))
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    return beside


def _takes_sockets(folder: Path) -> bool:
    """Some network and container mounts cannot hold a socket."""
    probe = folder / "probe"
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.bind(str(probe))
        except OSError:
            return False
        finally:
            probe.unlink(missing_ok=True)
    return True


def _postgres_answers(path: Path) -> bool:
    import psycopg

    try:
        psycopg.connect(host=str(path.parent), user="postgres", dbname="postgres", connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _wait(condition: Callable[[], bool], seconds: float = _START_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True

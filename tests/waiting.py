"""Waiting for what another process does: for a condition, with a deadline."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns once ``holds`` does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


def reached(marker: Path, process: subprocess.Popen[bytes]) -> None:
    """Returns once ``process`` has made the file ``marker``; it has failed if it ends before."""

    def is_there() -> bool:
        if marker.exists():
            return True
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        return False

    eventually(is_there, seconds=120)

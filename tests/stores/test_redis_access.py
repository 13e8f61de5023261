"""Who gets in, and by which way: users with few rights, TLS, sentinels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from feature_platform.errors import StoreError
from feature_platform.project.stores import redis_settings
from feature_platform.specs.models import RedisStore
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_roles import roles
from feature_platform.stores.redis_settings import RedisSettings, parse
from tests.redis_nodes import SENTINEL_PASSWORD, sentinels
from tests.stores.online_cases import Kind, numbered, online_table, publish, redis_kind
from tests.stores.tls_proxy import Authority, tls_proxy
from tests.waiting import eventually

TABLE = online_table()


@pytest.fixture
def kind(redis_url: str) -> Kind:
    return redis_kind(redis_url)


def socket_of(url: str) -> str:
    return urlsplit(url).path


@pytest.fixture
def users(kind: Kind) -> Iterator[dict[str, str]]:
    """The shipped users with a password each: role → URL."""
    with redis.Redis.from_url(kind.url) as admin:
        for _ in range(2):  # it may be repeated
            for line in roles(kind.prefix).splitlines():
                admin.execute_command(*line.split())
        names = [f"{kind.prefix}_{role}" for role in ("writer", "reader", "operator")]
        for name in names:
            admin.execute_command("ACL", "SETUSER", name, ">secret")
        yield {name.rpartition("_")[2]: f"unix://{name}:secret@{socket_of(kind.url)}" for name in names}
        admin.execute_command("ACL", "DELUSER", *names)


def as_user(kind: Kind, url: str) -> contextlib.closing[RedisOnlineStore]:
    return contextlib.closing(RedisOnlineStore("online", url, key_prefix=kind.prefix))


def test_each_user_can_do_its_part(kind: Kind, users: dict[str, str]) -> None:
    with as_user(kind, users["writer"]) as writer, as_user(kind, users["reader"]) as reader:
        publish(writer, TABLE, [{"card": "a", "amount": 1}])
        writer.discard(writer.stage(TABLE, numbered(TABLE, 10, 2)))
        with as_user(kind, users["writer"]) as other:
            other.stage(TABLE, numbered(TABLE, 10, 2))
        assert writer.sweep("card_spend") == 1  # it may ask whether another writer lives
        assert writer.changeable(TABLE) is not None
        (row,) = reader.read(TABLE, [("a",)])
        assert row is not None
        assert row.values == {"amount": 1}
        assert reader.publication("card_spend") is not None
    with as_user(kind, users["operator"]) as operator:
        held = operator.holdings("card_spend")
        assert (held.rows, held.bytes > 0) == (1, True)
    assert kind.leftovers() == set()


def test_none_can_do_more(kind: Kind, users: dict[str, str]) -> None:
    refused = [("SET", "k", "v"), ("KEYS", "*"), ("FLUSHALL",), ("CONFIG", "GET", "*"), ("DEBUG", "JMAP"), ("MONITOR",)]
    refused += [("ACL", "LIST"), ("SCRIPT", "FLUSH"), ("CLIENT", "KILL", "ID", "1"), ("SAVE",), ("SHUTDOWN",)]
    writes = [("HSET", f"{kind.prefix}:x", "f", "v"), ("UNLINK", f"{kind.prefix}:x"), ("EVAL", "return 1", "0")]
    for role, url in users.items():
        with redis.Redis.from_url(url) as client:
            for command in refused + ([] if role == "writer" else writes):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command)
    with redis.Redis.from_url(users["writer"]) as writer:
        for elsewhere in (("HSET", "other:x", "f", "v"), ("HGETALL", "other:x"), ("UNLINK", "other:x")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                writer.execute_command(*elsewhere)
        with pytest.raises(redis.ResponseError, match="permission"):
            writer.eval("return redis.call('HSET', KEYS[1], 'f', 'v')", 1, "other:x")
        with pytest.raises(redis.ResponseError, match=r"permission|can't run"):
            writer.eval("return redis.call('FLUSHALL')", 0)


def test_a_reader_that_writes_is_told_by_code_alone(kind: Kind, users: dict[str, str]) -> None:
    with (
        as_user(kind, users["reader"]) as reader,
        pytest.raises(StoreError, match=r"FP-STORE-045.*NoPermissionError") as error,
    ):
        reader.stage(TABLE, numbered(TABLE, 10, 2))
    assert "secret" not in str(error.value)


def test_a_server_with_tls_is_reached_by_those_who_trust_its_authority(kind: Kind, tmp_path: Path) -> None:
    ours, _ = Authority.made(tmp_path, "ours"), Authority.made(tmp_path, "others")
    good, elsewhere = ours.issue("server", "127.0.0.1"), ours.issue("elsewhere", "redis.example")
    trusting = RedisSettings(ca_file=str(tmp_path / "ours.pem"))
    misled = RedisSettings(ca_file=str(tmp_path / "others.pem"))
    with tls_proxy(socket_of(kind.url), good) as port, tls_proxy(socket_of(kind.url), elsewhere) as false_port:
        with secured(kind, port, trusting) as store:
            publish(store, TABLE, [{"card": "a", "amount": 1}])
            assert store.read(TABLE, [("a",)]) != [None]
        for settings, at in ((misled, port), (RedisSettings(), port), (trusting, false_port)):
            with secured(kind, at, settings) as store, pytest.raises(StoreError, match="FP-STORE-030"):
                store.read(TABLE, [("a",)])


def test_a_server_that_wants_a_certificate_gets_it(kind: Kind, tmp_path: Path) -> None:
    authority = Authority.made(tmp_path, "ours")
    certificate, key = authority.issue("platform", "platform.example")
    nameless = RedisSettings(ca_file=str(tmp_path / "ours.pem"))
    named = RedisSettings(ca_file=nameless.ca_file, certificate_file=str(certificate), key_file=str(key))
    server = authority.issue("server", "127.0.0.1")
    with tls_proxy(socket_of(kind.url), server, tmp_path / "ours.pem") as port:
        with secured(kind, port, named) as store:
            assert store.read(TABLE, [("a",)]) == [None]
        with secured(kind, port, nameless) as store, pytest.raises(StoreError, match="FP-STORE-030"):
            store.read(TABLE, [("a",)])


def secured(kind: Kind, port: int, settings: RedisSettings) -> contextlib.closing[RedisOnlineStore]:
    url = f"rediss://127.0.0.1:{port}/0"
    return contextlib.closing(RedisOnlineStore("online", url, key_prefix=kind.prefix, settings=settings))


def test_a_master_that_dies_is_replaced_as_the_sentinels_say() -> None:
    with sentinels() as (master, replica, watcher):
        login = ("", SENTINEL_PASSWORD)
        settings = RedisSettings("sentinel", None, "payments", login, acknowledging_replicas=1)
        kind = redis_kind(f"redis://127.0.0.1:1,{watcher.address}/0", settings)
        with contextlib.closing(RedisOnlineStore("o", kind.url, key_prefix=kind.prefix, settings=settings)) as store:
            store.publish(store.stage(TABLE, numbered(TABLE, 500, 1)))
            staged = store.stage(TABLE, numbered(TABLE, 500, 2))
            assert master.client().wait(1, 5_000) == 1
            master.kill()
            with watcher.client(password=SENTINEL_PASSWORD) as client:
                eventually(lambda: client.sentinel_get_master_addr_by_name("payments")[1] == replica.port)
            with replica.client() as client:
                eventually(lambda: client.info("replication")["role"] == "master")
            assert amounts(store) == {1}
            with pytest.raises(StoreError, match="fewer than 1 replicas"):  # the only one is the master now
                store.publish(staged)
            assert amounts(store) == {1}
        plain = RedisSettings("sentinel", None, "payments", login)
        with contextlib.closing(RedisOnlineStore("o", kind.url, key_prefix=kind.prefix, settings=plain)) as store:
            store.publish(store.stage(TABLE, numbered(TABLE, 500, 3)))
            assert amounts(store) == {3}
        wrong = RedisSettings("sentinel", None, "payments", ("", "guessed"))
        with (
            contextlib.closing(RedisOnlineStore("o", kind.url, key_prefix=kind.prefix, settings=wrong)) as store,
            pytest.raises(StoreError, match="FP-STORE-030") as error,
        ):
            amounts(store)
        assert "guessed" not in str(error.value) + repr(wrong)


def amounts(store: RedisOnlineStore) -> set[object]:
    return {row and row.values["amount"] for row in store.read(TABLE, [(str(number),) for number in range(500)])}


@pytest.mark.parametrize(("given", "login"), [("u:p:q", ("u", "p:q")), (":p", ("", "p")), ("p", ("", "p"))])
def test_the_login_of_sentinels_comes_from_a_variable(
    given: str, login: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FP_SENTINEL_LOGIN", given)
    spec = RedisStore(
        type="redis", url_env="A", mode="sentinel", sentinel_service="s", sentinel_login_env="FP_SENTINEL_LOGIN"
    )
    assert redis_settings(spec).sentinel_login == login


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("redis://u:p,w@a:1,b:2,c/3", (("a", 1), ("b", 2), ("c", 1))),
        ("rediss://a", (("a", 6379),)),
        ("redis://[::1]:7,[::2]:8", (("::1", 7), ("::2", 8))),
    ],
)
def test_an_address_names_one_host_or_several(url: str, hosts: tuple[tuple[str, int], ...]) -> None:
    assert parse(url, RedisSettings()).hosts == hosts

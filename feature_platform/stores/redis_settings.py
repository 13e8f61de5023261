"""How a Redis is reached: one server, a cluster, or a master that sentinels name; TLS and logins.

An address is redis-py's URL (``redis://``, ``rediss://`` for TLS, ``unix://``), with several hosts after commas where
several can be asked: nodes of a cluster, or sentinels. It comes from the environment, credentials included, and is
never printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

Mode = Literal["server", "cluster", "sentinel"]

ANSWER_SECONDS: Final = 5.0
LOAD_SECONDS: Final = 60.0
CLUSTER_GROUPS: Final = 256
"""Key groups of an entity in a cluster, unless the profile says otherwise: enough to spread over tens of nodes."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """What an address alone does not say."""

    mode: Mode = "server"
    groups: int | None = None
    """Into how many groups an entity's keys fall, a power of two; see ``docs/reference/redis-layout.md``. None: one,
    or :data:`CLUSTER_GROUPS` in a cluster."""
    sentinel_service: str | None = None
    """What the sentinels call the master."""
    sentinel_login: tuple[str, str] | None = field(default=None, repr=False)
    """User (may be empty) and password of the sentinels themselves."""
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    acknowledging_replicas: int = 0
    """Replicas that must have the staged rows before readers are directed to them."""
    memory_check: bool = True
    """Whether a snapshot is refused that a server has no room for, or may give up."""

    @property
    def key_groups(self) -> int:
        """:attr:`groups`, or what the mode makes of None."""
        return self.groups or (CLUSTER_GROUPS if self.mode == "cluster" else 1)


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL."""

    hosts: tuple[tuple[str, int], ...]
    options: dict[str, Any] = field(repr=False)
    """Of redis-py's connections, without host and port."""
    tls: bool


def parse(url: str, settings: RedisSettings) -> Address:
    """The hosts of ``url`` and the options of a connection to each of them.

    Raises:
        ValueError: not a URL of a Redis.
    """
    from redis.connection import parse_url

    parts = urlsplit(url)
    places = parts.netloc.rpartition("@")[2]
    first, *others = places.split(",")
    alone = url.replace(places, first, 1) if others else url
    options: dict[str, Any] = dict(parse_url(alone))  # type: ignore[no-untyped-call]
    options.pop("connection_class", None)
    hosts = [(options.pop("host", "localhost"), int(options.pop("port", 6379)))]
    for other in others:
        host, _, port = other.rpartition(":") if ":" in other else (other, "", "")
        hosts.append((host.strip("[]"), int(port or hosts[0][1])))
    tls = parts.scheme == "rediss"
    if tls:
        options |= {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": settings.ca_file,
            "ssl_certfile": settings.certificate_file,
            "ssl_keyfile": settings.key_file,
        }
    return Address(tuple(hosts), options, tls)


def timeouts(address: Address, seconds: float) -> dict[str, Any]:
    """Options of a connection that gives up on an answer after ``seconds``, unless the URL says otherwise."""
    wanted: dict[str, Any] = {"socket_timeout": seconds}
    if "path" not in address.options:
        wanted["socket_connect_timeout"] = ANSWER_SECONDS
    return {"protocol": 2, **wanted, **address.options}

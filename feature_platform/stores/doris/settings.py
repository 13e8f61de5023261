"""Where a cluster is, who we are there, and what it is asked to keep to.

Address and password come from one environment variable, as a URL:
``doris://USER:PASSWORD@FE1:9030,FE2:9030`` (parts percent-encoded). Nothing here shows the password.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote

from feature_platform.errors import StoreError
from feature_platform.stores.codes import STORE_UNREACHABLE

QUERY_PORT: Final = 9030
_URL: Final = re.compile(r"doris://(?P<user>[^:@/]+):(?P<password>[^@/]*)@(?P<hosts>[^/?#]+)/?")
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and one of its ports."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class DorisSettings:
    """One cluster. Frontends are tried in order, from the one that answered last."""

    frontends: tuple[Address, ...]
    """With their query ports."""
    user: str
    password: str = field(repr=False)
    http_port: int = 8030
    flight: bool = False
    """Whether results are read over Arrow Flight SQL, where it answers."""
    flight_port: int = 8070
    tls: bool = False
    ca_file: str | None = None
    backends: tuple[str, ...] = ()
    """Where a load may be sent besides the frontends' hosts: names, patterns (``*.doris.internal``), networks."""
    backend_addresses: Mapping[str, str] = field(default_factory=dict)
    """What the cluster calls a backend (``host`` or ``host:port``) → where it is reached from here."""
    database_prefix: str = "fp"
    replicas: int = 3
    buckets: int = 8
    properties: Mapping[str, str] = field(default_factory=dict)
    """Further properties of the tables that are made."""
    query_timeout_seconds: int = 3_600
    connect_timeout_seconds: int = 10
    load_timeout_seconds: int = 1_800
    """One load, all its attempts included. Far below the 12 hours that Doris remembers labels for."""
    parallel_loads: int = 2
    chunk_bytes: int = 64 << 20
    capabilities: Mapping[str, bool] = field(default_factory=dict)
    """What is known better than the version tells."""

    def ssl_context(self) -> ssl.SSLContext | None:
        """Certificates are checked, against the system's authorities or ``ca_file``."""
        return ssl.create_default_context(cafile=self.ca_file) if self.tls else None

    def may_send_to(self, host: str) -> bool:
        """Whether the cluster may send a load to ``host``, as the cluster calls it."""
        known = {frontend.host.lower() for frontend in self.frontends}
        known |= {name.partition(":")[0].lower() for name in self.backend_addresses}
        return host.lower() in known or any(_matches(host.lower(), allowed.lower()) for allowed in self.backends)

    def reached_at(self, backend: Address) -> Address:
        """Where ``backend`` is reached from here."""
        for name in (str(backend), backend.host):
            if name in self.backend_addresses:
                return parse_address(self.backend_addresses[name], backend.port)
        return backend


def parse_url(url: str) -> tuple[tuple[Address, ...], str, str]:
    """Frontends, user and password.

    Raises:
        StoreError: it is not such a URL. The message does not repeat it.
    """
    match = _URL.fullmatch(url.strip())
    hosts = match["hosts"].split(",") if match else []
    if not match or not all(_HOST.fullmatch(host) for host in hosts):
        raise StoreError(
            STORE_UNREACHABLE.problem(
                "the address of the Doris cluster is not of the form doris://USER:PASSWORD@FE1:9030,FE2:9030",
                mend="correct the environment variable that the profile names; percent-encode : @ / in the password",
            )
        )
    return tuple(parse_address(host, QUERY_PORT) for host in hosts), unquote(match["user"]), unquote(match["password"])


def parse_address(text: str, port: int) -> Address:
    """``host:port``, or ``host`` with the given port."""
    match = _HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a host, or a host and a port")
    return Address(match["host"].strip("[]"), int(match["port"] or port))


def _matches(host: str, allowed: str) -> bool:
    if "/" not in allowed:
        return fnmatchcase(host, allowed)
    try:
        return ip_address(host) in ip_network(allowed)
    except ValueError:
        return False

"""A whole cluster's double: both protocols over one set of data."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from feature_platform.stores.doris.settings import DorisSettings
from tests.stores.doris.cases import settings_of
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.http_server import HTTPDouble
from tests.stores.doris.double.mysql_server import MySQLDouble


@contextmanager
def doubled(tls: ssl.SSLContext | None = None) -> Iterator[tuple[DorisSettings, Cluster]]:
    """Settings that reach it, and what it holds."""
    cluster = Cluster()
    with MySQLDouble(cluster, tls) as mysql, HTTPDouble(cluster, tls) as http:
        yield settings_of(cluster, mysql.port, http.frontend_port), cluster

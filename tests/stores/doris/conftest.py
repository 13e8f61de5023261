"""One double of a cluster per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from feature_platform.stores.doris.settings import DorisSettings
from tests.stores.doris.cases import settings_of
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.http_server import HTTPDouble
from tests.stores.doris.double.mysql_server import MySQLDouble


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def mysql(cluster: Cluster) -> Iterator[MySQLDouble]:
    with MySQLDouble(cluster) as server:
        yield server


@pytest.fixture
def http(cluster: Cluster) -> Iterator[HTTPDouble]:
    with HTTPDouble(cluster) as server:
        yield server


@pytest.fixture
def settings(cluster: Cluster, mysql: MySQLDouble, http: HTTPDouble) -> DorisSettings:
    return settings_of(cluster, mysql.port, http.frontend_port)

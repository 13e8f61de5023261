"""One double of a cluster per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from feature_platform.stores.doris.settings import Address, DorisSettings
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.mysql_server import MySQLDouble


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def mysql(cluster: Cluster) -> Iterator[MySQLDouble]:
    with MySQLDouble(cluster) as server:
        yield server


@pytest.fixture
def settings(cluster: Cluster, mysql: MySQLDouble) -> DorisSettings:
    return DorisSettings((Address("127.0.0.1", mysql.port),), cluster.user, cluster.password, connect_timeout_seconds=2)

"""Reads over Arrow Flight SQL: rows and types as over MySQL's protocol, which answers where Flight does not."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.warehouse import DorisWarehouse
from feature_platform.stores.protocols import NativeTable, TableName
from tests.stores.doris.cases import StandingClock
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.flight_server import FlightDouble
from tests.stores.doris.double.running import doubled
from tests.stores.warehouse_cases import publish, query, schema

pytest.importorskip("adbc_driver_flightsql", reason="the extra doris-flight is not installed")

EXACT = schema(id="bigint", money="decimal(38,9)", at="timestamp", tags="array<string>", flag="boolean")
ROWS = [
    {"id": n, "money": Decimal("0.000000001") * n, "at": datetime.fromisoformat("1969-12-31T23:59:59.999999"),
     "tags": ['a"b', None, ""], "flag": n % 2 == 0}
    for n in range(5)
]  # fmt: skip
TABLE = TableName("features", "exact")


@pytest.fixture
def cluster_and_settings() -> Iterator[tuple[Cluster, DorisSettings]]:
    with doubled() as (settings, cluster):
        yield cluster, replace(settings, database_prefix=f"t{uuid.uuid4().hex[:8]}", flight=True, flight_port=1)


def read(settings: DorisSettings, url: str) -> list[dict[str, object]]:
    warehouse = DorisWarehouse("doris", settings, DorisLedger(url, settings.database_prefix), clock=StandingClock())
    try:
        publish(warehouse, ROWS, EXACT, table=TABLE)
        found = warehouse.read(query(warehouse, 'SELECT * FROM "features"."exact"', {TABLE: NativeTable(TABLE)}))
        table = found.read_all()
        assert table.schema == EXACT.arrow()
        return sorted(table.to_pylist(), key=lambda row: row["id"])
    finally:
        warehouse.close()


def test_rows_come_over_flight_exactly(
    cluster_and_settings: tuple[Cluster, DorisSettings], postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cluster, settings = cluster_and_settings
    with FlightDouble(cluster) as server:
        assert read(replace(settings, flight_port=server.port), postgres_url) == ROWS
        assert len(server.queries) == 1
    assert "Arrow Flight does not answer" not in caplog.text
    assert cluster.password not in caplog.text


def test_without_flight_the_same_rows_come_over_mysql(
    cluster_and_settings: tuple[Cluster, DorisSettings], postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster, settings = cluster_and_settings
    assert read(settings, postgres_url) == ROWS
    assert "Arrow Flight does not answer" in caplog.text
    assert cluster.password not in caplog.text

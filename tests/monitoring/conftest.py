"""Every test of the gate runs on several warehouses; Doris is a double of its protocols."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.warehouse import DorisWarehouse
from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import Warehouse
from tests.stores.doris.double.running import doubled
from tests.stores.warehouse_cases import live_doris_kind


@pytest.fixture(scope="session")
def doris_double() -> Iterator[DorisSettings]:
    """A double of a cluster; tests publish nothing, so that they share it."""
    with doubled() as (settings, _):
        yield replace(settings, database_prefix=f"t{uuid4().hex[:8]}")


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """One after the other of those that compute on this machine."""
    with closing(_opened(request, tmp_path)) as opened:
        yield opened


@pytest.fixture(params=["duckdb", "postgres", "doris", pytest.param("live doris", marks=pytest.mark.doris)])
def every_warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """The same, and Doris, a double or a live cluster: for what is said in statements of its own."""
    with closing(_opened(request, tmp_path)) as opened:
        yield opened


def _opened(request: pytest.FixtureRequest, folder: Path) -> Warehouse:
    if request.param == "duckdb":
        return DuckDBDeltaWarehouse("warehouse", folder / "warehouse", threads=1)
    url: str = request.getfixturevalue("postgres_url")
    if request.param == "postgres":
        return PostgresWarehouse("warehouse", url)
    if request.param == "live doris":
        return live_doris_kind(url).open()
    settings: DorisSettings = request.getfixturevalue("doris_double")
    return DorisWarehouse("warehouse", settings, DorisLedger(url, settings.database_prefix))

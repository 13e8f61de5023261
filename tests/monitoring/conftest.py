"""Every test of the gate runs on both warehouses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse
from feature_platform.stores.postgres_warehouse import PostgresWarehouse
from feature_platform.stores.protocols import Warehouse


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    opened: Warehouse
    if request.param == "duckdb":
        opened = DuckDBDeltaWarehouse("warehouse", tmp_path / "warehouse", threads=1)
    else:
        opened = PostgresWarehouse("warehouse", request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()

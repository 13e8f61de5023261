"""Both SQL engines and the worlds of non-interference, opened once per worker."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import psycopg
import pytest

from feature_platform.governance.tokens import TokenKeys
from tests.compiler.interference.oracle import Worlds, every_world, opened
from tests.compiler.sql_engines import SqlEngines
from tests.databases import own_database


@pytest.fixture(scope="session")
def sql_engines(postgres_url: str) -> Iterator[SqlEngines]:
    keys = TokenKeys(bytes(range(7, 47)))
    with (
        duckdb.connect(config={"threads": 1}) as in_memory,
        psycopg.connect(own_database(postgres_url, "sql_compiler"), autocommit=True) as server,
    ):
        keys.duckdb(in_memory)
        keys.postgres(server)
        yield SqlEngines(in_memory, server)


@pytest.fixture(scope="session")
def worlds() -> Iterator[Worlds]:
    with opened(every_world()) as found:
        yield found

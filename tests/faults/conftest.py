"""Servers that may be killed, and processes that may be killed: one set per test session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.world import Servers, servers


@pytest.fixture(scope="session")
def mortal() -> Iterator[Servers]:
    """A PostgreSQL, a Redis, networks to them, and processes that write."""
    with servers() as used:
        yield used

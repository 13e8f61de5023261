"""Real servers for the tests, one PostgreSQL and one Redis per pytest worker; and how Hypothesis searches.

The servers are the embedded ones of the platform itself, in temporary folders, so nothing stays behind however the
session ends: the end of the process, a kill included, ends its servers, and those remove their folders.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from feature_platform.stores.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.redis_nodes import cluster, cluster_url

# A change is judged by the same examples as the one before, and a busy machine fails nothing; `make fuzz` searches on.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1_000, print_blob=True)
# Workers rewrite each other's asserts and some hundred children compile the platform, if bytecode is not kept.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Profiles with servers of their own fail without an audit key; also those of the commands that tests start.
os.environ.setdefault("FP_AUDIT_KEY", bytes(range(64, 96)).hex())

hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this worker's own, as a libpq URL. Tests keep apart by schema."""
    with EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="fp-pg-")), keep_data=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server of this worker's own, as a ``unix://`` URL. Tests keep apart by key prefix."""
    with EmbeddedRedis(Path(tempfile.mkdtemp(prefix="fp-redis-")), keep_data=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_cluster_url() -> Iterator[str]:
    """Three nodes of a Redis cluster, of this worker's own, as a URL with all of them. Tests keep apart by prefix."""
    with cluster() as nodes:
        yield cluster_url(nodes)

"""A ledger of each test's own: it is one chain, and tests break theirs."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.databases import own_database


@pytest.fixture(scope="session")
def audit_database(postgres_url: str) -> str:
    """A database of these tests' own, as a libpq URL for its owner, who is a superuser."""
    return own_database(postgres_url, "audit_tests")


@pytest.fixture
def database(audit_database: str) -> Iterator[str]:
    """The same without a ledger: the first who connects sets it up."""
    yield audit_database
    with psycopg.connect(audit_database, autocommit=True) as owner:
        owner.execute("DROP SCHEMA IF EXISTS fp_audit CASCADE")

"""The stores of the test project, and the project itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from feature_platform.orchestration.instance import dagster_home
from tests.databases import own_database
from tests.orchestration.builders import LAST_PAYMENT, Workplace, environment, workplace


@pytest.fixture(scope="session")
def postgres_url(postgres_url: str) -> str:
    """A database of these tests' own, as a libpq URL: a database holds one token key, and other tests have theirs."""
    return own_database(postgres_url, "orchestration")


@pytest.fixture
def stores(postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Addresses of real servers in this process's environment; also for child processes."""
    variables = dict(environment(postgres_url, redis_url))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FP_HOME", raising=False)
    return variables


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DAGSTER_HOME with empty tables; making them takes longer than most tests."""
    return dagster_home(workplace(tmp_path_factory.mktemp("home"), LAST_PAYMENT).open())


@pytest.fixture
def cards(tmp_path: Path, stores: dict[str, str], prepared_home: Path) -> Workplace:
    """A project without views yet, whose Dagster instance has its tables."""
    place = workplace(tmp_path)
    shutil.copytree(prepared_home, place.state / "dagster")
    return place

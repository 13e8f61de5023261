"""The stores of the test project, and the project itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.builders import Workplace, environment, workplace


@pytest.fixture
def stores(postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Addresses of real servers in this process's environment; also for child processes."""
    variables = dict(environment(postgres_url, redis_url))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FP_HOME", raising=False)
    return variables


@pytest.fixture
def cards(tmp_path: Path, stores: dict[str, str]) -> Workplace:
    """A project without views yet."""
    return workplace(tmp_path)

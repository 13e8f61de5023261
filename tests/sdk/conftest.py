"""One project with two stores for all tests of training sets, of which none changes what another one sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from tests.sdk.two_stores import END, PUBLISHED, Data, random_data, write_project


@pytest.fixture(scope="package")
def data() -> Data:
    return random_data()


@pytest.fixture(scope="package")
def both_stores(data: Data, tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Project]:
    """The project with its views published; variables are set while it is open."""
    folder = tmp_path_factory.mktemp("two_stores") / "cards"
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(STATE_VARIABLE, raising=False)
        environment.setenv("FP_TWO_STORES", write_project(folder, postgres_url, data))
        environment.setenv("FP_TWO_STORES_KEY", bytes(range(40)).hex())
        with Project.open(folder) as opened:
            report = materialize(opened, list(PUBLISHED), as_of=END)
            assert report.ok, report.of("failed")
            yield opened

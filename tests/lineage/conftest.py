"""The example project, opened once; nothing of it is run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_platform.lineage.graph import Lineage
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE


@pytest.fixture(scope="package")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(STATE_VARIABLE, str(tmp_path_factory.mktemp("state")))
        project = Project.open(Path(__file__).parents[2] / "feature_defs")
    with project:  # the variable is not for tests of other packages
        yield project


@pytest.fixture(scope="package")
def lineage(example: Project) -> Lineage:
    return Lineage(example.registry, example.compiled)

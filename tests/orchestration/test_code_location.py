"""The project as Dagster's tools load it."""

from __future__ import annotations

import subprocess
import sys
from contextvars import Context
from pathlib import Path

import dagster as dg
import pytest

from feature_platform.components import FeatureDefsComponent
from feature_platform.definitions import domains_of, project_folder
from feature_platform.orchestration.factory import build_definitions
from tests.orchestration.builders import DAILY_SPEND, LAST_PAYMENT, Workplace, inherited

TOP = Path(__file__).resolve().parents[2]


def keys(definitions: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}


def test_dagster_validates_the_workspace_beside_the_settings(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, DAILY_SPEND)
    environment = inherited(FP_PROJECT=str(cards.root), FP_HOME=str(cards.state))
    environment.pop("DAGSTER_HOME", None)
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        env=environment,
        cwd=TOP,  # where dagster.yaml is, too: Dagster reads it there when DAGSTER_HOME is not set
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_component_gives_the_same_definitions(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, DAILY_SPEND)

    def both() -> tuple[set[str], set[str]]:
        component = FeatureDefsComponent(path=str(cards.root), domains=["payments"])
        made = component.build_defs(dg.ComponentTree.for_test().load_context)
        return keys(made), keys(build_definitions(cards.root))

    # Dagster keeps an instance's storage in a context variable; another test's may have been left there.
    of_component, of_factory = Context().run(both)
    assert of_component == of_factory


def test_the_environment_names_project_and_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FP_PROJECT", "/srv/platform/feature_defs")
    assert project_folder() == Path("/srv/platform/feature_defs")
    monkeypatch.delenv("FP_PROJECT")
    assert project_folder() == TOP / "feature_defs"
    assert domains_of("payments, risk,") == ["payments", "risk"]
    assert domains_of("") is domains_of(None) is None

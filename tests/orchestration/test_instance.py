"""Dagster's instance of a project."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import dagster as dg
import pytest
import yaml

from feature_platform.errors import StoreError
from feature_platform.orchestration.instance import close_dead_runs, dagster_home, instance, own_run
from feature_platform.orchestration.runs import materialize
from tests.orchestration.builders import LAST_PAYMENT, Workplace
from tests.processes import child


def test_home_lies_in_the_state_folder_with_the_platforms_settings(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    home = dagster_home(cards.open())
    settings = yaml.safe_load((home / "dagster.yaml").read_text())
    assert home == cards.state / "dagster"
    assert (settings["telemetry"], settings["nux"]) == ({"enabled": False}, {"enabled": False})


def test_settings_beside_the_project_come_first_and_are_kept_up_to_date(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    project = cards.open()
    dagster_home(project)
    (cards.folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert (dagster_home(project) / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_runs_are_kept_in_sqlite_by_default(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    shutil.rmtree(cards.state / "dagster")
    project = cards.open()
    with instance(project) as opened:
        opened.add_run(dg.DagsterRun("job"))
    with instance(project) as again:
        assert again.get_runs_count() == 1
    assert list(cards.state.glob("dagster/history/*.db"))


def test_the_file_of_a_run_has_each_event_at_once_for_those_who_watch_it(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    project = cards.open()
    run = dg.DagsterRun("job")
    with instance(project) as opened, instance(project) as beside:
        opened.add_run(run)
        for told in ("the first word", "the second word"):
            opened.report_engine_event(told, run)
            assert told.encode() in (cards.state / f"dagster/history/runs/{run.run_id}.db").read_bytes()
            assert told in str(beside.all_logs(run.run_id))
        beside.delete_run(run.run_id)
        assert not opened.has_run(run.run_id)


def test_runs_are_kept_in_postgres_where_the_environment_says_so(
    cards: Workplace, stores: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.write(LAST_PAYMENT)
    shutil.rmtree(cards.state / "dagster")
    monkeypatch.setenv("FP_DAGSTER_POSTGRES_URL", stores["FP_TEST_POSTGRES"])
    run = dg.DagsterRun("job")
    with instance(cards.open()) as opened:
        opened.add_run(run)
    with instance(cards.open()) as again:
        assert again.get_run_by_id(run.run_id) is not None
    assert not list(cards.state.glob("dagster/history/*.db"))


def test_a_run_of_a_dead_process_is_closed_and_that_of_a_living_one_is_not(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    project = cards.open()
    dead, alive = (dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED) for _ in range(2))
    with instance(project) as opened:
        opened.add_run(dead)
        opened.add_run(alive)
        _die_while_running(cards.root, dead.run_id)
        with own_run(project, alive.run_id):
            assert close_dead_runs(project, opened) == [dead.run_id]
            found = {run.run_id: run.status for run in opened.get_runs()}
    assert found == {dead.run_id: dg.DagsterRunStatus.FAILURE, alive.run_id: dg.DagsterRunStatus.STARTED}


def test_a_run_whose_end_nobody_could_record_is_closed_by_the_next(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    project = cards.open()
    run = dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED)
    with instance(project) as opened:
        opened.add_run(run)
        with pytest.raises(OSError, match="full"), own_run(project, run.run_id):
            raise OSError("the disk is full")
        assert close_dead_runs(project, opened) == [run.run_id]
        assert close_dead_runs(project, opened) == []


def test_a_storage_that_can_not_be_read_is_said_to_be_so(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    project = cards.open()
    dagster_home(project)
    for file in (cards.state / "dagster" / "history").rglob("runs.db*"):
        file.write_bytes(b"nothing that SQLite knows" * 400)
    with pytest.raises(StoreError, match="FP-RUN-010: Dagster's storage failed: file is not a database"):
        materialize(project)


def _die_while_running(root: Path, run_id: str) -> None:
    with child("tests.orchestration.materializer:die_in_run", str(root), run_id) as process:
        assert process.wait(60) == -signal.SIGKILL

"""A materialization that is killed or interrupted leaves the old rows readable, and the next one heals."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from feature_platform.orchestration.instance import instance
from feature_platform.orchestration.online_changes import mirror_of
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.stores.protocols import TableName
from tests.orchestration.builders import LAST_PAYMENT, Payment, Workplace, inherited, online, rows_of, utc
from tests.waiting import reached

NOON = utc(2026, 1, 4, 12)

MATERIALIZE = """
import signal, sys, time
from datetime import datetime
from pathlib import Path
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project

root, marker, asset, step, wait = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may have it switched off

def hear(event):
    if event.asset.startswith(asset) and event.step == step:
        Path(marker).touch()
        time.sleep(float(wait))

with Project.open(Path(root)) as project:
    materialize(project, as_of=datetime.fromisoformat("2026-01-04T12:00"), on_event=hear)
"""


@contextlib.contextmanager
def materializing(cards: Workplace, asset: str, step: str, *, wait: float) -> Iterator[subprocess.Popen[bytes]]:
    """A process that materializes everything, has come to ``step`` of ``asset``, and stays there ``wait`` seconds."""
    marker = cards.folder / "reached"
    marker.unlink(missing_ok=True)
    command = [sys.executable, "-c", MATERIALIZE, str(cards.root), str(marker), asset, step, str(wait)]
    with subprocess.Popen(command, env=inherited(), stderr=subprocess.PIPE) as process:
        try:
            reached(marker, process)
            yield process
        finally:
            process.kill()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


def leftovers(cards: Workplace, project: Project) -> list[Path]:
    """Files of attempts that nobody is making, and run locks that nobody holds."""
    tables = cards.state / "warehouse"
    live = 0
    for name in ("last_payment", mirror_of("last_payment", "redis").name, mirror_of("last_payment", "postgres").name):
        project.warehouse().sweep(TableName("features", name))
        live += len(project.warehouse().publications(TableName("features", name)))
    data = list(tables.rglob("*.parquet"))
    return [
        *(data if len(data) != live else []),
        *(cards.state / "dagster").rglob("*.lease"),
        *tables.rglob("attempts/*"),
    ]


def unfinished(project: Project) -> list[dg.DagsterRun]:
    with instance(project) as opened:
        return [run for run in opened.get_runs() if not run.is_finished]


@pytest.fixture
def published(cards: Workplace) -> Workplace:
    """A project whose rows are published, and whose source has grown since."""
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        materialize(project, as_of=NOON)
    cards.pay([Payment(card, utc(2026, 1, 3, 12)) for card in range(100, 5_100)], file="2.csv")
    return cards


@pytest.mark.parametrize(
    ("asset", "step"),
    [
        ("warehouse", "stage"),
        ("warehouse", "audit"),
        ("warehouse", "publish"),
        ("redis", "audit"),
        ("redis", "publish"),
    ],
)
def test_a_kill_before_publication_leaves_the_old_rows_and_a_rerun_heals(
    published: Workplace, asset: str, step: str
) -> None:
    with materializing(published, asset, step, wait=120) as process:
        kill(process)
    with published.open() as project:
        assert online(project, "last_payment", 100) == [None]
        assert len(rows_of(project, "last_payment")) == (5_004 if asset == "redis" else 4)
        report = materialize(project, as_of=NOON)
        assert report.ok, report
        assert len(rows_of(project, "last_payment")) == 5_004
        assert online(project, "last_payment", 100) != [None]
        assert leftovers(published, project) == []
        assert unfinished(project) == []


@pytest.mark.parametrize("delay", [0.0, 0.02])
def test_a_kill_during_publication_shows_old_or_new_rows_and_nothing_between(
    published: Workplace, delay: float
) -> None:
    with materializing(published, "warehouse", "publish", wait=0) as process:
        time.sleep(delay)
        kill(process)
    with published.open() as project:
        assert len(rows_of(project, "last_payment")) in (4, 5_004)
        assert materialize(project, as_of=NOON).ok
        assert len(rows_of(project, "last_payment")) == 5_004
        assert leftovers(published, project) == []


def test_an_interrupt_ends_the_run_at_once_and_leaves_nothing(published: Workplace) -> None:
    with materializing(published, "warehouse", "audit", wait=120) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) != 0
    with published.open() as project:
        assert unfinished(project) == []
        assert leftovers(published, project) == []
        assert len(rows_of(project, "last_payment")) == 4


def test_two_processes_materialize_different_views_at_once(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, LAST_PAYMENT.replace("last_payment", "other_payment"))
    shutil.rmtree(cards.state / "dagster")  # so that both prepare Dagster's instance
    script = MATERIALIZE.replace("materialize(project, ", "materialize(project, [asset], ")
    commands = [
        [sys.executable, "-c", script, str(cards.root), str(cards.folder / view), view, "none", "0"]
        for view in ("last_payment", "other_payment")
    ]
    processes = [subprocess.Popen(command, env=inherited(), stderr=subprocess.PIPE) for command in commands]
    failures = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], failures
    with cards.open() as project:
        assert [len(rows_of(project, view)) for view in ("last_payment", "other_payment")] == [4, 4]
        assert unfinished(project) == []
        assert materialize(project, as_of=NOON).of("published") == ()

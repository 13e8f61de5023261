"""A materialization that is killed or interrupted leaves the old rows readable, and the next one heals."""

from __future__ import annotations

import contextlib
import shutil
import signal
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
from tests.orchestration.builders import LAST_PAYMENT, Payment, Workplace, online, rows_of, utc
from tests.orchestration.materializer import REACHED
from tests.processes import Child, child

NOON = utc(2026, 1, 4, 12)


@contextlib.contextmanager
def materializing(cards: Workplace, asset: str, step: str, *, rests: bool) -> Iterator[Child]:
    """A process that materializes everything, has come to ``step`` of ``asset``, and stays there if it ``rests``."""
    with child("tests.orchestration.materializer:everything", str(cards.root), asset, step, "yes" * rests) as process:
        assert process.stdout.readline() == REACHED, process.errors()
        yield process


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
    with materializing(published, asset, step, rests=True) as process:
        process.kill()
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
    with materializing(published, "warehouse", "publish", rests=False) as process:
        time.sleep(delay)
        process.kill()
    with published.open() as project:
        assert len(rows_of(project, "last_payment")) in (4, 5_004)
        assert materialize(project, as_of=NOON).ok
        assert len(rows_of(project, "last_payment")) == 5_004
        assert leftovers(published, project) == []


def test_an_interrupt_ends_the_run_at_once_and_leaves_nothing(published: Workplace) -> None:
    with materializing(published, "warehouse", "audit", rests=True) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    with published.open() as project:
        assert unfinished(project) == []
        assert leftovers(published, project) == []
        assert len(rows_of(project, "last_payment")) == 4


def test_two_processes_materialize_different_views_at_once(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, LAST_PAYMENT.replace("last_payment", "other_payment"))
    shutil.rmtree(cards.state / "dagster")  # so that both prepare Dagster's instance
    with contextlib.ExitStack() as running:
        processes = [
            running.enter_context(child("tests.orchestration.materializer:one_view", str(cards.root), view))
            for view in ("last_payment", "other_payment")
        ]
        assert [process.wait(120) for process in processes] == [0, 0], [process.errors() for process in processes]
    with cards.open() as project:
        assert [len(rows_of(project, view)) for view in ("last_payment", "other_payment")] == [4, 4]
        assert unfinished(project) == []
        assert materialize(project, as_of=NOON).of("published") == ()

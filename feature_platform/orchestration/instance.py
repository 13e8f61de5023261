"""Dagster's instance of a project: where runs, events and check results are kept.

Each project has one, in ``dagster/`` of its state folder, set up by ``dagster.yaml``: the one beside the project if
there is one, else the platform's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg

from feature_platform.errors import Problem
from feature_platform.orchestration.codes import INSTANCE_BUSY
from feature_platform.orchestration.storage import HOME_VARIABLE, reported
from feature_platform.stores.leases import exclusive, own, try_exclusive

if TYPE_CHECKING:
    from feature_platform.project.project import Project

_PREPARED: Final = ".prepared"
_PATIENCE_SECONDS: Final = 300.0


def dagster_home(project: Project) -> Path:
    """The project's ``DAGSTER_HOME``, ready for use by any number of processes: ``dagster.yaml`` in it is up to date,
    and the storage has its tables.

    Raises:
        StoreError: another process has been preparing it for minutes.
    """
    home = project.state / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    with exclusive(home / ".preparing.lock", timeout_seconds=_PATIENCE_SECONDS, busy=_busy(home)):
        wanted = _settings(project.root).read_bytes()
        settings = home / "dagster.yaml"
        if not settings.is_file() or settings.read_bytes() != wanted:
            draft = home / ".dagster.yaml.draft"
            draft.write_bytes(wanted)
            draft.replace(settings)
        if not (home / _PREPARED).is_file():
            # Two processes that make the tables of one SQLite file at once get in each other's way.
            with _opened(home):
                (home / _PREPARED).touch()
    return home


@contextmanager
def instance(project: Project) -> Iterator[dg.DagsterInstance]:
    """The project's instance, opened and closed again.

    Raises:
        StoreError: its storage can't be read or written, also within the block; what was not recorded stays open, and
            the next run closes it.
    """
    with reported(), _opened(dagster_home(project)) as opened:
        yield opened


@contextmanager
def own_run(project: Project, run_id: str) -> Iterator[None]:
    """Marks a run as living in this process, with a lock that dies with it. After an error the mark stays without its
    lock: nobody knows whether Dagster was told of the run's end, so whoever comes next looks and tells it.
    """
    with own(_lease_path(project, run_id)) as lease:
        yield
        lease.release(remove=True)


def close_dead_runs(project: Project, opened: dg.DagsterInstance) -> list[str]:
    """Marks runs of killed processes of this machine as failed, so that nobody waits for them; gives their ids.

    Dagster can't know: such a run was never launched as a process of its own.
    """
    dead: list[str] = []
    for lock in sorted(_lease_folder(project).glob("*.lease")):
        with ExitStack() as stack:
            lease = try_exclusive(lock, create=False)
            if lease is None:
                continue
            stack.callback(lease.release, remove=True)
            run = opened.get_run_by_id(lock.stem)
            if run is not None and not run.is_finished:
                opened.report_run_failed(run, "The process of this run ended before the run did.")
                dead.append(run.run_id)
    return dead


@contextmanager
def _opened(home: Path) -> Iterator[dg.DagsterInstance]:
    with _environment(HOME_VARIABLE, str(home)), dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


def _busy(home: Path) -> Problem:
    return INSTANCE_BUSY.problem(
        f"another process has been preparing {home} for {_PATIENCE_SECONDS:.0f} s",
        mend="wait for it, or end it if it hangs; its lock goes with its process",
    )


def _settings(root: Path) -> Path:
    here = Path(__file__)
    # The last two are one file: beside this module in an installed package, at the top of a checkout.
    places = (root.parent, here.parent, here.parents[2])
    return next(folder / "dagster.yaml" for folder in places if (folder / "dagster.yaml").is_file())


def _lease_folder(project: Project) -> Path:
    return project.state / "dagster" / "own_runs"


def _lease_path(project: Project, run_id: str) -> Path:
    return _lease_folder(project) / f"{run_id}.lease"


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

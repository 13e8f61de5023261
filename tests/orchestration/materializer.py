"""Processes that materialize and can be killed: they say on standard output that they have come to a certain point."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

from feature_platform.orchestration.instance import own_run
from feature_platform.orchestration.runs import RunEvent, materialize
from feature_platform.project.project import Project

REACHED = "reached\n"


def everything(root: str, asset: str, step: str, rest: str) -> None:
    """Materializes the project in ``root``; tells when ``asset`` comes to ``step``, and rests there if ``rest``."""

    def hear(event: RunEvent) -> None:
        if event.asset.startswith(asset) and event.step == step:
            _reached(bool(rest))

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may have it switched off
    with Project.open(Path(root)) as project:
        materialize(project, as_of=datetime.fromisoformat("2026-01-04T12:00"), on_event=hear)


def one_view(root: str, view: str) -> None:
    """Materializes it, and says nothing."""
    with Project.open(Path(root)) as project:
        materialize(project, [view], as_of=datetime.fromisoformat("2026-01-04T12:00"))


def days_of_spend(root: str, as_of: str) -> None:
    """Fills every day of ``daily_spend``, ten at a time; rests when twenty are published."""
    published = 0

    def hear(event: RunEvent) -> None:
        nonlocal published
        published += event.step == "published"
        if published == 2:
            _reached(True)

    with Project.open(Path(root)) as project:
        moment = datetime.fromisoformat(as_of)
        materialize(project, ["daily_spend"], partition="all", as_of=moment, chunk=10, on_event=hear)


def die_in_run(root: str, run_id: str) -> None:
    """Takes the run for its own and is killed."""
    with own_run(Project.open(Path(root)), run_id):
        os.kill(os.getpid(), signal.SIGKILL)


def _reached(rest: bool) -> None:
    sys.stdout.write(REACHED)
    sys.stdout.flush()
    if rest:
        time.sleep(120)

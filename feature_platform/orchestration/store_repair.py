"""Makes every store hold what it says it holds: what ``fp store repair`` does.

Online stores are filled again from the view's history, with all rows, whatever they say is live. A history that lost
rows can't be filled from anywhere but the sources; it is named, with the command that does so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from feature_platform.errors import FeaturePlatformError
from feature_platform.orchestration.materialization import offline_store, table_of
from feature_platform.orchestration.online import discard_copy, publish_copy, stage_copy
from feature_platform.orchestration.online_changes import mirror_of
from feature_platform.orchestration.online_rows import copy_of
from feature_platform.orchestration.store_status import StoreStatus, store_status

if TYPE_CHECKING:
    from feature_platform.project.project import Project


@dataclass(frozen=True, slots=True)
class Repair:
    """What was found of a view in a store, and what was done about it."""

    view: str
    store: str
    found: str
    done: str
    """Empty where nothing had to be done."""
    whole: bool
    """Whether the store holds now what it should."""


def repair(project: Project, views: Sequence[str], now: datetime) -> Iterator[Repair]:
    """Repairs view by view; one that can't be repaired does not keep the others from it. ``now`` is naive UTC."""
    run_id = f"repair-{uuid4()}"
    for view in views:
        lost = False
        for status in store_status(project, [view], now):
            removed = _swept(project, status)
            if status.role == "offline":
                done, whole = _history(status)
                lost = status.health not in ("current", "other definition")
            else:
                done, whole = _online(project, status, now, run_id, lost)
            if removed:
                done = "; ".join(filter(None, [done, f"removed {removed} leftovers of dead writers"]))
            yield Repair(view, status.store, status.health, done, whole)


def _history(status: StoreStatus) -> tuple[str, bool]:
    match status.health:
        case "damaged":
            return f"its rows have to be computed again: fp materialize {status.view} --partition all --force", False
        case "unreachable":
            return status.detail, False
        case "other definition":
            return f"rows of another definition stay until fp materialize {status.view}", True
        case _:
            return "", True


def _online(project: Project, status: StoreStatus, now: datetime, run_id: str, lost: bool) -> tuple[str, bool]:
    if status.health == "current":
        return "", True
    if status.health == "unreachable":
        return status.detail, False
    if lost:
        return "waits for the history to be repaired", False
    try:
        staged = stage_copy(project, copy_of(project, status.view, status.store, now), run_id=run_id, full=True)
        try:
            published = publish_copy(project, staged)
        except BaseException:
            discard_copy(project, staged)
            raise
    except FeaturePlatformError as error:
        return error.problems[0].what, False
    return f"wrote all {published.rows:,} rows", True


def _swept(project: Project, status: StoreStatus) -> int:
    if status.health == "unreachable":
        return 0
    if status.role == "online":
        history = project.warehouse(offline_store(project, status.view))
        mirror = mirror_of(status.view, status.store)
        return project.online_store(status.store).sweep(status.view) + history.sweep(mirror)
    return project.warehouse(status.store).sweep(table_of(status.view))

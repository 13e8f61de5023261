"""Materializes a selection through real Dagster runs, in this process, against the project's persistent instance.

What is up to date is skipped before any run begins, so it costs a look at its publication and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from feature_platform.errors import StoreError
from feature_platform.orchestration.intervals import (
    Intervals,
    ParityException,
    intervals,
    live_partitions,
    parity,
)
from feature_platform.orchestration.keys import Path, ViewAsset
from feature_platform.orchestration.materialization import table_of
from feature_platform.orchestration.planning import (
    CHUNK,
    Batch,
    Candidate,
    Task,
    batches,
    stale_tasks,
)
from feature_platform.orchestration.report import (
    AssetReport,
    OnEvent,
    Plan,
    PlannedAsset,
    RunEvent,
    RunReport,
    Status,
    merged,
)
from feature_platform.orchestration.request import Request, requested
from feature_platform.orchestration.resources import PROGRESS, PROJECT, lent_project, listener
from feature_platform.orchestration.staleness import Staleness

if TYPE_CHECKING:
    import dagster as dg

    from feature_platform.orchestration.execution import Outcome, Runner
    from feature_platform.orchestration.resources import Listener, Progress
    from feature_platform.project.project import Project


def materialize(  # noqa: PLR0913 - independent options, by keyword
    project: Project,
    selection: Sequence[str] | None = None,
    *,
    partition: str | None = None,
    as_of: datetime | None = None,
    force: bool = False,
    chunk: int = CHUNK,
    on_event: OnEvent | None = None,
) -> RunReport:
    """Publishes what is missing or stale of a selection, and reports on every asset of it.

    Args:
        project: opened; stays open.
        selection: names, ``name+``, ``+name``, ``domain:<name>``; None: everything.
        partition: a day, an hour, ``FIRST..LAST``, or ``all`` since the view's start; None: of partitioned views the
            newest complete partition, those before it that the view's ``lookback`` covers, and what is missing
            between those and the first partition that is published.
        as_of: the moment that the run stands for, naive UTC; None: now.
        force: rebuilds what is up to date, too.
        chunk: partitions of one run; those of a run that dies are built again, those of runs before it are not.
        on_event: hears of every step of every asset.

    Raises:
        UsageError: the selection or the partition makes no sense; all problems together.
    """
    began = time.monotonic()
    request = requested(project, selection, partition, as_of)
    candidates = request.candidates()
    from feature_platform.orchestration.instance import close_dead_runs, instance

    with instance(project) as opened:
        close_dead_runs(project, opened)
        tasks = stale_tasks(candidates, Staleness(request, opened).why_stale, force=force, chunk=chunk)
        reports = list(_run(project, opened, batches(tasks), as_of, force, on_event))
    reports = merged([*reports, *_skipped(project, candidates, {task.path for task in tasks})])
    order = {candidate.path: index for index, candidate in enumerate(candidates)}
    reports.sort(key=lambda report: order[tuple(report.asset.split("/"))])
    runs = dict.fromkeys(report.run_id for report in reports if report.run_id)
    return RunReport(tuple(reports), tuple(runs), time.monotonic() - began)


def plan(  # noqa: PLR0913 - independent options, by keyword
    project: Project,
    selection: Sequence[str] | None = None,
    *,
    partition: str | None = None,
    as_of: datetime | None = None,
    force: bool = False,
    chunk: int = CHUNK,
    record: bool = False,
) -> Plan:
    """What :func:`materialize` would do with the same arguments, and why; builds nothing. ``record`` shows it in
    Dagster, too: as an observation of each asset.

    Raises:
        UsageError: as :func:`materialize`.
    """
    request = requested(project, selection, partition, as_of)
    candidates = request.candidates()
    from feature_platform.orchestration.instance import instance

    with instance(project) as opened:
        tasks = stale_tasks(candidates, Staleness(request, opened).why_stale, force=force, chunk=chunk)
        assets = {candidate.path: candidate.asset for candidate in candidates}
        planned = [[_planned(project, task, assets[task.path]) for task in batch.tasks] for batch in batches(tasks)]
        if record:
            _observe(opened, [each for run in planned for each in run])
    exceptions = {} if request.interval is not None else _parity(request)
    return Plan(tuple(map(tuple, planned)), len(candidates) - len({task.path for task in tasks}), exceptions)


def view_intervals(
    project: Project, selection: Sequence[str] | None = None, *, as_of: datetime | None = None
) -> list[Intervals]:
    """What is published of each partitioned view of a selection: built, stale, missing, parity exceptions, next.

    Raises:
        UsageError: the selection makes no sense.
        StoreError: a store or an input can't be read.
    """
    request = requested(project, selection, None, as_of)
    return [intervals(project, view, request.moment) for view in request.partitioned]


def _parity(request: Request) -> dict[str, tuple[ParityException, ...]]:
    """Parity exceptions by view. A view that can't be looked at has none: the plan says what is wrong with it."""
    found: dict[str, tuple[ParityException, ...]] = {}
    for view in request.partitioned:
        try:
            every = live_partitions(request.project, view)
            exceptions = tuple(parity(request.project, view, request.moment, of=every))
        except StoreError:
            continue
        if exceptions:
            found[view] = exceptions
    return found


def _observe(opened: dg.DagsterInstance, planned: Sequence[PlannedAsset]) -> None:
    """The plan on the pages of its assets: what is stale and why, and what building it would cost."""
    from dagster import AssetKey, AssetObservation

    by_asset: dict[str, list[PlannedAsset]] = {}
    for each in planned:
        by_asset.setdefault(each.asset, []).append(each)
    for asset, tasks in by_asset.items():
        spans = [each.span for each in tasks if each.span is not None]
        rows = [each.rows for each in tasks if each.rows is not None]
        metadata: dict[str, Any] = {
            "planned_because": "; ".join(dict.fromkeys(why for each in tasks for why in each.reasons)),
            "planned_partitions": sum(each.partitions for each in tasks),
            "planned_span": f"{spans[0][0]}..{spans[-1][1]}" if spans else "",
            "planned_rows": sum(rows) if rows else "unknown",
        }
        text = "what `fp materialize` would build"
        opened.report_runless_asset_event(
            AssetObservation(AssetKey(asset.split("/")), description=text, metadata=metadata)
        )


def _planned(project: Project, task: Task, asset: ViewAsset | None) -> PlannedAsset:
    rows = _expected_rows(project, task, asset) if asset and asset.role == "offline" else None
    return PlannedAsset("/".join(task.path), task.span, task.partitions, task.reasons, rows)


def _expected_rows(project: Project, task: Task, asset: ViewAsset) -> int | None:
    """As many rows per partition (or table) as are live on average; None when nothing is live."""
    try:
        live = project.warehouse(asset.store).publications(table_of(asset.view))
    except StoreError:
        return None
    return round(sum(each.rows for each in live) / len(live) * max(task.partitions, 1)) if live else None


def _run(  # noqa: PLR0913, PLR0917 - one call, above
    project: Project,
    opened: dg.DagsterInstance,
    planned: Sequence[Batch],
    as_of: datetime | None,
    force: bool,
    on_event: OnEvent | None,
) -> Iterator[AssetReport]:
    """Runs batch after batch. What needs a failed asset is not tried."""
    if not planned:
        return
    total = len({task.path for batch in planned for task in batch.tasks})
    runner = _runner(project, opened, _Counter(total, on_event).hear)
    stopped: dict[Path, str] = {}
    for batch in planned:
        tasks: list[Task] = []
        for task in batch.tasks:
            if blocker := _blocker(task, stopped):
                stopped[task.path] = blocker
                yield _report(task, "blocked", reason=f"needs {blocker}")
            else:
                tasks.append(task)
        outcomes = runner.run(Batch(batch.span, tuple(tasks)), as_of=as_of, force=force) if tasks else {}
        for task in tasks:
            yield _judged(task, outcomes[task.path], stopped)


def _runner(project: Project, opened: dg.DagsterInstance, hear: Listener) -> Runner:
    from feature_platform.orchestration.execution import Runner
    from feature_platform.orchestration.factory import definitions_of

    resources = {PROJECT: lent_project(project), PROGRESS: listener(hear)}
    return Runner(project, definitions_of(project, resources=resources), opened)


def _judged(task: Task, outcome: Outcome, stopped: dict[Path, str]) -> AssetReport:
    name = "/".join(task.path)
    if outcome.superseded and outcome.failure is None:
        return _report(task, "superseded", outcome, reason=outcome.superseded)
    if outcome.materialized:
        return _report(task, "published", outcome)
    if outcome.failure is not None:
        stopped[task.path] = name
        return _report(task, "failed", outcome, reason=outcome.failure)
    blocker = _blocker(task, stopped) or "an asset that failed"
    stopped[task.path] = blocker
    return _report(task, "blocked", reason=f"needs {blocker}")


def _blocker(task: Task, stopped: dict[Path, str]) -> str | None:
    """The asset that failed, and that ``task`` needs, directly or not."""
    return next((stopped[path] for path in sorted(task.needs) if path in stopped), None)


def _skipped(project: Project, candidates: Sequence[Candidate], built: set[Path]) -> Iterator[AssetReport]:
    for candidate in candidates:
        if candidate.path not in built:
            name, asset = "/".join(candidate.path), candidate.asset
            rows = _live_rows(project, asset) if asset else None
            view, store = (asset.view, asset.store) if asset else (None, None)
            yield AssetReport(name, view, store, "up_to_date", rows=rows)


def _live_rows(project: Project, asset: ViewAsset) -> int:
    if asset.role == "online":
        live = project.online_store(asset.store).publication(asset.view)
        return live.rows if live else 0
    return sum(each.rows for each in project.warehouse(asset.store).publications(table_of(asset.view)))


def _report(task: Task, status: Status, outcome: Outcome | None = None, *, reason: str = "") -> AssetReport:
    is_table = task.path[0] != "services"
    view, store = (task.path[2], task.path[0]) if is_table else (None, None)
    name = "/".join(task.path)
    if outcome is None:
        return AssetReport(name, view, store, status, reason=reason)
    rows = outcome.rows if is_table and (outcome.materialized or outcome.partitions) else None
    return AssetReport(
        name, view, store, status, outcome.partitions, rows, outcome.seconds, outcome.checks, reason, outcome.run_id
    )


@dataclass
class _Counter:
    """Counts assets that are over, and tells whoever asked."""

    total: int
    on_event: OnEvent | None
    over: set[str] = field(default_factory=set)

    def hear(self, progress: Progress) -> None:
        if progress.step in ("published", "failed"):
            self.over.add(progress.asset)
        if self.on_event:
            self.on_event(RunEvent(progress.asset, progress.step, progress.partition, len(self.over), self.total))

"""Materializes a selection through real Dagster runs, in this process, against the project's persistent instance.

What is up to date is skipped before any run begins, so it costs a look at its publication and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from feature_platform.errors import Problem, StoreError, UsageError
from feature_platform.orchestration.intervals import (
    Intervals,
    ParityException,
    first_partition,
    intervals,
    live_partitions,
    lookback_partitions,
    parity,
)
from feature_platform.orchestration.keys import Path, ViewAsset, assets_of, service_path, table_path
from feature_platform.orchestration.materialization import missing_before, table_of, table_version, tick, why_stale
from feature_platform.orchestration.online import copy_up_to_date
from feature_platform.orchestration.partitions import parse_interval, utc_now
from feature_platform.orchestration.planning import (
    CHUNK,
    Batch,
    Candidate,
    Task,
    Wanted,
    batches,
    requested_partitions,
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
from feature_platform.orchestration.selection import Selected, select
from feature_platform.orchestration.services import tables_behind
from feature_platform.orchestration.touched import Touched

if TYPE_CHECKING:
    import dagster as dg

    from feature_platform.compiler.plan import CompiledView
    from feature_platform.orchestration.execution import Outcome, Runner
    from feature_platform.orchestration.resources import Listener, Progress
    from feature_platform.project.project import Project
    from feature_platform.registry.graph import TableRef
    from feature_platform.stores.protocols import Partition, Publication


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
    request = _requested(project, selection, partition, as_of)
    candidates = request.candidates()
    from feature_platform.orchestration.instance import close_dead_runs, instance

    with instance(project) as opened:
        close_dead_runs(project, opened)
        tasks = stale_tasks(candidates, _Currency(request, opened).why_stale, force=force, chunk=chunk)
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
    request = _requested(project, selection, partition, as_of)
    candidates = request.candidates()
    from feature_platform.orchestration.instance import instance

    with instance(project) as opened:
        tasks = stale_tasks(candidates, _Currency(request, opened).why_stale, force=force, chunk=chunk)
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
    request = _requested(project, selection, None, as_of)
    return [intervals(project, view, request.moment) for view in _partitioned(request)]


def _parity(request: _Request) -> dict[str, tuple[ParityException, ...]]:
    """Parity exceptions by view. A view that can't be looked at has none: the plan says what is wrong with it."""
    found: dict[str, tuple[ParityException, ...]] = {}
    for view in _partitioned(request):
        try:
            every = live_partitions(request.project, view)
            exceptions = tuple(parity(request.project, view, request.moment, of=every))
        except StoreError:
            continue
        if exceptions:
            found[view] = exceptions
    return found


def _partitioned(request: _Request) -> list[str]:
    views = request.project.compiled.views
    return [view for view in request.selected.views if views[view].partitioned and views[view].materialize]


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


def _requested(
    project: Project, selection: Sequence[str] | None, partition: str | None, as_of: datetime | None
) -> _Request:
    interval: Wanted = None
    project.rotates_partitions = partition == "all"
    if partition is not None:
        interval = "all" if partition == "all" else parse_interval(partition)
    return _Request(project, select(project.registry, selection), interval, as_of, utc_now())


@dataclass(frozen=True)
class _Request:
    """What was asked for, understood."""

    project: Project
    selected: Selected
    interval: Wanted
    as_of: datetime | None
    now: datetime

    @property
    def moment(self) -> datetime:
        return self.as_of or self.now

    def candidates(self) -> list[Candidate]:
        """Every asset of the selection, in topological order.

        Raises:
            UsageError: partitions that some view does not have.
        """
        found: list[Candidate] = []
        problems: list[Problem] = []
        for view in self.selected.views:
            partitions = self._partitions(view)
            if isinstance(partitions, Problem):
                problems.append(partitions)
            else:
                found.extend(self._of_view(view, partitions))
        if problems:
            raise UsageError(problems)
        return found + [self._of_service(name) for name in self.selected.services]

    def _of_view(self, view: str, partitions: tuple[Partition, ...]) -> Iterator[Candidate]:
        registry = self.project.registry
        offline: Path | None = None
        for asset in assets_of(registry.views[view]):
            if asset.role == "offline":
                offline = asset.path
                reads = [table_path(registry, ref) for ref in registry.views[view].reads]
                unit = self.project.compiled.views[view].partitioned
                yield Candidate(asset.path, frozenset(reads), asset, unit, partitions)
            else:
                assert offline is not None, "history comes first"
                yield Candidate(asset.path, frozenset({offline}), asset)

    def _of_service(self, name: str) -> Candidate:
        views = [view for view, _ in self.project.compiled.services[name].features]
        tables = tables_behind(self.project.registry, views)
        return Candidate(service_path(name), frozenset(asset.path for asset in tables), None)

    def _partitions(self, view: str) -> tuple[Partition, ...] | Problem:
        unit = self.project.compiled.views[view].partitioned
        if unit is None:
            return ()
        linked = self.project.registry.views[view]
        start, lookback = first_partition(linked, unit), lookback_partitions(linked, unit)
        found = requested_partitions(view, unit, start, lookback, interval=self.interval, as_of=self.moment)
        if self.interval is not None or isinstance(found, Problem) or not found:
            return found
        return (*missing_before(self.project, view, found[0]), *found)


@dataclass(frozen=True)
class _Currency:
    """Whether an asset is up to date, and why not. Looks up each input and each table once."""

    request: _Request
    instance: dg.DagsterInstance
    _versions: dict[TableRef, str] = field(default_factory=dict)
    _live: dict[str, dict[str | None, Publication]] = field(default_factory=dict)
    """By view and partition. Thousands of partitions are asked about, and a table tells all of them at once."""
    _touched: dict[str, Touched] = field(default_factory=dict)

    def why_stale(self, candidate: Candidate, partition: Partition | None) -> str:
        """An asset whose store can't answer is not up to date: the attempt to build it will say why."""
        try:
            if candidate.asset is None:
                return "" if self._service(candidate.path) else "definition changed"
            return self._table(candidate, candidate.asset, partition)
        except StoreError:
            return "its store or an input can't be read"

    def _table(self, candidate: Candidate, asset: ViewAsset, partition: Partition | None) -> str:
        project, request = self.request.project, self.request
        if asset.role == "online":
            current = copy_up_to_date(project, asset.view, asset.store, request.moment)
            return "" if current else "the online copy is not of today's rows"
        as_of = request.as_of or tick(project.registry.views[asset.view].spec, request.now)
        if asset.view not in self._live:
            live = project.warehouse(asset.store).publications(table_of(asset.view))
            self._live[asset.view] = {each.partition: each for each in live}
            by_key = {each.partition: each for each in live if each.partition is not None}
            compiled = project.compiled.views[asset.view]
            self._touched[asset.view] = Touched(project, compiled, by_key, candidate.partitions)
        return why_stale(
            project,
            asset.view,
            partition,
            as_of=as_of,
            versions=self._of_inputs,
            live=self._live[asset.view],
            touched=self._touched[asset.view],
        )

    def _service(self, path: Path) -> bool:
        from dagster import AssetKey

        event = self.instance.get_latest_materialization_event(AssetKey(path))
        seen = (
            event.asset_materialization.metadata.get("fingerprint") if event and event.asset_materialization else None
        )
        return seen is not None and seen.value == self.request.project.compiled.services[path[-1]].fingerprint

    def _of_inputs(self, view: CompiledView) -> dict[str, str]:
        for ref in view.reads:
            if ref not in self._versions:
                self._versions[ref] = table_version(self.request.project, ref)
        return {str(ref): self._versions[ref] for ref in view.reads}


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
    from feature_platform.orchestration.resources import PROGRESS, PROJECT, lent_project, listener

    resources = {PROJECT: lent_project(project), PROGRESS: listener(hear)}
    return Runner(project, definitions_of(project, resources=resources), opened)


def _judged(task: Task, outcome: Outcome, stopped: dict[Path, str]) -> AssetReport:
    name = "/".join(task.path)
    if outcome.superseded:
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

"""One batch of assets as a Dagster run in this process, and what its events say about each asset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import dagster as dg

from feature_platform.orchestration.assets import AS_OF_TAG, FULL_TAG
from feature_platform.orchestration.instance import own_run
from feature_platform.orchestration.keys import Path
from feature_platform.orchestration.metadata import PARTITION_ROW_COUNT, ROW_COUNT, SUPERSEDED
from feature_platform.orchestration.planning import Batch
from feature_platform.orchestration.report import CheckReport
from feature_platform.orchestration.schedules import RANGE_END, RANGE_START
from feature_platform.orchestration.storage import unrecorded

if TYPE_CHECKING:
    from dagster import DagsterEvent, ExecuteInProcessResult

    from feature_platform.project.project import Project

_NO_RUN_RETRIES: Final = "dagster/max_retries"
"""Tag that keeps Dagster's daemon from repeating the run elsewhere: whoever asked for it is waiting here."""

_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Events go to the instance; what a person should see is in the report."""


@dataclass(frozen=True)
class Outcome:
    """What one run did with one asset."""

    run_id: str
    materialized: bool
    """Whether it was published as a whole."""
    partitions: tuple[str, ...]
    rows: int
    seconds: float
    checks: tuple[CheckReport, ...]
    superseded: str
    """Why nothing was published although nothing failed: what is live is as of a later moment. Empty: it was."""
    failure: str | None
    """None: it did not fail, and if it was not materialized either, it was not tried."""


@dataclass(frozen=True)
class Runner:
    """Runs batches of one set of definitions."""

    project: Project
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def run(self, batch: Batch, *, as_of: datetime | None, force: bool = False) -> dict[Path, Outcome]:
        """Executes the batch; with ``force`` online copies are full snapshots. A failed asset does not stop those that
        do not need it.

        Raises:
            KeyboardInterrupt: somebody stopped the run. What was staged is discarded, what was published stays.
            StoreError: Dagster's storage did not take the run's end.
        """
        run_id = str(uuid4())
        paths = [task.path for task in batch.tasks]
        with own_run(self.project, run_id):
            result = self._job.execute_in_process(
                instance=self.instance,
                run_id=run_id,
                asset_selection=[dg.AssetKey(path) for path in paths],
                tags=_tags(batch, as_of, force),
                run_config=_QUIET,
                raise_on_error=False,
            )
            # Dagster logs that an event could not be written, and goes on.
            recorded = self.instance.get_run_by_id(run_id)
            if recorded is None or not recorded.is_finished:
                raise unrecorded(run_id)
        if any(_is_interrupt(event) for event in result.all_events):
            raise KeyboardInterrupt
        return dict(self._outcomes(result, paths))

    @cached_property
    def _job(self) -> dg.JobDefinition:
        return self.definitions.resolve_implicit_global_asset_job_def()

    def _outcomes(self, result: ExecuteInProcessResult, paths: Sequence[Path]) -> Iterator[tuple[Path, Outcome]]:
        seconds = {
            stats.step_key: (stats.end_time or 0.0) - (stats.start_time or 0.0)
            for stats in self.instance.get_run_step_stats(result.run_id)
        }
        failures = {event.step_key: _failure(event) for event in result.all_events if event.is_step_failure}
        checks = _checks(result)
        # A run can fail without a step, e.g. when a resource can't be made: then every asset has failed.
        all_failed = None if result.success or failures else _run_failure(result)
        materializations = _materializations(result)
        for path in paths:
            step = self.definitions.resolve_assets_def(dg.AssetKey(path)).node_def.name
            events = materializations.get(path, [])
            yield (
                path,
                Outcome(
                    result.run_id,
                    materialized=bool(events) and step not in failures,
                    partitions=tuple(event.partition for event in events if event.partition),
                    rows=sum(_rows(event) for event in events),
                    seconds=seconds.get(step, 0.0),
                    checks=tuple(checks.get(path, ())),
                    superseded=_superseded(events),
                    failure=failures.get(step, all_failed),
                ),
            )


def _is_interrupt(event: DagsterEvent) -> bool:
    source = event.step_failure_data.error_source if event.is_step_failure else None
    return source is not None and source.name == "INTERRUPT"


def _tags(batch: Batch, as_of: datetime | None, force: bool) -> dict[str, str]:
    tags = {_NO_RUN_RETRIES: "0"} | ({} if as_of is None else {AS_OF_TAG: as_of.isoformat()})
    if force:
        tags[FULL_TAG] = "true"
    if batch.span:
        tags |= {RANGE_START: batch.span[0], RANGE_END: batch.span[1]}
    return tags


def _materializations(result: ExecuteInProcessResult) -> dict[Path, list[Any]]:
    found: dict[Path, list[Any]] = {}
    for event in result.get_asset_materialization_events():
        assert event.asset_key is not None
        found.setdefault(tuple(event.asset_key.path), []).append(event)
    return found


def _checks(result: ExecuteInProcessResult) -> dict[Path, list[CheckReport]]:
    found: dict[Path, list[CheckReport]] = {}
    for check in result.get_asset_check_evaluations():
        metadata: Mapping[str, Any] = {name: value.value for name, value in check.metadata.items()}
        blocking = check.severity == dg.AssetCheckSeverity.ERROR
        report = CheckReport(check.check_name, check.passed, blocking, check.description or "", metadata)
        found.setdefault(tuple(check.asset_key.path), []).append(report)
    return found


def _rows(event: DagsterEvent) -> int:
    metadata = event.step_materialization_data.materialization.metadata
    count = metadata.get(PARTITION_ROW_COUNT) or metadata.get(ROW_COUNT)
    return int(count.value) if count is not None else 0  # type: ignore[arg-type]


def _superseded(events: Sequence[DagsterEvent]) -> str:
    said = [event.step_materialization_data.materialization.metadata.get(SUPERSEDED) for event in events]
    return "; ".join(dict.fromkeys(str(each.value) for each in said if each is not None))


def _run_failure(result: ExecuteInProcessResult) -> str:
    messages = [event.message for event in result.all_events if event.is_failure and event.message]
    return messages[-1] if messages else "the run failed without saying why"


def _failure(event: DagsterEvent) -> str:
    """The author's text of a failure: without the names of exception classes, without a traceback."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "the step failed without saying why"
    _, colon, text = error.message.strip().partition(": ")
    return text if colon else error.message.strip()

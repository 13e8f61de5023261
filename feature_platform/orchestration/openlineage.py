"""Tells OpenLineage what runs do: START, COMPLETE, FAIL or ABORT of each view's materialization and each online copy.

A resource of every run. Where no transport is configured it does nothing and imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from feature_platform.errors import FeaturePlatformError
from feature_platform.lineage.sending import Sender, sender
from feature_platform.orchestration.keys import ViewAsset
from feature_platform.orchestration.materialization import INPUT_PREFIX
from feature_platform.project.checkout import Checkout
from feature_platform.stores.protocols import Publication

if TYPE_CHECKING:
    from feature_platform.lineage.events import Attempt, Events, Parent, Task
    from feature_platform.project.project import Project


@dataclass
class RunLineage:
    """What one run tells. Methods return at once; events are made and sent in the background."""

    project: Project
    _sender: Sender | None
    _running: dict[str, tuple[Task, Parent]] = field(default_factory=dict)
    """Tasks that were begun and not ended, by asset."""
    _events: Events | None = None

    def started(
        self, context: dg.AssetExecutionContext, asset: ViewAsset, span: tuple[datetime, datetime] | None = None
    ) -> None:
        """``span``: the time that the partitions of the task cover (UTC)."""
        if self._sender is None:
            return
        from feature_platform.lineage.events import Parent, Task

        task = Task(asset.view, asset.store if asset.role == "online" else None)
        self._running[asset.name] = task, Parent(context.run.run_id, context.run.job_name)
        attempt = self._attempt(asset.name)
        self._sender.send(lambda: self._made().started(attempt, span))

    def published(self, asset: str, publications: Sequence[Publication]) -> None:
        """Everything that the task wrote is live."""
        if self._sender is None or asset not in self._running:
            return
        from feature_platform.lineage.events import Written

        newest = publications[-1]
        inputs = {
            name.removeprefix(INPUT_PREFIX): version
            for name, version in newest.properties.items()
            if name.startswith(INPUT_PREFIX)
        }
        written = Written(sum(each.rows for each in publications), newest.version, inputs)
        attempt = self._attempt(asset)
        del self._running[asset]
        self._sender.send(lambda: self._made().completed(attempt, written))

    def ended(self, asset: str, error: BaseException) -> None:
        """The task ended without. Nothing is told when the step will be tried again: that is the same run."""
        if self._sender is None or asset not in self._running or isinstance(error, dg.RetryRequested):
            return
        attempt = self._attempt(asset)
        del self._running[asset]
        if isinstance(error, Exception):
            message = reason(error)
            self._sender.send(lambda: self._made().failed(attempt, message))
        else:
            self._sender.send(lambda: self._made().aborted(attempt))

    def close(self) -> None:
        """Waits a moment for what is on its way."""
        if self._sender is not None:
            self._sender.close()

    def _attempt(self, asset: str) -> Attempt:
        from feature_platform.lineage.events import Attempt

        task, parent = self._running[asset]
        return Attempt(task, parent, datetime.now(UTC))

    def _made(self) -> Events:
        """Called in the sender's thread alone."""
        if self._events is None:
            from feature_platform.lineage.events import Events

            self._events = Events.of(self.project, Checkout.of(self.project.root).link)
        return self._events


def reason(error: BaseException) -> str:
    """Why a task failed, for a reader outside: codes of problems, or the class of an error; never its text."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, FeaturePlatformError):
            return ", ".join(dict.fromkeys(problem.code for problem in seen.problems))
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, dg.Failure):
        return "rows did not pass their checks; the run has the reasons"
    return type(error).__name__


def run_lineage(project: Project) -> dg.ResourceDefinition:
    """The resource: opened with the first op that needs it, closed with the run."""

    @dg.resource(description="Tells OpenLineage what the run does, if a transport is configured.")
    def opened(_: dg.InitResourceContext) -> Iterator[RunLineage]:
        lineage = RunLineage(project, sender())
        try:
            yield lineage
        finally:
            lineage.close()

    return opened

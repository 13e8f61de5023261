"""What a materialization was asked for: which assets of the project, and which partitions of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from feature_platform.errors import Problem, UsageError
from feature_platform.orchestration.codes import PARTITION_MISFIT
from feature_platform.orchestration.history import missing_before
from feature_platform.orchestration.intervals import first_partition, lookback_partitions
from feature_platform.orchestration.keys import Path, assets_of, service_path, table_path
from feature_platform.orchestration.partitions import Interval, parse_interval, utc_now
from feature_platform.orchestration.planning import Candidate, Wanted, requested_partitions
from feature_platform.orchestration.selection import Selected, select
from feature_platform.orchestration.services import tables_behind

if TYPE_CHECKING:
    from feature_platform.project.project import Project
    from feature_platform.stores.protocols import Partition


@dataclass(frozen=True)
class Request:
    """What was asked for, understood."""

    project: Project
    selected: Selected
    interval: Wanted
    as_of: datetime | None
    now: datetime

    @property
    def moment(self) -> datetime:
        return self.as_of or self.now

    @property
    def partitioned(self) -> list[str]:
        """The partitioned views of the selection that keep history."""
        views = self.project.compiled.views
        return [view for view in self.selected.views if views[view].partitioned and views[view].materialize]

    def candidates(self) -> list[Candidate]:
        """Every asset of the selection, in topological order.

        Raises:
            UsageError: partitions that some view does not have, or that no view has.
        """
        found: list[Candidate] = []
        problems = self._without_partitions()
        for view in self.selected.views:
            partitions = self._partitions(view)
            if isinstance(partitions, Problem):
                problems.append(partitions)
            else:
                found.extend(self._of_view(view, partitions))
        if problems:
            raise UsageError(problems)
        return found + [self._of_service(name) for name in self.selected.services]

    def _without_partitions(self) -> list[Problem]:
        """A range that is nobody's: rows of another time would be published in its place."""
        views = self.selected.views
        if not isinstance(self.interval, Interval) or not views or self.partitioned:
            return []
        what = f"{_listed(views)} no partitions, so there is none to build"
        return [PARTITION_MISFIT.problem(what, mend="leave --partition out; --as-of says of which moment the rows are")]

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


def requested(
    project: Project, selection: Sequence[str] | None, partition: str | None, as_of: datetime | None
) -> Request:
    """What the words and values of a caller mean now. ``all`` tells the project, too, that its partitions get the
    newest token key.

    Raises:
        UsageError: the selection or the partition makes no sense.
    """
    interval: Wanted = None
    project.rotates_partitions = partition == "all"
    if partition is not None:
        interval = "all" if partition == "all" else parse_interval(partition)
    return Request(project, select(project.registry, selection), interval, as_of, utc_now())


def _listed(views: Sequence[str]) -> str:
    """``view 'a' has``, ``views 'a', 'b' have``; of many the first five."""
    named = ", ".join(f"'{view}'" for view in views[:5]) + (", …" if len(views) > 5 else "")
    return f"view {named} has" if len(views) == 1 else f"views {named} have"

"""Which assets have to be rebuilt, for which partitions, in which runs. Decides; looks at stores only through what it
is given.

A Dagster run has one range of partitions, so the work is cut into batches: each has one range (or none), and comes
after the batches that it needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from feature_platform.errors import Problem
from feature_platform.orchestration.codes import PARTITION_INCOMPLETE, PARTITION_MISFIT
from feature_platform.orchestration.keys import Path, ViewAsset
from feature_platform.orchestration.partitions import (
    LENGTH,
    Interval,
    Unit,
    latest_complete,
    partition_at,
    partition_of,
    partitions_within,
)
from feature_platform.stores.protocols import Partition

Span = tuple[str, str]
"""First and last partition key."""


@dataclass(frozen=True)
class Candidate:
    """An asset that was selected, in topological order among its like."""

    path: Path
    needs: frozenset[Path]
    """Assets that have to be built before it, if they are built at all."""
    asset: ViewAsset | None
    """None for a service."""
    unit: Unit | None = None
    partitions: tuple[Partition, ...] = ()
    """Of a partitioned asset: those that are asked for."""


@dataclass(frozen=True)
class Task:
    """One asset in one batch."""

    path: Path
    span: Span | None
    needs: frozenset[Path]
    partitions: int = field(default=0, compare=False)
    """How many the span has."""
    reasons: tuple[str, ...] = field(default=(), compare=False)
    """Why it is built."""


@dataclass(frozen=True)
class Batch:
    """Assets of one Dagster run."""

    span: Span | None
    tasks: tuple[Task, ...]


WhyStale = Callable[[Candidate, Partition | None], str]
"""Why an asset (and partition) is not current; empty when it is."""
FORCED: Final = "asked for"


Wanted = Interval | Literal["all"] | None
"""Partitions that somebody asks for: those within, every one since the view's start, or the newest."""


def requested_partitions(  # noqa: PLR0913 - one question about one view
    view: str, unit: Unit, start: datetime, lookback: int, *, interval: Wanted, as_of: datetime
) -> tuple[Partition, ...] | Problem:
    """The partitions to look at: those of ``interval``, ``all`` since ``start``, else the newest complete one and
    ``lookback`` before it.
    """
    newest = latest_complete(unit, as_of)
    if interval is None or interval == "all":
        first = start if interval == "all" else max(newest.start - lookback * LENGTH[unit], start)
        return tuple(partitions_within(Interval(first, newest.end), unit))
    wanted = tuple(partitions_within(interval, unit))
    if not wanted:
        return PARTITION_MISFIT.problem(
            f"view '{view}' is partitioned by {unit}, and no whole {unit} lies in what is asked for",
            mend=f"name a {unit}, such as {newest.key}",
        )
    if wanted[0].start < start:
        return PARTITION_MISFIT.problem(
            f"view '{view}' has no partition {wanted[0].key}; its first one is {partition_at(start, unit).key}",
            mend="begin later, or set `materialization.start` of the view to an earlier time",
        )
    if wanted[-1].end > as_of:
        return PARTITION_INCOMPLETE.problem(
            f"partition {wanted[-1].key} of view '{view}' is not over at {as_of:%Y-%m-%d %H:%M} UTC",
            mend=f"end the range at {newest.key}",
        )
    return wanted


def gaps(live: Collection[str], unit: Unit, before: datetime) -> tuple[Partition, ...]:
    """Partitions that are missing between the earliest of ``live`` and ``before``."""
    if not live:
        return ()
    begin = min(partition_of(key, unit).start for key in live)
    return tuple(each for each in partitions_within(Interval(begin, before), unit) if each.key not in live)


CHUNK: Final = 30
"""Partitions of one run, unless asked otherwise: what a run that dies takes with it."""


def stale_tasks(candidates: Sequence[Candidate], why_stale: WhyStale, *, force: bool, chunk: int = CHUNK) -> list[Task]:
    """What has to be built: what is not current, and everything behind something that is built. A task has at most
    ``chunk`` partitions.
    """
    built: set[Path] = set()
    tasks: list[Task] = []
    for candidate in candidates:
        behind = sorted(built & candidate.needs)
        always = FORCED if force else f"behind {behind[0][-1]}" if behind else ""
        found = list(_tasks_of(candidate, why_stale, always, chunk))
        if found:
            built.add(candidate.path)
            tasks.extend(found)
    return tasks


def batches(tasks: Sequence[Task]) -> list[Batch]:
    """Cuts tasks, given in topological order, into as few runs as a greedy choice finds."""
    left = list(tasks)
    cut: list[Batch] = []
    while left:
        spans = list(dict.fromkeys(task.span for task in left))
        choices = [(span, _takeable(left, span)) for span in spans]
        span, taken = max(choices, key=lambda choice: len(choice[1]))
        cut.append(Batch(span, tuple(taken)))
        done = set(taken)
        left = [task for task in left if task not in done]
    return cut


def _tasks_of(candidate: Candidate, why_stale: WhyStale, always: str, chunk: int) -> Iterator[Task]:
    """The candidate's tasks: one, or one for each row of neighbouring partitions."""
    if candidate.unit is None:
        why = always or why_stale(candidate, None)
        if why:
            yield Task(candidate.path, None, candidate.needs, reasons=(why,))
        return
    reasons = {each: always or why_stale(candidate, each) for each in candidate.partitions}
    for row in _neighbours([each for each in candidate.partitions if reasons[each]], chunk):
        why_all = tuple(dict.fromkeys(reasons[each] for each in row))
        yield Task(candidate.path, (row[0].key, row[-1].key), candidate.needs, len(row), why_all)


def _neighbours(partitions: Sequence[Partition], longest: int) -> Iterator[list[Partition]]:
    """Partitions in rows without a gap."""
    row: list[Partition] = []
    for each in partitions:
        if row and (each.start != row[-1].end or len(row) == longest):
            yield row
            row = []
        row.append(each)
    if row:
        yield row


def _takeable(left: Sequence[Task], span: Span | None) -> list[Task]:
    """Tasks that one run with ``span`` can do: everything that they need is done, or done in the same run before
    them."""
    pending = Counter(task.path for task in left)
    taken: list[Task] = []
    for task in left:
        if task.span not in (span, None) or any(pending[path] for path in task.needs):
            continue
        taken.append(task)
        pending[task.path] -= 1
    return taken

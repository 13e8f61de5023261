"""What is published of a partitioned view, interval by interval: built, stale and why, missing, and parity exceptions.

Nothing of this is kept anywhere: it follows from the store's own record of publications and from the source
(``docs/adr/0026-incremental-runs.md``).

A *parity exception* is a partition that lies before the view's ``lookback`` and that a late event, a correction or a
deletion has touched since it was built. No run rebuilds it by itself: training sets, which see every event, differ from
it until the next backfill of its range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from feature_platform.orchestration.history import why_stale
from feature_platform.orchestration.materialization import INPUT_PREFIX, input_versions, offline_store, table_of
from feature_platform.orchestration.partitions import (
    DEFAULT_START,
    LENGTH,
    Interval,
    Unit,
    floor,
    latest_complete,
    partition_of,
    partitions_within,
)
from feature_platform.orchestration.touched import Touched, can_digest, event_digests
from feature_platform.registry.graph import LinkedView
from feature_platform.stores.protocols import FINGERPRINT, Partition, Publication

if TYPE_CHECKING:
    from feature_platform.project.project import Project

LEAST_CHECKED: Final = 24
"""A run looks for parity exceptions in as many partitions before the lookback as that has, at least in so many."""


@dataclass(frozen=True, slots=True)
class ParityException:
    """A partition before the lookback that has other events behind it than when it was built."""

    partition: str
    before: int
    """Events (rows of a view in SQL) that it was built from."""
    now: int


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring partitions in the same state."""

    first: str
    last: str
    partitions: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Intervals:
    """The state of one partitioned view."""

    view: str
    unit: Unit
    current: tuple[Span, ...]
    stale: tuple[Span, ...]
    """What the next run builds, and why."""
    missing: tuple[Span, ...]
    """Gaps since the first partition that is published; without any, since the view's start."""
    parity: tuple[ParityException, ...]
    next_partition: str
    next_due: datetime
    """When it is over (naive UTC)."""


def first_partition(view: LinkedView, unit: Unit) -> datetime:
    """Where a view's partitions begin."""
    return floor(view.spec.storage.start or DEFAULT_START, unit)


def lookback_partitions(view: LinkedView, unit: Unit) -> int:
    """How many partitions before the newest one late events may touch."""
    lookback = view.spec.storage.lookback
    return 0 if lookback is None else -(timedelta(microseconds=-lookback.microseconds) // LENGTH[unit])


def intervals(project: Project, view: str, as_of: datetime) -> Intervals:
    """The state of ``view`` as of a moment; one pass over the part of its source that its partitions reach.

    Raises:
        StoreError: a store or an input can't be read.
    """
    unit, live = _unit(project, view), _live(project, view)
    newest = latest_complete(unit, as_of)
    begin = min((partition_of(key, unit).start for key in live), default=first_partition(_linked(project, view), unit))
    every = tuple(partitions_within(Interval(begin, newest.end), unit))
    reasons = _reasons(project, view, live, every)
    exceptions = parity(project, view, as_of, of=[each for each in every if reasons.get(each.key)])
    outside = {each.partition for each in exceptions}
    states = [(each, _state(each, live, reasons, outside)) for each in every]
    following = partition_of(newest.key, unit)
    upcoming = next(partitions_within(Interval(following.end, following.end + LENGTH[unit]), unit))
    return Intervals(
        view,
        unit,
        _spans([(each, "") for each, state in states if state == ""]),
        _spans([(each, reasons[each.key]) for each, state in states if state == "stale"]),
        _spans([(each, "") for each, state in states if state == "missing"]),
        tuple(exceptions),
        upcoming.key,
        upcoming.end,
    )


def parity(
    project: Project, view: str, as_of: datetime, *, of: Sequence[Partition] | None = None
) -> list[ParityException]:
    """Parity exceptions among the partitions ``of``; None: among those that a run looks at, see
    :data:`LEAST_CHECKED`. Partitions of another definition are none: they are stale altogether.

    Raises:
        StoreError: the source can't be read.
    """
    compiled, unit = project.compiled.views[view], _unit(project, view)
    if not can_digest(project, compiled):
        return []
    found = _live(project, view)
    versions = {INPUT_PREFIX + table: version for table, version in input_versions(project, compiled).items()}
    lookback = lookback_partitions(_linked(project, view), unit)
    begin = latest_complete(unit, as_of).start - lookback * LENGTH[unit]
    if of is None:
        earliest = begin - max(lookback, LEAST_CHECKED) * LENGTH[unit]
        of = tuple(partitions_within(Interval(earliest, begin), unit))
    before = [
        each
        for each in of
        if each.end <= begin
        and each.key in found
        and found[each.key].properties.get(FINGERPRINT) == compiled.fingerprint
        and not versions.items() <= found[each.key].properties.items()
    ]
    if before and compiled.form == "aggregations":
        # One pass answers for what the run builds, too, which asks next.
        event_digests(project, compiled, [before[0], latest_complete(unit, as_of)], {})
    touched = Touched(project, compiled, found, before)
    changes = [(each.key, touched.change(each)) for each in before]
    return [
        ParityException(key, change[0].count, change[1].count)
        for key, change in changes
        if change is not None and change[0] != change[1]
    ]


def _reasons(
    project: Project, view: str, live: Mapping[str, Publication], every: Sequence[Partition]
) -> dict[str, str]:
    """Why live partitions are stale, by key; empty texts for current ones."""
    compiled = project.compiled.views[view]
    versions = input_versions(project, compiled)
    touched = Touched(project, compiled, live, every)
    by_key: dict[str | None, Publication] = {each.partition: each for each in live.values()}
    return {
        each.key: why_stale(project, view, each, versions=lambda _: versions, live=by_key, touched=touched)
        for each in every
        if each.key in live
    }


def _state(partition: Partition, live: Mapping[str, Publication], reasons: Mapping[str, str], outside: set[str]) -> str:
    if partition.key not in live:
        return "missing"
    if partition.key in outside:
        return "parity"
    return "stale" if reasons[partition.key] else ""


def _spans(partitions: Sequence[tuple[Partition, str]]) -> tuple[Span, ...]:
    """Neighbours with the same reason as one."""
    spans: list[Span] = []
    end: datetime | None = None
    for each, why in partitions:
        if spans and end == each.start and spans[-1].why == why:
            spans[-1] = Span(spans[-1].first, each.key, spans[-1].partitions + 1, why)
        else:
            spans.append(Span(each.key, each.key, 1, why))
        end = each.end
    return tuple(spans)


def live_partitions(project: Project, view: str) -> tuple[Partition, ...]:
    """What is published of a partitioned view, oldest first."""
    unit = _unit(project, view)
    return tuple(sorted((partition_of(key, unit) for key in _live(project, view)), key=lambda each: each.start))


def _live(project: Project, view: str) -> dict[str, Publication]:
    found = project.warehouse(offline_store(project, view)).publications(table_of(view))
    return {each.partition: each for each in found if each.partition is not None}


def _unit(project: Project, view: str) -> Unit:
    unit = project.compiled.views[view].partitioned
    assert unit is not None, f"'{view}' has no partitions"
    return unit


def _linked(project: Project, view: str) -> LinkedView:
    return project.registry.views[view]

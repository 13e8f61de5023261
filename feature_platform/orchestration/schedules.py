"""Schedules from YAML: one Dagster schedule per distinct cron expression, however many views share it.

A tick looks at nothing but the loaded definitions, so its cost does not grow with the number of views that have other
schedules. What it asks for is grouped by partition, because a Dagster run has one range of partitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from feature_platform.errors import UsageError
from feature_platform.orchestration.assets import AS_OF_TAG, STALE_TAG
from feature_platform.orchestration.codes import SETTING
from feature_platform.orchestration.partitions import LENGTH, Unit, latest_complete, partition_at

SCHEDULE_TAG: Final = "fp/schedule"
"""Asset tag with the name of the schedule, so that ``tag:"fp/schedule"=hourly`` selects what a schedule builds."""

STATUS_VARIABLE: Final = "FP_SCHEDULES"
RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"

_NAMED: Final[Mapping[str, tuple[str, str]]] = {
    "@hourly": ("hourly", "0 * * * *"),
    "@daily": ("daily", "0 0 * * *"),
    "@weekly": ("weekly", "0 0 * * 0"),
    "@monthly": ("monthly", "0 0 1 * *"),
}
_NAMES: Final = {cron: name for name, cron in _NAMED.values()}
_SIGNS: Final = str.maketrans({"*": "x", "/": "s", ",": "a", "-": "t", " ": "_"})
_IMPLICIT_JOB: Final = "__ASSET_JOB"
"""Dagster's own job over all assets. A job per schedule would need all its assets to share one partitioning."""


@dataclass(frozen=True)
class Scheduled:
    """An asset with a schedule."""

    key: dg.AssetKey
    cron: str
    unit: Unit | None
    """How its view is partitioned. An online copy has no partitions itself, but is made after its view's."""
    lookback: int = 0
    """How many partitions before the newest complete one are rebuilt for late events."""
    start: datetime | None = None
    """Where its partitions begin."""


def cron_of(schedule: str) -> str:
    """Five cron fields, single spaces.

    >>> cron_of("@hourly")
    '0 * * * *'
    """
    return _NAMED[schedule][1] if schedule in _NAMED else " ".join(schedule.lower().split())


def name_of(schedule: str) -> str:
    """A name for Dagster and for tags.

    >>> name_of("*/5 8-18 * * 1,2")
    'cron_xs5_8t18_x_x_1a2'
    """
    cron = cron_of(schedule)
    return _NAMES.get(cron) or "cron_" + cron.translate(_SIGNS)


def status(setting: str | None, *, embedded: bool) -> dg.DefaultScheduleStatus:
    """Whether schedules run without anyone starting them in the UI: on servers yes, on a laptop no.

    What is merged is what runs, so production needs no click; a laptop would start to compute as soon as the UI is
    open.

    Raises:
        UsageError: ``setting`` (of ``FP_SCHEDULES``) is neither ``running`` nor ``stopped``.
    """
    choices = {"running": dg.DefaultScheduleStatus.RUNNING, "stopped": dg.DefaultScheduleStatus.STOPPED}
    if setting:
        if setting not in choices:
            raise UsageError(
                SETTING.problem(
                    f"{STATUS_VARIABLE} is '{setting}'", mend="set it to running or stopped, or leave it out"
                )
            )
        return choices[setting]
    return choices["stopped" if embedded else "running"]


def schedules(assets: Sequence[Scheduled], default_status: dg.DefaultScheduleStatus) -> list[dg.ScheduleDefinition]:
    """One schedule per distinct cron expression."""
    by_cron: dict[str, list[Scheduled]] = {}
    for asset in assets:
        by_cron.setdefault(asset.cron, []).append(asset)
    return [_schedule(cron, members, default_status) for cron, members in sorted(by_cron.items())]


def run_requests(assets: Sequence[Scheduled], now: datetime) -> Iterator[dg.RunRequest]:
    """The runs of one tick at ``now`` (naive UTC): one per range of partitions; what has none goes with the largest of
    them."""
    whole: list[Scheduled] = []
    by_span: dict[tuple[str, str], list[Scheduled]] = {}
    for asset in assets:
        if asset.unit is None:
            whole.append(asset)
        elif span := _span(asset, asset.unit, now):
            by_span.setdefault(span, []).append(asset)
    batches = sorted(by_span.items(), key=lambda batch: -len(batch[1]))
    if not batches and whole:
        yield _request(whole, now, {})
    for (first, last), members in batches:
        yield _request([*members, *whole], now, {RANGE_START: first, RANGE_END: last})
        whole = []


def _schedule(
    cron: str, members: Sequence[Scheduled], default_status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        yield from run_requests(members, context.scheduled_execution_time.astimezone(UTC).replace(tzinfo=None))

    return dg.ScheduleDefinition(
        name=name_of(cron),
        cron_schedule=cron,
        job_name=_IMPLICIT_JOB,
        execution_fn=evaluate,
        execution_timezone="UTC",
        default_status=default_status,
        description=f"{len(members)} tables with the schedule `{cron}` (UTC).",
    )


def _span(asset: Scheduled, unit: Unit, now: datetime) -> tuple[str, str] | None:
    """First and last partition that a tick rebuilds; None while the first one is not over."""
    last = latest_complete(unit, now)
    begin = last.start - asset.lookback * LENGTH[unit]
    first = partition_at(max(begin, asset.start) if asset.start else begin, unit)
    return (first.key, last.key) if first.start <= last.start else None


def _request(members: Sequence[Scheduled], now: datetime, tags: Mapping[str, str]) -> dg.RunRequest:
    keys = [asset.key for asset in members]
    return dg.RunRequest(asset_selection=keys, tags={AS_OF_TAG: now.isoformat(), STALE_TAG: "true", **tags})

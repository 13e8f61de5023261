"""Schedules, partitions, ``ttl``, ``lookback``: refused only where rows would surely be missing or never be built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from feature_platform.errors import Problem
from feature_platform.registry.codes import SCHEDULE, TIMING
from feature_platform.registry.cron import parse_cron, shortest_interval_seconds
from feature_platform.registry.graph import Origin
from feature_platform.specs.models import FeatureView

_PARTITION_SECONDS: Final = {"hour": 3_600, "day": 86_400}


def check_timing(view: FeatureView, origin: Origin) -> Iterator[Problem]:
    """The times of one view."""
    schedule = view.storage.schedule
    interval: int | None = None
    if schedule is not None:
        try:
            parse_cron(schedule)
        except ValueError as error:
            yield SCHEDULE.problem(
                str(error),
                mend="Write minute, hour, day of the month, month, weekday, e.g. `15 6 * * mon-fri`.",
                where=origin.where("materialization", "schedule"),
            )
            return
        interval = shortest_interval_seconds(schedule)
        if interval is None:
            yield SCHEDULE.problem(
                f"'{schedule}' never comes",
                mend="Use a day that the month has.",
                where=origin.where("materialization", "schedule"),
            )
            return
    elif view.accuracy == "snapshot":
        yield TIMING.problem(
            "`accuracy: snapshot` means as of the last tick of a schedule, and there is none",
            mend="Add `materialization: {schedule: …}`, or use `accuracy: exact`.",
            where=origin.where("accuracy"),
        )
    yield from _check_partition(view, origin, interval)
    if view.ttl is not None and interval is not None and view.ttl.microseconds < interval * 1_000_000:
        yield TIMING.problem(
            f"rows are forgotten after {view.ttl}, before the next run replaces them",
            mend="Make `ttl` at least as long as the time between two runs.",
            where=origin.where("ttl"),
        )


def _check_partition(view: FeatureView, origin: Origin, interval: int | None) -> Iterator[Problem]:
    """``interval``: seconds between two runs; None without schedule."""
    storage = view.storage
    length = _PARTITION_SECONDS.get(storage.partition or "")
    by_schedule = storage.partition is None and view.form == "aggregations" and interval is not None
    if length is None and not by_schedule:
        for name in ("start", "lookback"):
            if getattr(storage, name) is not None:
                yield TIMING.problem(
                    f"`{name}` is about partitions, and this view has none",
                    mend=f"Add `partition: day` or `hour`, or remove `{name}`.",
                    where=origin.where_key("materialization", name),
                )
        return
    if length is not None and interval is not None and interval > length:
        yield TIMING.problem(
            f"a run builds one {storage.partition}, but runs are further apart than that",
            mend="Run more often, or make the partition longer.",
            where=origin.where("materialization", "partition"),
        )
    if length is not None and storage.lookback is not None and storage.lookback.microseconds < length * 1_000_000:
        yield TIMING.problem(
            f"a lookback of {storage.lookback} reaches back to no whole {storage.partition}",
            mend=f"Make it at least one {storage.partition}, or remove it.",
            where=origin.where("materialization", "lookback"),
        )

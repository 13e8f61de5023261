"""Days and hours as partitions: keys, intervals, which ones are complete. Plain UTC arithmetic, without Dagster.

Keys are Dagster's: ``2026-03-01`` for a day, ``2026-03-01-05:00`` for an hour. All times are naive and mean UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from feature_platform.errors import UsageError
from feature_platform.orchestration.codes import BAD_PARTITION
from feature_platform.stores.protocols import Partition

Unit = Literal["day", "hour"]

LENGTH: Final[dict[Unit, timedelta]] = {"day": timedelta(days=1), "hour": timedelta(hours=1)}
KEY_FORMAT: Final[dict[Unit, str]] = {"day": "%Y-%m-%d", "hour": "%Y-%m-%d-%H:%M"}

DEFAULT_START: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - naive UTC, as everywhere inside
"""First partition of views that give no ``materialization.start``."""

_WRITTEN: Final[tuple[tuple[str, Unit], ...]] = (
    ("%Y-%m-%d", "day"),
    ("%Y-%m-%d-%H:%M", "hour"),
    ("%Y-%m-%dT%H:%M", "hour"),
    ("%Y-%m-%dT%H", "hour"),
)


@dataclass(frozen=True, slots=True)
class Interval:
    """Half-open time, from partitions that a person named."""

    start: datetime
    end: datetime


def utc_now() -> datetime:
    """Now, naive, in UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def floor(moment: datetime, unit: Unit) -> datetime:
    """The start of the day or hour that ``moment`` lies in.

    >>> floor(datetime(2026, 3, 1, 5, 59), "hour")
    datetime.datetime(2026, 3, 1, 5, 0)
    """
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if unit == "hour" else hour.replace(hour=0)


def partition_at(start: datetime, unit: Unit) -> Partition:
    """The partition that begins at ``start``."""
    return Partition(start.strftime(KEY_FORMAT[unit]), start, start + LENGTH[unit])


def partition_of(key: str, unit: Unit) -> Partition:
    """The partition called ``key`` by Dagster."""
    return partition_at(datetime.strptime(key, KEY_FORMAT[unit]), unit)  # noqa: DTZ007 - naive UTC


def latest_complete(unit: Unit, as_of: datetime) -> Partition:
    """The newest partition that is over at ``as_of``.

    >>> latest_complete("day", datetime(2026, 3, 2)).key
    '2026-03-01'
    """
    return partition_at(floor(as_of, unit) - LENGTH[unit], unit)


def partitions_within(interval: Interval, unit: Unit) -> Iterator[Partition]:
    """The partitions that lie wholly inside, oldest first."""
    start = floor(interval.start, unit)
    if start < interval.start:
        start += LENGTH[unit]
    while start + LENGTH[unit] <= interval.end:
        yield partition_at(start, unit)
        start += LENGTH[unit]


def parse_interval(text: str) -> Interval:
    """``2026-03-01``, ``2026-03-01-05:00`` or ``FIRST..LAST`` (both included) as the time they cover.

    Raises:
        UsageError: not a day, an hour or a range of them, or the range runs backwards.
    """
    first, dots, last = text.partition("..")
    begin = _parse_key(first.strip(), text)
    finish = _parse_key(last.strip(), text) if dots else begin
    if finish.end <= begin.start:
        raise UsageError(
            BAD_PARTITION.problem(
                f"'{text}' ends before it begins", mend="write the earlier partition first: FIRST..LAST"
            )
        )
    return Interval(begin.start, finish.end)


def _parse_key(key: str, text: str) -> Partition:
    for pattern, unit in _WRITTEN:
        try:
            moment = datetime.strptime(key, pattern)  # noqa: DTZ007 - naive UTC
        except ValueError:
            continue
        if moment == floor(moment, unit):
            return partition_at(moment, unit)
    raise UsageError(
        BAD_PARTITION.problem(
            f"'{text}' names no day or hour",
            mend="write 2026-03-01, 2026-03-01-05:00, or a range 2026-03-01..2026-03-31",
        )
    )

"""What a materialization did, as plain values for people and machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from feature_platform.orchestration.resources import Step

if TYPE_CHECKING:
    from feature_platform.orchestration.intervals import ParityException

Status = Literal["published", "up_to_date", "superseded", "failed", "blocked"]
"""``blocked``: not tried, because something that it needs failed. ``superseded``: left as it is, because a later
run has published already."""

_WORST_FIRST: Final[tuple[Status, ...]] = ("failed", "blocked", "superseded", "published", "up_to_date")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One check of one asset. Metadata hold counts and shapes, never values."""

    name: str
    passed: bool
    blocking: bool
    description: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AssetReport:
    """One asset of a selection."""

    asset: str
    """As in Dagster's UI: ``warehouse/payments/card_spend``."""
    view: str | None
    """None for a service."""
    store: str | None
    status: Status
    partitions: tuple[str, ...] = ()
    """Those that were published."""
    rows: int | None = None
    """Rows that this run published; of an asset that was up to date, the rows that are live."""
    seconds: float = 0.0
    checks: tuple[CheckReport, ...] = ()
    reason: str = ""
    """Why it failed, what blocks it, or what is live in its place. Whole lines, without values of personal columns."""
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole materialization."""

    assets: tuple[AssetReport, ...]
    run_ids: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether everything that was selected is published, and is as current as the run or more."""
        return all(asset.status in ("published", "up_to_date", "superseded") for asset in self.assets)

    def of(self, status: Status) -> tuple[AssetReport, ...]:
        """The assets with a status."""
        return tuple(asset for asset in self.assets if asset.status == status)


@dataclass(frozen=True, slots=True)
class PlannedAsset:
    """One asset that would be built."""

    asset: str
    span: tuple[str, str] | None
    """First and last partition."""
    partitions: int
    reasons: tuple[str, ...]
    rows: int | None
    """Rows to expect, judged by those that are live; None where nothing is, and for copies and services."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a materialization would do."""

    runs: tuple[tuple[PlannedAsset, ...], ...]
    """Assets of one Dagster run after the other."""
    up_to_date: int
    """Assets of the selection that would be left alone."""
    parity: Mapping[str, tuple[ParityException, ...]] = field(default_factory=dict)
    """By view: partitions before its lookback that late events touched, and that no run rebuilds by itself."""

    @property
    def assets(self) -> tuple[PlannedAsset, ...]:
        return tuple(asset for run in self.runs for asset in run)


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Progress, as it happens: ``asset`` has come to ``step``; ``done`` of ``total`` assets are over."""

    asset: str
    step: Step
    partition: str | None
    done: int
    total: int


OnEvent = Callable[[RunEvent], None]


def merged(reports: Iterable[AssetReport]) -> list[AssetReport]:
    """One report per asset: a view whose partitions were built in several runs has several."""
    by_asset: dict[str, AssetReport] = {}
    for report in reports:
        before = by_asset.get(report.asset)
        by_asset[report.asset] = report if before is None else _both(before, report)
    return list(by_asset.values())


def _both(one: AssetReport, other: AssetReport) -> AssetReport:
    worst = min((one, other), key=lambda report: _WORST_FIRST.index(report.status))
    rows = [report.rows for report in (one, other) if report.rows is not None]
    return replace(
        worst,
        partitions=one.partitions + other.partitions,
        rows=sum(rows) if rows else None,
        seconds=one.seconds + other.seconds,
        checks=one.checks + other.checks,
    )

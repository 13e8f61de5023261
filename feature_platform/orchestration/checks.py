"""Check specs of an asset, and the gate's outcomes as Dagster's check results.

A run over several partitions has one result per check: it passed if it passed for every partition, and names those
where it did not. Metadata hold counts and shapes as the gate gives them, never values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from feature_platform.monitoring.outcome import DESCRIPTIONS
from feature_platform.orchestration.materialization import Audited
from feature_platform.orchestration.online import ROWS_ARRIVED, StagedCopy, TooLate, arrived

if TYPE_CHECKING:
    from feature_platform.monitoring.gate import CheckOutcome
    from feature_platform.orchestration.intervals import ParityException

FEATURES_PUBLISHED: Final = "features_published"
"""The check of a service: every view that it serves is published, by today's definition."""

PARITY: Final = "parity"
"""The check of a partitioned view that blocks nothing: late events before its lookback."""

_SHOWN_PARTITIONS: Final = 20
"""Details are given for this many partitions of a check; a backfill of years must not fill the event log."""

_DESCRIPTIONS: Final = {
    **DESCRIPTIONS,
    PARITY: "No partition before the lookback has other events behind it than when it was built.",
    ROWS_ARRIVED: "Every entity with a row offline has one online.",
    FEATURES_PUBLISHED: "Every feature that the service hands out is published, by today's definition.",
}


def specs(key: dg.AssetKey, names: Iterable[str]) -> list[dg.AssetCheckSpec]:
    """One check per name, blocking but for parity. Whether an outcome really blocks is the gate's word: see
    :func:`results`."""
    return [
        dg.AssetCheckSpec(name, asset=key, blocking=name != PARITY, description=_DESCRIPTIONS[name]) for name in names
    ]


def results(key: dg.AssetKey, audits: Sequence[Audited]) -> Iterator[dg.AssetCheckResult]:
    """One result per check over all audited partitions."""
    names = dict.fromkeys(outcome.name for audited in audits for outcome in audited.outcomes)
    for name in names:
        found = [(audited, outcome) for audited in audits for outcome in audited.outcomes if outcome.name == name]
        yield _result(key, name, found)


def nothing_built(key: dg.AssetKey, names: Iterable[str]) -> Iterator[dg.AssetCheckResult]:
    """Results of a run that found every partition current: what is live passed when it was published."""
    for name in names:
        text = "no partition had to be built; those that are live passed"
        yield dg.AssetCheckResult(passed=True, asset_key=key, check_name=name, description=text)


def parity_result(key: dg.AssetKey, exceptions: Sequence[ParityException]) -> dg.AssetCheckResult:
    """What came later than the lookback: a warning, until a backfill of its range."""
    by_partition = {
        each.partition: {"events_then": each.before, "events_now": each.now} for each in exceptions[:_SHOWN_PARTITIONS]
    }
    first, last = (exceptions[0].partition, exceptions[-1].partition) if exceptions else ("", "")
    view = key.path[-1]
    return dg.AssetCheckResult(
        passed=not exceptions,
        asset_key=key,
        check_name=PARITY,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"late events before the lookback; mend: fp materialize {view} --partition {first}..{last}"
        if exceptions
        else None,
        metadata={"partitions": len(exceptions), "by_partition": dg.JsonMetadataValue(by_partition)},
    )


def copy_result(key: dg.AssetKey, staged: StagedCopy) -> dg.AssetCheckResult:
    """Whether every row arrived online."""
    return dg.AssetCheckResult(
        passed=staged.complete,
        asset_key=key,
        check_name=ROWS_ARRIVED,
        severity=dg.AssetCheckSeverity.ERROR,
        description=arrived(staged),
        metadata=_of_copy(staged),
    )


def _of_copy(staged: StagedCopy) -> dict[str, Any]:
    found = {"rows": staged.write.rows, "removed": staged.write.removed, "entities": staged.entities}
    size = staged.write.estimated_bytes
    return found if size is None else {**found, "estimated_bytes": size}


def too_late_result(key: dg.AssetKey, late: TooLate) -> dg.AssetCheckResult:
    """Nothing was loaded, and nothing is missing: what is live passed when it was published."""
    return dg.AssetCheckResult(
        passed=True, asset_key=key, check_name=ROWS_ARRIVED, description=f"nothing was loaded: {late.reason}"
    )


def reasons(audits: Iterable[Audited]) -> str:
    """Why rows were not published, one line per failed check and partition; empty if all passed."""
    return "\n".join(
        f"{_place(audited)}{outcome.name}: {outcome.description}"
        for audited in audits
        for outcome in audited.outcomes
        if outcome.blocking and not outcome.passed
    )


def _result(key: dg.AssetKey, name: str, found: Sequence[tuple[Audited, CheckOutcome]]) -> dg.AssetCheckResult:
    failed = [(audited, outcome) for audited, outcome in found if not outcome.passed]
    blocks = not failed or any(outcome.blocking for _, outcome in failed)
    return dg.AssetCheckResult(
        passed=not failed,
        asset_key=key,
        check_name=name,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=_description(found, failed),
        metadata=_metadata(found, failed),
    )


def _description(
    found: Sequence[tuple[Audited, CheckOutcome]], failed: Sequence[tuple[Audited, CheckOutcome]]
) -> str | None:
    if len(found) > 1 and not failed:
        return f"all {len(found)} partitions passed"
    audited, outcome = (failed or found)[0]
    return f"{_place(audited)}{outcome.description}" if outcome.description else None


def _metadata(
    found: Sequence[tuple[Audited, CheckOutcome]], failed: Sequence[tuple[Audited, CheckOutcome]]
) -> dict[str, Any]:
    shown = (failed or found)[:_SHOWN_PARTITIONS]
    if len(found) == 1:
        return dict(shown[0][1].metadata)
    by_partition = {_partition(audited): dict(outcome.metadata) for audited, outcome in shown}
    return {
        "partitions": len(found),
        "failed_partitions": len(failed),
        "by_partition": dg.JsonMetadataValue(by_partition),
    }


def _partition(audited: Audited) -> str:
    partition = audited.staged.request.partition
    return partition.key if partition else ""


def _place(audited: Audited) -> str:
    key = _partition(audited)
    return f"{key}: " if key else ""

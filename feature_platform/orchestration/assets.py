"""The ops behind assets: what happens when Dagster materializes a view, its online copy, or a service.

An op stages and audits; its IO manager publishes. When a blocking check fails, the op yields the failing result,
discards the rows and yields no output: nothing is written, no materialization is recorded for anyone downstream to
react to, and the step fails without a retry (``docs/adr/0004-publication-gate-inside-the-op.md``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from feature_platform.errors import StoreError
from feature_platform.orchestration import checks
from feature_platform.orchestration.failures import explained
from feature_platform.orchestration.history import current_partitions, missing_before
from feature_platform.orchestration.intervals import ParityException, parity
from feature_platform.orchestration.io_managers import publication_metadata, publish_all
from feature_platform.orchestration.keys import Path as AssetPath
from feature_platform.orchestration.keys import ViewAsset
from feature_platform.orchestration.materialization import (
    Audited,
    Overtaken,
    Request,
    Staged,
    audit,
    counted_events,
    discard,
    request,
    stage,
    tick,
)
from feature_platform.orchestration.metadata import PARTITION_ROW_COUNT, SUPERSEDED, UNCHANGED
from feature_platform.orchestration.online import StagedCopy, TooLate, discard_copy, stage_copy, too_late
from feature_platform.orchestration.online_rows import Copy, copy_of
from feature_platform.orchestration.openlineage import RunLineage
from feature_platform.orchestration.partitions import partition_of, utc_now
from feature_platform.orchestration.planning import CHUNK
from feature_platform.orchestration.resources import LINEAGE, PROGRESS, PROJECT, Progress, Step
from feature_platform.orchestration.services import Serving, serving

if TYPE_CHECKING:
    from feature_platform.project.project import Project

AS_OF_TAG: Final = "fp/as_of"
"""Run tag: the moment that the run stands for (ISO, UTC). Without it, now."""

STALE_TAG: Final = "fp/stale_only"
"""Run tag: of the partitions that the run names, those that are current are left as they are, and what is missing
before them is built, too."""

FULL_TAG: Final = "fp/full_copy"
"""Run tag: what is live is replaced even if that is as of a later moment, and online copies are full snapshots,
whatever changed."""

Events = Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any] | dg.AssetMaterialization]


def materialize_view(context: dg.AssetExecutionContext, asset: ViewAsset) -> Events:
    """Stages and audits every partition of the run; hands what passed to the IO manager."""
    yield from _observed(context, _materialize_view(context, asset), asset.name)


def copy_online(context: dg.AssetExecutionContext, asset: ViewAsset) -> Events:
    """Loads the newest row per entity beside the live snapshot; hands it to the IO manager."""
    yield from _observed(context, _copy_online(context, asset), asset.name)


def verify_service(context: dg.AssetExecutionContext, name: str, path: AssetPath) -> Events:
    """Confirms that every view that the service serves is published by today's definition, everywhere it is kept."""
    yield from _observed(context, _verify_service(context, name, path), "/".join(path))
    _tell(context, "/".join(path), "published")


def _materialize_view(context: dg.AssetExecutionContext, asset: ViewAsset) -> Events:
    project: Project = getattr(context.resources, PROJECT)
    key = dg.AssetKey(asset.path)
    with explained(context.retry_number):
        exceptions = _parity(context, project, asset.view)
        work = _work(context, project, asset.view)
        _lineage(context).started(context, asset, _span(work.built or work.named))
        audits = _audited(context, asset, work.built)
    yield from checks.results(key, audits) if audits else checks.nothing_built(key, _check_names(project, asset.view))
    if exceptions is not None:
        built = {_partition(each) for each in audits}
        yield checks.parity_result(key, [each for each in exceptions if each.partition not in built])
    passed = [audited for audited in audits if audited.passed]
    failed = [audited for audited in audits if not audited.passed]
    for audited in failed:
        discard(project, audited.staged)
    if failed:
        # One bad day must not hold back a year: the partitions that passed are published and recorded one by one.
        yield from _published_beside_failures(project, key, passed)
        raise dg.Failure(f"'{asset.view}' was not published\n{checks.reasons(failed)}", allow_retries=False)
    named = [audited for audited in passed if audited.staged.request in work.named]
    yield from _published_beside_failures(project, key, [each for each in passed if each not in named])
    rows = work.unchanged | {_partition(each): each.staged.write.rows for each in named}
    for partition, count in rows.items():
        if partition is not None:
            about = {PARTITION_ROW_COUNT: count, UNCHANGED: partition in work.unchanged}
            context.add_asset_metadata(about, asset_key=key, partition_key=partition)
    _tell(context, asset.name, "publish")
    yield dg.MaterializeResult(asset_key=key, value=named)


def _copy_online(context: dg.AssetExecutionContext, asset: ViewAsset) -> Events:
    project: Project = getattr(context.resources, PROJECT)
    key = dg.AssetKey(asset.path)
    as_of = _as_of_tag(context) or utc_now()
    _lineage(context).started(context, asset)
    with explained(context.retry_number):
        _tell(context, asset.name, "stage")
        staged = _staged_copy(context, project, copy_of(project, asset.view, asset.store, as_of))
    if isinstance(staged, TooLate):
        yield checks.too_late_result(key, staged)
        yield dg.MaterializeResult(asset_key=key, value=staged)
        return
    _tell(context, asset.name, "audit")
    result = checks.copy_result(key, staged)
    yield result
    if not staged.complete:
        discard_copy(project, staged)
        raise dg.Failure(
            f"'{asset.view}' was not published to '{asset.store}'\n{result.description}", allow_retries=False
        )
    _tell(context, asset.name, "publish")
    yield dg.MaterializeResult(asset_key=key, value=staged)


def _staged_copy(context: dg.AssetExecutionContext, project: Project, copy: Copy) -> StagedCopy | TooLate:
    forced = FULL_TAG in context.run.tags
    try:
        return stage_copy(project, copy, run_id=context.run.run_id, full=forced, backwards=forced)
    except StoreError as error:
        return too_late(project, copy, error)


def _verify_service(context: dg.AssetExecutionContext, name: str, path: AssetPath) -> Events:
    project: Project = getattr(context.resources, PROJECT)
    key = dg.AssetKey(path)
    with explained(context.retry_number):
        served = serving(project, name)
    yield _service_result(key, served)
    if served.problems:
        raise dg.Failure(f"service '{name}' can't serve\n" + "\n".join(served.problems), allow_retries=False)
    yield dg.MaterializeResult(asset_key=key, metadata=_service_metadata(served))


def _requests(context: dg.AssetExecutionContext, project: Project, view: str) -> list[Request]:
    as_of = _as_of_tag(context)
    unit = project.compiled.views[view].partitioned
    if unit is None:
        return [request(view, None, as_of or tick(project.registry.views[view].spec, utc_now()))]
    return [request(view, partition_of(key, unit), as_of or utc_now()) for key in context.partition_keys]


@dataclass(frozen=True)
class _Work:
    """What a run has to do for a view."""

    named: list[Request]
    """What the run is of."""
    built: list[Request]
    """Those of them that are not current, and partitions that are missing before them."""
    unchanged: dict[str | None, int]
    """Rows of partitions that the run names and that are current."""


def _work(context: dg.AssetExecutionContext, project: Project, view: str) -> _Work:
    """Whoever starts a run by hand gets what he names; a schedule wants what is missing or stale."""
    named = _requests(context, project, view)
    if STALE_TAG not in context.run.tags or not named or named[0].partition is None:
        return _Work(named, named, {})
    partitions = [each.partition for each in named if each.partition is not None]
    missing = missing_before(project, view, partitions[0])[:CHUNK]
    current = current_partitions(project, view, partitions)
    stale = [each for each in named if each.partition is None or each.partition.key not in current]
    gaps = [request(view, each, each.end) for each in missing]
    return _Work(named, [*gaps, *stale], {key: live.rows for key, live in current.items()})


def _parity(context: dg.AssetExecutionContext, project: Project, view: str) -> list[ParityException] | None:
    """Late events before the lookback; None for a view without partitions."""
    if project.compiled.views[view].partitioned is None:
        return None
    return parity(project, view, _as_of_tag(context) or utc_now())


def _check_names(project: Project, view: str) -> Sequence[str]:
    from feature_platform.monitoring.gate import check_names

    return check_names(project.compiled.views[view], project.registry.views[view].spec)


def _partition(audited: Audited) -> str | None:
    partition = audited.staged.request.partition
    return partition.key if partition else None


def _audited(context: dg.AssetExecutionContext, asset: ViewAsset, requests: Sequence[Request]) -> list[Audited]:
    """Every partition staged and audited. An error discards all of them."""
    project: Project = getattr(context.resources, PROJECT)
    staged: list[Staged] = []
    audits: list[Audited] = []
    events = counted_events(project, asset.view, [each.partition for each in requests if each.partition])
    forced = FULL_TAG in context.run.tags
    try:
        for each in requests:
            partition = each.partition.key if each.partition else None
            _tell(context, asset.name, "stage", partition)
            staged.append(stage(project, each, run_id=context.run.run_id, events=events, backwards=forced))
            _tell(context, asset.name, "audit", partition)
            audits.append(audit(project, staged[-1]))
    except BaseException:
        for left in staged:
            discard(project, left)
        raise
    return audits


def _published_beside_failures(
    project: Project, key: dg.AssetKey, passed: Sequence[Audited]
) -> Iterator[dg.AssetMaterialization]:
    for audited, done in zip(passed, publish_all(project, passed), strict=True):
        live = done.live if isinstance(done, Overtaken) else done
        rows = live.rows if isinstance(done, Overtaken) else audited.staged.write.rows
        metadata: dict[str, Any] = {PARTITION_ROW_COUNT: rows, **publication_metadata(live)}
        if isinstance(done, Overtaken):
            metadata[SUPERSEDED] = done.reason
        yield dg.AssetMaterialization(key, partition=live.partition, metadata=metadata)


def _service_result(key: dg.AssetKey, served: Serving) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not served.problems,
        asset_key=key,
        check_name=checks.FEATURES_PUBLISHED,
        description="; ".join(served.problems)
        or f"{len(served.features)} features of {len(served.tables)} tables are published",
        metadata={"features": len(served.features), "tables": len(served.tables), "problems": len(served.problems)},
    )


def _service_metadata(served: Serving) -> dict[str, Any]:
    return {
        "fingerprint": served.fingerprint,
        "features": dg.JsonMetadataValue(list(served.features)),
        "published_at": dg.JsonMetadataValue({name: moment.isoformat() for name, moment in served.tables.items()}),
    }


def _as_of_tag(context: dg.AssetExecutionContext) -> datetime | None:
    text = context.run.tags.get(AS_OF_TAG)
    return datetime.fromisoformat(text) if text else None


def _observed(context: dg.AssetExecutionContext, events: Events, asset: str) -> Events:
    try:
        yield from events
    except GeneratorExit:
        raise  # Dagster has what it wanted
    except BaseException as error:
        _lineage(context).ended(asset, error)
        if isinstance(error, Exception):
            _tell(context, asset, "failed")
        raise


def _lineage(context: dg.AssetExecutionContext) -> RunLineage:
    lineage: RunLineage = getattr(context.resources, LINEAGE)
    return lineage


def _span(requests: Sequence[Request]) -> tuple[datetime, datetime] | None:
    """The time that all partitions together cover."""
    partitions = [each.partition for each in requests if each.partition is not None]
    if not partitions:
        return None
    return min(each.start for each in partitions), max(each.end for each in partitions)


def _tell(context: dg.AssetExecutionContext, asset: str, step: Step, partition: str | None = None) -> None:
    getattr(context.resources, PROGRESS)(Progress(asset, step, partition))

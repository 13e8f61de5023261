"""From a compiled project to Dagster definitions: the assets' graph is the lineage of the features.

One asset per view and store with one op each, inline check specs, sources and derived views as external assets,
services as light assets over what they serve. Keys: :mod:`feature_platform.orchestration.keys`.

This runs whenever a code location loads, in every run worker too. It reads the compile cache and builds Dagster's
objects; it opens no store.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from feature_platform.orchestration import checks, metadata
from feature_platform.orchestration.assets import (
    REQUIRED_RESOURCES,
    RETRIES,
    Events,
    copy_online,
    materialize_view,
    verify_service,
)
from feature_platform.orchestration.io_managers import online_io, warehouse_io
from feature_platform.orchestration.keys import (
    ViewAsset,
    assets_of,
    derived_path,
    served_paths,
    service_path,
    source_path,
    table_path,
)
from feature_platform.orchestration.metadata import Checkout
from feature_platform.orchestration.online import ROWS_ARRIVED
from feature_platform.orchestration.partitions import DEFAULT_START, LENGTH, Unit, floor
from feature_platform.orchestration.resources import PROGRESS, PROJECT, listener, project_resource
from feature_platform.orchestration.schedules import (
    SCHEDULE_TAG,
    STATUS_VARIABLE,
    Scheduled,
    cron_of,
    name_of,
    schedules,
    status,
)
from feature_platform.registry.graph import LinkedService, LinkedSource, LinkedView, TableRef

if TYPE_CHECKING:
    from feature_platform.project.project import Project

CODE_VERSION_LENGTH: Final = 16
"""Characters of a fingerprint that Dagster shows and compares."""


def build_definitions(
    root: Path, *, profile: str | None = None, domains: Sequence[str] | None = None
) -> dg.Definitions:
    """Definitions of the project in ``root``, of all domains or some.

    A location of some domains has their views, copies and services; what those read elsewhere is there as external
    assets under the same keys, so that the locations' graphs join in the UI.

    Raises:
        FeaturePlatformError: every problem of every document, together.
    """
    from feature_platform.project.project import Project

    project = Project.open(root, profile=profile, domains=domains)
    return definitions_of(project, domains=domains)


def definitions_of(
    project: Project,
    *,
    domains: Sequence[str] | None = None,
    resources: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """Definitions of an opened project. ``resources`` replaces those that open it for a run and close it afterwards."""
    factory = _Factory(project, frozenset(domains) if domains is not None else None)
    return dg.Definitions(
        assets=list(factory.assets()),
        schedules=factory.schedules(),
        resources=factory.resources() | dict(resources or {}),
        executor=dg.in_process_executor,  # a process per step would import and load everything again, for seconds
    )


@dataclass(frozen=True)
class _Factory:
    project: Project
    domains: frozenset[str] | None
    _op_names: set[str] = field(default_factory=set)
    _partitions: dict[tuple[Unit, datetime], dg.PartitionsDefinition[str]] = field(default_factory=dict)

    @cached_property
    def checkout(self) -> Checkout:
        return Checkout.of(self.project.root)

    def assets(self) -> Iterator[dg.AssetsDefinition | dg.AssetSpec]:
        registry = self.project.registry
        for view in registry.views.values():
            yield from self._view_assets(view)
        for source in self._sources():
            yield self._source_spec(source)
        for service in registry.services.values():
            if self._is_ours(service.domain):
                yield self._service_asset(service)

    def schedules(self) -> list[dg.ScheduleDefinition]:
        from feature_platform.project.stores import is_embedded

        scheduled = [
            self._scheduled(view, asset, view.spec.storage.schedule)
            for view in self.project.registry.views.values()
            if self._is_ours(view.domain) and view.spec.storage.schedule
            for asset in assets_of(view)
        ]
        setting = os.environ.get(STATUS_VARIABLE)
        return schedules(scheduled, status(setting, embedded=is_embedded(self.project.profile)))

    def resources(self) -> dict[str, Any]:
        used = {(asset.role, asset.store) for view in self.project.registry.views.values() for asset in assets_of(view)}
        managers = {
            _io_key(role, store): (warehouse_io if role == "offline" else online_io)(store) for role, store in used
        }
        return {PROJECT: project_resource(self.project), PROGRESS: listener(), **managers}

    def _is_ours(self, domain: str) -> bool:
        return self.domains is None or domain in self.domains

    # Views

    def _view_assets(self, view: LinkedView) -> Iterator[dg.AssetsDefinition | dg.AssetSpec]:
        if view.spec.form == "derived":
            yield self._derived_spec(view)
            return
        for asset in assets_of(view):
            spec = self._offline_spec(view, asset) if asset.role == "offline" else self._online_spec(view, asset)
            if not self._is_ours(view.domain):
                yield spec
            elif asset.role == "offline":
                yield self._offline_asset(view, asset, spec)
            else:
                yield self._online_asset(asset, spec)

    def _offline_asset(self, view: LinkedView, asset: ViewAsset, spec: dg.AssetSpec) -> dg.AssetsDefinition:
        from feature_platform.monitoring.gate import check_names

        names = check_names(self.project.compiled.views[asset.view], view.spec)

        @dg.multi_asset(
            name=self._op_name(spec.key),
            specs=[spec],
            check_specs=checks.specs(spec.key, names),
            required_resource_keys=set(REQUIRED_RESOURCES),
            retry_policy=RETRIES,
            backfill_policy=dg.BackfillPolicy.single_run() if spec.partitions_def else None,
            pool=asset.store,
        )
        def op(context: dg.AssetExecutionContext) -> Events:
            return materialize_view(context, asset)

        return op

    def _online_asset(self, asset: ViewAsset, spec: dg.AssetSpec) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=self._op_name(spec.key),
            specs=[spec],
            check_specs=checks.specs(spec.key, [ROWS_ARRIVED]),
            required_resource_keys=set(REQUIRED_RESOURCES),
            retry_policy=RETRIES,
            pool=asset.store,
        )
        def op(context: dg.AssetExecutionContext) -> Events:
            return copy_online(context, asset)

        return op

    def _offline_spec(self, view: LinkedView, asset: ViewAsset) -> dg.AssetSpec:
        compiled = self.project.compiled.views[asset.view]
        return self._view_spec(
            view,
            asset.path,
            kinds=self._kinds(asset.store),
            deps=[self._dep(view, ref) for ref in compiled.reads],
            partitions_def=self._partitions_of(view),
            io_key=_io_key(asset.role, asset.store),
            extra={
                metadata.COLUMN_SCHEMA: metadata.view_columns(compiled, view.spec),
                metadata.COLUMN_LINEAGE: metadata.view_lineage(compiled, self._path_of),
                metadata.TABLE_NAME: f"features.{asset.view}",
                metadata.STORAGE_KIND: self._kinds(asset.store)[0],
            },
        )

    def _online_spec(self, view: LinkedView, asset: ViewAsset) -> dg.AssetSpec:
        compiled = self.project.compiled.views[asset.view]
        offline = self._path_of(TableRef("view", asset.view))
        return self._view_spec(
            view,
            asset.path,
            kinds=self._kinds(asset.store),
            deps=[dg.AssetDep(dg.AssetKey(offline))],
            io_key=_io_key(asset.role, asset.store),
            extra={
                metadata.COLUMN_SCHEMA: metadata.view_columns(compiled, view.spec, online=True),
                metadata.COLUMN_LINEAGE: metadata.copy_lineage(compiled, offline),
                metadata.STORAGE_KIND: self._kinds(asset.store)[0],
            },
        )

    def _derived_spec(self, view: LinkedView) -> dg.AssetSpec:
        inputs = [self.project.registry.views[ref.name] for ref in view.reads if ref.kind == "view"]
        paths = dict.fromkeys(path for each in inputs for path in served_paths(each))
        return self._view_spec(
            view, derived_path(view), kinds=("sql",), deps=[dg.AssetDep(dg.AssetKey(path)) for path in paths]
        )

    def _view_spec(
        self,
        view: LinkedView,
        path: Sequence[str],
        *,
        kinds: Iterable[str],
        deps: Sequence[dg.AssetDep],
        partitions_def: dg.PartitionsDefinition[str] | None = None,
        io_key: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dg.AssetSpec:
        spec = view.spec
        shown = {"entity": spec.entity, "purposes": ", ".join(view.purposes), **metadata.other_tags(spec.tags)}
        schedule = spec.storage.schedule
        return dg.AssetSpec(
            dg.AssetKey(path),
            deps=deps,
            description=spec.description or None,
            metadata={
                **shown,
                **metadata.definition_metadata(self.checkout, view.origin.location),
                **metadata.owner_metadata(view.owner),
                **(extra or {}),
                **({_IO_MANAGER_KEY: io_key} if io_key else {}),
            },
            skippable=True,
            group_name=view.domain,
            code_version=self.project.compiled.views[spec.name].fingerprint[:CODE_VERSION_LENGTH],
            owners=metadata.owners(view.owner),
            tags=metadata.asset_tags(spec.tags) | ({SCHEDULE_TAG: name_of(schedule)} if schedule else {}),
            kinds=set(kinds),
            partitions_def=partitions_def,
            freshness_policy=_freshness(view) if io_key else None,
        )

    def _dep(self, view: LinkedView, ref: TableRef) -> dg.AssetDep:
        key = dg.AssetKey(self._path_of(ref))
        both = ref.kind == "view" and self._unit(view.spec.name) and self._unit(ref.name)
        # The upstream's partitions may begin later than the view's own.
        return dg.AssetDep(key, partition_mapping=_SAME_TIME) if both else dg.AssetDep(key)

    # Sources and services

    def _sources(self) -> Iterator[LinkedSource]:
        """Sources that some view of this location reads, or that are declared in its domains."""
        registry = self.project.registry
        read = {ref.name for view in registry.views.values() for ref in view.reads if ref.kind == "source"}
        for name, source in registry.sources.items():
            if name in read or self._is_ours(source.domain):
                yield source

    def _source_spec(self, source: LinkedSource) -> dg.AssetSpec:
        spec = source.spec
        return dg.AssetSpec(
            dg.AssetKey(source_path(spec.name)),
            description=spec.description or None,
            metadata={
                metadata.COLUMN_SCHEMA: metadata.source_columns(source),
                metadata.TABLE_NAME: spec.table or str(spec.path),
                **metadata.definition_metadata(self.checkout, source.origin.location),
                **metadata.owner_metadata(source.owner),
            },
            group_name=source.domain,
            owners=metadata.owners(source.owner),
            kinds={spec.format if spec.path else self._kinds(spec.store)[0], "source"},
        )

    def _service_asset(self, service: LinkedService) -> dg.AssetsDefinition:
        name = service.spec.name
        path = service_path(name)
        compiled = self.project.compiled.services[name]
        views = dict.fromkeys(view for view, _ in compiled.features)
        deps = dict.fromkeys(path for view in views for path in served_paths(self.project.registry.views[view]))
        spec = dg.AssetSpec(
            dg.AssetKey(path),
            deps=[dg.AssetDep(dg.AssetKey(dep)) for dep in deps],
            description=service.spec.description or None,
            metadata={
                "purpose": compiled.purpose,
                "version": compiled.version,
                "features": dg.JsonMetadataValue([f"{view}:{feature}" for view, feature in compiled.features]),
                **metadata.definition_metadata(self.checkout, service.origin.location),
                **metadata.owner_metadata(service.owner),
            },
            skippable=True,
            group_name=service.domain,
            code_version=compiled.fingerprint[:CODE_VERSION_LENGTH],
            owners=metadata.owners(service.owner),
            kinds={"yaml", "contract"},
        )

        @dg.multi_asset(
            name=self._op_name(spec.key),
            specs=[spec],
            check_specs=checks.specs(spec.key, [checks.FEATURES_PUBLISHED]),
            required_resource_keys=set(REQUIRED_RESOURCES),
            retry_policy=RETRIES,
        )
        def op(context: dg.AssetExecutionContext) -> Events:
            return verify_service(context, name, path)

        return op

    # Partitions and small things

    def _unit(self, view: str) -> Unit | None:
        return self.project.compiled.views[view].partitioned

    def _partitions_of(self, view: LinkedView) -> dg.PartitionsDefinition[str] | None:
        unit = self._unit(view.spec.name)
        if unit is None:
            return None
        start = first_partition(view, unit)
        if (unit, start) not in self._partitions:
            definition = dg.DailyPartitionsDefinition if unit == "day" else dg.HourlyPartitionsDefinition
            self._partitions[unit, start] = definition(start_date=start)
        return self._partitions[unit, start]

    def _scheduled(self, view: LinkedView, asset: ViewAsset, schedule: str) -> Scheduled:
        key = dg.AssetKey(asset.path)
        unit = self._unit(view.spec.name)
        if unit is None:
            return Scheduled(key, cron_of(schedule), None)
        return Scheduled(key, cron_of(schedule), unit, lookback_partitions(view, unit), first_partition(view, unit))

    def _path_of(self, ref: TableRef) -> tuple[str, ...]:
        return table_path(self.project.registry, ref)

    def _kinds(self, store: str) -> tuple[str, ...]:
        return metadata.KINDS[self.project.profile.stores[store].type]

    def _op_name(self, key: dg.AssetKey) -> str:
        """Dagster's own name for the key. Two keys can come to the same one (``a__b/c``, ``a/b__c``); the later gets a
        number."""
        name = base = key.to_python_identifier()
        number = 1
        while name in self._op_names:
            number += 1
            name = f"{base}__{number}"
        self._op_names.add(name)
        return name


def first_partition(view: LinkedView, unit: Unit) -> datetime:
    """Where a view's partitions begin."""
    return floor(view.spec.storage.start or DEFAULT_START, unit)


def lookback_partitions(view: LinkedView, unit: Unit) -> int:
    """How many partitions before the newest one late events may touch."""
    lookback = view.spec.storage.lookback
    return 0 if lookback is None else -(timedelta(microseconds=-lookback.microseconds) // LENGTH[unit])


_IO_MANAGER_KEY: Final = "dagster/io_manager_key"
_SAME_TIME: Final = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
_SHORTEST_FRESHNESS: Final = timedelta(minutes=1)  # Dagster's own limit


def _io_key(role: str, store: str) -> str:
    return f"{role}_{store}"


def _freshness(view: LinkedView) -> dg.FreshnessPolicy | None:
    """What the contract promises about event times, as the age at which Dagster shows the table as stale."""
    freshness = view.spec.contract.freshness
    if freshness is None:
        return None
    return dg.FreshnessPolicy.time_window(max(timedelta(microseconds=freshness.microseconds), _SHORTEST_FRESHNESS))

"""From a compiled project to Dagster definitions: the assets' graph is the lineage of the features.

One asset per view and store with one op each and inline check specs, sources and derived views as external assets,
services as light assets over what they serve. Keys: :mod:`feature_platform.orchestration.keys`.

This runs whenever a code location loads, in every run worker too. It reads the compile cache and builds Dagster's
objects; it opens no store.
"""

# No `from __future__ import annotations` here: Dagster wants the annotation of an op's context as an object.
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from feature_platform.lineage.graph import Lineage
from feature_platform.orchestration import checks
from feature_platform.orchestration.asset_specs import Specs, io_key
from feature_platform.orchestration.assets import copy_online, materialize_view, verify_service
from feature_platform.orchestration.following import following
from feature_platform.orchestration.intervals import first_partition, lookback_partitions
from feature_platform.orchestration.io_managers import online_io, warehouse_io
from feature_platform.orchestration.keys import ViewAsset, assets_of, service_path
from feature_platform.orchestration.online import ROWS_ARRIVED
from feature_platform.orchestration.openlineage import run_lineage
from feature_platform.orchestration.resources import LINEAGE, PROGRESS, PROJECT, REQUIRED, listener, project_resource
from feature_platform.orchestration.schedules import STATUS_VARIABLE, Scheduled, cron_of, schedules, status
from feature_platform.project.checkout import Checkout
from feature_platform.registry.graph import LinkedSource, LinkedView

if TYPE_CHECKING:
    from feature_platform.project.project import Project

Asset = dg.AssetsDefinition | dg.AssetSpec
Op = object
"""What the ops' generators are annotated with: Dagster takes every annotation apart eight times, which adds up."""


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
    project: "Project",
    *,
    domains: Sequence[str] | None = None,
    resources: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """Definitions of an opened project. ``resources`` replaces those that open it for a run and close it afterwards."""
    factory = _Factory(project, None if domains is None else frozenset(domains), _specs(project))
    return dg.Definitions(
        assets=list(factory.assets()),
        schedules=factory.schedules(),
        sensors=factory.sensors(),
        resources=factory.resources() | dict(resources or {}),
        executor=dg.in_process_executor,  # a process per step would import and load everything again, for seconds
    )


def _specs(project: "Project") -> Specs:
    return Specs(project, Checkout.of(project.root), Lineage(project.registry, project.compiled))


@dataclass(frozen=True)
class _Factory:
    project: "Project"
    domains: frozenset[str] | None
    specs: Specs
    _op_names: set[str] = field(default_factory=set)

    def assets(self) -> Iterator[Asset]:
        registry = self.project.registry
        for view in registry.views.values():
            yield from self._of_view(view)
        for source in self._sources():
            yield self.specs.source(source)
        for service in registry.services.values():
            if self._is_ours(service.domain):
                yield self._of_service(service.spec.name, self.specs.service(service))

    def schedules(self) -> list[dg.ScheduleDefinition]:
        scheduled = [
            self._scheduled(view, asset, view.spec.storage.schedule)
            for view in self.project.registry.views.values()
            if self._is_ours(view.domain) and view.spec.storage.schedule
            for asset in assets_of(view)
        ]
        return schedules(scheduled, self._status())

    def sensors(self) -> list[dg.SensorDefinition]:
        views = [view for view in self.project.registry.views.values() if self._is_ours(view.domain)]
        copies = [asset for view in views for asset in assets_of(view) if asset.role == "online"]
        return following([dg.AssetKey(asset.path) for asset in copies], self._status())

    def resources(self) -> dict[str, Any]:
        tables = [asset for view in self.project.registry.views.values() for asset in assets_of(view)]
        managers = {
            io_key(asset): (warehouse_io if asset.role == "offline" else online_io)(asset.store) for asset in tables
        }
        own = {PROJECT: project_resource(self.project), PROGRESS: listener(), LINEAGE: run_lineage(self.project)}
        return own | managers

    def _status(self) -> dg.DefaultScheduleStatus:
        from feature_platform.project.stores import is_embedded

        return status(os.environ.get(STATUS_VARIABLE), embedded=is_embedded(self.project.profile))

    def _is_ours(self, domain: str) -> bool:
        return self.domains is None or domain in self.domains

    def _of_view(self, view: LinkedView) -> Iterator[Asset]:
        if view.spec.form == "derived":
            yield self.specs.derived(view)
        for asset in assets_of(view):
            offline = asset.role == "offline"
            spec = self.specs.offline(view, asset) if offline else self.specs.online(view, asset)
            if not self._is_ours(view.domain):
                yield spec
            elif offline:
                yield self._offline(view, asset, spec)
            else:
                yield self._online(asset, spec)

    def _offline(self, view: LinkedView, asset: ViewAsset, spec: dg.AssetSpec) -> dg.AssetsDefinition:
        from feature_platform.monitoring.gate import check_names

        def compute(context: dg.AssetExecutionContext) -> Op:
            yield from materialize_view(context, asset)

        names: tuple[str, ...] = check_names(self.project.compiled.views[asset.view], view.spec)
        if self.project.compiled.views[asset.view].partitioned:
            names = (*names, checks.PARITY)
        return self._asset(spec, names, compute, pool=asset.store)

    def _online(self, asset: ViewAsset, spec: dg.AssetSpec) -> dg.AssetsDefinition:
        def compute(context: dg.AssetExecutionContext) -> Op:
            yield from copy_online(context, asset)

        return self._asset(spec, [ROWS_ARRIVED], compute, pool=asset.store)

    def _of_service(self, name: str, spec: dg.AssetSpec) -> dg.AssetsDefinition:
        def compute(context: dg.AssetExecutionContext) -> Op:
            yield from verify_service(context, name, service_path(name))

        return self._asset(spec, [checks.FEATURES_PUBLISHED], compute)

    def _asset(
        self,
        spec: dg.AssetSpec,
        check_names: Sequence[str],
        compute: Callable[[dg.AssetExecutionContext], Op],
        *,
        pool: str | None = None,
    ) -> dg.AssetsDefinition:
        """One asset, one op, its checks inside."""
        decorate = dg.multi_asset(
            name=self._op_name(spec.key),
            specs=[spec],
            check_specs=checks.specs(spec.key, check_names),
            required_resource_keys=set(REQUIRED),
            backfill_policy=dg.BackfillPolicy.single_run() if spec.partitions_def else None,
            pool=pool,
        )
        return decorate(compute)

    def _sources(self) -> Iterator[LinkedSource]:
        """Sources that some view of this location reads, or that its domains declare."""
        registry = self.project.registry
        read = {ref.name for view in registry.views.values() for ref in view.reads if ref.kind == "source"}
        for name, source in registry.sources.items():
            if name in read or self._is_ours(source.domain):
                yield source

    def _scheduled(self, view: LinkedView, asset: ViewAsset, schedule: str) -> Scheduled:
        key = dg.AssetKey(asset.path)
        unit = self.project.compiled.views[asset.view].partitioned
        if unit is None:
            return Scheduled(key, cron_of(schedule), None)
        return Scheduled(key, cron_of(schedule), unit, lookback_partitions(view, unit), first_partition(view, unit))

    def _op_name(self, key: dg.AssetKey) -> str:
        """Dagster's own name for the key. Where two keys come to one name (``a__b/c``, ``a/b__c``), a number
        follows."""
        name = base = key.to_python_identifier()
        number = 1
        while name in self._op_names:
            number += 1
            name = f"{base}__{number}"
        self._op_names.add(name)
        return name

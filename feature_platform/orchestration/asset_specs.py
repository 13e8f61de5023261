"""What Dagster knows of each table before anything runs: key, dependencies, owner, kinds, columns, lineage, partitions.

Every dependency that is named here has a spec of its own in the same location: Dagster would take an unknown one for an
external table without a word.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from feature_platform.governance.labels import describe
from feature_platform.lineage.graph import Lineage
from feature_platform.orchestration import metadata
from feature_platform.orchestration.following import FOLLOWS
from feature_platform.orchestration.intervals import first_partition
from feature_platform.orchestration.keys import (
    Path,
    ViewAsset,
    derived_path,
    served_paths,
    service_path,
    source_path,
    table_path,
)
from feature_platform.orchestration.partitions import Unit
from feature_platform.orchestration.schedules import SCHEDULE_TAG, name_of
from feature_platform.project.checkout import Checkout
from feature_platform.registry.graph import LinkedService, LinkedSource, LinkedView, TableRef

if TYPE_CHECKING:
    from feature_platform.project.project import Project

CODE_VERSION_LENGTH: Final = 16
"""Characters of a fingerprint that Dagster shows and compares."""


@dataclass(frozen=True)
class Specs:
    """Makes the asset specs of one project."""

    project: Project
    checkout: Checkout
    lineage: Lineage
    _partitions: dict[tuple[Unit, datetime], dg.PartitionsDefinition[str]] = field(default_factory=dict)
    """One object per partitioning, so that Dagster need not compare them."""

    def offline(self, view: LinkedView, asset: ViewAsset) -> dg.AssetSpec:
        """A view's history in a warehouse."""
        compiled = self.project.compiled.views[asset.view]
        table = _Table(
            kinds=self._kinds(asset.store),
            deps=[self._dep(asset.view, ref) for ref in compiled.reads],
            io_key=io_key(asset),
            partitions_def=self._partitions_of(view),
            metadata={
                metadata.COLUMN_SCHEMA: metadata.view_columns(compiled, view.spec),
                metadata.COLUMN_LINEAGE: metadata.view_lineage(compiled, self._path_of),
                metadata.TABLE_NAME: f"features.{asset.view}",
            },
        )
        return self._view(view, asset.path, table)

    def online(self, view: LinkedView, asset: ViewAsset) -> dg.AssetSpec:
        """A view's newest rows in an online store."""
        compiled = self.project.compiled.views[asset.view]
        offline = self._path_of(TableRef("view", asset.view))
        table = _Table(
            kinds=self._kinds(asset.store),
            deps=[dg.AssetDep(dg.AssetKey(offline))],
            io_key=io_key(asset),
            made_when=FOLLOWS,
            metadata={
                metadata.COLUMN_SCHEMA: metadata.view_columns(compiled, view.spec, online=True),
                metadata.COLUMN_LINEAGE: metadata.copy_lineage(compiled, offline),
            },
        )
        return self._view(view, asset.path, table)

    def derived(self, view: LinkedView) -> dg.AssetSpec:
        """A view that is computed when it is read, as an external asset: it has lineage, and nothing to run."""
        inputs = [self.project.registry.views[ref.name] for ref in view.reads if ref.kind == "view"]
        paths = dict.fromkeys(path for each in inputs for path in served_paths(each))
        compiled = self.project.compiled.views[view.spec.name]
        table = _Table(
            kinds=("sql",),
            deps=[dg.AssetDep(dg.AssetKey(path)) for path in paths],
            metadata={
                metadata.COLUMN_SCHEMA: metadata.view_columns(compiled, view.spec),
                metadata.COLUMN_LINEAGE: metadata.view_lineage(compiled, self._path_of),
            },
        )
        return self._view(view, derived_path(view), table)

    def source(self, source: LinkedSource) -> dg.AssetSpec:
        """A table or files that the company has, as an external asset."""
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

    def service(self, service: LinkedService) -> dg.AssetSpec:
        """A model's contract: depends on every table that its features come from."""
        compiled = self.project.compiled.services[service.spec.name]
        views = dict.fromkeys(view for view, _ in compiled.features)
        deps = dict.fromkeys(path for view in views for path in served_paths(self.project.registry.views[view]))
        return dg.AssetSpec(
            dg.AssetKey(service_path(compiled.name)),
            deps=[dg.AssetDep(dg.AssetKey(dep)) for dep in deps],
            description=service.spec.description or None,
            metadata={
                "purpose": compiled.purpose,
                "version": compiled.version,
                "labels": describe(self.lineage.service_labels(compiled.name)),
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

    def _view(self, view: LinkedView, path: Path, table: _Table) -> dg.AssetSpec:
        spec = view.spec
        schedule = spec.storage.schedule
        own = {"entity": spec.entity, "purposes": ", ".join(view.purposes), **metadata.other_tags(spec.tags)}
        return dg.AssetSpec(
            dg.AssetKey(path),
            deps=table.deps,
            description=spec.description or None,
            metadata={
                **own,
                **metadata.definition_metadata(self.checkout, view.origin.location),
                **metadata.owner_metadata(view.owner),
                **table.shown(),
            },
            skippable=True,  # rows that fail a check are never published, and then there is no output
            group_name=view.domain,
            code_version=self.project.compiled.views[spec.name].fingerprint[:CODE_VERSION_LENGTH],
            owners=metadata.owners(view.owner),
            tags=metadata.asset_tags(spec.tags) | ({SCHEDULE_TAG: name_of(schedule)} if schedule else {}),
            kinds=set(table.kinds),
            partitions_def=table.partitions_def,
            automation_condition=table.made_when,
            freshness_policy=_freshness(view) if table.io_key else None,
        )

    def _dep(self, view: str, ref: TableRef) -> dg.AssetDep:
        key = dg.AssetKey(self._path_of(ref))
        units = self.project.compiled.views
        both = ref.kind == "view" and units[view].partitioned and units[ref.name].partitioned
        # The upstream's partitions may begin later than the view's own.
        return dg.AssetDep(key, partition_mapping=_SAME_TIME) if both else dg.AssetDep(key)

    def _partitions_of(self, view: LinkedView) -> dg.PartitionsDefinition[str] | None:
        unit = self.project.compiled.views[view.spec.name].partitioned
        if unit is None:
            return None
        start = first_partition(view, unit)
        if (unit, start) not in self._partitions:
            definition = dg.DailyPartitionsDefinition if unit == "day" else dg.HourlyPartitionsDefinition
            self._partitions[unit, start] = definition(start_date=start)
        return self._partitions[unit, start]

    def _path_of(self, ref: TableRef) -> Path:
        return table_path(self.project.registry, ref)

    def _kinds(self, store: str) -> tuple[str, ...]:
        return metadata.KINDS[self.project.profile.stores[store].type]


def io_key(asset: ViewAsset) -> str:
    """The resource key of the IO manager that publishes an asset."""
    return f"{asset.role}_{asset.store}"


_IO_MANAGER_KEY: Final = "dagster/io_manager_key"
with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # the parameter is marked beta
    _SAME_TIME: Final = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
_SHORTEST_FRESHNESS: Final = timedelta(minutes=1)  # Dagster's own limit


@dataclass(frozen=True)
class _Table:
    """What distinguishes the specs of one view."""

    kinds: tuple[str, ...]
    deps: Sequence[dg.AssetDep]
    io_key: str | None = None
    partitions_def: dg.PartitionsDefinition[str] | None = None
    made_when: dg.AutomationCondition[Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        if self.io_key is None:
            return dict(self.metadata)
        return {**self.metadata, metadata.STORAGE_KIND: self.kinds[0], _IO_MANAGER_KEY: self.io_key}


def _freshness(view: LinkedView) -> dg.FreshnessPolicy | None:
    """What the contract promises about event times, as the age at which Dagster shows the table as stale."""
    freshness = view.spec.contract.freshness
    if freshness is None:
        return None
    return dg.FreshnessPolicy.time_window(max(timedelta(microseconds=freshness.microseconds), _SHORTEST_FRESHNESS))

"""Whether an asset of a request is up to date, and why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feature_platform.errors import StoreError
from feature_platform.orchestration.history import why_stale
from feature_platform.orchestration.keys import Path, ViewAsset
from feature_platform.orchestration.materialization import table_of, table_version, tick
from feature_platform.orchestration.online import copy_up_to_date
from feature_platform.orchestration.planning import Candidate
from feature_platform.orchestration.request import Request
from feature_platform.orchestration.touched import Touched

if TYPE_CHECKING:
    import dagster as dg

    from feature_platform.compiler.plan import CompiledView
    from feature_platform.registry.graph import TableRef
    from feature_platform.stores.protocols import Partition, Publication


@dataclass(frozen=True)
class Staleness:
    """What is known of the stores so far: each input and each table is looked up once."""

    request: Request
    instance: dg.DagsterInstance
    _versions: dict[TableRef, str] = field(default_factory=dict)
    _live: dict[str, dict[str | None, Publication]] = field(default_factory=dict)
    """By view and partition. Thousands of partitions are asked about, and a table tells all of them at once."""
    _touched: dict[str, Touched] = field(default_factory=dict)

    def why_stale(self, candidate: Candidate, partition: Partition | None) -> str:
        """An asset whose store can't answer is not up to date: the attempt to build it will say why."""
        try:
            if candidate.asset is None:
                return "" if self._service(candidate.path) else "definition changed"
            return self._table(candidate, candidate.asset, partition)
        except StoreError:
            return "its store or an input can't be read"

    def _table(self, candidate: Candidate, asset: ViewAsset, partition: Partition | None) -> str:
        project, request = self.request.project, self.request
        if asset.role == "online":
            current = copy_up_to_date(project, asset.view, asset.store, request.moment)
            return "" if current else "the online copy is not of today's rows"
        as_of = request.as_of or tick(project.registry.views[asset.view].spec, request.now)
        if asset.view not in self._live:
            live = project.warehouse(asset.store).publications(table_of(asset.view))
            self._live[asset.view] = {each.partition: each for each in live}
            by_key = {each.partition: each for each in live if each.partition is not None}
            compiled = project.compiled.views[asset.view]
            self._touched[asset.view] = Touched(project, compiled, by_key, candidate.partitions)
        return why_stale(
            project,
            asset.view,
            partition,
            as_of=as_of,
            versions=self._of_inputs,
            live=self._live[asset.view],
            touched=self._touched[asset.view],
        )

    def _service(self, path: Path) -> bool:
        from dagster import AssetKey

        event = self.instance.get_latest_materialization_event(AssetKey(path))
        seen = (
            event.asset_materialization.metadata.get("fingerprint") if event and event.asset_materialization else None
        )
        return seen is not None and seen.value == self.request.project.compiled.services[path[-1]].fingerprint

    def _of_inputs(self, view: CompiledView) -> dict[str, str]:
        for ref in view.reads:
            if ref not in self._versions:
                self._versions[ref] = table_version(self.request.project, ref)
        return {str(ref): self._versions[ref] for ref in view.reads}

"""IO managers that publish: what an op yields is staged and audited, and becomes visible in ``handle_output``.

``load_input`` hands a downstream asset (of whoever writes one) the published table instead of a copy of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dagster as dg
from sqlglot import exp

from feature_platform.compiler.platform_sql import platform_sql
from feature_platform.errors import StoreError
from feature_platform.orchestration.failures import explained
from feature_platform.orchestration.materialization import (
    Audited,
    Overtaken,
    discard,
    publish_unless_overtaken,
    table_of,
)
from feature_platform.orchestration.metadata import ROW_COUNT, SUPERSEDED
from feature_platform.orchestration.online import StagedCopy, TooLate, discard_copy, overtaken, publish_copy
from feature_platform.orchestration.openlineage import RunLineage
from feature_platform.orchestration.resources import LINEAGE, PROGRESS, PROJECT, REQUIRED, Listener, Progress
from feature_platform.project.online import online_table
from feature_platform.registry.graph import TableRef
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.stores.protocols import Publication, Query, TableName

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.project.project import Project


@dataclass(frozen=True)
class PublishedTable:
    """A view's published history, for a downstream asset: read what you need, when you need it."""

    project: Project
    view: str
    store: str

    @property
    def table(self) -> TableName:
        return table_of(self.view)

    def read(self) -> pa.RecordBatchReader:
        """Streams every row: keys, ``event_time``, ``available_at``, features.

        Raises:
            StoreError: nothing was published yet.
        """
        bindings = self.project.bindings([TableRef("view", self.view)], self.store)
        warehouse = self.project.warehouse(self.store)
        self.project.audit.table_read(self.project.compiled.views[self.view])
        columns = [exp.column(name, quoted=True) for name in self.project.compiled.views[self.view].schema.names]
        select = exp.select(*columns).from_(exp.table_(self.table.name, db=self.table.schema, quoted=True))
        return warehouse.read(Query(platform_sql(select, warehouse.engine), warehouse.engine, tables=bindings))


@dataclass(frozen=True)
class ServedTable:
    """A view's newest rows online: ``project.online_store(store).read(table, keys)``."""

    project: Project
    store: str
    table: OnlineTable


class WarehouseIOManager(dg.IOManager):
    """Publishes audited rows to a warehouse: DuckDB over Delta, or PostgreSQL."""

    def __init__(self, project: Project, store: str, hear: Listener, lineage: RunLineage) -> None:
        self._project = project
        self._store = store
        self._hear = hear
        self._lineage = lineage

    def handle_output(self, context: dg.OutputContext, obj: Sequence[Audited]) -> None:
        """One atomic publication per partition. What is not live when one fails is discarded; the step may try
        again. What a later run was faster with stays as it is, and the run says so."""
        asset = context.asset_key.to_user_string()
        with _told(self._lineage, asset), explained(_attempts_before(context)):
            done = publish_all(self._project, obj)
            late = [each for each in done if isinstance(each, Overtaken)]
            publications = [each for each in done if isinstance(each, Publication)]
            table = table_of(context.asset_key.path[2])
            live = self._project.warehouse(self._store).publications(table)
            # A run that found every partition current published no row of the version that is live.
            told = publications or [replace(each, rows=0) for each in live[-1:]]
            total = sum(each.rows for each in live)
            metadata = {ROW_COUNT: total, **publication_metadata(told[-1])}
            if late:
                metadata[SUPERSEDED] = "; ".join(each.reason for each in late)
            context.add_output_metadata(metadata)
        self._lineage.published(asset, told)
        self._hear(Progress(asset, "published"))

    def load_input(self, context: dg.InputContext) -> PublishedTable:
        return PublishedTable(self._project, _view_of(context), self._store)


class OnlineIOManager(dg.IOManager):
    """Directs an online store's readers to a loaded snapshot: Redis, or PostgreSQL."""

    def __init__(self, project: Project, store: str, hear: Listener, lineage: RunLineage) -> None:
        self._project = project
        self._store = store
        self._hear = hear
        self._lineage = lineage

    def handle_output(self, context: dg.OutputContext, obj: StagedCopy | TooLate) -> None:
        """Publishes, unless a run of a later moment was faster: then what is live stays, and the run says so."""
        asset = context.asset_key.to_user_string()
        with _told(self._lineage, asset), explained(_attempts_before(context)):
            done = _publish_copy(self._project, obj)
        late = isinstance(done, TooLate)
        live = done.live if isinstance(done, TooLate) else done
        about = copy_metadata(done if isinstance(done, TooLate) else obj)
        context.add_output_metadata({ROW_COUNT: live.rows, **publication_metadata(live), **about})
        self._lineage.published(asset, [replace(live, rows=0) if late else live])
        self._hear(Progress(asset, "published"))

    def load_input(self, context: dg.InputContext) -> ServedTable:
        table = online_table(self._project.compiled.views[_view_of(context)])
        return ServedTable(self._project, self._store, table)


def publish_all(project: Project, audits: Sequence[Audited]) -> list[Publication | Overtaken]:
    """Publishes partition by partition; after a failure the rest is discarded."""
    published: list[Publication | Overtaken] = []
    try:
        for audited in audits:
            published.append(publish_unless_overtaken(project, audited))
    except BaseException:
        for audited in audits[len(published) :]:
            discard(project, audited.staged)
        raise
    return published


def _publish_copy(project: Project, staged: StagedCopy | TooLate) -> Publication | TooLate:
    if isinstance(staged, TooLate):
        return staged
    try:
        return publish_copy(project, staged)
    except StoreError as error:
        discard_copy(project, staged)
        return overtaken(project, staged.copy, error)
    except BaseException:
        discard_copy(project, staged)
        raise


def publication_metadata(publication: Publication) -> dict[str, Any]:
    """Version and properties of what is live now."""
    return {"version": publication.version, **publication.properties}


def copy_metadata(staged: StagedCopy | TooLate) -> dict[str, Any]:
    """What went online: changes, or a full snapshot and why; or why nothing did."""
    if isinstance(staged, TooLate):
        return {"rows_written": 0, "rows_removed": 0, "written_as": "nothing", SUPERSEDED: staged.reason}
    written: dict[str, Any] = {"rows_written": staged.write.rows, "rows_removed": staged.write.removed}
    if staged.write.estimated_bytes is not None:
        written["estimated_bytes"] = staged.write.estimated_bytes
    if staged.difference is None:
        return {**written, "written_as": "snapshot", "snapshot_because": staged.reason}
    return {**written, "written_as": "changes"}


def warehouse_io(store: str) -> dg.IOManagerDefinition:
    """The IO manager of a warehouse, on the run's project."""

    @dg.io_manager(required_resource_keys=set(REQUIRED), description=f"Publishes to the warehouse '{store}'.")
    def manager(context: dg.InitResourceContext) -> dg.IOManager:
        return WarehouseIOManager(project=getattr(context.resources, PROJECT), store=store, **_listeners(context))

    return manager


def online_io(store: str) -> dg.IOManagerDefinition:
    """The IO manager of an online store, on the run's project."""

    @dg.io_manager(required_resource_keys=set(REQUIRED), description=f"Publishes to the online store '{store}'.")
    def manager(context: dg.InitResourceContext) -> dg.IOManager:
        return OnlineIOManager(project=getattr(context.resources, PROJECT), store=store, **_listeners(context))

    return manager


def _listeners(context: dg.InitResourceContext) -> dict[str, Any]:
    return {"hear": getattr(context.resources, PROGRESS), "lineage": getattr(context.resources, LINEAGE)}


@contextmanager
def _told(lineage: RunLineage, asset: str) -> Iterator[None]:
    """Tells of an error on its way out."""
    try:
        yield
    except BaseException as error:
        lineage.ended(asset, error)
        raise


def _attempts_before(context: dg.OutputContext) -> int:
    step = context.step_context
    return step.previous_attempt_count if step else 0


def _view_of(context: dg.InputContext) -> str:
    path = context.asset_key.path
    return path[2]

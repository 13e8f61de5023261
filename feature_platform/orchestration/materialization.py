"""One view's rows on their way to readers: stage → audit → publish, or discard.

The steps are values, each made from the one before, so the order can't be got wrong: only an :class:`Audited` write can
be published, and only if it passed. Nothing here knows Dagster; ops, tests and other schedulers call the same
functions.

Whatever happens between two steps, readers keep what was published before. What a dead process left is removed by the
next ``stage`` of the same view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from feature_platform.compiler.plan import CompiledView
from feature_platform.compiler.schedules import newest
from feature_platform.errors import GateError, StoreError
from feature_platform.orchestration.codes import NOT_AUDITED
from feature_platform.orchestration.newest_event import newest_event
from feature_platform.orchestration.touched import EVENTS, Digest, can_digest, event_digests
from feature_platform.project.key_versions import (
    as_properties,
    kept_versions,
    opened_with_versions,
    shown_versions,
)
from feature_platform.registry.cron import parse_cron
from feature_platform.registry.graph import TableRef
from feature_platform.specs.models import FeatureView
from feature_platform.stores.codes import TABLE_LATER
from feature_platform.stores.protocols import (
    AS_OF,
    FINGERPRINT,
    Partition,
    Publication,
    Query,
    Relation,
    StagedWrite,
    StreamTable,
    TableName,
    Warehouse,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.monitoring.gate import CheckOutcome
    from feature_platform.project.project import Project

RUN: Final = "run_id"
INPUT_PREFIX: Final = "input:"
"""Properties of a publication: ``fingerprint``, ``as_of`` (ISO, UTC), ``run_id``, ``input:<table>`` with a version
each, ``tokens:<classification>`` with the version of the key, ``events`` (see :mod:`touched`), and what the run began
with (see :mod:`feature_platform.stores.publication_order`)."""


@dataclass(frozen=True, slots=True)
class Request:
    """Rows of one view to be computed: of one partition, or all of them."""

    view: str
    partition: Partition | None
    as_of: datetime
    """The moment that the rows stand for (naive UTC): the partition's end, or the run's time."""


@dataclass(frozen=True)
class Staged:
    """Rows that are written, and that nobody reads."""

    request: Request
    write: StagedWrite
    run_id: str
    backwards: bool = False
    """Whether it may replace rows that are as of a later moment: somebody asked for it."""


@dataclass(frozen=True)
class Audited:
    """Staged rows and what the gate found in them."""

    staged: Staged
    outcomes: tuple[CheckOutcome, ...]

    @property
    def passed(self) -> bool:
        """Whether no blocking check failed. No outcome at all is no pass."""
        return bool(self.outcomes) and all(outcome.passed or not outcome.blocking for outcome in self.outcomes)


@dataclass(frozen=True)
class Overtaken:
    """Rows that were not published, because later ones are live."""

    request: Request
    live: Publication
    reason: str


def request(view: str, partition: Partition | None, as_of: datetime) -> Request:
    """What a run at ``as_of`` stands for. A partition is rebuilt as of its end, whenever that happens."""
    if partition is not None:
        return Request(view, partition, partition.end)
    return Request(view, None, as_of)


def tick(spec: FeatureView, now: datetime) -> datetime:
    """The moment that a run of an unpartitioned view stands for when nobody names one.

    Rows of an aggregation view change with every microsecond of ``as_of``. They are computed as of the newest tick of
    the view's schedule, by default the full hour, so a second run before the next tick finds its work done.
    """
    if spec.form != "aggregations":
        return now
    return newest(parse_cron(spec.storage.schedule or "@hourly"), now)


def stage(
    project: Project,
    request: Request,
    *,
    run_id: str,
    events: Mapping[str, Digest] | None = None,
    backwards: bool = False,
) -> Staged:
    """Computes the rows where the inputs are, and writes them beside the live ones in the view's offline store.

    ``events`` has what partitions are computed from, by key, where somebody asked for many of them at once.
    ``backwards``: they may replace rows that are as of a later moment.

    Raises:
        StoreError: an input was never published, or a store refused or failed.
    """
    view = project.compiled.views[request.view]
    store = offline_store(project, request.view)
    warehouse = project.warehouse(store)
    target = table_of(request.view)
    warehouse.sweep(target)

    kept = kept_versions(project, view.name, request.partition.key if request.partition else None)

    def write(of_inputs: Mapping[str, int]) -> StagedWrite:
        key_versions = {**kept, **of_inputs}
        begun = dict(warehouse.begin())
        # Versions before rows: an input that changes in between makes the next run rebuild once too often, never too
        # rarely.
        tokens = shown_versions(project, view.materialize.columns if view.materialize else (), key_versions)
        properties = recorded(view, request, input_versions(project, view), tokens) | begun | {RUN: run_id}
        properties |= _counted(project, view, request.partition, key_versions, events or {})
        relation = _relation(project, view, request, store, key_versions)
        return warehouse.stage(target, view.schema, relation, partition=request.partition, properties=properties)

    staged = opened_with_versions(project, view.reads, write, warehouse.discard)
    return Staged(request, staged, run_id, backwards)


def audit(project: Project, staged: Staged) -> Audited:
    """Runs every check of the view on the staged rows. A check that can't be evaluated has failed."""
    from feature_platform.monitoring.gate import audit as audit_rows

    name = staged.request.view
    as_of = staged.request.as_of
    outcomes = audit_rows(
        project.warehouse(staged.write.store),
        staged.write,
        project.compiled.views[name],
        project.registry.views[name].spec,
        as_of=as_of,
        newest_event=lambda: newest_event(project, name, as_of),
    )
    project.audit.gate(name, _partition(staged.request), outcomes, staged.write.rows, staged.run_id)
    return Audited(staged, tuple(outcomes))


def publish(project: Project, audited: Audited) -> Publication:
    """Makes the rows live in one atomic step.

    Raises:
        GateError: a blocking check failed.
        StoreError: the store refused, or what is live is later; the rows before stay live.
    """
    if not audited.passed:
        failed = ", ".join(outcome.name for outcome in audited.outcomes if not outcome.passed) or "none was run"
        raise GateError(
            NOT_AUDITED.problem(
                f"rows of '{audited.staged.request.view}' did not pass: {failed}",
                mend="mend the data or the contract and materialize again",
            )
        )
    staged, write = audited.staged, audited.staged.write
    view = project.compiled.views[staged.request.view]
    project.audit.materialization(view, write.store, _partition(staged.request), write.rows, staged.run_id)
    return project.warehouse(write.store).publish(write, backwards=staged.backwards)


def publish_unless_overtaken(project: Project, audited: Audited) -> Publication | Overtaken:
    """As :func:`publish`; rows that come too late are discarded, and what is live is given.

    Raises:
        GateError: a blocking check failed.
        StoreError: the store refused.
    """
    request = audited.staged.request
    try:
        return publish(project, audited)
    except StoreError as error:
        live = publication(project, request.view, request.partition) if error.code == TABLE_LATER.id else None
        if live is None:
            raise
        discard(project, audited.staged)
        return Overtaken(request, live, error.problems[0].what)


def discard(project: Project, staged: Staged) -> None:
    """Removes staged rows. Nothing happens when they are gone or live."""
    project.warehouse(staged.write.store).discard(staged.write)


def publication(project: Project, view: str, partition: Partition | None = None) -> Publication | None:
    """What is live of a view (and partition) in its offline store."""
    key = partition.key if partition else None
    live = project.warehouse(offline_store(project, view)).publications(table_of(view))
    return next((each for each in live if each.partition == key), None)


def counted_events(project: Project, view: str, partitions: Sequence[Partition]) -> dict[str, Digest]:
    """What partitions of an aggregation view are computed from, by key, for :func:`stage`; empty for other views."""
    compiled = project.compiled.views[view]
    if len(partitions) < 2 or compiled.form != "aggregations" or not can_digest(project, compiled):
        return {}
    return event_digests(project, compiled, sorted(partitions, key=lambda each: each.start), {})


def recorded(
    view: CompiledView, request: Request, inputs: Mapping[str, str], tokens: Mapping[str, int]
) -> dict[str, str]:
    """Properties from which a later run sees whether anything changed: ``tokens`` are key versions by classification.

    ``as_of`` decides the rows of an unpartitioned aggregation view; other views give the same rows at any time.
    """
    properties = {FINGERPRINT: view.fingerprint} | {INPUT_PREFIX + table: version for table, version in inputs.items()}
    properties |= as_properties({name: [version] for name, version in tokens.items()})
    if view.form == "aggregations":
        properties[AS_OF] = request.as_of.isoformat()
    return properties


def input_versions(project: Project, view: CompiledView) -> dict[str, str]:
    """The version of every table that the view reads, by its name in SQL.

    Raises:
        StoreError: a view among them was never published.
    """
    return {str(ref): table_version(project, ref) for ref in view.reads}


def table_version(project: Project, ref: TableRef) -> str:
    """The version of a source, or of a view's published rows, in the store that holds it."""
    home = project.home(ref)
    assert home is not None, f"{ref} is read, so it has rows"
    binding = project.bindings([ref], home)[TableName(ref.schema, ref.name)]
    return project.warehouse(home).version(binding)


def offline_store(project: Project, view: str) -> str:
    """The store that keeps the view's history."""
    store = project.registry.views[view].spec.storage.offline
    assert store is not None, f"'{view}' keeps no rows"
    return store


def table_of(view: str) -> TableName:
    """The name of a view's published table, the same in every warehouse."""
    return TableName("features", view)


def _relation(
    project: Project, view: CompiledView, request: Request, store: str, key_versions: Mapping[str, int]
) -> Relation:
    """The view's query for ``store`` itself where that holds the inputs, else a stream from the store that does."""
    assert view.materialize is not None, f"'{view.name}' is computed when it is read"
    compute = project.compute_store(view.reads, default=store)
    compiled = project.rendered(view.name, project.warehouse(compute).engine)
    query = project.query(compiled, compute, key_versions=key_versions, **_parameters(request))
    return query if compute == store else _stream(project.warehouse(compute), query)


def _partition(request: Request) -> str:
    return request.partition.key if request.partition else ""


def _counted(
    project: Project,
    view: CompiledView,
    partition: Partition | None,
    key_versions: Mapping[str, int],
    events: Mapping[str, Digest],
) -> dict[str, str]:
    """What the rows of a partition of an aggregation view are computed from; ``events`` was asked for with the newest
    token keys."""
    if partition is None or view.form != "aggregations" or not can_digest(project, view):
        return {}
    known = None if key_versions else events.get(partition.key)
    return {EVENTS: str(known or event_digests(project, view, [partition], key_versions)[partition.key])}


def _parameters(request: Request) -> dict[str, datetime]:
    if request.partition is None:
        return {"as_of": request.as_of}
    return {"partition_start": request.partition.start, "partition_end": request.partition.end}


def _stream(warehouse: Warehouse, query: Query) -> StreamTable:
    def open_rows() -> pa.RecordBatchReader:
        return warehouse.read(query)

    return StreamTable(open_rows)

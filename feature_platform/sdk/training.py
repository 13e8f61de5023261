"""Training sets: one query over the spine, and the caller's own columns put back beside its answer.

Only what takes part in the join enters the engine; extra columns, of whatever type, never leave Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from feature_platform.compiler.guard import GuardedQuery
from feature_platform.compiler.plan import CompiledQuery, OutputColumn
from feature_platform.compiler.training import compile_training_set
from feature_platform.errors import FeaturePlatformError, GovernanceError, StoreError
from feature_platform.governance.codes import MIXED_KEY_VERSIONS
from feature_platform.governance.labels import CLEAN, Labels
from feature_platform.lineage.graph import columns_of
from feature_platform.project.key_versions import query_versions, with_versions
from feature_platform.project.placement import Placement, placed
from feature_platform.registry.graph import TableRef
from feature_platform.sdk.needs import Needs, needs_of
from feature_platform.sdk.results import ColumnInfo, Plan, Result, Role, TablePlan, cast_stream, in_utc
from feature_platform.sdk.selection import Selected
from feature_platform.sdk.spine import (
    TIME_TYPE,
    NeededColumn,
    Spine,
    beside,
    held_as,
    kept,
    normalised,
    open_spine,
)
from feature_platform.sdk.sql_spine import Sql, converted_outside, guarded_spine, streamed
from feature_platform.sdk.tokens import key_tokens
from feature_platform.stores.protocols import Query, StreamTable, TableName, Warehouse
from feature_platform.types import BIGINT, STRING, TIMESTAMP, Column, Engine, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.project.project import Project
    from feature_platform.sdk.selection import Asker
    from feature_platform.sdk.spine import SpineLike

ROW: Final = "fp_row"
_SPINE: Final = TableName("inputs", "spine")


def training_set(  # noqa: PLR0913 - what is asked for, and an option by keyword
    project: Project,
    asker: Asker,
    selected: Sequence[Selected],
    spine: SpineLike,
    time: str,
    *,
    key_versions: Mapping[str, int] | None = None,
) -> Result:
    """See :meth:`feature_platform.sdk.client.FeatureStore.training_set`. ``key_versions`` are those of the tokens in
    the spine, where they are not what published rows have or new tokens get.
    """
    needs = needs_of(project, selected)
    asked = [(chosen.view.name, chosen.feature.name) for chosen in selected]
    rows = guarded_spine(project, asker, spine, selected, needs.columns, time) if isinstance(spine, Sql) else None
    read_rows_of = [TableRef("view", name) for name in needs.stored if project.compiled.views[name].form == "sql"]
    task = _Task(project, needs, time, (*read_rows_of, *(rows.reads if rows else ())), key_versions or {})
    compiled = task.compiled(asked)
    home = project.compute_store(rows.reads) if rows and rows.reads else None
    placement = placed(project, compiled.reads, home or "warehouse")
    store = placement.store
    ran = compiled
    if isinstance(spine, Sql):
        assert rows is not None
        whole = task.compiled(asked, rows)
        home = home or store
        apart = converted_outside(rows, needs.columns, time)
        if home != store:
            apart = f"its rows lie in '{home}'"
        how = f"rows of the query are streamed to '{store}': {apart}" if apart else "the query is part of the statement"
        if not apart:
            ran = whole
            sent = whole.sql[project.warehouse(store).engine]
            read = task.in_one_statement(whole, store)
        else:
            sent = rows.sql(project.warehouse(home).engine)
            read = task.beside(task.ready(streamed(project, rows, home, task.versions), selected), compiled, store)
        project.audit.query(spine.text, rows, sent, project.warehouse(home).engine, asker)
        names, columns = len(rows.columns), whole.columns[1:]
        given = [replace(column, labels=column.labels | task.key_labels.get(column.name, CLEAN)) for column in columns]
        columns_given = (*task.infos(given[:names], "spine"), *task.infos(columns[names:], "feature"))
    else:
        ready, how = task.ready(open_spine(spine, task.needed), selected), f"rows are copied to '{store}'"
        read = task.beside(ready, compiled, store)
        columns_given = (*task.spine_infos(ready), *task.infos(compiled.columns[1:], "feature"))
    event = project.audit.training_set(
        [(chosen.view, chosen.feature) for chosen in selected], ran, project.warehouse(store).engine, asker
    )
    plan = _plan(placement, project.warehouse(store).engine, how)
    return Result(columns_given, project.audit.released(event, read), plan)


def _plan(placement: Placement, engine: Engine, spine: str) -> Plan:
    tables = (
        TablePlan(str(held.table), held.store, held.size.rows if held.size else None, held.store != placement.store)
        for held in placement.tables
    )
    return Plan(placement.store, engine, placement.why, spine, tuple(tables))


class _Task:
    """What is common to all ways of making one training set."""

    def __init__(
        self, project: Project, needs: Needs, time: str, reads: Sequence[TableRef], key_versions: Mapping[str, int]
    ) -> None:
        """``reads`` are the views with tokens that come together in it, ``key_versions`` those of classes that no view
        among them has."""
        self.project = project
        self.needs = needs
        self.time = time
        self.reads = reads
        self.held = query_versions(project, reads)
        self.versions = {**key_versions, **self.held}
        self.inputs = _engine_schema(needs, time)
        self.needed = [*needs.columns, NeededColumn(time, TIME_TYPE, needed_by="the time")]

    def compiled(self, asked: Sequence[tuple[str, str]], rows: GuardedQuery | None = None) -> CompiledQuery:
        """The statement that reads the spine as a table, or that computes ``rows`` too."""
        project = self.project
        return compile_training_set(
            project.registry,
            project.compiled,
            asked,
            self.inputs,
            time=self.time,
            engines=project.engines,
            catalog=project.catalog,
            rows=rows,
        )

    def ready(self, spine: Spine, selected: Sequence[Selected]) -> Spine:
        """The spine as engines take it."""
        reserved = [ROW, *(chosen.column for chosen in selected)]
        tokenise = partial(key_tokens, self.project.tokens, versions=self.versions)
        return normalised(spine, time=self.time, needed=self.needs.columns, tokenise=tokenise, reserved=reserved)

    def bind(self, compiled: CompiledQuery, engine: Engine) -> None:
        """Has DuckDB understand the statement before it is sent one. PostgreSQL describes each before it runs it.

        Raises:
            GuardError: FP-PROJ-010, the engine refuses it, or sees other columns.
        """
        if engine == "duckdb":
            project, inputs = self.project, {_SPINE.name: self.inputs}
            project.binder.check(
                compiled.sql[engine], compiled.columns, compiled.reads, project.compiled.views, inputs=inputs
            )

    def beside(self, spine: Spine, compiled: CompiledQuery, store: str) -> Callable[[], pa.RecordBatchReader]:
        """Rows of ``spine`` are shipped to ``store``, and come back with the features from there."""
        project, warehouse = self.project, self.project.warehouse(store)
        self.bind(compiled, warehouse.engine)
        tables = project.bindings(compiled.reads, store)
        converted = {self.time, *(column.name for column in self.needs.columns)}
        answer = compiled.schema.arrow()

        def opened() -> pa.RecordBatchReader:
            faults: list[FeaturePlatformError] = []
            with _reporting(faults):
                rows = kept(spine) if spine.varies else spine
                shipped = StreamTable(partial(_numbered, rows, self.inputs, faults))
                query = Query(
                    compiled.sql[warehouse.engine],
                    warehouse.engine,
                    tables={**tables, _SPINE: shipped},
                    key_versions=self.versions,
                    maps=compiled.schema.maps,
                )
                features = _without_row(cast_stream(self._read(warehouse, query), answer))
            both = beside(rows.open(), features)
            return cast_stream(both, in_utc(both.schema, keep=[name for name in rows.names if name not in converted]))

        return opened

    def in_one_statement(self, compiled: CompiledQuery, store: str) -> Callable[[], pa.RecordBatchReader]:
        """Spine and features are computed by ``store``, and only the answer leaves it."""
        warehouse = self.project.warehouse(store)
        self.bind(compiled, warehouse.engine)
        query = Query(
            compiled.sql[warehouse.engine],
            warehouse.engine,
            tables=self.project.bindings(compiled.reads, store),
            key_versions=self.versions,
            maps=compiled.schema.maps,
        )
        answer = compiled.schema.arrow()
        final = in_utc(held_as(answer.remove(0), self.needed))

        def opened() -> pa.RecordBatchReader:
            return cast_stream(_without_row(cast_stream(self._read(warehouse, query), answer)), final)

        return opened

    @cached_property
    def key_labels(self) -> Mapping[str, Labels]:
        """A key that is personal was made a token on its way in, and carries what the key of the views carries."""
        personal = {column.name for column in self.needs.columns if column.classification}
        return {
            column.name: column.labels
            for view in self.needs.stored
            for column in columns_of(self.project.compiled.views[view])
            if column.name in personal
        }

    def spine_infos(self, spine: Spine) -> Iterator[ColumnInfo]:
        """Of the columns of a caller's rows."""
        known = {column.name: STRING if column.classification else column.type for column in self.needs.columns}
        known[self.time] = TIMESTAMP
        for field in spine.schema:
            kind = str(known.get(field.name) or field.type)
            yield ColumnInfo(field.name, kind, "spine", self._shown(self.key_labels.get(field.name, CLEAN)))

    def infos(self, columns: Iterable[OutputColumn], role: Role) -> Iterator[ColumnInfo]:
        """Of columns of a compiled query."""
        known = {column.name: column.type for column in self.inputs.columns} if role == "spine" else {}
        for column in columns:
            yield ColumnInfo(
                column.name,
                str(known.get(column.name, column.type)),
                role,
                self._shown(column.labels),
                column.direct,
                column.indirect,
                column.description,
                column.transforms,
            )

    def _shown(self, labels: Labels) -> Labels:
        classes = {label.classification for label in labels if label.kind == "token"}
        versions = {name: self.versions.get(name) or self.project.tokens.writing(name) for name in classes}
        return with_versions(labels, versions)

    def _read(self, warehouse: Warehouse, query: Query) -> pa.RecordBatchReader:
        """The rows, if what is read still has the versions that its tokens are taken to have.

        Raises:
            GovernanceError: FP-GOV-017, a view was published with another one since the training set was asked for.
        """
        rows = warehouse.read(query)
        if query_versions(self.project, self.reads) != self.held:
            rows.close()
            raise GovernanceError(
                MIXED_KEY_VERSIONS.problem(
                    "a view got tokens of another key version since this training set was asked for",
                    mend="ask for the training set again",
                )
            )
        return rows


@contextmanager
def _reporting(faults: Sequence[FeaturePlatformError]) -> Iterator[None]:
    """Where an engine failed because the spine's rows did, that is what is told."""
    try:
        yield
    except StoreError:
        if faults:
            raise faults[0] from None
        raise


def _engine_schema(needs: Needs, time: str) -> TableSchema:
    """What the engine is given of the spine: row number, time, keys, request values."""
    types = {column.name: STRING if column.classification else column.type for column in needs.columns}
    types[time] = TIMESTAMP
    return TableSchema((Column(ROW, BIGINT), *(Column(name, kind) for name, kind in types.items())))


def _numbered(spine: Spine, inputs: TableSchema, faults: list[FeaturePlatformError]) -> pa.RecordBatchReader:
    """What an engine reads. Engines make an error of their own of one in a stream, so it is kept in ``faults``."""
    import numpy as np
    import pyarrow as pa

    schema = inputs.arrow()
    names = [name for name in inputs.names if name != ROW]

    def batches() -> Iterator[pa.RecordBatch]:
        first = 0
        with spine.open() as reader:
            try:
                for batch in reader:
                    numbers = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
                    first += batch.num_rows
                    yield pa.RecordBatch.from_arrays([numbers, *(batch.column(name) for name in names)], schema=schema)
            except FeaturePlatformError as error:
                faults.append(error)
                raise

    return pa.RecordBatchReader.from_batches(schema, batches())


def _without_row(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    import pyarrow as pa

    place = reader.schema.get_field_index(ROW)
    schema = reader.schema.remove(place)

    def batches() -> Iterator[pa.RecordBatch]:
        with reader:
            for batch in reader:
                yield batch.remove_column(place)

    return pa.RecordBatchReader.from_batches(schema, batches())

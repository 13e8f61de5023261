"""Training sets: one query over the spine, and the caller's own columns put back beside its answer.

Only what takes part in the join enters the engine; extra columns, of whatever type, never leave Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from feature_platform.compiler.asked_views import has_places
from feature_platform.compiler.guard import GuardedQuery
from feature_platform.compiler.plan import CompiledQuery, OutputColumn
from feature_platform.compiler.spine_measures import choice_in_words
from feature_platform.compiler.training import compile_training_set
from feature_platform.errors import FeaturePlatformError, GovernanceError
from feature_platform.governance.codes import MIXED_KEY_VERSIONS
from feature_platform.governance.labels import CLEAN, Labels
from feature_platform.lineage.graph import columns_of
from feature_platform.project.key_versions import query_versions, with_versions
from feature_platform.project.placement import Placement, placed
from feature_platform.registry.graph import TableRef
from feature_platform.sdk.needs import Needs, needs_of
from feature_platform.sdk.numbered_rows import ROW, numbered, reporting, without_numbers
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
from feature_platform.stores.protocols import Lookback, Query, StreamTable, TableName, Warehouse
from feature_platform.types import BIGINT, STRING, TIMESTAMP, Column, Engine, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.project.project import Project
    from feature_platform.sdk.selection import Asker
    from feature_platform.sdk.spine import SpineLike

_SPINE: Final = TableName("inputs", "spine")
_BEFORE: Final = "the spine is measured before the statement, of a long one each part"
_WITHIN: Final = "the statement measures the spine"


def training_set(  # noqa: PLR0913 - what is asked for, and an option by keyword
    project: Project,
    asker: Asker,
    selected: Sequence[Selected],
    spine: SpineLike,
    time: str,
    *,
    key_versions: Mapping[str, int] | None = None,
    repeatable: bool = False,
) -> Result:
    """See :meth:`feature_platform.sdk.client.FeatureStore.training_set`. ``key_versions`` are those of the tokens in
    the spine, where they are not what published rows have or new tokens get. ``repeatable``: sums of doubles are the
    same to the last bit each time, see ``Query.repeatable``.
    """
    needs = needs_of(project, selected)
    rows = guarded_spine(project, asker, spine, selected, needs.columns, time) if isinstance(spine, Sql) else None
    read_rows_of = [TableRef("view", name) for name in needs.stored if project.compiled.views[name].form == "sql"]
    reads = (*read_rows_of, *(rows.reads if rows else ()))
    task = _Task(project, selected, needs, time, reads, key_versions or {}, repeatable)
    compiled = task.compiled(engines=())  # what it reads decides where it is sent
    if isinstance(spine, Sql):
        assert rows is not None
        home = project.compute_store(rows.reads) if rows.reads else None
        placement = placed(project, compiled.reads, home or "warehouse")
        compiled = task.sent_to(placement.store, compiled)
        with project.audit.refusals("query", "training_set", asker, sql=spine.text):
            way = _of_query(task, rows, compiled, home or placement.store, placement.store)
        project.audit.query(spine.text, rows, way.sent, way.engine, asker)
    else:
        placement = placed(project, compiled.reads)
        compiled = task.sent_to(placement.store, compiled)
        way = _of_rows(task, open_spine(spine, task.needed), compiled, placement.store)
    engine = project.warehouse(placement.store).engine
    features = [(chosen.view, chosen.feature) for chosen in selected]
    event = project.audit.training_set(features, way.query, engine, asker)
    return Result(way.columns, project.audit.released(event, way.read), _plan(placement, engine, way))


@dataclass(frozen=True)
class _Way:
    """How rows and features come together."""

    read: Callable[[], pa.RecordBatchReader]
    columns: tuple[ColumnInfo, ...]
    query: CompiledQuery
    """What computes the features."""
    how: str
    """For people."""
    measured: str = ""
    """When DuckDB learns which plan is the cheaper, if there is a choice; for people."""
    sent: str = ""
    """The statement that gives the rows of a spine that is a query."""
    engine: str = ""
    """What runs that."""


def _of_rows(task: _Task, spine: Spine, compiled: CompiledQuery, store: str) -> _Way:
    """A caller's rows: copied to the store."""
    ready = task.ready(spine)
    columns = (*task.spine_infos(ready), *task.infos(compiled.columns[1:], "feature"))
    how = f"rows are copied to '{store}'"
    return _Way(task.beside(ready, compiled, store), columns, compiled, how, _BEFORE if compiled.forms else "")


def _of_query(task: _Task, rows: GuardedQuery, compiled: CompiledQuery, home: str, store: str) -> _Way:
    """A query, whose rows lie in ``home``: part of the statement that ``store`` runs, or streamed there.

    Raises:
        GuardError: the engine of ``home`` does not have all of the query.
    """
    engine = task.project.warehouse(home).engine
    sent = rows.sql(engine)
    whole = task.compiled(rows, engines=(engine,))
    names, columns = len(rows.columns), whole.columns[1:]
    given = [replace(each, labels=each.labels | task.key_labels.get(each.name, CLEAN)) for each in columns[:names]]
    infos = (*task.infos(given, "spine"), *task.infos(columns[names:], "feature"))
    apart = converted_outside(rows, task.needs.columns, task.time)
    if home != store:
        apart = f"its rows lie in '{home}'"
    if not apart:
        read = task.in_one_statement(whole, store)
        measured = _WITHIN if compiled.forms else ""
        return _Way(read, infos, whole, "the query is part of the statement", measured, whole.sql[engine], engine)
    ready = task.ready(streamed(task.project, rows, home, task.versions))
    how = f"rows of the query are streamed to '{store}': {apart}"
    measured = _BEFORE if compiled.forms else ""
    return _Way(task.beside(ready, compiled, store), infos, compiled, how, measured, sent, engine)


def _plan(placement: Placement, engine: Engine, way: _Way) -> Plan:
    tables = (
        TablePlan(str(held.table), held.store, held.size.rows if held.size else None, held.store != placement.store)
        for held in placement.tables
    )
    join = f"{choice_in_words()}; {way.measured}" if way.measured and engine == "duckdb" else ""
    return Plan(placement.store, engine, placement.why, way.how, join, tuple(tables))


@dataclass(frozen=True)
class _Task:
    """What is common to all ways of making one training set."""

    project: Project
    selected: Sequence[Selected]
    needs: Needs
    time: str
    reads: Sequence[TableRef]
    """Views, and what a spine that is a query reads: their tokens come together."""
    key_versions: Mapping[str, int]
    """Of classes of which no published view among ``reads`` holds tokens."""
    repeatable: bool

    @cached_property
    def held(self) -> Mapping[str, int]:
        """The versions of token keys that published rows have."""
        return query_versions(self.project, self.reads)

    @cached_property
    def versions(self) -> Mapping[str, int]:
        """The versions of token keys that everything gets here."""
        return {**self.key_versions, **self.held}

    @cached_property
    def row_ids(self) -> frozenset[TableName]:
        """Views whose rows a statement may tell apart, whatever columns the published ones have."""
        views = (self.project.compiled.views[name] for name in self.needs.stored)
        return frozenset(TableName("features", view.name) for view in views if has_places(view))

    @cached_property
    def inputs(self) -> TableSchema:
        """What the engine is given of the spine."""
        return _engine_schema(self.needs, self.time)

    @cached_property
    def needed(self) -> Sequence[NeededColumn]:
        """The spine's columns that take part in the join."""
        return [*self.needs.columns, NeededColumn(self.time, TIME_TYPE, needed_by="the time")]

    def sent_to(self, store: str, compiled: CompiledQuery) -> CompiledQuery:
        """The same with the text for the store's engine."""
        engine = self.project.warehouse(store).engine
        return compiled if engine in compiled.sql else self.compiled(engines=(engine,))

    def compiled(self, rows: GuardedQuery | None = None, *, engines: Sequence[Engine]) -> CompiledQuery:
        """The statement that reads the spine as a table, or that computes ``rows`` too; with a text for each of
        ``engines``."""
        project = self.project
        asked = [(chosen.view.name, chosen.feature.name) for chosen in self.selected]
        return compile_training_set(
            project.registry,
            project.compiled,
            asked,
            self.inputs,
            time=self.time,
            engines=engines,
            catalog=project.catalog,
            rows=rows,
        )

    def ready(self, spine: Spine) -> Spine:
        """The spine as engines take it."""
        reserved = [ROW, *(chosen.column for chosen in self.selected)]
        tokenise = partial(key_tokens, self.project.tokens, versions=self.versions)
        return normalised(spine, time=self.time, needed=self.needs.columns, tokenise=tokenise, reserved=reserved)

    def bind(self, compiled: CompiledQuery, engine: Engine, *, lasting: bool = False) -> None:
        """Has DuckDB understand the statements before it is sent one. PostgreSQL describes each before it runs it.

        Raises:
            GuardError: FP-PROJ-010, the engine refuses it, or sees other columns.
        """
        if engine == "duckdb":
            project, inputs = self.project, {_SPINE.name: self.inputs}
            for text in compiled.texts(engine):
                project.binder.check(
                    text, compiled.columns, compiled.reads, project.compiled.views, inputs=inputs, lasting=lasting
                )

    def beside(self, spine: Spine, compiled: CompiledQuery, store: str) -> Callable[[], pa.RecordBatchReader]:
        """Rows of ``spine`` are shipped to ``store``, and come back with the features from there."""
        project, warehouse = self.project, self.project.warehouse(store)
        self.bind(compiled, warehouse.engine, lasting=True)
        tables = project.bindings(compiled.reads, store)
        converted = {self.time, *(column.name for column in self.needs.columns)}
        answer = compiled.schema.arrow()
        forms = compiled.forms if warehouse.engine == "duckdb" else None
        lookback = None
        if forms:
            lookback = Lookback(forms.moments, {TableName("features", view): of for view, of in forms.seen.items()})

        def opened() -> pa.RecordBatchReader:
            faults: list[FeaturePlatformError] = []
            with reporting(faults):
                rows = kept(spine) if spine.varies else spine
                shipped = StreamTable(partial(numbered, rows, self.inputs, faults))
                query = Query(
                    compiled.sql[warehouse.engine],
                    warehouse.engine,
                    tables={**tables, _SPINE: shipped},
                    key_versions=self.versions,
                    maps=compiled.schema.maps,
                    in_parts=_SPINE,
                    forms=forms.texts if forms else {},
                    measures=forms.measures if forms else (),
                    lookback=lookback,
                    row_ids=self.row_ids,
                    repeatable=self.repeatable,
                )
                features = without_numbers(cast_stream(self._read(warehouse, query), answer), faults)
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
            row_ids=self.row_ids,
            repeatable=self.repeatable,
        )
        answer = compiled.schema.arrow()
        final = in_utc(held_as(answer.remove(0), self.needed))

        def opened() -> pa.RecordBatchReader:
            return cast_stream(without_numbers(cast_stream(self._read(warehouse, query), answer)), final)

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


def _engine_schema(needs: Needs, time: str) -> TableSchema:
    """What the engine is given of the spine: row number, time, keys, request values."""
    types = {column.name: STRING if column.classification else column.type for column in needs.columns}
    types[time] = TIMESTAMP
    return TableSchema((Column(ROW, BIGINT), *(Column(name, kind) for name, kind in types.items())))

"""Training sets: one query over the spine, and the caller's own columns put back beside its answer.

Only what takes part in the join enters the engine; extra columns, of whatever type, never leave Arrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from feature_platform.compiler.plan import CompiledQuery
from feature_platform.compiler.training import compile_training_set
from feature_platform.errors import FeaturePlatformError, GovernanceError, StoreError
from feature_platform.governance.codes import MIXED_KEY_VERSIONS
from feature_platform.governance.labels import CLEAN
from feature_platform.lineage.graph import columns_of
from feature_platform.project.key_versions import query_versions, shown_versions, with_versions
from feature_platform.registry.graph import TableRef
from feature_platform.sdk.needs import Needs, needs_of
from feature_platform.sdk.results import ColumnInfo, Result, cast_stream, in_utc
from feature_platform.sdk.selection import Asker, Selected
from feature_platform.sdk.spine import Spine, beside, normalised, open_spine
from feature_platform.sdk.tokens import key_tokens
from feature_platform.stores.protocols import Query, StreamTable, TableName, Warehouse
from feature_platform.types import BIGINT, STRING, TIMESTAMP, Column, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.project.project import Project
    from feature_platform.sdk.spine import SpineLike

ROW: Final = "fp_row"
_SPINE: Final = TableName("inputs", "spine")


def training_set(project: Project, asker: Asker, selected: Sequence[Selected], spine: SpineLike, time: str) -> Result:
    """See :meth:`feature_platform.sdk.client.FeatureStore.training_set`."""
    needs = needs_of(project, selected)
    rows_of = [TableRef("view", name) for name in needs.stored if project.compiled.views[name].form == "sql"]
    versions = query_versions(project, rows_of)
    tokenise = partial(key_tokens, project.tokens, versions=versions)
    ready = normalised(
        open_spine(spine),
        time=time,
        needed=needs.columns,
        tokenise=tokenise,
        reserved=[ROW, *(chosen.column for chosen in selected)],
    )
    inputs = _engine_schema(needs, time)
    compiled = compile_training_set(
        project.registry,
        project.compiled,
        [(chosen.view.name, chosen.feature.name) for chosen in selected],
        inputs,
        time=time,
        catalog=project.catalog,
    )
    store = project.compute_store(compiled.reads)
    warehouse = project.warehouse(store)
    faults: list[FeaturePlatformError] = []
    tables = {**project.bindings(compiled.reads, store), _SPINE: StreamTable(partial(_numbered, ready, inputs, faults))}
    query = Query(compiled.sql[warehouse.engine], warehouse.engine, tables=tables, key_versions=versions)
    shown = shown_versions(project, compiled.columns, versions)
    event = project.audit.training_set(
        [(chosen.view, chosen.feature) for chosen in selected], compiled, warehouse.engine, asker
    )
    answer = compiled.schema.arrow()
    columns = [time, *(column.name for column in needs.columns)]

    def opened() -> pa.RecordBatchReader:
        features = _without_row(cast_stream(_read(project, warehouse, query, rows_of, faults), answer))
        rows = beside(ready.open(), features)
        return cast_stream(rows, in_utc(rows.schema, keep=[name for name in ready.names if name not in columns]))

    columns_given = (*_spine_columns(project, ready, needs, time, shown), *_feature_columns(compiled, shown))
    return Result(columns_given, project.audit.released(event, opened))


def _read(
    project: Project,
    warehouse: Warehouse,
    query: Query,
    reads: Sequence[TableRef],
    faults: list[FeaturePlatformError],
) -> pa.RecordBatchReader:
    """The rows, if what they are joined with still has the version that the spine's tokens were made for.

    Raises:
        GovernanceError: FP-GOV-017, a view was published with another one since the training set was asked for.
        FeaturePlatformError: what is wrong with the spine's rows.
    """
    faults.clear()
    try:
        rows = warehouse.read(query)
    except StoreError:
        if faults:
            raise faults[0] from None
        raise
    now = query_versions(project, reads)
    if now != query.key_versions:
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


def _spine_columns(
    project: Project, spine: Spine, needs: Needs, time: str, versions: Mapping[str, int]
) -> Iterator[ColumnInfo]:
    """A key that is personal was made a token on its way in, and carries what the key of the views carries."""
    known = {column.name: STRING if column.classification else column.type for column in needs.columns}
    known[time] = TIMESTAMP
    personal = {column.name for column in needs.columns if column.classification}
    keys = {
        column.name: with_versions(column.labels, versions)
        for view in needs.stored
        for column in columns_of(project.compiled.views[view])
        if column.name in personal
    }
    for field in spine.schema:
        kind = known.get(field.name)
        yield ColumnInfo(field.name, str(kind or field.type), "spine", keys.get(field.name, CLEAN))


def _feature_columns(compiled: CompiledQuery, versions: Mapping[str, int]) -> Iterator[ColumnInfo]:
    for column in compiled.columns:
        if column.name != ROW:
            yield ColumnInfo(
                column.name,
                str(column.type),
                "feature",
                with_versions(column.labels, versions),
                column.direct,
                column.indirect,
                column.description,
                column.transforms,
            )

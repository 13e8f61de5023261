"""Spines that are queries: guarded for who asks, and computed where their rows lie.

A query's rows have an order if it has an ORDER BY; without one they are numbered as the engine delivers them, which is
the order of the answer, and may be another one next time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.compiler.origins import together
from feature_platform.compiler.parse import parse_query
from feature_platform.errors import Location, Problem, UsageError
from feature_platform.governance.combinations import refused_combinations
from feature_platform.governance.labels import describe
from feature_platform.sdk.codes import NOT_PERMITTED, SPINE_COLUMN_LABEL
from feature_platform.sdk.results import cast_stream, in_utc
from feature_platform.sdk.selection import Asker, Selected
from feature_platform.sdk.spine import TIME_TYPE, NeededColumn, Spine, check_columns
from feature_platform.stores.protocols import Query
from feature_platform.types import Column, DataType, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.compiler.plan import OutputColumn
    from feature_platform.project.project import Project


@dataclass(frozen=True, slots=True)
class Sql:
    """A spine that is a query over the project's sources and views: ``Sql("SELECT customer_id, event_time FROM …")``.

    ``where`` is the place of the text's first character, for messages; None if it is in no file.
    """

    text: str
    where: Location | None = None


def guarded_spine(  # noqa: PLR0913, PLR0917 - the query, who asks, and what it is for
    project: Project,
    asker: Asker,
    spine: Sql,
    selected: Sequence[Selected],
    needed: Sequence[NeededColumn],
    time: str,
) -> GuardedQuery:
    """The query, guarded for the asker and bound over empty tables, with every column that the features need.

    What is refused is recorded.

    Raises:
        GuardError: what :func:`guard` refuses.
        UsageError: a column is missing or has another type, a key holds something else than the key, or what comes
        together tells more than the asker may know.
    """
    with project.audit.refusals("query", "training_set", asker, sql=spine.text):
        access = project.access(asker.purpose, asker.role)
        place = spine.where or Location("<query>")
        rows = guard(spine.text, project.catalog, access, where=spine.where)
        if "duckdb" in rows.engines:
            project.binder.check(rows.sql("duckdb"), rows.columns, rows.reads, project.compiled.views)
        wanted = [*needed, NeededColumn(time, TIME_TYPE, needed_by="the time")]
        check_columns(_schema(rows).arrow(), wanted, [each.column for each in selected], where=place, any_case=True)
        labels = together(((each.view, each.feature) for each in selected), project.registry)
        labels = labels.union(rows.forms, *(column.labels for column in rows.columns))
        problems = [
            NOT_PERMITTED.problem(found.what, mend=found.mend, where=place)
            for found in refused_combinations(labels, access)
        ]
        if problems := [*_misused(rows, spine, needed), *problems]:
            raise UsageError(problems)
    return rows


def converted_outside(rows: GuardedQuery, needed: Sequence[NeededColumn], time: str) -> str:
    """Why the engine can't take the columns of ``rows`` as they are; empty if it can.

    Values that could be rounded, and keys that are no tokens yet, are converted on their way to the engine.
    """
    for column in [*needed, NeededColumn(time, TIME_TYPE)]:
        found = _column(rows, column.name)
        if column.classification is not None:
            if not any(label.kind == "token" for label in found.labels):
                return f"'{column.name}' is made a token on its way"
        elif not _exact(found.type, column.type):
            return f"'{column.name}' is checked on its way from {found.type} to {column.type}"
    return ""


def streamed(project: Project, rows: GuardedQuery, store: str, versions: Mapping[str, int]) -> Spine:
    """The rows of the query as a stream from ``store``. Opened again, they may come in another order."""
    warehouse = project.warehouse(store)
    sent = rows.sql(warehouse.engine)
    tables, maps = project.bindings(rows.reads, store), _schema(rows).maps
    query = Query(sent, warehouse.engine, tables=tables, key_versions=versions, maps=maps)
    schema = in_utc(_schema(rows).arrow())

    def opened() -> pa.RecordBatchReader:
        return cast_stream(warehouse.read(query), schema)

    return Spine(schema, opened, varies=True)


def _schema(rows: GuardedQuery) -> TableSchema:
    return TableSchema(tuple(Column(column.name, column.type) for column in rows.columns))


def _column(rows: GuardedQuery, name: str) -> OutputColumn:
    return next(column for column in rows.columns if column.name == name)


def _exact(given: DataType, to: DataType) -> bool:
    """Whether a cast in an engine gives the same value or an error."""
    if given.is_integer and (to.is_integer or to.kind == "decimal"):
        return True
    if given.kind == to.kind == "decimal":
        return given.scale <= to.scale
    return given == to or (given.kind == "date" and to.kind == "timestamp")


def _misused(rows: GuardedQuery, spine: Sql, needed: Sequence[NeededColumn]) -> Iterator[Problem]:
    """Keys made of something that is not the key, and tokens where plain values are needed."""
    for column in needed:
        labels = _column(rows, column.name).labels
        wrong = [label for label in labels if label.kind in ("token", "partial", "raw")]
        if column.classification is not None:
            wrong = [each for each in wrong if each.kind == "partial" or each.classification != column.classification]
            what = f"the key '{column.name}' is a {column.classification}, and the query gives"
            mend = (
                f"select a column of {column.classification} itself: it is a token here, and the views know it by that"
            )
        else:
            wrong = [each for each in wrong if each.kind == "token"]
            what = f"'{column.name}' is taken as a plain {column.type}, and the query gives"
            mend = "select a column that is not personal"
        if wrong:
            where = _place(spine, column.name)
            yield SPINE_COLUMN_LABEL.problem(f"{what} {describe(frozenset(wrong))}", mend=mend, where=where)


def _place(spine: Sql, name: str) -> Location | None:
    """Where the query says what the column is."""
    parsed = parse_query(spine.text, where=spine.where)
    said = [each for each in parsed.tree.selects if each.alias_or_name == name]
    return parsed.places.of(said[0] if said else None) or Location("<query>")

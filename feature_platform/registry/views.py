"""What a view reads, and whether it can read it: references of SQL, aggregation and derived views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from feature_platform.errors import Location, Problem
from feature_platform.registry.aggregations import check_aggregation_view
from feature_platform.registry.codes import NO_EVENT_TIME, SEVERAL_STORES, SQL_SYNTAX, UNKNOWN_NAME, UNUSABLE_INPUT
from feature_platform.registry.features import check_features
from feature_platform.registry.graph import Origin, TableRef
from feature_platform.registry.index import Index
from feature_platform.registry.references import SqlReads
from feature_platform.registry.timing import check_timing
from feature_platform.specs.models import FeatureView

SqlReader = Callable[[str], SqlReads]
"""``references.tables_read``, or a cache in front of it."""


@dataclass(frozen=True, slots=True)
class Read:
    """A table that a view reads, and where it says so."""

    ref: TableRef
    where: Location


def check_view(index: Index, view: FeatureView, reads: tuple[Read, ...]) -> Iterator[Problem]:
    """Everything about a view but its references' existence (see ``find_reads``) and its stores."""
    origin = index.origin(view)
    entity = index.entities.get(view.entity)
    yield from index.unknown(view.entity, origin, ("entity",), "entity")
    yield from check_features(view, origin, entity)
    if view.form != "derived":
        yield from check_timing(view, origin)
    if view.form == "sql" and view.event_time is None:
        yield NO_EVENT_TIME.problem(
            "an SQL view says which of its columns is the time of the row",
            mend="Select such a column, and name it in `event_time:`.",
            where=origin.where_key("sql"),
        )
    if view.form == "aggregations" and (source := index.sources.get(view.source or "")) is not None:
        yield from check_aggregation_view(view, origin, entity, source)
    yield from _check_inputs(index, view, reads)
    yield from _check_place(index, view, reads)


def find_reads(index: Index, view: FeatureView, read_sql: SqlReader) -> tuple[tuple[Read, ...], list[Problem]]:
    """The tables that ``view`` reads, each once, and names that are no tables."""
    origin = index.origin(view)
    if view.sql is not None:
        return _reads_of_sql(index, view.sql, origin, read_sql)
    if view.source is not None:
        where = origin.where("source")
        problems = list(index.unknown(view.source, origin, ("source",), "source"))
        return (Read(TableRef("source", view.source), where),) if view.source in index.sources else (), problems
    found: dict[TableRef, Read] = {}
    problems = []
    for number, name in enumerate(view.inputs):
        where = origin.where("inputs", number)
        problems.extend(index.unknown(name, origin, ("inputs", number), "feature_view"))
        if name in index.views:
            ref = TableRef("view", name)
            found.setdefault(ref, Read(ref, where))
    return tuple(found.values()), problems


def _reads_of_sql(
    index: Index, sql: str, origin: Origin, read_sql: SqlReader
) -> tuple[tuple[Read, ...], list[Problem]]:
    parsed = read_sql(sql)
    if parsed.fault is not None:
        fault = parsed.fault
        where = origin.inside(fault.line, fault.column, "sql")
        mend = "Mend the text here or just before; it is DuckDB's SQL."
        return (), [SQL_SYNTAX.problem(f"cannot be parsed: {fault.what}", mend=mend, where=where)]
    reads: list[Read] = []
    problems: list[Problem] = []
    for table in parsed.tables:
        where = origin.inside(table.line, table.column, "sql")
        schema, dot, bare = table.name.rpartition(".")
        if table.name in index.sources:
            reads.append(Read(TableRef("source", table.name), where))
        elif table.name in index.views:
            reads.append(Read(TableRef("view", table.name), where))
        elif schema == "sources" and bare in index.sources:
            reads.append(Read(TableRef("source", bare), where))
        elif schema == "features" and bare in index.views:
            reads.append(Read(TableRef("view", bare), where))
        elif dot and (bare in index.sources or bare in index.views):
            right = "sources" if bare in index.sources else "features"
            what = f"there is no table '{table.name}': '{bare}' is in '{right}'"
            problems.append(UNKNOWN_NAME.problem(what, mend=f"Write `{bare}`.", where=where))
        else:
            problems.extend(index.unknown_at(table.name, where, "source", "feature_view"))
    first = {read.ref: read for read in reversed(reads)}  # one table may be named with its schema and without
    return tuple(read for read in reads if first[read.ref] is read), problems


def _check_inputs(index: Index, view: FeatureView, reads: tuple[Read, ...]) -> Iterator[Problem]:
    """Views that are read have rows; a derived view can look its inputs up by its own entity."""
    for read in reads:
        if read.ref.kind != "view":
            continue
        other = index.views[read.ref.name]
        if other.form == "derived":
            what = f"'{other.name}' is a derived view: it is computed when it is read and has no rows"
            mend = "Read the views that it is derived from."
            yield UNUSABLE_INPUT.problem(what, mend=mend, where=read.where)
        elif view.form == "sql" and other.storage.offline is None:
            what = f"'{other.name}' keeps no rows offline"
            yield UNUSABLE_INPUT.problem(what, mend=f"Give '{other.name}' an offline store.", where=read.where)
        elif view.form == "derived":
            yield from _check_same_entity(index, view, other, read.where)


def _check_same_entity(index: Index, view: FeatureView, other: FeatureView, where: Location) -> Iterator[Problem]:
    """The keys of the input's entity are among those of the derived view's, so that its row can be looked up."""
    own, foreign = index.entities.get(view.entity), index.entities.get(other.entity)
    if own is None or foreign is None or own is foreign:
        return
    types = {key.name: key.type for key in own.keys}
    if lacking := [key.name for key in foreign.keys if types.get(key.name) != key.type]:
        yield UNUSABLE_INPUT.problem(
            f"'{other.name}' is about '{foreign.name}', whose key {', '.join(lacking)} is not a key of '{own.name}'",
            mend=f"Use views of '{own.name}', or define the view for an entity that has the keys of both.",
            where=where,
        )


def _check_place(index: Index, view: FeatureView, reads: tuple[Read, ...]) -> Iterator[Problem]:
    """All that a stored view reads lies in one store."""
    if view.form == "derived":
        return
    stores: dict[str, TableRef] = {}
    for read in reads:
        store = _store_of(index, read.ref)
        if store is None or store in stores:
            continue
        stores[store] = read.ref
        if len(stores) > 1:
            (first_store, first), *_ = stores.items()
            yield SEVERAL_STORES.problem(
                f"'{read.ref.name}' lies in '{store}', but '{first.name}' in '{first_store}'",
                mend="Let an input view carry one of them over: a view whose `offline:` is the other's store.",
                where=read.where,
            )


def _store_of(index: Index, ref: TableRef) -> str | None:
    if ref.kind == "source":
        return index.sources[ref.name].store
    return index.views[ref.name].storage.offline

"""Which of a view's published offline rows go online, and the queries that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from feature_platform.compiler.platform_sql import platform_sql
from feature_platform.errors import StoreError
from feature_platform.orchestration.codes import NO_ROWS_FOR_ONLINE
from feature_platform.orchestration.materialization import offline_store, table_of
from feature_platform.orchestration.partitions import partition_of
from feature_platform.project.online import online_table
from feature_platform.stores.protocols import AS_OF, Query

if TYPE_CHECKING:
    from feature_platform.project.project import Project


@dataclass(frozen=True)
class Copy:
    """Which offline rows go online: all that are due at ``as_of``, in a partitioned aggregation view one
    partition's."""

    view: str
    store: str
    as_of: datetime
    origin: str
    """Version of the offline rows."""
    tick: datetime | None
    """Only rows of this event time: the newest tick of a partitioned aggregation view. An entity without events in its
    windows has no row there, and must not get an older one."""
    moment: datetime | None
    """What every row stands for: the tick of an aggregation view. None: each row has a time of its own."""


def copy_of(project: Project, view: str, store: str, as_of: datetime) -> Copy:
    """What an online copy as of ``as_of`` consists of.

    Raises:
        StoreError: nothing that is due at ``as_of`` was published offline.
    """
    compiled = project.compiled.views[view]
    live = project.warehouse(offline_store(project, view)).publications(table_of(view))
    if compiled.form == "aggregations" and compiled.partitioned:
        due = [(partition_of(each.partition, compiled.partitioned).end, each) for each in live if each.partition]
        due = [(end, each) for end, each in due if end <= as_of]
        if due:
            end, newest = max(due, key=lambda pair: pair[0])
            return Copy(view, store, as_of, f"{newest.partition}@{newest.version}", end, end)
    elif live:
        newest = max(live, key=lambda each: each.published_at)
        made = newest.properties.get(AS_OF) if compiled.form == "aggregations" else None
        return Copy(view, store, as_of, newest.version, None, datetime.fromisoformat(made) if made else None)
    raise StoreError(
        NO_ROWS_FOR_ONLINE.problem(
            f"view '{view}' has no offline rows as of {as_of:%Y-%m-%d %H:%M} UTC that could go to '{store}'",
            mend=f"materialize it offline first: fp materialize {view}",
        )
    )


def newest_rows(project: Project, copy: Copy) -> Query:
    """Keys, event_time and features of the newest row per entity that is due at ``as_of`` and within the view's ttl.

    The rule of the window standard for feature rows: ``event_time <= q``, ``available_at <= q``, ``event_time >= q -
    ttl``; of several the greatest event_time wins, then the greatest available_at.
    """
    names = online_table(project.compiled.views[copy.view]).schema.names
    keys = [_column(key.name) for key in project.compiled.views[copy.view].keys]
    newest = [exp.Ordered(this=_column(name), desc=True, nulls_first=False) for name in ("event_time", "available_at")]
    select = (
        exp.select(*(_column(name) for name in names))
        .distinct(*keys)
        .from_(_published(copy))
        .where(*_due(project, copy))
        .order_by(*(key.copy() for key in keys), *newest)
    )
    return _query(project, copy, select)


def entity_count(project: Project, copy: Copy) -> int:
    """How many entities have a row that is due: counted without the rule that picks one, so as to check it."""
    keys = [_column(key.name) for key in project.compiled.views[copy.view].keys]
    distinct = exp.select(*keys).distinct().from_(_published(copy)).where(*_due(project, copy))
    count = exp.select(exp.Count(this=exp.Star())).from_(distinct.subquery("entities"))
    return int(_single(project, copy, _query(project, copy, count)))


def next_due(project: Project, copy: Copy) -> datetime | None:
    """When the next row becomes due: the least of max(event_time, available_at) after ``as_of``."""
    if copy.tick is not None:
        return None
    due = exp.Greatest(this=_column("event_time"), expressions=[_column("available_at")])
    later = exp.GT(this=due.copy(), expression=_moment("as_of"))
    query = _query(project, copy, exp.select(exp.Min(this=due)).from_(_published(copy)).where(later))
    moment: datetime | None = _single(project, copy, query)
    return moment


def _due(project: Project, copy: Copy) -> list[exp.Expression]:
    if copy.tick is not None:
        return [exp.EQ(this=_column("event_time"), expression=_moment("tick"))]
    conditions: list[exp.Expression] = [
        exp.LTE(this=_column(name), expression=_moment("as_of")) for name in ("event_time", "available_at")
    ]
    if project.registry.views[copy.view].spec.ttl is not None:
        conditions.append(exp.GTE(this=_column("event_time"), expression=_moment("oldest")))
    return conditions


def _single(project: Project, copy: Copy, query: Query) -> Any:
    return project.warehouse(offline_store(project, copy.view)).read(query).read_all().column(0)[0].as_py()


def _query(project: Project, copy: Copy, select: exp.Select) -> Query:
    store = offline_store(project, copy.view)
    warehouse = project.warehouse(store)
    table = table_of(copy.view)
    binding = warehouse.binding(table)
    assert binding is not None, "a copy is made of published rows"
    wanted = {node.name for node in select.find_all(exp.Parameter)}
    parameters = {name: value for name, value in _moments(project, copy).items() if name in wanted}
    return Query(platform_sql(select, warehouse.engine), warehouse.engine, parameters, {table: binding})


def _moments(project: Project, copy: Copy) -> Mapping[str, datetime]:
    moments = {"as_of": copy.as_of}
    if copy.tick is not None:
        moments["tick"] = copy.tick
    if (ttl := project.registry.views[copy.view].spec.ttl) is not None:
        moments["oldest"] = copy.as_of - timedelta(microseconds=ttl.microseconds)
    return moments


def _published(copy: Copy) -> exp.Table:
    return exp.table_(copy.view, db=table_of(copy.view).schema, quoted=True)


def _moment(name: str) -> exp.Expression:
    return exp.Parameter(this=exp.to_identifier(name))


def _column(name: str) -> exp.Column:
    return exp.column(name, quoted=True)

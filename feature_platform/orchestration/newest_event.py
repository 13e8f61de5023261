"""The newest event behind an aggregation view, for its freshness: its rows themselves only carry the tick."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from feature_platform.project.spans import within
from feature_platform.stores.protocols import Span

if TYPE_CHECKING:
    from sqlglot import exp

    from feature_platform.project.project import Project


_STEPS: Final = (timedelta(hours=6), timedelta(days=8))
"""How far back to look at first: the newest event of a source in use is not old, and its history is long."""


def newest_event(project: Project, view: str, as_of: datetime) -> datetime | None:
    """The newest event time (naive UTC) in the source of ``view`` before ``as_of``, of events known by then.

    Raises:
        GuardError: the source's times are classified, and no policy opens them.
        StoreError: the store that holds the source failed.
    """
    from feature_platform.compiler.project import compile_query

    linked = project.registry.views[view]
    assert linked.spec.source is not None, f"'{view}' has no events"
    source = project.registry.sources[linked.spec.source].spec
    assert source.event_time is not None, "the registry lets aggregations have sources of events only"
    access = project.compiled.author.with_purposes(linked.purposes)
    warehouse = project.warehouse(source.store)
    for since in (*(as_of - step for step in _STEPS), None):
        query = _newest(source.name, source.event_time, source.available_at or source.event_time, as_of, since)
        compiled = compile_query(
            query.sql("duckdb"), project.registry, project.compiled, access, engine=warehouse.engine
        )
        asked = project.query(compiled, source.store)
        if not compiled.columns[0].transforms:  # the times that are compared are those of the files
            asked = replace(asked, tables=within(asked.tables, Span(source.event_time, since, as_of)))
        with warehouse.read(asked) as reader:
            found: datetime | None = reader.read_all().column(0)[0].as_py()
        if found is not None:
            return found
    return None


def _newest(source: str, event_time: str, available_at: str, as_of: datetime, since: datetime | None) -> exp.Select:
    from sqlglot import exp

    def time(column: str) -> exp.Cast:
        return exp.cast(exp.column(column, quoted=True), "timestamp")

    def at(moment: datetime) -> exp.Cast:
        return exp.cast(exp.Literal.string(moment.isoformat(sep=" ")), "timestamp")

    select = (
        exp.select(exp.Max(this=time(event_time)).as_("newest"))
        .from_(exp.to_table(source))
        .where(exp.LT(this=time(event_time), expression=at(as_of)))
        .where(exp.LTE(this=time(available_at), expression=at(as_of)))
    )
    return select if since is None else select.where(exp.GTE(this=time(event_time), expression=at(since)))

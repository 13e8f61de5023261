"""Which store has which version of which view: what ``fp store status`` shows.

Each view is asked for in its offline store and in every online store. A store that can't be reached says so in its own
lines; the others are shown all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sqlglot import exp

from feature_platform.compiler.platform_sql import platform_sql
from feature_platform.errors import FeaturePlatformError
from feature_platform.orchestration.materialization import offline_store, table_of
from feature_platform.orchestration.online import copy_up_to_date
from feature_platform.orchestration.partitions import partition_of
from feature_platform.stores.online_protocol import TTL
from feature_platform.stores.online_reads import is_expired, ttl_of
from feature_platform.stores.protocols import FINGERPRINT, Holdings, Publication, Query, TableName, Warehouse

if TYPE_CHECKING:
    from feature_platform.compiler.plan import CompiledView
    from feature_platform.project.project import Project

Health = Literal["current", "behind", "half published", "other definition", "damaged", "never published", "unreachable"]
"""``behind``: an online store has not what the offline store has. ``half published``: a publication of several steps
was left on its way; each entity has old rows or new ones. ``other definition``: published before the view changed.
``damaged``: rows or files are gone that were published."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One view in one store."""

    view: str
    store: str
    role: Literal["offline", "online"]
    health: Health
    detail: str = ""
    version: str | None = None
    """The store's own name for what is live; offline the newest of all partitions."""
    partitions: int = 0
    rows: int = 0
    event_time: datetime | None = None
    """The newest among the rows, UTC."""
    published_at: datetime | None = None
    bytes: int | None = None

    def lag_seconds(self, now: datetime) -> float | None:
        """How old the newest row is; negative for a row that stands for a later moment."""
        return None if self.event_time is None else (now - self.event_time).total_seconds()


def store_status(project: Project, views: Sequence[str], now: datetime) -> Iterator[StoreStatus]:
    """What each store of ``views`` has. ``now`` is naive UTC."""
    for view in views:
        spec = project.registry.views[view].spec
        if spec.form == "derived":
            continue
        if spec.storage.offline is not None:
            yield _asked(project, view, spec.storage.offline, "offline", now)
        for store in spec.storage.online_stores:
            yield _asked(project, view, store, "online", now)


def _asked(project: Project, view: str, store: str, role: Literal["offline", "online"], now: datetime) -> StoreStatus:
    try:
        if role == "offline":
            return _offline(project, project.compiled.views[view])
        return _online(project, project.compiled.views[view], store, now)
    except FeaturePlatformError as error:
        return StoreStatus(view, store, role, "unreachable", error.problems[0].what)


def _offline(project: Project, view: CompiledView) -> StoreStatus:
    store = offline_store(project, view.name)
    warehouse = project.warehouse(store)
    table = table_of(view.name)
    live = warehouse.publications(table)
    if not live:
        return StoreStatus(view.name, store, "offline", "never published")
    newest = max(live, key=lambda each: each.published_at)
    held = warehouse.holdings(table)
    health, detail = _health(view, live, held)
    return StoreStatus(
        view.name,
        store,
        "offline",
        health,
        detail,
        version=newest.version,
        partitions=sum(each.partition is not None for each in live),
        rows=sum(each.rows for each in live),
        event_time=None if held.missing else _newest_event(warehouse, view, live),
        published_at=newest.published_at,
        bytes=held.bytes,
    )


def _online(project: Project, view: CompiledView, store: str, now: datetime) -> StoreStatus:
    online = project.online_store(store)
    live = online.publication(view.name)
    if live is None:
        return StoreStatus(view.name, store, "online", "never published")
    held = online.holdings(view.name)
    health, detail = _health(view, [live], held)
    if health == "damaged" and not held.rows and _has_ended(live, now):
        health, detail = "behind", "every row was past its ttl, and is gone"
    if health == "current" and not copy_up_to_date(project, view.name, store, now):
        health, detail = "behind", f"not what '{offline_store(project, view.name)}' has"
    return StoreStatus(
        view.name,
        store,
        "online",
        health,
        detail,
        version=live.version,
        rows=live.rows,
        event_time=live.event_time,
        published_at=live.published_at,
        bytes=held.bytes,
    )


def _has_ended(live: Publication, now: datetime) -> bool:
    ttl = ttl_of(live.properties.get(TTL))
    return ttl is not None and is_expired(live.event_time, ttl, now)


def _health(view: CompiledView, live: Sequence[Publication], held: Holdings) -> tuple[Health, str]:
    said = sum(each.rows for each in live)
    if held.unfinished:
        return "half published", held.unfinished
    if held.missing:
        return "damaged", f"{len(held.missing)} parts are gone: {held.missing[0]}"
    if held.rows is not None and held.rows != said:
        return "damaged", f"{held.rows:,} of {said:,} rows are there"
    old = sum(each.properties.get(FINGERPRINT) != view.fingerprint for each in live)
    if old:
        return "other definition", f"{old} of {len(live)} partitions" if live[0].partition else ""
    return "current", ""


def _newest_event(warehouse: Warehouse, view: CompiledView, live: Sequence[Publication]) -> datetime | None:
    if view.form == "aggregations" and view.partitioned:
        return max(partition_of(each.partition, view.partitioned).end for each in live if each.partition)
    return newest_row_time(warehouse, table_of(view.name))


def newest_row_time(warehouse: Warehouse, table: TableName) -> datetime | None:
    """The newest event time among the rows of a live table, UTC; None where it has no rows."""
    binding = warehouse.binding(table)
    assert binding is not None, "something is live"
    newest = exp.select(exp.Max(this=exp.column("event_time", quoted=True))).from_(
        exp.table_(table.name, db=table.schema, quoted=True)
    )
    query = Query(platform_sql(newest, warehouse.engine), warehouse.engine, tables={table: binding})
    with warehouse.read(query) as reader:
        found: datetime | None = reader.read_all().column(0)[0].as_py()
    return found

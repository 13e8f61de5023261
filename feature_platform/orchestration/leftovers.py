"""What stores hold that no definition asks for any more: ``fp store status`` names it, ``fp store remove`` removes it.

A view that leaves the project, or one of its stores, leaves its rows behind: nothing else would ever look at them
again. Stores are asked for what they hold themselves, so what is found is theirs, not what somebody remembers. Only
what the platform wrote under the store's own prefix is looked at.

A *feature* that left a view lies in the rows of the view's history until these are computed anew. Rows of partitions
can't lose a column (FP-STORE-002), so removing it takes the view's history in that store along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from feature_platform.errors import FeaturePlatformError, UsageError, did_you_mean
from feature_platform.orchestration.codes import STILL_ASKED_FOR, UNKNOWN_LEFTOVER
from feature_platform.orchestration.materialization import table_of
from feature_platform.orchestration.online_changes import mirror_of
from feature_platform.orchestration.store_status import newest_row_time
from feature_platform.specs.models import DorisStore, DuckDBDeltaStore, PostgresStore, RedisStore
from feature_platform.stores.protocols import TableName

if TYPE_CHECKING:
    from feature_platform.project.project import Project

Kind = Literal["history", "mirror", "online", "feature"]
"""``mirror``: the rows of a view's last online copy, kept beside its history. ``feature``: a column of a history."""

_KEEPS_HISTORY = (DuckDBDeltaStore, PostgresStore, DorisStore)
_KEEPS_ONLINE = (PostgresStore, RedisStore)


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that a store holds and no definition asks for."""

    store: str
    kind: Kind
    name: str
    """``view``, ``view@online store`` for a mirror, ``view:feature`` for a feature."""
    rows: int
    """That are live; 0 where only leftovers of publications are there."""
    bytes: int
    event_time: datetime | None
    """The newest among the rows, UTC; None where none is live, or they can't be read."""
    version: str | None
    """Of the newest publication, in the store's own terms."""
    published_at: datetime | None

    @property
    def view(self) -> str:
        return self.name.partition(":")[0].partition("@")[0]

    @property
    def table(self) -> TableName:
        """Of everything but rows online."""
        return table_of(self.name.partition(":")[0])


@dataclass(frozen=True, slots=True)
class Unasked:
    """A store that did not say what it holds."""

    store: str
    reason: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of a leftover."""

    leftover: Leftover
    gone: bool
    reason: str = ""
    """Why something of it is still there."""


def leftovers(project: Project, store: str | None = None) -> Iterator[Leftover | Unasked]:
    """What ``store``, or every store of the profile, holds without being asked to. The project has all its domains."""
    for name, spec in project.profile.stores.items():
        if store not in (None, name):
            continue
        try:
            if isinstance(spec, _KEEPS_HISTORY):
                yield from _in_warehouse(project, name)
            if isinstance(spec, _KEEPS_ONLINE):
                yield from _online(project, name)
        except FeaturePlatformError as error:
            yield Unasked(name, error.problems[0].what)


def chosen(
    project: Project, found: Sequence[Leftover | Unasked], names: Sequence[str], store: str | None
) -> list[Leftover]:
    """Those that ``names`` name; without names all but features, whose removal takes wanted rows along. Where a store
    could not be asked, a name that is nowhere else may be there.

    Raises:
        UsageError: a definition asks for what is named, or nothing is called that.
    """
    there = [each for each in found if isinstance(each, Leftover)]
    if not names:
        return [each for each in there if each.kind != "feature"]
    problems = []
    for name in names:
        if any(_is_named(each, name) for each in there):
            continue
        where = f" in '{store}'" if store else ""
        if _is_asked_for(project, name):
            problems.append(
                STILL_ASKED_FOR.problem(
                    f"a definition of the project asks for '{name}'{where}",
                    mend="take it out of the definition first: `fp store remove` never removes what is asked for",
                )
            )
            continue
        if len(there) < len(found):
            continue
        known = sorted({each.name for each in there})
        problems.append(
            UNKNOWN_LEFTOVER.problem(
                f"nothing called '{name}' is left{where}.{did_you_mean(name, known)}",
                mend="`fp store status` shows what is left",
            )
        )
    if problems:
        raise UsageError(problems)
    return [each for each in there if any(_is_named(each, name) for name in names)]


def remove(project: Project, found: Sequence[Leftover]) -> Iterator[Removal]:
    """Removes one after the other, each recorded in the audit trail before. One that can't be removed does not keep the
    others; whatever is stopped half-way is still found, and may be removed again."""
    for leftover in found:
        project.audit.removal(leftover.name, leftover.store, leftover.kind, leftover.rows)
        try:
            if leftover.kind == "online":
                gone = project.online_store(leftover.store).remove(leftover.name)
            else:
                gone = project.warehouse(leftover.store).remove(leftover.table)
        except FeaturePlatformError as error:
            yield Removal(leftover, False, error.problems[0].what)
        else:
            reason = "" if gone else "nobody finds it any more; somebody still reads some of it: remove it again later"
            yield Removal(leftover, gone, reason)


def _in_warehouse(project: Project, store: str) -> Iterator[Leftover]:
    views = project.registry.views
    specs = {name: view.spec for name, view in views.items() if view.spec.form != "derived"}
    here = {name: spec for name, spec in specs.items() if spec.storage.offline == store}
    mirrors = {mirror_of(name, online) for name, spec in here.items() for online in spec.storage.online_stores}
    wanted = {table_of(name) for name in here}
    warehouse = project.warehouse(store)
    for table in warehouse.tables():
        if table.schema != table_of("").schema or table in mirrors:
            continue  # kept training sets, staged rows: not of a definition
        if table not in wanted:
            yield _of_table(project, store, "mirror" if "@" in table.name else "history", table, table.name)
            continue
        schema = warehouse.schema(table)
        kept = set(project.compiled.views[table.name].schema.names)
        for name in schema.names if schema else ():
            if name not in kept:
                yield _of_table(project, store, "feature", table, f"{table.name}:{name}")


def _of_table(project: Project, store: str, kind: Kind, table: TableName, name: str) -> Leftover:
    warehouse = project.warehouse(store)
    live = warehouse.publications(table)
    newest = max(live, key=lambda each: each.published_at, default=None)
    held = warehouse.holdings(table)
    schema = warehouse.schema(table) if live else None
    timed = schema is not None and "event_time" in schema.names and not held.missing
    return Leftover(
        store,
        kind,
        name,
        sum(each.rows for each in live),
        held.bytes,
        newest_row_time(warehouse, table) if timed else None,
        newest.version if newest else None,
        newest.published_at if newest else None,
    )


def _online(project: Project, store: str) -> Iterator[Leftover]:
    views = project.registry.views
    wanted = {name for name, view in views.items() if store in view.spec.storage.online_stores}
    online = project.online_store(store)
    for view in online.views():
        if view in wanted:
            continue
        live = online.publication(view)
        yield Leftover(
            store,
            "online",
            view,
            live.rows if live else 0,
            online.holdings(view).bytes,
            live.event_time if live else None,
            live.version if live else None,
            live.published_at if live else None,
        )


def _is_named(leftover: Leftover, name: str) -> bool:
    """A view's name stands for all that is left of it but features, which are named one by one."""
    return leftover.name == name or (leftover.kind != "feature" and leftover.view == name)


def _is_asked_for(project: Project, name: str) -> bool:
    view, _, feature = name.partition("@")[0].partition(":")
    compiled = project.compiled.views.get(view)
    return compiled is not None and (not feature or feature in compiled.schema.names)

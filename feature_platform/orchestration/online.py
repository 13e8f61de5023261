"""The newest row per entity, copied from a view's published offline rows to an online store.

The same steps as offline: what changed since the last copy, or a full snapshot, is staged beside the live rows,
counted, and made live in one atomic step. The rows passed their checks when they were published offline, so the audit
here only asks whether all of them arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from feature_platform.compiler.plan import CompiledView
from feature_platform.errors import GateError, StoreError
from feature_platform.orchestration.codes import NOT_AUDITED
from feature_platform.orchestration.materialization import (
    INPUT_PREFIX,
    RUN,
    offline_store,
    table_of,
)
from feature_platform.orchestration.online_changes import (
    MIRROR,
    Comparison,
    Difference,
    live_mirror,
    mirror_of,
    too_many,
    why_snapshot,
)
from feature_platform.orchestration.online_rows import Copy, copy_of, entity_count, newest_rows, next_due
from feature_platform.project.key_versions import as_properties, published_versions
from feature_platform.project.online import online_table
from feature_platform.stores.codes import ONLINE_LATER
from feature_platform.stores.online_order import is_earlier, superseded
from feature_platform.stores.online_protocol import MOMENT, TTL, StagedOnline
from feature_platform.stores.online_writes import changes_moved
from feature_platform.stores.protocols import AS_OF, FINGERPRINT, Publication, StagedWrite, Warehouse

if TYPE_CHECKING:
    from feature_platform.project.project import Project

ROWS_ARRIVED: Final = "rows_arrived"
"""The one check of an online copy: as many rows were loaded as there are entities."""

VALID_UNTIL: Final = "valid_until"
"""Property of an online publication: when a row that was still in the future at ``as_of`` becomes due; empty if none
is."""

WENT_BACK_FROM: Final = "went_back_from"
"""Property of an online publication that replaced rows of a later moment on purpose: that moment."""


@dataclass(frozen=True)
class StagedCopy:
    """Rows that are loaded online, and that no reader is directed to."""

    copy: Copy
    write: StagedOnline
    mirror: StagedWrite
    """The same rows in the warehouse, for the next copy to be compared with."""
    run_id: str
    entities: int
    """How many rows the offline store has for it, counted there."""
    difference: Difference | None
    """Of a copy of changes: how many there are. None: the copy is a full snapshot."""
    reason: str = ""
    """Why it is a full snapshot."""
    backwards: bool = False
    """Whether it may replace rows that are as of a later moment: somebody asked for it."""

    @property
    def complete(self) -> bool:
        if self.difference is None:
            return self.write.rows == self.entities
        return (self.write.rows, self.write.removed) == (self.difference.written, self.difference.removed)


@dataclass(frozen=True)
class TooLate:
    """A copy that is not published, because what is live is as of a later moment."""

    live: Publication
    reason: str


def stage_copy(project: Project, copy: Copy, *, run_id: str, full: bool = False, backwards: bool = False) -> StagedCopy:
    """Loads what changed since the last copy beside the live rows: where that can't be told, is too much, or with
    ``full``, all of the newest rows. ``backwards``: also where what is live is as of a later moment.

    Raises:
        StoreError: a store refused or failed, an entity has several rows, or what is live is later.
    """
    compiled = project.compiled.views[copy.view]
    warehouse = project.warehouse(offline_store(project, copy.view))
    online, table = project.online_store(copy.store), online_table(compiled)
    online.sweep(copy.view)
    mirror = mirror_of(copy.view, copy.store)
    warehouse.sweep(mirror)
    live = online.publication(copy.view)
    if live is not None and not backwards:
        copy = _on_time(project, copy, live)
    properties = _properties(project, copy) | {RUN: run_id, MIRROR: token_hex(8)}
    if live is not None and is_earlier(properties, live.properties):
        properties[WENT_BACK_FROM] = live.properties[AS_OF]
    entities = entity_count(project, copy)
    new = warehouse.stage(
        mirror, table.schema, newest_rows(project, copy), properties={MIRROR: properties[MIRROR], RUN: run_id}
    )
    try:
        comparison = Comparison(warehouse, table, new, mirror, copy.moment is not None)
        base = online.changeable(table)
        reason = why_snapshot(base, live_mirror(warehouse, copy.view, copy.store), properties, asked=full)
        difference = None if reason else comparison.difference()
        if base is not None and difference is not None:
            reason = too_many(difference, entities)
            if base.rows + difference.added - difference.removed != entities:
                reason = "other rows are live than were published"
            if not reason:
                changes = comparison.changes(base, comparison.newest())
                write = online.stage_changes(table, changes, properties=properties)
                staged = StagedCopy(copy, write, new, run_id, entities, difference, backwards=backwards)
                if not staged.complete and _other_mirror(warehouse, copy, base):
                    online.discard(write)
                    raise changes_moved(copy.view, copy.store)
                return staged
        write = online.stage(table, comparison.snapshot, properties=properties, expected_rows=entities)
    except BaseException:
        warehouse.discard(new)
        raise
    return StagedCopy(copy, write, new, run_id, entities, None, reason, backwards)


def _on_time(project: Project, copy: Copy, live: Publication) -> Copy:
    """``copy``; or, where what is live is later and the history has changed since, one as of what is live: a run that
    was quicker must not keep what this one built from being served.

    Raises:
        StoreError: what is live is later, and all that the history has to give.
    """
    if not is_earlier(_properties(project, copy), live.properties):
        return copy
    again = copy_of(project, copy.view, copy.store, datetime.fromisoformat(live.properties[AS_OF]))
    if _is_of(again, live) or is_earlier(_properties(project, again), live.properties):
        raise superseded(copy.view, copy.store, _properties(project, copy), live)
    return again


def _is_of(copy: Copy, live: Publication) -> bool:
    """Whether what is live was copied from these offline rows."""
    return live.properties.get(INPUT_PREFIX + str(table_of(copy.view))) == copy.origin


def _other_mirror(warehouse: Warehouse, copy: Copy, base: Publication) -> bool:
    """Whether another run has published since the difference from ``base`` was counted: then the changes were read from
    the difference to that run's rows."""
    mirror = live_mirror(warehouse, copy.view, copy.store)
    return mirror is None or mirror.properties.get(MIRROR) != base.properties[MIRROR]


def publish_copy(project: Project, staged: StagedCopy) -> Publication:
    """Makes the staged rows live in one atomic step. Dies a process between that and the mirror's publication, the next
    copy finds another token in the mirror, and is a snapshot.

    Raises:
        GateError: rows are missing.
        StoreError: the store refused, or what is live is later; the rows before stay live.
    """
    copy = staged.copy
    if not staged.complete:
        raise GateError(
            NOT_AUDITED.problem(
                f"not all rows of '{copy.view}' arrived in '{copy.store}': {arrived(staged)}",
                mend="materialize again; if it happens again, the store drops writes",
            )
        )
    view = project.compiled.views[copy.view]
    replaced = staged.write.properties.get(WENT_BACK_FROM, "")
    project.audit.materialization(view, copy.store, "", staged.write.rows, staged.run_id, went_back_from=replaced)
    publication = project.online_store(copy.store).publish(staged.write, backwards=staged.backwards)
    project.warehouse(offline_store(project, copy.view)).publish(staged.mirror)
    return publication


def too_late(project: Project, copy: Copy, error: StoreError) -> TooLate:
    """What became of a copy that ended with ``error``, if that is only that it came too late.

    Raises:
        StoreError: it is something else.
    """
    live = project.online_store(copy.store).publication(copy.view)
    if error.code != ONLINE_LATER.id or live is None:
        raise error
    return TooLate(live, error.problems[0].what)


def overtaken(project: Project, copy: Copy, error: StoreError) -> TooLate:
    """As :func:`too_late`, of a copy that was staged in time.

    Raises:
        StoreError: it is something else, or what is live now is of other offline rows: another attempt finds out
            whether these have to follow.
    """
    late = too_late(project, copy, error)
    if not _is_of(copy, late.live):
        raise changes_moved(copy.view, copy.store) from error
    return late


def discard_copy(project: Project, staged: StagedCopy) -> None:
    """Removes the staged rows."""
    project.online_store(staged.copy.store).discard(staged.write)
    project.warehouse(offline_store(project, staged.copy.view)).discard(staged.mirror)


def arrived(staged: StagedCopy) -> str:
    """How many rows were loaded, for people."""
    write, difference = staged.write, staged.difference
    if difference is None:
        return f"{write.rows} rows loaded, {staged.entities} entities have a row offline"
    return (
        f"{write.rows} changed rows and {write.removed} removals loaded, {difference.written} and {difference.removed} "
        f"were found, of {staged.entities} entities"
    )


def copy_up_to_date(project: Project, view: str, store: str, as_of: datetime) -> bool:
    """Whether the online store has what a copy as of ``as_of`` would give. False when there are no offline rows yet."""
    live = project.online_store(store).publication(view)
    if live is None:
        return False
    try:
        copy = copy_of(project, view, store, as_of)
    except StoreError:
        return False
    wanted = _recorded(project.compiled.views[view], copy) | {TTL: _ttl(project, view).get(TTL)}
    if any(live.properties.get(name) != value for name, value in wanted.items()):
        return False
    return copy.tick is not None or _still_valid(live.properties, as_of)


def _properties(project: Project, copy: Copy) -> dict[str, str]:
    """What the online publication records."""
    until = next_due(project, copy)
    found = {
        **_recorded(project.compiled.views[copy.view], copy),
        **as_properties(published_versions(project, copy.view)),
        AS_OF: copy.as_of.isoformat(),
        VALID_UNTIL: "" if until is None else until.isoformat(),
    }
    if copy.moment is not None:
        found[MOMENT] = copy.moment.isoformat()
    return found | _ttl(project, copy.view)


def _ttl(project: Project, view: str) -> dict[str, str]:
    ttl = project.registry.views[view].spec.ttl
    return {} if ttl is None else {TTL: str(ttl.microseconds)}


def _recorded(view: CompiledView, copy: Copy) -> dict[str, str]:
    return {FINGERPRINT: view.fingerprint, INPUT_PREFIX + str(table_of(copy.view)): copy.origin}


def _still_valid(properties: Mapping[str, str], as_of: datetime) -> bool:
    made, until = properties.get(AS_OF), properties.get(VALID_UNTIL)
    if not made or as_of < datetime.fromisoformat(made):
        return False
    return not until or as_of < datetime.fromisoformat(until)

"""Which partitions late events, corrections or deletions touched since they were built: exactly those whose rows have
other events behind them now.

What a partition was built from is recorded with it, as number and checksum of the events that its windows cover. What
all partitions of a view would be built from is asked for in one pass over the part of the source that they reach. A
partitioned view in SQL is compared by its rows, since nobody can say which input rows an output row needs.

Nothing here knows Dagster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from feature_platform.errors import GovernanceError
from feature_platform.orchestration.partitions import Interval, partitions_within
from feature_platform.project.key_versions import recorded_versions
from feature_platform.stores.protocols import Partition, Publication, TableName

if TYPE_CHECKING:
    from feature_platform.compiler.plan import CompiledQuery, CompiledView
    from feature_platform.project.project import Project

EVENTS: Final = "events"
"""Property of a partition's publication: what its rows were computed from, as ``Digest`` writes it."""
_FOUND: Final[
    WeakKeyDictionary[Project, dict[tuple[str, str, tuple[tuple[str, int], ...]], tuple[str, dict[datetime, Digest]]]]
] = WeakKeyDictionary()
"""Digests of one version of each source: a run asks for those of the same partitions more than once."""
_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Digest:
    """A multiset of events, by number and sum of hashes.

    >>> str(Digest(2, 255)), Digest.parse("2:00000000000000ff").count
    ('2:00000000000000ff', 2)
    """

    count: int = 0
    checksum: int = 0
    """Modulo 2**64."""

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.count + other.count, (self.checksum + other.checksum) & _MASK)

    def __sub__(self, other: Digest) -> Digest:
        return Digest(self.count - other.count, (self.checksum - other.checksum) & _MASK)

    def __str__(self) -> str:
        return f"{self.count}:{self.checksum:016x}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        count, _, checksum = text.partition(":")
        return cls(int(count), int(checksum, 16))


Counted = tuple[datetime, datetime, Digest]
"""Events that count for the ticks from the first moment to before the second."""


def by_tick(intervals: Iterable[Counted], ticks: Sequence[datetime]) -> dict[datetime, Digest]:
    """What each of ``ticks`` (in order) counts."""
    changes: dict[datetime, Digest] = {}
    for enters, leaves, digest in intervals:
        changes[enters] = changes.get(enters, Digest()) + digest
        changes[leaves] = changes.get(leaves, Digest()) - digest
    moments = sorted(changes)
    found: dict[datetime, Digest] = {}
    total, place = Digest(), 0
    for tick in ticks:
        while place < len(moments) and moments[place] <= tick:
            total += changes[moments[place]]
            place += 1
        found[tick] = total
    return found


def can_digest(project: Project, view: CompiledView) -> bool:
    """Whether changes of ``view`` can be told partition by partition: it has some, and one engine hashes all that
    is compared.
    """
    if view.partitioned is None:
        return False
    engine = project.warehouse(_compute_store(project, view)).engine
    offline = project.registry.views[view.name].spec.storage.offline
    # Rows that are compared are hashed where they are computed and where they are kept.
    return view.form == "aggregations" or project.warehouse(str(offline)).engine == engine


def event_digests(
    project: Project, view: CompiledView, partitions: Sequence[Partition], key_versions: Mapping[str, int]
) -> dict[str, Digest]:
    """What the rows of ``partitions`` (in order) of an aggregation view would be computed from now, by partition key:
    one pass over the events that they reach.

    Raises:
        StoreError: the source can't be read.
    """
    from feature_platform.compiler.event_digests import FIRST, LAST
    from feature_platform.compiler.event_digests import event_digests as compiled

    if not partitions:
        return {}
    store = _compute_store(project, view)
    known = _known(project, view, store, key_versions)
    if not all(each.end in known for each in partitions):
        linked = project.registry.views[view.name]
        engine = project.warehouse(store).engine
        query = compiled(linked, project.registry, project.catalog, project.compiled.author, (engine,))
        rows = _rows(project, query, store, key_versions, {FIRST: partitions[0].end, LAST: partitions[-1].end})
        intervals = [(row["enters"], row["leaves"], _digest(row)) for row in rows]
        between = partitions_within(Interval(partitions[0].start, partitions[-1].end), view.partitioned or "day")
        known |= by_tick(intervals, [each.end for each in between])
    return {each.key: known[each.end] for each in partitions}


def _known(project: Project, view: CompiledView, store: str, key_versions: Mapping[str, int]) -> dict[datetime, Digest]:
    """What was found out before about the same version of the source, by tick; what is put in is known the next time.

    The version is looked up before the events are read, so rows that come in between are of the next version.
    """
    (source,) = view.reads
    binding = project.bindings([source], store)[TableName(source.schema, source.name)]
    version = project.warehouse(store).version(binding)
    about = (view.name, view.fingerprint, tuple(sorted(key_versions.items())))
    of_project = _FOUND.setdefault(project, {})
    if about not in of_project or of_project[about][0] != version:
        of_project[about] = (version, {})
    return of_project[about][1]


def _row_digests(
    project: Project,
    view: CompiledView,
    partitions: Sequence[Partition],
    key_versions: Mapping[str, int],
) -> tuple[dict[str, Digest], dict[str, Digest]]:
    """Of a view in SQL: the rows that are published, and those that would be, by partition key."""
    from feature_platform.compiler.event_digests import published_digests, row_digests

    offline = project.registry.views[view.name].spec.storage.offline
    assert offline is not None, f"'{view.name}' keeps no rows"
    span = {"partition_start": partitions[0].start, "partition_end": partitions[-1].end}
    store = _compute_store(project, view)
    engine = project.warehouse(store).engine
    live = _rows(project, published_digests(view, engine), offline, {}, span)
    now = _rows(project, row_digests(view, project.rendered(view.name, engine)), store, key_versions, span)
    return tuple(  # type: ignore[return-value]  # of two
        {each.key: by_end.get(each.end, Digest()) for each in partitions}
        for by_end in ({row["enters"]: _digest(row) for row in rows} for rows in (live, now))
    )


class Touched:
    """Answers for the live partitions of one view; looks once, when it is first asked."""

    def __init__(self, project: Project, view: CompiledView, live: Mapping[str, Publication], of: Sequence[Partition]):
        """``of``: the partitions that may be asked about, in order; those that are not live are left out."""
        self._project = project
        self._view = view
        self._live = live
        self._partitions = [each for each in of if each.key in live]
        self._changes: dict[str, tuple[Digest, Digest]] | None = None

    def why(self, partition: Partition) -> str:
        """Why the partition has to be built again, empty if it has not.

        Raises:
            StoreError: an input can't be read.
        """
        try:
            change = self.change(partition)
        except GovernanceError:
            return "its tokens are of a key that is gone"
        if change is None:
            return "nothing says what it was built from"
        before, now = change
        if before == now:
            return ""
        if self._view.form != "aggregations":
            return "its rows changed"
        return f"{now.count - before.count} late events" if now.count > before.count else "events were corrected"

    def change(self, partition: Partition) -> tuple[Digest, Digest] | None:
        """What the partition was built from, and what it would be built from; None where it was not recorded."""
        if self._changes is None:
            self._changes = self._look()
        return self._changes.get(partition.key)

    def _look(self) -> dict[str, tuple[Digest, Digest]]:
        found: dict[str, tuple[Digest, Digest]] = {}
        for versions, partitions in self._by_key_versions():
            if self._view.form == "aggregations":
                now = event_digests(self._project, self._view, partitions, dict(versions))
                recorded = {each.key: self._live[each.key].properties.get(EVENTS) for each in partitions}
                found |= {key: (Digest.parse(text), now[key]) for key, text in recorded.items() if text}
            else:
                live, rows = _row_digests(self._project, self._view, partitions, dict(versions))
                found |= {key: (live[key], rows[key]) for key in rows}
        return found

    def _by_key_versions(self) -> list[tuple[tuple[tuple[str, int], ...], list[Partition]]]:
        """Tokens are part of what is compared: of partitions of an older key version, that version's."""
        groups: dict[tuple[tuple[str, int], ...], list[Partition]] = {}
        for each in self._partitions:
            recorded = recorded_versions([self._live[each.key]])
            versions = tuple(sorted((name, max(of)) for name, of in recorded.items()))
            groups.setdefault(versions, []).append(each)
        return list(groups.items())


def _compute_store(project: Project, view: CompiledView) -> str:
    offline = project.registry.views[view.name].spec.storage.offline
    assert offline is not None, f"'{view.name}' keeps no rows"
    return project.compute_store(view.reads, default=offline)


def _rows(
    project: Project, query: CompiledQuery, store: str, key_versions: Mapping[str, int], values: Mapping[str, datetime]
) -> list[dict[str, Any]]:
    made = project.query(query, store, key_versions=key_versions, **values)
    with project.warehouse(store).read(made) as reader:
        rows: list[dict[str, Any]] = reader.read_all().to_pylist()
    return rows


def _digest(row: Mapping[str, Any]) -> Digest:
    return Digest(int(row["events"]), int(row["checksum"] or 0) & _MASK)

"""Which versions of the token key published rows hold, and which one a query has to use.

A publication records it: property ``tokens:<classification>`` with the version, or several parted by commas where an
online copy was made of partitions of both. Views that are computed from others get the version of those, so that
tokens which meet in one query are of one version; see ``docs/adr/0015-token-keys.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from feature_platform.compiler.plan import CompiledView, OutputColumn
from feature_platform.errors import GovernanceError, Problem, StoreError
from feature_platform.governance.codes import MIXED_KEY_VERSIONS
from feature_platform.governance.labels import Labels
from feature_platform.project.codes import KEPT_CHANGING
from feature_platform.registry.graph import TableRef
from feature_platform.stores.protocols import Publication, TableName

if TYPE_CHECKING:
    from feature_platform.project.project import Project

PROPERTY: Final = "tokens:"
_ATTEMPTS: Final = 5

_Opened = TypeVar("_Opened")


def token_classes(columns: Iterable[OutputColumn]) -> tuple[str, ...]:
    """Classifications of which these columns hold tokens, in order."""
    labels = {label for column in columns for label in column.labels}
    return tuple(sorted({label.classification for label in labels if label.kind == "token"}))


def classes_of(view: CompiledView) -> tuple[str, ...]:
    """Classifications of which a view's published rows hold tokens."""
    return () if view.materialize is None else token_classes(view.materialize.columns)


def recorded_versions(publications: Iterable[Publication]) -> dict[str, frozenset[int]]:
    """Versions by classification, as publications recorded them."""
    found: dict[str, frozenset[int]] = {}
    for publication in publications:
        for name, value in publication.properties.items():
            if name.startswith(PROPERTY):
                versions = frozenset(int(each) for each in value.split(","))
                name = name.removeprefix(PROPERTY)  # noqa: PLW2901 - the same name, without what it begins with
                found[name] = found.get(name, frozenset()) | versions
    return found


def as_properties(versions: Mapping[str, Iterable[int]]) -> dict[str, str]:
    """What a publication records."""
    return {PROPERTY + name: ",".join(str(each) for each in sorted(of)) for name, of in sorted(versions.items())}


def published_versions(project: Project, view: str) -> dict[str, frozenset[int]]:
    """Versions by classification in a view's offline rows; nothing where it was never published."""
    store = project.registry.views[view].spec.storage.offline
    if store is None:
        return {}
    return recorded_versions(project.warehouse(store).publications(TableName("features", view)))


def query_versions(project: Project, reads: Iterable[TableRef]) -> dict[str, int]:
    """The version of each classification that a query over ``reads`` has to use; those not named are of no view there,
    and get the version that writes.

    Raises:
        GovernanceError: FP-GOV-017, views among them are of two versions.
    """
    holders: dict[str, dict[int, list[str]]] = {}
    for ref in sorted(set(reads)):
        if ref.kind == "view" and classes_of(project.compiled.views[ref.name]):
            for name, versions in published_versions(project, ref.name).items():
                for version in versions:
                    holders.setdefault(name, {}).setdefault(version, []).append(ref.name)
    if problems := [_mixed(name, of) for name, of in holders.items() if len(of) > 1]:
        raise GovernanceError(problems)
    return {name: next(iter(of)) for name, of in holders.items()}


def kept_versions(project: Project, view: str, partition: str | None) -> dict[str, int]:
    """The version that all other partitions of a view have: a new one gets it too, or a scheduled run would leave the
    view on two versions, and close it to training sets and queries. ``fp materialize --partition all`` moves them.
    """
    store = project.registry.views[view].spec.storage.offline
    if partition is None or store is None or project.rotates_partitions or not project.tokens.rotating:
        return {}
    live = project.warehouse(store).publications(TableName("features", view))
    others = recorded_versions(each for each in live if each.partition != partition)
    only = {name: next(iter(of)) for name, of in others.items() if len(of) == 1}
    return {name: version for name, version in only.items() if version in project.tokens.versions(name)}


def written_versions(project: Project, view: CompiledView, partition: str | None = None) -> dict[str, int]:
    """The version of each classification that the rows of ``view`` (and partition) would be written with now.

    Raises:
        GovernanceError: FP-GOV-017, what it reads is of two versions.
    """
    if not classes_of(view):
        return {}
    assert view.materialize is not None
    chosen = {**kept_versions(project, view.name, partition), **query_versions(project, view.reads)}
    return shown_versions(project, view.materialize.columns, chosen)


def opened_with_versions(
    project: Project,
    reads: Sequence[TableRef],
    open_rows: Callable[[Mapping[str, int]], _Opened],
    discard: Callable[[_Opened], object],
) -> _Opened:
    """What ``open_rows`` gives for the versions that ``reads`` hold. If another version is published meanwhile, it is
    discarded and opened again.

    Raises:
        StoreError: that happened every time.
    """
    for _ in range(_ATTEMPTS):
        versions = query_versions(project, reads)
        opened = open_rows(versions)
        try:
            unchanged = not project.tokens.rotating or query_versions(project, reads) == versions
        except GovernanceError:
            unchanged = False
        if unchanged:
            return opened
        discard(opened)
    raise StoreError(
        KEPT_CHANGING.problem(
            "the views that are read changed their token version at every attempt", mend="try again in a moment"
        )
    )


def shown_versions(project: Project, columns: Iterable[OutputColumn], chosen: Mapping[str, int]) -> dict[str, int]:
    """The version of every classification that ``columns`` hold tokens of, when a query uses ``chosen``."""
    return {name: chosen.get(name) or project.tokens.writing(name) for name in token_classes(columns)}


def with_versions(labels: Labels, versions: Mapping[str, int]) -> Labels:
    """Labels of tokens with the version of the key that was used."""
    return frozenset(
        replace(label, form=f"v{versions[label.classification]}")
        if label.kind == "token" and label.classification in versions
        else label
        for label in labels
    )


@dataclass(frozen=True, slots=True)
class Holder:
    """Rows that hold tokens: of one view, in one store."""

    view: str
    store: str
    versions: Mapping[str, frozenset[int]]
    """By classification."""


@dataclass(frozen=True, slots=True)
class ClassStatus:
    """How far the rotation of one classification's key is."""

    classification: str
    writing: int
    reading: tuple[int, ...]
    """Other versions of the ring."""
    held: Mapping[int, tuple[str, ...]]
    """Version → ``view in store``."""

    @property
    def retirable(self) -> tuple[int, ...]:
        """Older versions of the ring that nothing holds any more."""
        return tuple(version for version in self.reading if version < self.writing and version not in self.held)

    @property
    def missing(self) -> tuple[int, ...]:
        """Versions that rows hold and that the ring does not have."""
        return tuple(sorted(set(self.held) - {self.writing, *self.reading}))


def holders(project: Project) -> tuple[Holder, ...]:
    """Every publication of the project that holds tokens, offline and online.

    Raises:
        StoreError: a store can't be reached: what it holds is not known then.
    """
    found = []
    for name, view in project.compiled.views.items():
        if not classes_of(view):
            continue
        storage = project.registry.views[name].spec.storage
        if storage.offline and (versions := published_versions(project, name)):
            found.append(Holder(name, storage.offline, versions))
        for store in storage.online_stores:
            live = project.online_store(store).publication(name)
            if live is not None and (versions := recorded_versions([live])):
                found.append(Holder(name, store, versions))
    return tuple(found)


def rotation_status(project: Project, found: Sequence[Holder]) -> tuple[ClassStatus, ...]:
    """The state of every classification that the project's views hold tokens of."""
    classes = {name for view in project.compiled.views.values() for name in classes_of(view)}
    statuses = []
    for name in sorted(classes):
        held: dict[int, list[str]] = {}
        for holder in found:
            for version in holder.versions.get(name, ()):
                held.setdefault(version, []).append(f"{holder.view} in {holder.store}")
        writing, *reading = project.tokens.versions(name)
        statuses.append(ClassStatus(name, writing, tuple(reading), {v: tuple(of) for v, of in sorted(held.items())}))
    return tuple(statuses)


def _mixed(name: str, of: Mapping[int, Sequence[str]]) -> Problem:
    newest = max(of)
    behind = sorted({view for version, views in of.items() if version != newest for view in views})
    where = " and ".join(f"v{version} in {', '.join(sorted(of[version]))}" for version in sorted(of))
    return MIXED_KEY_VERSIONS.problem(
        f"tokens of '{name}' are on {where}",
        mend=f"materialize what is behind: fp materialize {' '.join(behind)}; a partitioned view with --partition all",
    )

"""Profiles of a project's sources: made when the data changed, kept for the compiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feature_platform.errors import UsageError, did_you_mean
from feature_platform.governance.detection.profiles import (
    SourceProfile,
    declaration,
    load_profiles,
    save_profiles,
)
from feature_platform.monitoring.source_profile import profile_source
from feature_platform.monitoring.staged_table import LiveTable
from feature_platform.project.codes import PROFILES_BUSY, UNKNOWN_SOURCE
from feature_platform.project.project import Project
from feature_platform.project.state import source_profiles_file
from feature_platform.registry.graph import TableRef
from feature_platform.stores.leases import exclusive
from feature_platform.stores.protocols import TableName

_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Profiled:
    """A source's profile, and whether it was made just now or was there already."""

    source: str
    profile: SourceProfile
    fresh: bool


def refresh(
    project: Project,
    sources: Sequence[str] = (),
    *,
    force: bool = False,
    on_source: Callable[[str], None] = lambda _source: None,
) -> list[Profiled]:
    """Profiles ``sources`` (all, if none are named) whose data or declaration changed since their last profile, or
    with ``force`` every one; keeps the result for the next compile.

    Raises:
        UsageError: no such source.
        FeaturePlatformError: a source can't be read or a detector failed; what was profiled before it is kept.
    """
    return [_profiled(project, name, force, on_source) for name in _known(project, sources)]


def _profiled(project: Project, name: str, force: bool, on_source: Callable[[str], None]) -> Profiled:
    file = source_profiles_file(project.state, project.profile_name)
    source = project.registry.sources[name].spec
    table = _table(project, name)
    version = table.warehouse.version(table.binding)
    before = load_profiles(file).get(name)
    if not force and before and (before.data_version, before.declaration) == (version, declaration(source)):
        return Profiled(name, before, fresh=False)
    on_source(name)
    project.audit.scan(name, source.columns)
    made = profile_source(table, source, version)
    busy = PROFILES_BUSY.problem(f"another process holds '{file.name}'", mend="wait for it, or end it if it hangs")
    file.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(file.with_suffix(".lock"), timeout_seconds=_WAIT_SECONDS, busy=busy):
        kept = {known: entry for known, entry in load_profiles(file).items() if known in project.registry.sources}
        save_profiles(file, kept | {name: made})
    return Profiled(name, made, fresh=True)


def _table(project: Project, name: str) -> LiveTable:
    ref = TableRef("source", name)
    store = project.registry.sources[name].spec.store
    table = TableName(ref.schema, ref.name)
    return LiveTable(project.warehouse(store), table, project.bindings([ref], store)[table])


def _known(project: Project, sources: Sequence[str]) -> list[str]:
    known = project.registry.sources
    unknown = [name for name in sources if name not in known]
    if unknown:
        raise UsageError(
            UNKNOWN_SOURCE.problem(
                f"there is no source '{name}'.{did_you_mean(name, known)}", mend=f"sources are: {', '.join(known)}"
            )
            for name in unknown
        )
    return list(sources or known)

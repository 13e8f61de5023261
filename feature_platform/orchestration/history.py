"""What of a view's history has to be built: what is missing, and what is stale and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from feature_platform.compiler.plan import CompiledView
from feature_platform.errors import GovernanceError, StoreError
from feature_platform.orchestration.materialization import (
    INPUT_PREFIX,
    input_versions,
    offline_store,
    publication,
    recorded,
    request,
    table_of,
    tick,
)
from feature_platform.orchestration.partitions import utc_now
from feature_platform.orchestration.planning import gaps
from feature_platform.orchestration.touched import Touched, can_digest
from feature_platform.project.key_versions import written_versions
from feature_platform.stores.protocols import AS_OF, FINGERPRINT, Partition, Publication

if TYPE_CHECKING:
    from feature_platform.project.project import Project


class Versions(Protocol):
    """Looks up the versions of a view's inputs, by table."""

    def __call__(self, view: CompiledView) -> Mapping[str, str]: ...


def why_stale(  # noqa: PLR0913 - two look-ups besides the question
    project: Project,
    view: str,
    partition: Partition | None = None,
    *,
    as_of: datetime | None = None,
    versions: Versions | None = None,
    live: Mapping[str | None, Publication] | None = None,
    touched: Touched | None = None,
) -> str:
    """Why what is published is not what today's definition gives from today's inputs, as of ``as_of`` (None: now);
    empty when it is.

    ``versions`` looks up input versions, ``live`` has what is published by partition, ``touched`` knows which
    partitions an input's new rows touch; give them when much is asked for.
    """
    compiled = project.compiled.views[view]
    if live is None:
        found_live = publication(project, view, partition)
    else:
        found_live = live.get(partition.key if partition else None)
    if found_live is None:
        return "never published" if partition is None else "partition missing"
    found = versions(compiled) if versions else input_versions(project, compiled)
    moment = as_of or tick(project.registry.views[view].spec, utc_now())
    try:
        tokens = written_versions(project, compiled, partition.key if partition else None)
    except GovernanceError:
        return "its inputs are on their way from one token key to the next"  # whoever builds it is told so
    wanted = recorded(compiled, request(view, partition, moment), found, tokens)
    relevant = {
        name: value for name, value in found_live.properties.items() if name in wanted or name.startswith(INPUT_PREFIX)
    }
    if partition is None or not _only_inputs_differ(relevant, wanted) or not can_digest(project, compiled):
        return _difference(relevant, wanted)
    return (touched or Touched(project, compiled, {partition.key: found_live}, [partition])).why(partition)


def missing_before(project: Project, view: str, partition: Partition) -> tuple[Partition, ...]:
    """Gaps: partitions of ``view`` that are missing between the first that is published and ``partition``."""
    unit = project.compiled.views[view].partitioned
    assert unit is not None, f"'{view}' has no partitions"
    try:
        live = project.warehouse(offline_store(project, view)).publications(table_of(view))
    except StoreError:
        return ()  # whoever builds the partition is told why
    return gaps([each.partition for each in live if each.partition is not None], unit, partition.start)


def current_partitions(project: Project, view: str, partitions: Sequence[Partition]) -> dict[str, Publication]:
    """What is published of those ``partitions`` that need not be built again, by key.

    Raises:
        StoreError: an input can't be read.
    """
    published = project.warehouse(offline_store(project, view)).publications(table_of(view))
    live: dict[str | None, Publication] = {each.partition: each for each in published}
    by_key = {each.partition: each for each in published if each.partition is not None}
    compiled = project.compiled.views[view]
    versions = input_versions(project, compiled)
    touched = Touched(project, compiled, by_key, partitions)
    return {
        each.key: by_key[each.key]
        for each in partitions
        if each.key in by_key
        and not why_stale(project, view, each, versions=lambda _: versions, live=live, touched=touched)
    }


def _only_inputs_differ(live: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    differing = {name for name in live.keys() | wanted.keys() if live.get(name) != wanted.get(name)}
    return bool(differing) and all(name.startswith(INPUT_PREFIX) for name in differing)


def _difference(live: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    if live == wanted:
        return ""
    if live.get(FINGERPRINT) != wanted[FINGERPRINT]:
        return "definition changed"
    inputs = sorted(
        name.removeprefix(INPUT_PREFIX)
        for name in live.keys() | wanted.keys()
        if name.startswith(INPUT_PREFIX) and live.get(name) != wanted.get(name)
    )
    if inputs:
        return f"new rows in {', '.join(inputs)}"
    if live.get(AS_OF) != wanted.get(AS_OF):
        return "another moment"
    return "another version of a token key"

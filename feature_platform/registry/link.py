"""Links loaded documents into a registry, or says everything that keeps them from fitting together.

The order is: names, then every document in itself and against what it names, then the order of views, then what is
built on it (purposes, services). Later steps leave out what an earlier one has found to be missing, so nothing is
reported twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from feature_platform.errors import Location, Problem, RegistryError, did_you_mean
from feature_platform.registry.codes import CYCLE, SELECTION
from feature_platform.registry.graph import LinkedService, LinkedSource, LinkedView, Registry
from feature_platform.registry.index import Index, build_index
from feature_platform.registry.membership import check_domains, check_purposes
from feature_platform.registry.order import topological
from feature_platform.registry.purposes import settle_purposes
from feature_platform.registry.references import tables_read
from feature_platform.registry.services import check_service, spell_out
from feature_platform.registry.sources import check_entity, check_source
from feature_platform.registry.storage import Stores
from feature_platform.registry.views import Read, SqlReader, check_view, find_reads
from feature_platform.specs.loader import LoadedDocument, LoadedProject, Unusable
from feature_platform.specs.models import FeatureService, FeatureView, Source


@dataclass(frozen=True)
class Linked:
    """What linking found: with ``problems`` there is no graph to be had from ``index``."""

    index: Index
    order: tuple[str, ...]
    """Views, each behind what it reads."""
    reads: Mapping[str, tuple[Read, ...]]
    purposes: Mapping[str, tuple[str, ...]]
    problems: tuple[Problem, ...]


def link(loaded: LoadedProject, root: Path, *, domains: Collection[str] | None = None) -> Registry:
    """The registry of a project.

    ``domains`` limits views and services to those of some domains and what they need of others, so that code locations
    can be split by domain. The whole project is checked all the same.

    Raises:
        RegistryError: with everything that does not fit together.
    """
    linked = examine(loaded.documents, ())
    if linked.problems:
        raise RegistryError(linked.problems)
    return assemble(linked, root, domains)


def examine(
    documents: Iterable[LoadedDocument], unusable: Iterable[Unusable], read_sql: SqlReader = tables_read
) -> Linked:
    """Links, with all problems. What names one of the ``unusable`` documents is given the benefit of the doubt."""
    index, problems = build_index(documents, unusable)
    problems.extend(check_domains(index))
    problems.extend(check_purposes(index))
    stores = Stores(index.platform, index) if index.platform else None
    for entity in index.entities.values():
        problems.extend(check_entity(entity, index.origin(entity)))
    for source in index.sources.values():
        problems.extend(check_source(source, index.origin(source)))
        problems.extend(stores.check_source(source, index.origin(source)) if stores else ())
    reads: dict[str, tuple[Read, ...]] = {}
    for view in index.views.values():
        reads[view.name], unknown = find_reads(index, view, read_sql)
        problems.extend(unknown)
        problems.extend(check_view(index, view, reads[view.name]))
        problems.extend(stores.check_view(view, index.origin(view)) if stores else ())
    order, cycles = topological(
        {name: [read.ref.name for read in listed if read.ref.kind == "view"] for name, listed in reads.items()}
    )
    problems.extend(_cycle_problem(cycle, reads) for cycle in cycles)
    purposes: dict[str, tuple[str, ...]] = {}
    if index.platform is not None and not cycles:
        purposes, narrowed = settle_purposes(index, order, reads)
        problems.extend(narrowed)
    for service in index.services.values():
        problems.extend(check_service(index, service, purposes))
    return Linked(index, tuple(order), reads, purposes, tuple(problems))


def assemble(linked: Linked, root: Path, domains: Collection[str] | None) -> Registry:
    """The immutable graph of a project without problems, limited to ``domains`` and what they need."""
    index = linked.index
    assert index.platform is not None, "linking without problems found a platform"
    assert not linked.problems
    views, services = _selection(linked, domains)
    sources = set(index.sources)
    if domains is not None:
        sources = {read.ref.name for name in views for read in linked.reads[name] if read.ref.kind == "source"}
    return Registry(
        root=root,
        platform=index.platform,
        domains=MappingProxyType(index.domains),
        entities=MappingProxyType(index.entities),
        sources=MappingProxyType(
            {name: _linked_source(index, spec) for name, spec in index.sources.items() if name in sources}
        ),
        views=MappingProxyType({name: _linked_view(linked, name) for name in linked.order if name in views}),
        services=MappingProxyType(
            {name: _linked_service(index, spec) for name, spec in index.services.items() if name in services}
        ),
        policies=MappingProxyType(index.policies),
        origins=MappingProxyType(index.origins),
    )


def _selection(linked: Linked, domains: Collection[str] | None) -> tuple[set[str], set[str]]:
    """Views and services to keep."""
    index = linked.index
    if domains is None:
        return set(index.views), set(index.services)
    if unknown := sorted(set(domains) - set(index.domains)):
        raise RegistryError(
            SELECTION.problem(
                f"there is no domain '{name}'",
                mend=f"Use one of {', '.join(sorted(index.domains))}.{did_you_mean(name, index.domains)}",
            )
            for name in unknown
        )
    services = {name for name, spec in index.services.items() if index.domain_of(spec) in domains}
    views = {name for name, spec in index.views.items() if index.domain_of(spec) in domains}
    views |= {view for name in services for view, _ in spell_out(index.services[name], index.views)}
    for name in reversed(linked.order):
        if name in views:
            views.update(read.ref.name for read in linked.reads[name] if read.ref.kind == "view")
    return views, services


def _linked_source(index: Index, spec: Source) -> LinkedSource:
    domain, owner = _home(index, spec)
    return LinkedSource(spec, index.origin(spec), domain, owner)


def _linked_view(linked: Linked, name: str) -> LinkedView:
    spec = linked.index.views[name]
    domain, owner = _home(linked.index, spec)
    reads = tuple(sorted(read.ref for read in linked.reads[name]))
    return LinkedView(spec, linked.index.origin(spec), domain, owner, linked.purposes[name], reads)


def _linked_service(index: Index, spec: FeatureService) -> LinkedService:
    domain, owner = _home(index, spec)
    return LinkedService(spec, index.origin(spec), domain, owner, spell_out(spec, index.views))


def _home(index: Index, spec: Source | FeatureView | FeatureService) -> tuple[str, str]:
    """Domain and owner, defaults filled in."""
    domain = index.domain_of(spec)
    assert domain is not None, "checked before"
    return domain, spec.owner or index.domains[domain].owner


def _cycle_problem(cycle: Sequence[str], reads: Mapping[str, tuple[Read, ...]]) -> Problem:
    where: Location = next(read.where for read in reads[cycle[0]] if read.ref.name == cycle[1])
    what = " → ".join(cycle)
    return CYCLE.problem(
        f"views read each other in a circle: {what}", mend="Take one of these references out.", where=where
    )

"""What every document belongs to: a domain that exists, and purposes that the platform has."""

from __future__ import annotations

from collections.abc import Iterator

from feature_platform.errors import Problem, did_you_mean
from feature_platform.registry.codes import NO_DOMAIN
from feature_platform.registry.index import Index
from feature_platform.specs.models import AnySpec, Domain, FeatureService, FeatureView, Source
from feature_platform.specs.origins import Path


def check_domains(index: Index) -> Iterator[Problem]:
    """Every source, view and service has a domain that exists. A folder without one is reported once."""
    folders: set[str] = set()
    specs: list[Source | FeatureView | FeatureService] = [*index.sources.values(), *index.views.values()]
    for spec in [*specs, *index.services.values()]:
        origin, domain = index.origin(spec), index.domain_of(spec)
        if domain is None:
            what = f"the {spec.kind.replace('_', ' ')} '{spec.name}' has no domain"
            mend = "Add `domain:`, or move the file into the domain's folder."
            yield NO_DOMAIN.problem(what, mend=mend, where=origin.location)
        elif spec.domain is not None:
            yield from index.unknown(domain, origin, ("domain",), "domain")
        elif index.surely_missing(domain, "domain"):
            if domain not in folders:
                yield NO_DOMAIN.problem(
                    f"the folder '{domain}' is not a domain",
                    mend=f"Add a document with `kind: domain` and `name: {domain}`, or `domain:` to what lies in it."
                    f"{did_you_mean(domain, index.domains)}",
                    where=origin.location,
                )
            folders.add(domain)


def check_purposes(index: Index) -> Iterator[Problem]:
    """Every purpose that a document names is one of the platform's."""
    if index.platform is None:
        return
    known = index.platform.purposes
    listing: list[tuple[AnySpec, Path, str]] = []
    documents: list[Domain | FeatureView] = [*index.domains.values(), *index.views.values()]
    for spec in documents:
        listing.extend((spec, ("purposes", place), name) for place, name in enumerate(spec.purposes))
    listing.extend((service, ("purpose",), service.purpose) for service in index.services.values())
    for policy in index.policies.values():
        for number, rule in enumerate(policy.rules):
            places = enumerate(rule.purposes)
            listing.extend((policy, ("rules", number, "purposes", place), name) for place, name in places)
    for owner, path, name in listing:
        if name not in known:
            yield index.unknown_name("purpose", name, known, index.origin(owner).where(*path))

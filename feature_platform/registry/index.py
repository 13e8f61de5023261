"""All documents of a project by kind and name, before they are linked, and what to say when a name is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from feature_platform.errors import Location, Problem, did_you_mean
from feature_platform.registry.codes import DUPLICATE_NAME, PLATFORM, SHARED_NAME, UNKNOWN_NAME
from feature_platform.registry.graph import Origin
from feature_platform.specs.loader import LoadedDocument, Unusable
from feature_platform.specs.models import (
    AnySpec,
    Domain,
    Entity,
    FeatureService,
    FeatureView,
    Platform,
    Policy,
    Source,
)
from feature_platform.specs.origins import Path

_SUGGESTIONS = 50  # comparing names is slow: after a source file got lost, the first few hints are help enough


@dataclass
class Index:
    """Documents by name. ``unusable`` are those that exist but could not be read: they may be named."""

    domains: dict[str, Domain] = field(default_factory=dict)
    entities: dict[str, Entity] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    views: dict[str, FeatureView] = field(default_factory=dict)
    services: dict[str, FeatureService] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    platforms: dict[str, Platform] = field(default_factory=dict)
    origins: dict[tuple[str, str], Origin] = field(default_factory=dict)
    unusable: frozenset[Unusable] = frozenset()
    _hints: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def platform(self) -> Platform | None:
        """The one platform document, if it could be read."""
        return next(iter(self.platforms.values()), None)

    def origin(self, spec: AnySpec) -> Origin:
        return self.origins[spec.kind, spec.name]

    def domain_of(self, spec: Source | FeatureView | FeatureService) -> str | None:
        """The domain that ``spec`` names, or else the first folder that its file lies in."""
        if spec.domain is not None:
            return spec.domain
        folder, slash, _ = self.origin(spec).location.file.partition("/")
        return folder if slash else None

    def surely_missing(self, name: str, *kinds: str) -> bool:
        """Whether no document of ``kinds`` can have this name, not even one that could not be read."""
        if any(name in self._by_kind(kind) for kind in kinds):
            return False
        return not any(
            (other.kind is None or other.kind in kinds) and (other.name is None or other.name == name)
            for other in self.unusable
        )

    def unknown(self, name: str, origin: Origin, path: Path, *kinds: str) -> Iterator[Problem]:
        """The problem that no document of ``kinds`` has the name that stands at ``path``; nothing if there may be."""
        if self.surely_missing(name, *kinds):
            yield from self.unknown_at(name, origin.where(*path), *kinds)

    def unknown_at(self, name: str, where: Location, *kinds: str) -> Iterator[Problem]:
        """The same, for a name at any place."""
        if self.surely_missing(name, *kinds):
            words = " or ".join(kind.replace("_", " ") for kind in kinds)
            known = (known for kind in kinds for known in self._by_kind(kind))
            yield self.unknown_name(words, name, known, where)

    def unknown_name(self, what: str, name: str, known: Iterable[str], where: Location) -> Problem:
        """The problem that ``name`` is not among ``known``."""
        names = sorted(known)
        hint = self._hint(what, name, names)
        mend = f"Use one of {', '.join(names)}." if 0 < len(names) <= 12 else f"Add the {what}, or mend the name."
        return UNKNOWN_NAME.problem(f"there is no {what} '{name}'", mend=mend + hint, where=where)

    def _hint(self, what: str, name: str, names: Sequence[str]) -> str:
        if (what, name) not in self._hints and len(self._hints) < _SUGGESTIONS:
            self._hints[what, name] = did_you_mean(name, names)
        return self._hints.get((what, name), "")

    def _by_kind(self, kind: str) -> Mapping[str, AnySpec]:
        by_kind: dict[str, Mapping[str, AnySpec]] = {
            "domain": self.domains,
            "entity": self.entities,
            "source": self.sources,
            "feature_view": self.views,
            "feature_service": self.services,
            "policy": self.policies,
            "platform": self.platforms,
        }
        return by_kind[kind]


def build_index(documents: Iterable[LoadedDocument], unusable: Iterable[Unusable]) -> tuple[Index, list[Problem]]:
    """The index, and duplicate names. Of duplicates the first counts."""
    index = Index(unusable=frozenset(unusable))
    problems: list[Problem] = []
    for document in documents:
        spec, origin = document.spec, document.origin
        if (first := index.origins.get((spec.kind, spec.name))) is not None:
            what = f"there is another {spec.kind.replace('_', ' ')} '{spec.name}', at {first.location}"
            problems.append(DUPLICATE_NAME.problem(what, mend="Rename or remove one.", where=origin.where("name")))
            continue
        index.origins[spec.kind, spec.name] = origin
        _file(index, spec)
    problems.extend(_shared_names(index))
    problems.extend(_one_platform(index))
    return index, problems


def _file(index: Index, spec: AnySpec) -> None:
    match spec:
        case Domain():
            index.domains[spec.name] = spec
        case Entity():
            index.entities[spec.name] = spec
        case Source():
            index.sources[spec.name] = spec
        case FeatureView():
            index.views[spec.name] = spec
        case FeatureService():
            index.services[spec.name] = spec
        case Policy():
            index.policies[spec.name] = spec
        case Platform():
            index.platforms[spec.name] = spec


def _shared_names(index: Index) -> Iterator[Problem]:
    for name in sorted(index.sources.keys() & index.views.keys()):
        source, view = index.origins["source", name], index.origins["feature_view", name]
        yield SHARED_NAME.problem(
            f"the view '{name}' has the name of the source at {source.location}",
            mend="Rename the view or the source.",
            where=view.where("name"),
        )


def _one_platform(index: Index) -> Iterator[Problem]:
    first, *others = index.platforms.values() or [None]
    if first is None and not any(other.kind in (None, "platform") for other in index.unusable):
        yield PLATFORM.problem(
            "the project has no platform document",
            mend="Add `platform.yaml` with `kind: platform`, purposes and profiles.",
        )
    for other in others:
        assert first is not None
        assert other is not None
        where = index.origin(first).location
        yield PLATFORM.problem(
            f"there is another platform document at {where}",
            mend="Remove one of the two.",
            where=index.origin(other).where(),
        )

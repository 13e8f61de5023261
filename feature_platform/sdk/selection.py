"""Which features a caller means, and whether their purpose may have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_platform.compiler.origins import Origins, together
from feature_platform.compiler.plan import CompiledService, CompiledView, Feature
from feature_platform.errors import Problem, UsageError, did_you_mean
from feature_platform.governance.combinations import refused_combinations
from feature_platform.sdk.codes import NOT_PERMITTED, UNKNOWN_FEATURE

if TYPE_CHECKING:
    from feature_platform.project.project import Project


@dataclass(frozen=True, slots=True)
class Selected:
    """One feature that was asked for."""

    view: CompiledView
    feature: Feature

    @property
    def column(self) -> str:
        """Its name in training sets and vectors: ``<view>__<feature>``."""
        return f"{self.view.name}__{self.feature.name}"


@dataclass(frozen=True, slots=True)
class Asker:
    """Why data is used, and by whom."""

    purpose: str
    role: str


def select(project: Project, wanted: Sequence[str], asker: Asker) -> tuple[Selected, ...]:
    """The features that ``wanted`` names, in order, each once: ``view:feature``, ``view:*`` or the name of a service.

    What is refused is recorded.

    Raises:
        UsageError: unknown names, or features that the purpose may not have; all of them together.
    """
    with project.audit.refusals("read", "features", asker):
        return _selected_all(project, wanted, asker)


def _selected_all(project: Project, wanted: Sequence[str], asker: Asker) -> tuple[Selected, ...]:
    problems: list[Problem] = []
    chosen: dict[tuple[str, str], Selected] = {}
    for text in dict.fromkeys(wanted):
        try:
            for found in _named(project, text, asker):
                chosen.setdefault((found.view.name, found.feature.name), found)
        except UsageError as error:
            problems += error.problems
    problems += _refusals(project, chosen.values(), asker)
    problems += () if problems else _refused_together(project, chosen.values(), asker)
    if not chosen and not problems:
        problems.append(UNKNOWN_FEATURE.problem("no feature was asked for", mend="give at least one, e.g. `view:*`"))
    if problems:
        raise UsageError(problems)
    return tuple(chosen.values())


def refused(project: Project, selected: Selected, asker: Asker) -> bool:
    """Whether the purpose may not have the feature."""
    return any(_refusals(project, [selected], asker))


def service_named(project: Project, name: str, asker: Asker) -> CompiledService:
    """A service, if the session's purpose is the service's.

    Raises:
        UsageError: no such service, or another purpose.
    """
    services = project.compiled.services
    if name not in services:
        known = ", ".join(services) or "none"
        raise UsageError(
            UNKNOWN_FEATURE.problem(
                f"there is no feature service '{name}'.{did_you_mean(name, services)}", mend=f"services are: {known}"
            )
        )
    service = services[name]
    if service.purpose != asker.purpose:
        raise UsageError(
            NOT_PERMITTED.problem(
                f"service '{name}' is for purpose '{service.purpose}', and this session is for '{asker.purpose}'",
                mend=f"open a session with purpose '{service.purpose}' if that is why you need it",
            )
        )
    return service


def _named(project: Project, text: str, asker: Asker) -> Iterator[Selected]:
    views = project.compiled.views
    name, colon, feature = text.partition(":")
    if not colon:
        if name in views:
            raise _unknown(f"'{text}' is a view, not a feature", f"ask for '{name}:*' or for single features of it")
        for of_view, of_feature in service_named(project, name, asker).features:
            yield _selected(views[of_view], of_feature)
        return
    if name not in views:
        raise _unknown(f"there is no view '{name}'.{did_you_mean(name, views)}", "`features()` lists what there is")
    view = views[name]
    if feature == "*":
        yield from (Selected(view, found) for found in view.features)
        return
    if view.feature(feature) is None:
        names = [found.name for found in view.features]
        raise _unknown(
            f"view '{name}' has no feature '{feature}'.{did_you_mean(feature, names)}", f"it has {', '.join(names)}"
        )
    yield _selected(view, feature)


def _selected(view: CompiledView, name: str) -> Selected:
    feature = view.feature(name)
    assert feature is not None
    return Selected(view, feature)


def _unknown(what: str, mend: str) -> UsageError:
    return UsageError(UNKNOWN_FEATURE.problem(what, mend=mend))


def _refusals(project: Project, chosen: Iterable[Selected], asker: Asker) -> Iterator[Problem]:
    closed: set[str] = set()
    access = project.access(asker.purpose, asker.role)
    origins = Origins(project.registry, project.compiled.views)
    for selected in chosen:
        name = selected.view.name
        allowed = project.registry.views[name].purposes
        if asker.purpose not in allowed:
            if name not in closed:
                closed.add(name)
                yield NOT_PERMITTED.problem(
                    f"view '{name}' is for {_listed(allowed)}, not for '{asker.purpose}'",
                    mend="leave it out, or ask its owner to declare the purpose in `purposes:`",
                    where=project.registry.views[name].origin.where("purposes"),
                )
            continue
        labels = selected.feature.column.labels
        for refusal in access.refuses(labels):
            yield NOT_PERMITTED.problem(
                f"{name}:{selected.feature.name} carries {refusal}",
                mend="leave it out, or ask the privacy officer for a rule that opens it for this purpose",
                where=refusal.decision.location,
            )
        for origin, classification, decision in origins.closed(selected.feature.column, access):
            yield NOT_PERMITTED.problem(
                f"{name}:{selected.feature.name} depends on {origin} ({classification}), of which nothing is open for "
                f"{access}: {decision.cited}",
                mend="leave it out, or ask the privacy officer for a rule that opens it for this purpose",
                where=decision.location,
            )


def _refused_together(project: Project, chosen: Iterable[Selected], asker: Asker) -> Iterator[Problem]:
    access = project.access(asker.purpose, asker.role)
    labels = together(((each.view, each.feature) for each in chosen), project.registry)
    for refusal in access.refuses(labels):
        yield NOT_PERMITTED.problem(
            f"these features are known by a key that is {refusal}",
            mend="leave out the features of that entity, or ask the privacy officer for a rule",
            where=refusal.decision.location,
        )
    for found in refused_combinations(labels, access):
        yield NOT_PERMITTED.problem(found.what, mend=found.mend)


def _listed(purposes: Sequence[str]) -> str:
    return ", ".join(f"'{purpose}'" for purpose in purposes) or "no purpose at all"

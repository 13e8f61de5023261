"""What a person selects: ``card_spend``, ``card_spend+``, ``+fraud_model``, ``domain:payments``.

``name+`` adds everything that depends on it, ``+name`` everything that it needs, ``+name+`` both. Names are of views
and services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from feature_platform.errors import Problem, UsageError, did_you_mean
from feature_platform.orchestration.codes import NOT_MATERIALIZED, UNKNOWN_SELECTION
from feature_platform.orchestration.keys import assets_of
from feature_platform.registry.graph import Registry

DOMAIN_PREFIX: Final = "domain:"


@dataclass(frozen=True, slots=True)
class Selected:
    """Views that keep rows somewhere, in topological order, and services."""

    views: tuple[str, ...]
    services: tuple[str, ...]


def select(registry: Registry, selection: Sequence[str] | None) -> Selected:
    """What ``selection`` names; everything for None.

    Raises:
        UsageError: names that nobody has, or a selection without anything to materialize; all of them together.
    """
    if selection is None:
        return _materialized(registry, {*registry.views, *registry.services})
    names: set[str] = set()
    problems: list[Problem] = []
    for term in selection:
        found = _expand(registry, term)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            names |= found
    if problems or not selection:
        raise UsageError(problems or _empty("nothing is selected", "name views, services or domains, or leave it out"))
    selected = _materialized(registry, names)
    if not selected.views and not selected.services:
        listed = " ".join(selection)
        raise UsageError(_empty(f"'{listed}' selects derived views only", f"select what they read: +{selection[0]}"))
    return selected


def _expand(registry: Registry, term: str) -> set[str] | Problem:
    if term.startswith(DOMAIN_PREFIX):
        return _of_domain(registry, term.removeprefix(DOMAIN_PREFIX))
    name = term.removeprefix("+").removesuffix("+")
    if name not in registry.views and name not in registry.services:
        known = (*registry.views, *registry.services, *(DOMAIN_PREFIX + domain for domain in registry.domains))
        return UNKNOWN_SELECTION.problem(
            f"no view or service is called '{name}'.{did_you_mean(name, known)}",
            mend=f"there are {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}",
        )
    found = {name}
    needs = _needs(registry)
    if term.startswith("+"):
        found |= _reach(name, needs)
    if term.endswith("+"):
        found |= _reach(name, _reversed(needs))
    return found


def _of_domain(registry: Registry, domain: str) -> set[str] | Problem:
    if domain not in registry.domains:
        return UNKNOWN_SELECTION.problem(
            f"no domain is called '{domain}'.{did_you_mean(domain, registry.domains)}",
            mend=f"use one of {', '.join(registry.domains)}",
        )
    views = {name for name, view in registry.views.items() if view.domain == domain}
    return views | {name for name, service in registry.services.items() if service.domain == domain}


def _materialized(registry: Registry, names: set[str]) -> Selected:
    return Selected(
        tuple(name for name, view in registry.views.items() if name in names and assets_of(view)),
        tuple(name for name in registry.services if name in names),
    )


def _needs(registry: Registry) -> dict[str, set[str]]:
    """What each view and service needs directly. A service and a view of one name are selected together."""
    needs: dict[str, set[str]] = {name: set() for name in (*registry.views, *registry.services)}
    for name, view in registry.views.items():
        needs[name] |= {ref.name for ref in view.reads if ref.kind == "view"}
    for name, service in registry.services.items():
        needs[name] |= {view for view, _ in service.features}
    return needs


def _reversed(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    backwards: dict[str, set[str]] = {name: set() for name in edges}
    for name, targets in edges.items():
        for target in targets:
            backwards[target].add(name)
    return backwards


def _reach(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    stack = [start]
    while stack:
        new = edges[stack.pop()] - seen
        seen |= new
        stack.extend(new)
    return seen


def _empty(what: str, mend: str) -> Problem:
    return NOT_MATERIALIZED.problem(what, mend=mend)

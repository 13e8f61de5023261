"""What a change of policies changes: two states of a project, compared by what is open in each.

Columns are compared for every purpose, role and environment that the project or a rule names, features by their
labels, views and services by whether they compile. Whatever else differs between the states counts only as far as it
changes one of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, Literal

from feature_platform.compiler.plan import CompiledProject
from feature_platform.compiler.project import compile_what_can
from feature_platform.errors import Problem
from feature_platform.governance.labels import describe
from feature_platform.governance.policies import CLEAR, SEVERITY, Decision, PolicyBook
from feature_platform.registry.graph import Registry
from feature_platform.registry.load import load_registry
from feature_platform.specs.policy import AUTHOR

Direction = Literal["looser", "stricter"]
Case = tuple[str, str, str]
"""Purpose, role, environment."""


@dataclass(frozen=True)
class State:
    """One state of a project: what it says, and what of it compiles."""

    registry: Registry
    compiled: CompiledProject
    failures: Mapping[str, Sequence[Problem]]
    book: PolicyBook

    @classmethod
    def load(cls, root: Path, profile: str | None = None) -> State:
        """Loads and compiles what is in a folder, for a profile's environment, as of today (UTC).

        Raises:
            FeaturePlatformError: documents that can't be read or don't fit together.
        """
        registry = load_registry(root)
        known = profile if profile in registry.platform.profiles else None
        compiled, failures = compile_what_can(registry, environment=registry.platform.environment_of(known))
        return cls(registry, compiled, failures, compiled.author.policies.on(datetime.now(UTC).date()))

    def decide(self, source: str, column: str, case: Case) -> Decision | None:
        """What a column gives; None if there is no such column."""
        found = self.registry.sources.get(source)
        declared = found.spec.columns.get(column) if found is not None else None
        if declared is None:
            return None
        if declared.pii is None or declared.pii == "none":
            return CLEAR
        return self.book.decide(declared.pii, *case)

    def cases(self) -> tuple[set[str], set[str], set[str]]:
        """The purposes, roles and environments that it names."""
        platform, rules = self.registry.platform, [each.rule for each in self.book.rules]
        places = {platform.environment_of(profile) for profile in platform.profiles}
        return (
            set(platform.purposes),
            {AUTHOR, *(role for rule in rules for role in rule.roles)},
            places | {place for rule in rules for place in rule.environments},
        )


@dataclass(frozen=True)
class ColumnChange:
    """Columns that give something else for some askers."""

    columns: tuple[str, ...]
    cases: tuple[Case, ...]
    before: str
    after: str
    direction: Direction
    who: str
    """The askers, in words."""


@dataclass(frozen=True)
class LabelChange:
    """A feature with other labels."""

    feature: str
    before: str
    after: str


@dataclass(frozen=True)
class PolicyDiff:
    """Everything that changed."""

    columns: tuple[ColumnChange, ...]
    labels: tuple[LabelChange, ...]
    stopped: tuple[tuple[str, tuple[Problem, ...]], ...]
    """Views and services that compiled and do not any more, with what is wrong; nothing, where only something that
    they are built on is."""
    started: tuple[tuple[str, tuple[Problem, ...]], ...]
    approvals: tuple[tuple[str, str, str], ...] = ()
    """Transforms of teams whose approval changed: name, before, after."""

    @classmethod
    def between(cls, before: State, after: State) -> PolicyDiff:
        """What is different in ``after``."""
        return cls(
            tuple(_columns(before, after)),
            tuple(_labels(before.compiled, after.compiled)),
            tuple((name, tuple(after.failures.get(name, ()))) for name in _lost(before, after)),
            tuple((name, ()) for name in _lost(after, before)),
            tuple(_approvals(before.registry, after.registry)),
        )

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not (self.columns or self.labels or self.stopped or self.started or self.approvals)

    @property
    def needs_review(self) -> bool:
        """Whether something is more open than before, carries other labels, stopped compiling, or may read raw values
        by an approval that is new.
        """
        opened = any(change.direction == "looser" for change in self.columns)
        return bool(self.labels or self.stopped) or opened or any(after for _, _, after in self.approvals)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "needs_review": self.needs_review,
            "columns": [
                {
                    "columns": list(change.columns),
                    "for": [dict(zip(("purpose", "role", "environment"), case, strict=True)) for case in change.cases],
                    "before": change.before,
                    "after": change.after,
                    "direction": change.direction,
                }
                for change in self.columns
            ],
            "labels": [{"feature": each.feature, "before": each.before, "after": each.after} for each in self.labels],
            "stopped": [{"name": name, "problems": [str(problem) for problem in why]} for name, why in self.stopped],
            "started": [name for name, _ in self.started],
            "approvals": [{"transform": name, "before": old, "after": new} for name, old, new in self.approvals],
        }


def _columns(before: State, after: State) -> Iterator[ColumnChange]:
    purposes, roles, places = axes = [sorted(a | b) for a, b in zip(before.cases(), after.cases(), strict=True)]
    found: dict[tuple[str, str, Direction], dict[str, list[Case]]] = {}
    for source, column in _source_columns(before.registry, after.registry):
        for case in product(purposes, roles, places):
            one, two = before.decide(source, column, case), after.decide(source, column, case)
            if one is None or two is None or _worth(one) == _worth(two):
                continue
            change = (_words(one), _words(two), _direction(one, two))
            found.setdefault(change, {}).setdefault(f"{source}.{column}", []).append(case)
    for (old, new, direction), columns in found.items():
        same: dict[tuple[Case, ...], list[str]] = {}
        for name, cases in columns.items():
            same.setdefault(tuple(cases), []).append(name)
        for askers, names in same.items():
            yield ColumnChange(tuple(names), askers, old, new, direction, _who(askers, axes))


def _source_columns(*registries: Registry) -> list[tuple[str, str]]:
    return sorted(
        {
            (name, column)
            for each in registries
            for name, source in each.sources.items()
            for column in source.spec.columns
        }
    )


def _worth(decision: Decision) -> tuple[object, ...]:
    return (decision.action, decision.transforms, frozenset(decision.combinations))


def _direction(before: Decision, after: Decision) -> Direction:
    opened = (
        SEVERITY[after.action] < SEVERITY[before.action]
        or bool(after.transforms - before.transforms)
        or any(not any(new <= old for old in before.combinations) for new in after.combinations)
    )
    return "looser" if opened and before.action != "clear" else "stricter"


def _words(decision: Decision) -> str:
    implied = {decision.action}
    more = sorted(decision.transforms - implied) if decision.action != "raw" else []
    together = [f"[{', '.join(sorted(each))}]" for each in decision.combinations] if decision.action != "raw" else []
    return (
        decision.action
        + (f", and by {', '.join(more)}" if more else "")
        + (f"; together {' '.join(together)}" if together else "")
    )


def _who(cases: Sequence[Case], axes: Sequence[Sequence[str]]) -> str:
    """The askers; an axis is left out where every value of it is there."""
    parts = []
    for position, what in enumerate(("purpose", "role", "environment")):
        values = sorted({case[position] for case in cases})
        if values != list(axes[position]):
            parts.append(f"{what} {', '.join(values)}")
    return f"for {'; '.join(parts)}" if parts else "for everybody"


def _labels(before: CompiledProject, after: CompiledProject) -> Iterator[LabelChange]:
    for name, view in before.views.items():
        now = after.views.get(name)
        for feature in view.features if now is not None else ():
            other = now.feature(feature.name) if now is not None else None
            if other is not None and other.column.labels != feature.column.labels:
                old, new = describe(feature.column.labels), describe(other.column.labels)
                yield LabelChange(f"{name}:{feature.name}", old, new)


def _approvals(before: Registry, after: Registry) -> Iterator[tuple[str, str, str]]:
    one, two = _approved(before), _approved(after)
    for name in sorted(one.keys() | two.keys()):
        if one.get(name) != two.get(name):
            yield name, one.get(name, ""), two.get(name, "")


def _approved(registry: Registry) -> dict[str, str]:
    found = {}
    for policy in registry.policies.values():
        for each in policy.transforms:
            exactly = f", definition {each.definition}" if each.definition else ""
            found[each.name] = f"version {each.version}{exactly}, by {each.approver}"
    return found


def _lost(one: State, other: State) -> Iterator[str]:
    """What compiles in one state, and not in another although it is there; ``policies`` if they are unsound there."""
    if "policies" in other.failures and "policies" not in one.failures:
        yield "policies"
    kinds: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], ...] = (
        ("view", one.compiled.views, other.compiled.views, other.registry.views),
        ("service", one.compiled.services, other.compiled.services, other.registry.services),
    )
    for kind, compiled, elsewhere, declared in kinds:
        yield from (f"{kind} {name}" for name in compiled if name in declared and name not in elsewhere)

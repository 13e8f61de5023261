"""What may be done with a classified column, for which purpose, by whom.

The rules of all policies are read as one book. For one purpose, role and environment, every rule that names the
classification and matches all three counts:

* no rule matches: **denied**. That is the default, not an error;
* the most restrictive action among them wins: ``deny`` before ``redact`` before ``token``;
* the transforms that stay allowed are those that *every* matching rule lists. ``token`` and ``redact`` as actions
  allow the transform of that name too, unless a stricter rule matches.

So a rule can only ever take away from what another gives. Columns declared ``pii: none`` are clear. A feature view is
compiled for all of its purposes at once (see :mod:`feature_platform.governance.access`): what some purpose opens is
open while compiling, and :meth:`Access.refuses` holds each service and session to its single purpose afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Final, Literal

from feature_platform.errors import Location, Problem, did_you_mean
from feature_platform.governance.codes import POINTLESS_RULE, TRANSFORM_DOES_NOT_FIT, UNKNOWN_TRANSFORM
from feature_platform.governance.labels import Label, Labels
from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.specs.models import PolicyRule

if TYPE_CHECKING:
    from feature_platform.registry.graph import Registry

Action = Literal["clear", "token", "redact", "deny"]

_SEVERITY: Final[dict[Action, int]] = {"clear": 0, "token": 1, "redact": 2, "deny": 3}


@dataclass(frozen=True, slots=True)
class BookRule:
    """One rule with its place. ``name`` is how messages cite it: ``policy 'privacy' (privacy.yaml:12)``."""

    policy: str
    rule: PolicyRule
    location: Location

    @property
    def name(self) -> str:
        return f"policy '{self.policy}' ({self.location.file}:{self.location.line})"

    def matches(self, classification: str, purpose: str, role: str, environment: str) -> bool:
        rule = self.rule
        return (
            classification in rule.classifications
            and (not rule.purposes or purpose in rule.purposes)
            and (not rule.roles or role in rule.roles)
            and self.holds_in(environment)
        )

    def holds_in(self, environment: str) -> bool:
        """Whether the rule says anything in an environment."""
        return not self.rule.environments or environment in self.rule.environments

    @property
    def transforms(self) -> frozenset[str]:
        """What the rule lists, and the transform that its action stands for."""
        implied = {"token", "redact"} & {self.rule.action}
        return frozenset(self.rule.transforms) | implied


@dataclass(frozen=True, slots=True)
class Decision:
    """What reading a column gives, and which governed transforms may read it.

    ``rules`` cites the rules that decided, ready for a message; empty when none matched.
    """

    action: Action
    transforms: frozenset[str] = frozenset()
    rules: tuple[str, ...] = ()
    location: Location | None = None
    """Of the rule that decided the action."""

    @property
    def opens(self) -> bool:
        """Whether anything at all may be learnt from the column."""
        return self.action != "deny" or bool(self.transforms)

    @property
    def cited(self) -> str:
        """For messages: the rules that decided, or that none allows it."""
        return ", ".join(self.rules) or "no rule of any policy allows it"


CLEAR: Final = Decision("clear")
DENIED: Final = Decision("deny")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A label that a purpose may not have, and why."""

    label: Label
    purpose: str
    role: str
    decision: Decision

    def __str__(self) -> str:
        return f"{self.label} is not allowed for purpose '{self.purpose}' and role '{self.role}': {self.decision.cited}"


@dataclass(frozen=True)
class PolicyBook:
    """All rules of a project, in the order of policies and rules."""

    rules: tuple[BookRule, ...]
    _decided: dict[tuple[str, str, str, str], Decision] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, registry: Registry) -> PolicyBook:
        """The book of a linked project."""
        rules = []
        for name in sorted(registry.policies):
            origin = registry.origins[("policy", name)]
            for index, rule in enumerate(registry.policies[name].rules):
                rules.append(BookRule(name, rule, origin.where("rules", index)))
        return cls(tuple(rules))

    def decide(self, classification: str, purpose: str, role: str, environment: str) -> Decision:
        """What may be done with columns of ``classification``."""
        case = (classification, purpose, role, environment)
        known = self._decided.get(case)
        if known is None:
            known = self._decided[case] = self._decide(*case)
        return known

    def refuses(self, labels: Labels, purpose: str, role: str, environment: str) -> tuple[Refusal, ...]:
        """The labels that somebody with this purpose may not have; empty when all is well.

        A token needs ``token``, a partial its transform; derived and aggregated facts need that anything is open at
        all.
        """
        refusals = []
        for label in sorted(labels):
            decision = self.decide(label.classification, purpose, role, environment)
            if not _allowed(label, decision):
                refusals.append(Refusal(label, purpose, role, decision))
        return tuple(refusals)

    def _decide(self, classification: str, purpose: str, role: str, environment: str) -> Decision:
        matching = [rule for rule in self.rules if rule.matches(classification, purpose, role, environment)]
        if not matching:
            return DENIED
        strictest = max(matching, key=lambda rule: _SEVERITY[rule.rule.action])
        return Decision(
            action=strictest.rule.action,
            transforms=frozenset.intersection(*(rule.transforms for rule in matching)),
            rules=tuple(rule.name for rule in matching),
            location=strictest.location,
        )


NO_POLICIES: Final = PolicyBook(())
"""Opens nothing."""


def least_strict(decisions: Iterable[Decision]) -> Decision:
    """What holds when any one of several decisions may be relied on: the least strict action, the transforms of all.
    Of none: denied."""
    return reduce(_either, decisions, DENIED)


def _either(one: Decision, other: Decision) -> Decision:
    milder, stricter = sorted((one, other), key=lambda decision: _SEVERITY[decision.action])
    return Decision(
        action=milder.action,
        transforms=one.transforms | other.transforms,
        rules=tuple(dict.fromkeys(one.rules + other.rules)),
        location=milder.location or stricter.location,
    )


def _allowed(label: Label, decision: Decision) -> bool:
    if decision.action == "clear":
        return True
    match label.kind:
        case "token":
            return "token" in decision.transforms
        case "partial":
            return label.form in decision.transforms
        case "derived" | "aggregated":
            return decision.opens


def check_policies(registry: Registry) -> tuple[Problem, ...]:
    """What is wrong with the project's policies, in file order; empty when nothing is."""
    problems: list[Problem] = []
    for name, policy in registry.policies.items():
        origin = registry.origins[("policy", name)]
        for index, rule in enumerate(policy.rules):
            if "none" in rule.classifications:
                problems.append(
                    POINTLESS_RULE.problem(
                        f"policy '{name}' has a rule for classification 'none'",
                        mend="remove 'none' from the rule; such columns need no permission",
                        where=origin.where("rules", index, "classification"),
                    )
                )
            for position, transform in enumerate(rule.transforms):
                where = origin.where("rules", index, "transforms", position)
                problems.extend(_check_transform(name, transform, rule.classifications, where))
    return tuple(sorted(problems, key=Problem.sort_key))


def _check_transform(
    policy: str, transform: str, classifications: Sequence[str], where: Location
) -> tuple[Problem, ...]:
    known = TRANSFORMS.get(transform)
    if known is None:
        return (
            UNKNOWN_TRANSFORM.problem(
                f"policy '{policy}' allows '{transform}', which is no governed transform."
                + did_you_mean(transform, TRANSFORMS),
                mend=f"use one of: {', '.join(sorted(TRANSFORMS))}",
                where=where,
            ),
        )
    unfit = [name for name in classifications if name != "none" and name not in known.accepts]
    if not unfit:
        return ()
    fitting = sorted(other.name for other in TRANSFORMS.values() if set(unfit) <= other.accepts)
    return (
        TRANSFORM_DOES_NOT_FIT.problem(
            f"policy '{policy}' allows '{transform}' for {', '.join(unfit)}, but '{transform}' "
            f"reads only {', '.join(sorted(known.accepts))}",
            mend=f"put it into a rule for {', '.join(sorted(known.accepts))}; "
            f"for {', '.join(unfit)} there is {', '.join(fitting)}",
            where=where,
        ),
    )

"""What may be done with a classified column, for which purpose, by whom.

The rules of all policies are read as one book. For one purpose, role and environment, every rule that names the
classification and matches all three counts:

* no rule matches: **denied**. That is the default, not an error;
* the most restrictive action among them wins: ``deny`` before ``redact`` before ``token`` before ``raw``;
* the transforms that stay allowed are those that *every* matching rule lists. ``token`` and ``redact`` as actions
  allow the transform of that name too, ``raw`` allows all, unless a stricter rule matches.
* a ``raw`` rule holds until the end of its last day. After that, and where nobody says what day it is, it gives
  nothing. It never holds for the role ``author``.

* what may stand together (see :mod:`feature_platform.governance.combinations`) is what every matching rule lets.

So a rule can only ever take away from what another gives. Columns declared ``pii: none`` are clear. A feature view is
compiled for all of its purposes at once (see :mod:`feature_platform.governance.access`): what some purpose opens is
open while compiling, and :meth:`Access.refuses` holds each service and session to its single purpose afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING, Final, Literal

from feature_platform.errors import Location
from feature_platform.governance.labels import Label, Labels
from feature_platform.governance.transforms import BUILT_IN, TRANSFORMS
from feature_platform.specs.models import PolicyRule
from feature_platform.specs.policy import AUTHOR

if TYPE_CHECKING:
    from feature_platform.registry.graph import Registry

Action = Literal["clear", "raw", "token", "redact", "deny"]

SEVERITY: Final[dict[Action, int]] = {"clear": 0, "raw": 1, "token": 2, "redact": 3, "deny": 4}

_REMEMBERED: Final = 10_000


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
            and not (rule.action == "raw" and role == AUTHOR)
        )

    def holds_in(self, environment: str) -> bool:
        """Whether the rule says anything in an environment."""
        return not self.rule.environments or environment in self.rule.environments

    @property
    def transforms(self) -> frozenset[str]:
        """What the rule lists, and the transforms that its action stands for."""
        if self.rule.action == "raw":
            classes = set(self.rule.classifications)
            return frozenset(name for name in BUILT_IN if classes & TRANSFORMS[name].accepts)
        implied = {"token", "redact"} & {self.rule.action}
        return frozenset(self.rule.transforms) | implied

    @property
    def combinations(self) -> tuple[frozenset[str], ...]:
        """The sets of transforms whose results may stand together."""
        if self.rule.action == "raw":
            return (self.transforms,)
        return tuple(map(frozenset, self.rule.combinations))

    def is_over(self, today: date | None) -> bool:
        """Whether the rule's last day has passed, or nobody knows."""
        last = self.rule.expires
        return last is not None and (today is None or today > last)


@dataclass(frozen=True, slots=True)
class Decision:
    """What reading a column gives, and which governed transforms may read it."""

    action: Action
    transforms: frozenset[str] = frozenset()
    rules: tuple[BookRule, ...] = ()
    """The rules that matched, in the order of the book."""
    decisive: BookRule | None = None
    """The rule that decided the action; None when none matched."""
    combinations: tuple[frozenset[str], ...] = ()
    """The sets of transforms whose results may stand together."""
    over: tuple[BookRule, ...] = ()
    """Rules that would have matched and have expired."""

    @property
    def opens(self) -> bool:
        """Whether anything at all may be learnt from the column."""
        return self.action != "deny" or bool(self.transforms)

    def giving(self, what: str) -> tuple[BookRule, ...]:
        """The rules that give an action or allow a transform; with nothing named, those that open anything."""
        opening = (rule for rule in self.rules if rule.rule.action != "deny" or rule.transforms)
        return tuple(rule for rule in opening if not what or what == rule.rule.action or what in rule.transforms)

    @property
    def location(self) -> Location | None:
        """Of the rule that decided the action."""
        return self.decisive.location if self.decisive is not None else None

    @property
    def cited(self) -> str:
        """For messages: the rules that decided, or that none allows it."""
        over = "".join(f"; {rule.name} expired on {rule.rule.expires}" for rule in self.over)
        return (", ".join(rule.name for rule in self.rules) or "no rule of any policy allows it") + over


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
    today: date | None = None
    """The day (UTC) that expiry is reckoned from. None: nothing that expires holds."""
    _decided: dict[tuple[str, str, str, str], Decision] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, registry: Registry, today: date | None = None) -> PolicyBook:
        """The book of a linked project, on a day."""
        rules = []
        for name in sorted(registry.policies):
            origin = registry.origins[("policy", name)]
            for index, rule in enumerate(registry.policies[name].rules):
                rules.append(BookRule(name, rule, origin.where("rules", index)))
        return cls(tuple(rules), today)

    def on(self, today: date) -> PolicyBook:
        """The same rules on a day."""
        return self if today == self.today else PolicyBook(self.rules, today)

    def decide(self, classification: str, purpose: str, role: str, environment: str) -> Decision:
        """What may be done with columns of ``classification``."""
        case = (classification, purpose, role, environment)
        known = self._decided.get(case)
        if known is None:
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()  # roles are whatever callers say
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
        named = [rule for rule in self.rules if rule.matches(classification, purpose, role, environment)]
        over = tuple(rule for rule in named if rule.is_over(self.today))
        matching = [rule for rule in named if rule not in over]
        if not matching:
            return Decision("deny", over=over) if over else DENIED
        strictest = max(matching, key=lambda rule: SEVERITY[rule.rule.action])
        return Decision(
            action=strictest.rule.action,
            transforms=frozenset.intersection(*(rule.transforms for rule in matching)),
            rules=tuple(matching),
            decisive=strictest,
            combinations=reduce(_common, (rule.combinations for rule in matching)),
            over=over,
        )


NO_POLICIES: Final = PolicyBook(())
"""Opens nothing."""


def least_strict(decisions: Iterable[Decision]) -> Decision:
    """What holds when any one of several decisions may be relied on: the least strict action, the transforms of all.
    Of none: denied."""
    return reduce(_either, decisions, DENIED)


def _either(one: Decision, other: Decision) -> Decision:
    milder, stricter = sorted((one, other), key=lambda decision: SEVERITY[decision.action])
    return Decision(
        action=milder.action,
        transforms=one.transforms | other.transforms,
        rules=_united(one.rules, other.rules),
        decisive=milder.decisive or stricter.decisive,
        combinations=tuple(dict.fromkeys(one.combinations + other.combinations)),
        over=_united(one.over, other.over),
    )


def _common(some: tuple[frozenset[str], ...], others: tuple[frozenset[str], ...]) -> tuple[frozenset[str], ...]:
    """What every one of two rules lets stand together."""
    return tuple(dict.fromkeys(one & other for one in some for other in others if len(one & other) > 1))


def _united(some: tuple[BookRule, ...], more: tuple[BookRule, ...]) -> tuple[BookRule, ...]:
    return (*some, *(rule for rule in more if rule not in some))


def _allowed(label: Label, decision: Decision) -> bool:
    if decision.action == "clear":
        return True
    if label.kind == "raw":
        return decision.action == "raw"
    return label.needs in decision.transforms if label.needs else decision.opens

"""Why a decision is what it is: every rule about a class, whether it counts, what it gives, and what wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from feature_platform.governance.access import Access
from feature_platform.governance.policies import BookRule, Decision
from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.specs.policy import AUTHOR


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """One rule that names the class."""

    rule: BookRule
    counts: bool
    why: str
    """``wins: the most restrictive that counts``, ``counts``, or what keeps it from counting."""


@dataclass(frozen=True, slots=True)
class OpenTransform:
    """A transform that is open, and how an author writes it."""

    name: str
    call: str
    gives: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one class for one asker."""

    classification: str
    access: Access
    decision: Decision
    rules: tuple[ExplainedRule, ...]
    transforms: tuple[OpenTransform, ...]
    taken_away: tuple[tuple[str, BookRule], ...]
    """Transforms that some rule lists, and the rule that counts and does not."""

    @property
    def why(self) -> str:
        """One sentence."""
        counting = [each for each in self.rules if each.counts]
        if not counting:
            return "no rule counts here, and what no rule allows is denied"
        winner = self.decision.decisive
        assert winner is not None
        others = "" if len(counting) == 1 else f", the most restrictive of {len(counting)}"
        return f"{winner.name} says {self.decision.action}{others}"


def explain(classification: str, access: Access, column: str = "column") -> Explanation:
    """What ``access`` (of one purpose) may do with columns of a class; calls are written for ``column``."""
    decision = access.decide(classification)
    named = [rule for rule in access.policies.rules if classification in rule.rule.classifications]
    return Explanation(
        classification,
        access,
        decision,
        tuple(_explained(rule, decision, access) for rule in named),
        tuple(_open(decision, column)),
        tuple(_taken_away(decision)),
    )


def _explained(rule: BookRule, decision: Decision, access: Access) -> ExplainedRule:
    if rule in decision.rules:
        return ExplainedRule(rule, True, "wins" if rule == decision.decisive else "counts")
    written, (purpose, *_) = rule.rule, access.purposes
    if written.purposes and purpose not in written.purposes:
        why = f"only for purpose {', '.join(written.purposes)}"
    elif written.roles and access.role not in written.roles:
        why = f"only for role {', '.join(written.roles)}"
    elif not rule.holds_in(access.environment):
        why = f"only in environment {', '.join(written.environments)}"
    elif rule in decision.over:
        why = f"expired on {written.expires}"
    else:
        why = f"raw is never for role {AUTHOR}"
    return ExplainedRule(rule, False, why)


def _open(decision: Decision, column: str) -> Iterator[OpenTransform]:
    for name in sorted(decision.transforms):
        transform = TRANSFORMS.get(name)
        if transform is not None:
            arguments = ", ".join((column, *(argument.name for argument in transform.arguments)))
            yield OpenTransform(name, f"{name}({arguments})", transform.description)


def _taken_away(decision: Decision) -> Iterator[tuple[str, BookRule]]:
    listed = {name for rule in decision.rules for name in rule.transforms}
    for name in sorted(listed - decision.transforms):
        yield name, next(rule for rule in decision.rules if name not in rule.transforms)

"""Rules that can't work: whoever wrote them believes that something is open, or closed, which is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from feature_platform.errors import Location, Problem, did_you_mean
from feature_platform.governance.codes import (
    COMBINATION_NOT_OPEN,
    POINTLESS_RULE,
    RAW_NEVER_HOLDS,
    TRANSFORM_DOES_NOT_FIT,
    UNKNOWN_TRANSFORM,
)
from feature_platform.governance.policies import BookRule, PolicyBook
from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.registry.graph import Registry


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
            for position, combination in enumerate(rule.combinations):
                where = origin.where("rules", index, "combinations", position)
                problems.extend(_check_combination(BookRule(name, rule, where), combination))
    problems.extend(_ineffective(registry))
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


def _check_combination(rule: BookRule, combination: Sequence[str]) -> Iterator[Problem]:
    closed = sorted(set(combination) - rule.transforms)
    if closed or len(set(combination)) < 2:
        what = f"which the rule does not allow: {', '.join(closed)}" if closed else "which is not two transforms"
        yield COMBINATION_NOT_OPEN.problem(
            f"policy '{rule.policy}' lets [{', '.join(combination)}] stand together, {what}",
            mend=f"name at least two of {', '.join(sorted(rule.transforms)) or 'the transforms that the rule allows'}",
            where=rule.location,
        )


def _ineffective(registry: Registry) -> Iterator[Problem]:
    """Rules that are meant to show raw values, and never do."""
    everywhere = sorted({registry.platform.environment_of(profile) for profile in registry.platform.profiles})
    book = PolicyBook.of(registry)
    for rule in book.rules:
        if rule.rule.action != "raw" or rule.rule.expires is None:
            continue
        book = book.on(rule.rule.expires)
        cases = product(
            rule.rule.classifications, rule.rule.purposes, rule.rule.roles, rule.rule.environments or everywhere
        )
        decisions = [book.decide(*case) for case in cases]
        if all(decision.action != "raw" for decision in decisions):
            stricter = next(found.decisive for found in decisions if found.decisive is not None)
            yield RAW_NEVER_HOLDS.problem(
                f"{rule.name} shows raw values to nobody: {stricter.name} is stricter",
                mend="list there the `roles:` that it is for, without those who may see raw values",
                where=rule.location,
            )

"""Rules that can't work: whoever wrote them believes that something is open, or closed, which is not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product

from feature_platform.errors import Location, Problem, did_you_mean
from feature_platform.governance.codes import (
    COMBINATION_NOT_OPEN,
    POINTLESS_RULE,
    RAW_NEVER_HOLDS,
    TRANSFORM_CHANGED,
    TRANSFORM_DOES_NOT_FIT,
    TRANSFORM_NOT_APPROVED,
    UNKNOWN_TRANSFORM,
)
from feature_platform.governance.policies import BookRule, PolicyBook
from feature_platform.governance.transforms import BUILT_IN, TRANSFORMS, extensions
from feature_platform.governance.transforms.extensions import definition
from feature_platform.registry.graph import Registry
from feature_platform.specs.policy import ApprovedTransform


def check_policies(registry: Registry) -> tuple[Problem, ...]:
    """What is wrong with the project's policies, in file order; empty when nothing is."""
    problems, approved = _approve(registry)
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
                problems.extend(_check_transform(name, transform, rule.classifications, where, approved))
            for position, combination in enumerate(rule.combinations):
                where = origin.where("rules", index, "combinations", position)
                problems.extend(_check_combination(BookRule(name, rule, where), combination))
    problems.extend(_ineffective(registry))
    return tuple(sorted(problems, key=Problem.sort_key))


def approved_definitions(registry: Registry) -> tuple[str, ...]:
    """A digest of every approved transform of a team that is loaded: part of what decides how things compile."""
    names = sorted({approval.name for policy in registry.policies.values() for approval in policy.transforms})
    return tuple(f"{name} {definition(TRANSFORMS[name])}" for name in names if name in TRANSFORMS)


def _approve(registry: Registry) -> tuple[list[Problem], dict[str, ApprovedTransform]]:
    """Loads the approved transforms of teams; gives what is wrong with them, and all approvals by name."""
    problems: list[Problem] = []
    approved: dict[str, ApprovedTransform] = {}
    for name, policy in registry.policies.items():
        for index, approval in enumerate(policy.transforms):
            where = registry.origins[("policy", name)].where("transforms", index)
            if (earlier := approved.get(approval.name)) is not None and earlier != approval:
                problems.append(
                    TRANSFORM_CHANGED.problem(
                        f"transform '{approval.name}' is approved twice, with different versions or definitions",
                        mend="keep one of the two approvals",
                        where=where,
                    )
                )
                continue
            approved[approval.name] = approval
            if (problem := extensions.approve(approval, where)) is not None:
                problems.append(problem)
    return problems, approved


def _check_transform(
    policy: str, transform: str, classifications: Sequence[str], where: Location, approved: Collection[str]
) -> tuple[Problem, ...]:
    known = TRANSFORMS.get(transform) if transform in BUILT_IN or transform in approved else None
    if known is None and transform in approved:
        return ()  # told where it is approved
    if known is None and transform in extensions.installed():
        return (
            TRANSFORM_NOT_APPROVED.problem(
                f"policy '{policy}' allows '{transform}', which is installed and not approved",
                mend=f"have the privacy owner list it in a policy: `transforms: [{{name: {transform}, version: …, "
                "approver: …}]`",
                where=where,
            ),
        )
    if known is None:
        return (
            UNKNOWN_TRANSFORM.problem(
                f"policy '{policy}' allows '{transform}', which is no governed transform."
                + did_you_mean(transform, BUILT_IN | set(approved)),
                mend=f"use one of: {', '.join(sorted(BUILT_IN | set(approved)))}",
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

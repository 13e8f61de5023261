"""What a view's ``features`` promise about a feature that the definition gives."""

from __future__ import annotations

from dataclasses import replace

from feature_platform.compiler.codes import FEATURE_CONTRACT
from feature_platform.compiler.plan import OutputColumn
from feature_platform.errors import Problem
from feature_platform.registry.graph import LinkedView


def described(feature: OutputColumn, view: LinkedView) -> OutputColumn:
    """The feature with the description of its contract, if that has one."""
    contract = view.spec.features.get(feature.name)
    return replace(feature, description=contract.description) if contract and contract.description else feature


def broken_promise(feature: OutputColumn, view: LinkedView) -> Problem | None:
    """The problem that the contract promises another type, if it does."""
    contract = view.spec.features.get(feature.name)
    if contract is None or contract.type is None or contract.type == feature.type:
        return None
    return FEATURE_CONTRACT.problem(
        f"feature '{feature.name}' is {feature.type}; its contract says {contract.type}",
        mend=f"promise {feature.type}, or no type at all",
        where=view.origin.where("features", feature.name, "type"),
    )

"""Governed transforms of teams: installed as packages, approved in a policy, checked before they are known.

A package names each of its transforms as an entry point of the group ``feature_platform.transforms``::

    [project.entry-points."feature_platform.transforms"]
    loyalty_tier = "shop_features.transforms:LOYALTY_TIER"

where ``LOYALTY_TIER`` is a :class:`~feature_platform.governance.transforms.transform.Transform` of that name. Code of a
package is imported only if a policy of the project approves the transform, with its version.
:mod:`~feature_platform.governance.transforms.testing` has what a package's own tests should hold it to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from sqlglot import exp

from feature_platform.errors import Location, Problem
from feature_platform.governance.canonical import CANONICAL
from feature_platform.governance.codes import TRANSFORM_CHANGED, TRANSFORM_UNUSABLE
from feature_platform.governance.transforms.catalogue import BUILT_IN, add
from feature_platform.governance.transforms.transform import Transform
from feature_platform.specs.policy import ApprovedTransform
from feature_platform.types import ENGINES, Engine

GROUP: Final = "feature_platform.transforms"
"""The group of entry points."""

_LABELS: Final = ("derived", "partial")
_CLOSED: Final = (exp.Query, exp.Table, exp.Command, exp.Placeholder, exp.Parameter, exp.AggFunc, exp.Window, exp.Star)


def installed() -> Mapping[str, tuple[EntryPoint, ...]]:
    """The transforms that installed packages offer, by name. Imports none of them."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group=GROUP):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def approve(approval: ApprovedTransform, where: Location | None = None) -> Problem | None:
    """Makes an approved transform known; gives the reason if it can't be used."""
    if approval.name in BUILT_IN:
        return _unusable(approval, "has the name of one of the platform's own", "give it another name", where)
    offers = installed().get(approval.name, ())
    if len(offers) != 1:
        what = "is not installed" if not offers else f"is offered by {len(offers)} packages"
        mend = "install the package that offers it" if not offers else "uninstall all but one of them"
        return _unusable(approval, what, mend, where)
    try:
        transform = offers[0].load()
    except Exception as error:  # noqa: BLE001 - whatever a package does when it is imported is the same to us
        return _unusable(approval, f"can't be imported: {type(error).__name__}", "mend the package", where)
    if (wrong := _wrong(transform, approval.name)) is not None:
        return _unusable(approval, wrong, "mend the package", where)
    if transform.version != approval.version:
        return TRANSFORM_CHANGED.problem(
            f"transform '{approval.name}' is installed in version {transform.version}, and approved in version "
            f"{approval.version}",
            mend=f"install version {approval.version}, or have {approval.approver} approve the new one",
            where=where,
        )
    now = definition(transform)
    if approval.definition is not None and approval.definition != now:
        return TRANSFORM_CHANGED.problem(
            f"transform '{approval.name}' has changed since it was approved, without a new version",
            mend=f"have {approval.approver} look at it again and write `definition: {now}`",
            where=where,
        )
    add(transform)
    return None


def definition(transform: Transform) -> str:
    """A digest of everything that a transform says and does in SQL."""
    arguments = _arguments(transform)
    said = [
        transform.name,
        str(transform.version),
        *sorted(transform.accepts),
        *sorted(transform.column_kinds),
        str(transform.result),
        transform.label,
        *(f"{argument.name} {sorted(argument.kinds)}" for argument in transform.arguments),
        *(transform.expression(engine, arguments).sql(engine) for engine in ENGINES),
    ]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()[:16]


def _wrong(transform: object, name: str) -> str | None:
    """What keeps an object from being a transform of this name."""
    if not isinstance(transform, Transform):
        return f"is a {type(transform).__name__}, not a Transform"
    if transform.name != name:
        return f"calls itself '{transform.name}'"
    if transform.label not in _LABELS:
        return f"would label its results {transform.label}; a team's transform labels them {' or '.join(_LABELS)}"
    if not transform.accepts or not transform.accepts <= set(CANONICAL):
        return "reads no class, or one that does not exist"
    if transform.reference is None:
        return "has no Python reference"
    return next((wrong for engine in ENGINES if (wrong := _wrong_rendering(transform, engine)) is not None), None)


def _wrong_rendering(transform: Transform, engine: Engine) -> str | None:
    arguments = _arguments(transform)
    try:
        rendered = transform.expression(engine, arguments)
        rendered.sql(engine)
    except Exception as error:  # noqa: BLE001 - see above
        return f"can't be written for {engine}: {type(error).__name__}"
    own = {argument.name for argument in arguments}
    if any(column.name not in own or column.table for column in rendered.find_all(exp.Column)):
        return f"reads more than its arguments on {engine}"
    if rendered.find(*_CLOSED) is not None:
        return f"is more than an expression over one row on {engine}"
    return None


def _arguments(transform: Transform) -> list[exp.Expression]:
    return [exp.column(f"fp_argument_{number}", quoted=True) for number in range(1 + len(transform.arguments))]


def _unusable(approval: ApprovedTransform, what: str, mend: str, where: Location | None) -> Problem:
    return TRANSFORM_UNUSABLE.problem(f"transform '{approval.name}' {what}", mend=mend, where=where)

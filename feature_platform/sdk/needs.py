"""What a selection of features needs: views to read, and columns that the caller has to bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_platform.compiler.derived import DerivedPlan, plan_derived
from feature_platform.sdk.selection import Selected
from feature_platform.sdk.spine import NeededColumn

if TYPE_CHECKING:
    from feature_platform.project.project import Project


@dataclass(frozen=True)
class Needs:
    """Everything that has to be there before a selection can be computed."""

    stored: tuple[str, ...]
    """Views that keep rows or count events, inputs of derived ones included."""
    derived: Mapping[str, DerivedPlan]
    columns: tuple[NeededColumn, ...]
    """Keys of the stored views and request values of the derived ones, each once."""


def needs_of(project: Project, selected: Sequence[Selected], *, whole_views: bool = False) -> Needs:
    """Follows derived views down to what is stored. With ``whole_views`` for all features of a derived view, not only
    for those selected: online the whole view is computed at once.
    """
    views, registry = project.compiled.views, project.registry
    derived: dict[str, DerivedPlan] = {}
    for name in dict.fromkeys(chosen.view.name for chosen in selected if chosen.view.form == "derived"):
        only = None if whole_views else [each.feature.name for each in selected if each.view.name == name]
        derived[name] = plan_derived(registry.views[name], views, project.catalog, project.compiled.author, only)
    stored = dict.fromkeys(chosen.view.name for chosen in selected if chosen.view.form != "derived")
    stored |= dict.fromkeys(view for plan in derived.values() for view, _ in plan.inputs)
    columns: dict[str, NeededColumn] = {}
    for name in stored:
        for key in registry.entity_of(name).keys:
            classification = None if key.pii in (None, "none") else key.pii
            columns.setdefault(key.name, NeededColumn(key.name, key.type, classification, f"view '{name}' as a key"))
    for name, plan in derived.items():
        for column, kind in plan.request.items():
            columns.setdefault(column, NeededColumn(column, kind, None, f"view '{name}' as a request value"))
    return Needs(tuple(stored), derived, tuple(columns.values()))

"""Finds features: by the words of their names, descriptions (theirs and the view's), owners and domains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_platform.governance.labels import Labels, describe
from feature_platform.lineage.graph import Lineage, view_column
from feature_platform.registry.features import written_description
from feature_platform.registry.graph import ColumnRef
from feature_platform.sdk.selection import Asker, Selected, refused

if TYPE_CHECKING:
    from feature_platform.project.project import Project


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """One feature, for people who look for one."""

    name: str
    """``view:feature``, as a training set takes it."""
    type: str
    entity: str
    domain: str
    owner: str
    description: str
    labels: Labels
    online: bool
    transforms: tuple[str, ...] = ()
    """Governed transforms on the way."""
    origins: tuple[ColumnRef, ...] = ()
    """The classified columns of sources behind it, at whatever distance."""
    purposes: tuple[str, ...] = ()
    """What its view may be used for."""
    services: tuple[str, ...] = ()
    """Services that serve it."""

    def __str__(self) -> str:
        return f"{self.name}: {self.type} of {self.entity} ({describe(self.labels)}) {self.description}".rstrip()


def find_features(project: Project, search: str = "", asker: Asker | None = None) -> list[FeatureInfo]:
    """Features with all the words of ``search``, by name; with ``asker``, only those that the purpose may have."""
    words = search.lower().split()
    lineage = Lineage(project.registry, project.compiled)
    found = [
        _info(project, lineage, selected)
        for selected in _all(project)
        if asker is None or not refused(project, selected, asker)
    ]
    return [info for info in found if _has(words, f"{info} {_view(project, info)} {info.domain} {info.owner}")]


def _has(words: Sequence[str], text: str) -> bool:
    return all(word in text.lower() for word in words)


def _view(project: Project, info: FeatureInfo) -> str:
    """What is said of the feature's view."""
    return project.registry.views[info.name.partition(":")[0]].spec.description


def _all(project: Project) -> Iterator[Selected]:
    for view in project.compiled.views.values():
        for feature in view.features:
            yield Selected(view, feature)


def _info(project: Project, lineage: Lineage, selected: Selected) -> FeatureInfo:
    ref = view_column(selected.view.name, selected.feature.name)
    view = project.registry.views[selected.view.name]
    described = written_description(view.spec, selected.feature.name)
    return FeatureInfo(
        f"{selected.view.name}:{selected.feature.name}",
        str(selected.feature.column.type),
        selected.view.entity,
        view.domain,
        view.owner,
        described or selected.feature.column.description or view.spec.description,
        selected.feature.column.labels,
        bool(view.spec.storage.online_stores) or selected.view.derive is not None,
        tuple(sorted(selected.feature.column.transforms)),
        lineage.origins(ref),
        view.purposes,
        lineage.services.get(ref, ()),
    )

"""Whether a feature service can serve: every view behind it published, by today's definition, wherever it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from feature_platform.orchestration.keys import ViewAsset, assets_of
from feature_platform.orchestration.materialization import table_of
from feature_platform.registry.graph import Registry
from feature_platform.stores.protocols import FINGERPRINT, Publication

if TYPE_CHECKING:
    from feature_platform.project.project import Project


@dataclass(frozen=True)
class Serving:
    """What a service gives, and what stands in its way."""

    service: str
    fingerprint: str
    features: tuple[str, ...]
    """``view:feature``, in the service's order."""
    tables: Mapping[str, datetime]
    """When each table behind the service was published last (UTC), by asset."""
    problems: tuple[str, ...]


def serving(project: Project, service: str) -> Serving:
    """Looks at what is published. Reads no rows."""
    compiled = project.compiled.services[service]
    tables: dict[str, datetime] = {}
    problems: list[str] = []
    for asset in tables_behind(project.registry, [view for view, _ in compiled.features]):
        live = newest_publication(project, asset)
        if live is None:
            problems.append(f"{asset.name} was never published")
        elif live.properties.get(FINGERPRINT) != project.compiled.views[asset.view].fingerprint:
            problems.append(f"{asset.name} was published by another definition of '{asset.view}'; materialize it")
        else:
            tables[asset.name] = live.published_at
    features = tuple(f"{view}:{feature}" for view, feature in compiled.features)
    return Serving(service, compiled.fingerprint, features, tables, tuple(problems))


def tables_behind(registry: Registry, views: list[str]) -> Iterator[ViewAsset]:
    """Every table that features of ``views`` come from; of a derived view, the tables of its inputs."""
    seen: set[str] = set()
    stack = list(dict.fromkeys(reversed(views)))
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        view = registry.views[name]
        if view.spec.form == "derived":
            stack.extend(ref.name for ref in reversed(view.reads) if ref.kind == "view")
        else:
            yield from assets_of(view)


def newest_publication(project: Project, asset: ViewAsset) -> Publication | None:
    """What a reader of the asset sees newest: the snapshot online, the last partition offline."""
    if asset.role == "online":
        return project.online_store(asset.store).publication(asset.view)
    live = project.warehouse(asset.store).publications(table_of(asset.view))
    return max(live, key=lambda each: each.partition or "", default=None)

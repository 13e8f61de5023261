"""A linked project → everything that it compiles to, or every problem of every view and service together.

Views are compiled in topological order. A view that fails takes along, without messages of their own, the views and
services that read it: what is wrong with them shows once it is mended. What was compiled before from the same content
comes from the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from feature_platform.compiler import cache as disk
from feature_platform.compiler.aggregations import compile_aggregations
from feature_platform.compiler.catalog import Catalog, catalog_of
from feature_platform.compiler.derived import compile_derived
from feature_platform.compiler.guard import guard
from feature_platform.compiler.plan import (
    COMPILER_VERSION,
    CompiledProject,
    CompiledQuery,
    CompiledService,
    CompiledView,
)
from feature_platform.compiler.services import compile_service
from feature_platform.compiler.sql_views import compile_sql_view
from feature_platform.errors import CompileError, FeaturePlatformError, Location, Problem
from feature_platform.governance.access import Access, author_of
from feature_platform.governance.detection.profiles import NO_PROFILES, Profiles, suspicions
from feature_platform.governance.policy_checks import approved_definitions, check_policies
from feature_platform.registry.graph import LinkedView, Registry
from feature_platform.specs.models import Source
from feature_platform.types import Engine

Release = Callable[[CompiledView, Mapping[str, CompiledView]], None]
"""(view, views that were compiled before it) → raises a FeaturePlatformError if the view must not be used."""

_CODE: Final = ("compiler", "governance", "specs", "types.py")
"""What decides how a definition is compiled: part of every key, so that a changed platform never reads what another
one compiled."""


def compile_project(
    registry: Registry,
    *,
    environment: str | None = None,
    cache: Path | None = None,
    profiles: Profiles = NO_PROFILES,
    release: Release | None = None,
) -> CompiledProject:
    """Compiles every view and service for one of the project's environments, by default that of its default profile.
    ``cache`` is a folder for what was compiled; None compiles everything.
    ``profiles`` is what detection found in the sources. ``release`` looks at each view that is not cached, and raises
    if it must not be used.

    Raises:
        CompileError: all problems of policies, views and services.
    """
    compiled, failures = compile_what_can(
        registry, environment=environment, cache=cache, profiles=profiles, release=release
    )
    if failures:
        raise CompileError(problem for problems in failures.values() for problem in problems)
    return compiled


def compile_what_can(
    registry: Registry,
    *,
    environment: str | None = None,
    cache: Path | None = None,
    profiles: Profiles = NO_PROFILES,
    release: Release | None = None,
) -> tuple[CompiledProject, Mapping[str, Sequence[Problem]]]:
    """As :func:`compile_project`: the views and services that compile, and what is wrong with others, by ``view NAME``,
    ``service NAME`` and ``policies``.
    """
    author = author_of(registry, environment)
    failures: dict[str, Sequence[Problem]] = {}
    if wrong := check_policies(registry):
        failures["policies"] = wrong
    keys = cache_keys(registry, author, profiles) if cache is not None else {}
    cached = disk.load(cache, keys.values()) if cache is not None else {}
    known = {name: cached[key] for name, key in keys.items() if key in cached}
    views = _compile_views(registry, author, profiles, known, failures, release)
    services = _compile_services(registry, author, views, failures)
    fresh = {keys[name]: view for name, view in views.items() if name in keys and name not in known}
    if cache is not None and fresh:
        disk.save(cache, fresh)
    return CompiledProject(views, services, author, profiles), failures


def compile_query(  # noqa: PLR0913 - who asks, in which project
    sql: str,
    registry: Registry,
    compiled: CompiledProject,
    access: Access,
    *,
    engine: Engine | None = None,
    where: Location | None = None,
) -> CompiledQuery:
    """Ad-hoc SQL over the project's sources and views, guarded for whoever asks, for ``engine``, by default for each of
    :data:`ENGINES` that can run it.

    Raises:
        GuardError: what it may not read, or what is wrong with it.
    """
    return guard(sql, catalog_of(registry, compiled.views, compiled.profiles), access, where=where).compiled(engine)


def cache_keys(registry: Registry, author: Access, profiles: Profiles = NO_PROFILES) -> dict[str, str]:
    """The cache key of every view: a digest of all that its compilation depends on."""
    shared = hashlib.sha256(_code().encode())
    shared.update(str(registry.platform.strict_pii).encode())
    for rule in author.policies.rules:
        # What holds in other environments decides nothing here. The place of a rule is cited in labels' refusals only,
        # but a moved rule must not give an old line.
        if rule.holds_in(author.environment):
            shared.update(rule.name.encode() + _json(rule.rule))
    for transform in approved_definitions(registry):
        shared.update(transform.encode())
    sources = {name: _source_digest(name, source.spec, profiles) for name, source in registry.sources.items()}
    entities = {name: hashlib.sha256(_json(entity)).digest() for name, entity in registry.entities.items()}
    keys: dict[str, str] = {}
    for name, view in registry.views.items():
        own = shared.copy()
        own.update(_json(view.spec) + "\0".join(view.purposes).encode() + entities[view.spec.entity])
        for ref in view.reads:
            # A view's own key covers what lies behind it.
            own.update(str(ref).encode() + (sources[ref.name] if ref.kind == "source" else keys[ref.name].encode()))
        keys[name] = own.hexdigest()
    return keys


def _compile_views(  # noqa: PLR0913, PLR0917 - one call, above
    registry: Registry,
    author: Access,
    profiles: Profiles,
    known: Mapping[str, CompiledView],
    failures: dict[str, Sequence[Problem]],
    release: Release | None,
) -> dict[str, CompiledView]:
    """All views that compile; those in ``known`` were compiled before."""
    views: dict[str, CompiledView] = {}
    catalog = catalog_of(registry, views, profiles)  # sees views as they are compiled
    for name, view in registry.views.items():
        if any(ref.kind == "view" and ref.name not in views for ref in view.reads):
            continue
        compiled = known.get(name)
        if compiled is None:
            try:
                compiled = _compile_view(view, registry, catalog, author, views)
                if release is not None:
                    release(compiled, views)
            except FeaturePlatformError as error:
                failures[f"view {name}"] = error.problems
                continue
        views[name] = compiled
    return views


def _compile_view(
    view: LinkedView, registry: Registry, catalog: Catalog, author: Access, views: Mapping[str, CompiledView]
) -> CompiledView:
    match view.spec.form:
        case "sql":
            upstream = {ref.name: views[ref.name].fingerprint for ref in view.reads if ref.kind == "view"}
            return compile_sql_view(view, registry, catalog, author, upstream)
        case "aggregations":
            return compile_aggregations(view, registry, catalog, author)
        case "derived":
            return compile_derived(view, registry, views, catalog, author)


def _compile_services(
    registry: Registry, author: Access, views: Mapping[str, CompiledView], failures: dict[str, Sequence[Problem]]
) -> dict[str, CompiledService]:
    services = {}
    for name, service in registry.services.items():
        if any(view not in views for view, _ in service.features):
            continue
        try:
            services[name] = compile_service(service, registry, views, author)
        except CompileError as error:
            failures[f"service {name}"] = error.problems
    return services


def _source_digest(name: str, source: Source, profiles: Profiles) -> bytes:
    """Of a source as it was declared, and of what its profile asks to have declared."""
    total = hashlib.sha256(_json(source))
    for column, finding in sorted(suspicions(profiles, name, source).items()):
        total.update(f"{column}\0{finding}\0".encode())
    return total.digest()


def _json(spec: BaseModel) -> bytes:
    return spec.model_dump_json().encode()


@lru_cache(maxsize=1)
def _code() -> str:
    """A digest of the compiler's own source and of the parser's version."""
    total = hashlib.sha256(f"{COMPILER_VERSION} {version('sqlglot')}".encode())
    package = Path(__file__).parent.parent
    for part in _CODE:
        path = package / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            total.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return total.hexdigest()

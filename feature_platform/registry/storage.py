"""Stores that documents name: they exist in every profile, and can do what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final

from feature_platform.errors import Problem
from feature_platform.registry.codes import ONLINE_WITHOUT_OFFLINE, STORE_KIND
from feature_platform.registry.graph import Origin
from feature_platform.registry.index import Index
from feature_platform.specs.models import FeatureView, Platform, Source
from feature_platform.specs.origins import Path

WAREHOUSES: Final = frozenset({"doris", "duckdb_delta", "postgres"})
ONLINE: Final = frozenset({"redis", "postgres"})


class Stores:
    """The stores of all profiles, looked up once for all views."""

    def __init__(self, platform: Platform, index: Index) -> None:
        self._platform = platform
        self._index = index

    @cached_property
    def _types(self) -> dict[str, dict[str, str]]:
        """Store → profile → type."""
        types: dict[str, dict[str, str]] = {}
        for profile_name, profile in self._platform.profiles.items():
            for store_name, store in profile.stores.items():
                types.setdefault(store_name, {})[profile_name] = store.type
        return types

    def check_source(self, source: Source, origin: Origin) -> Iterator[Problem]:
        """The source lies in a warehouse."""
        yield from self._check(source.store, WAREHOUSES, "sources and history", origin, ("store",))

    def check_view(self, view: FeatureView, origin: Origin) -> Iterator[Problem]:
        """The view goes from a warehouse to stores that serve."""
        if view.form == "derived":
            return
        storage = view.storage
        if storage.offline is not None:
            path: Path = ("materialization", "offline")
            yield from self._check(storage.offline, WAREHOUSES, "sources and history", origin, path)
        elif storage.online_stores:
            yield ONLINE_WITHOUT_OFFLINE.problem(
                "rows cannot go online without an offline store",
                mend="Remove `offline: null`, or `online`.",
                where=origin.where("materialization", "online"),
            )
        for number, name in enumerate(storage.online_stores):
            yield from self._check(name, ONLINE, "serving", origin, ("materialization", "online", number))

    def _check(self, name: str, wanted: frozenset[str], use: str, origin: Origin, path: Path) -> Iterator[Problem]:
        types = self._types.get(name, {})
        if not types:
            yield self._index.unknown_name("store", name, self._types, origin.where(*path))
            return
        if lacking := [profile for profile in self._platform.profiles if profile not in types]:
            listed = ", ".join(f"'{profile}'" for profile in lacking)
            yield self._index.unknown_name(f"store in profile {listed} named", name, (), origin.where(*path))
        if unfit := {profile: store_type for profile, store_type in types.items() if store_type not in wanted}:
            listed = ", ".join(f"{store_type} in profile '{profile}'" for profile, store_type in unfit.items())
            yield STORE_KIND.problem(
                f"the store '{name}' is {listed}, which is not for {use}",
                mend=f"Use a store of type {' or '.join(sorted(wanted))}.",
                where=origin.where(*path),
            )

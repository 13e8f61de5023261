"""What the platform's tables are called as Dagster assets, and what they have on which store.

``warehouse/payments/card_spend`` is a view's history, ``redis/payments/card_spend`` its newest rows,
``sources/transactions`` a table that the company has, ``derived/risk/payment_check`` a view that is computed when it is
read, ``services/fraud_model`` a model's contract. A store that keeps both history and newest rows of a view tells them
apart: ``postgres/customers/customer_profile/online``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from feature_platform.registry.graph import LinkedView, Registry, TableRef

Role = Literal["offline", "online"]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ViewAsset:
    """One view in one store."""

    view: str
    store: str
    role: Role
    path: Path

    @property
    def name(self) -> str:
        return "/".join(self.path)


def assets_of(view: LinkedView) -> tuple[ViewAsset, ...]:
    """Every place that keeps rows of the view: history first. None for a derived view."""
    return tuple(_assets(view))


def view_path(view: LinkedView, store: str, role: Role = "offline") -> Path:
    """The asset key of a view in a store."""
    path = (store, view.domain, view.spec.name)
    return (*path, "online") if role == "online" and store == view.spec.storage.offline else path


def source_path(name: str) -> Path:
    return ("sources", name)


def service_path(name: str) -> Path:
    return ("services", name)


def derived_path(view: LinkedView) -> Path:
    return ("derived", view.domain, view.spec.name)


def table_path(registry: Registry, ref: TableRef) -> Path:
    """The asset that stands for a table in SQL: a source, or a view's history."""
    if ref.kind == "source":
        return source_path(ref.name)
    view = registry.views[ref.name]
    return view_path(view, view.spec.storage.offline) if view.spec.storage.offline else derived_path(view)


def served_paths(view: LinkedView) -> tuple[Path, ...]:
    """The assets from which a model gets a view's features: history for training, newest rows for scoring."""
    return (derived_path(view),) if view.spec.form == "derived" else tuple(asset.path for asset in assets_of(view))


def _assets(view: LinkedView) -> Iterator[ViewAsset]:
    name, storage = view.spec.name, view.spec.storage
    if storage.offline is not None:
        yield ViewAsset(name, storage.offline, "offline", view_path(view, storage.offline))
        for store in storage.online_stores:
            yield ViewAsset(name, store, "online", view_path(view, store, "online"))

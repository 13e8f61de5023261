"""What a spine asks of the views whose newest rows it wants, and which of them are looked up together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from feature_platform.compiler.fragments import Sql, all_of, column, listed, name, quoted, sql, their_column
from feature_platform.compiler.plan import CompiledView
from feature_platform.specs.models import FeatureView

PLACE: Final = "rowid"
"""What tells the rows of a view apart: ``Query.row_ids`` asks stores for it."""
MERGED_COLUMNS: Final = 16
"""Views are merged one after the other while their features are not more than this: each merge sorts the features of
those before it again, and that must not grow with the number of views.
"""


def has_places(view: CompiledView) -> bool:
    """Whether rows can be told apart by :data:`PLACE`: no column of the view is called so."""
    return PLACE not in map(str.lower, view.schema.names)


@dataclass(frozen=True, slots=True)
class Rows:
    """What is wanted of one view."""

    view: CompiledView
    spec: FeatureView
    features: tuple[str, ...]

    @property
    def ties(self) -> list[str]:
        """What decides between rows of equal times: nothing where (key, event time) is unique by contract, else all
        features, whichever are asked for.
        """
        return [] if self.spec.contract.unique else [each.name for each in self.view.features]

    @property
    def late(self) -> bool:
        """Whether a row can become known after another one that is newer, or tie with it."""
        return self.spec.available_at is not None or not self.spec.contract.unique

    @property
    def newest(self) -> Sql:
        """What the newest of some rows ``v`` has most of. A sort key is compared as ORDER BY compares the columns."""
        if not self.ties:
            return Sql("v.event_time")
        order = [Sql("v.event_time"), Sql("v.available_at"), *(their_column(each, "v") for each in self.ties)]
        return sql("CREATE_SORT_KEY(:order)", order=listed(*(Sql(f"{each}, 'ASC NULLS FIRST'") for each in order)))

    def column(self, feature: str) -> Sql:
        """The name of a feature in the answers."""
        return quoted(f"{self.view.name}__{feature}")


@dataclass(frozen=True, slots=True)
class Asked:
    """Views that are looked up together: of one entity, with few enough columns to be sorted together."""

    number: int
    spine_keys: tuple[str, ...]
    views: tuple[Rows, ...]

    @property
    def answers(self) -> str:
        """Relation of the answers: every spine row once as ``fp_row``, and each view's features."""
        return f"{self.prefix}_answers"

    @property
    def may_be_sparse(self) -> bool:
        """Whether the sparse plan can answer: no column takes the engine's name for a row's place."""
        return all(has_places(rows.view) for rows in self.views)

    @property
    def plain(self) -> tuple[Rows, ...]:
        """The views whose rows can be merged as they lie: each row is the newest from its own time on."""
        return tuple(rows for rows in self.views if not rows.late)

    @property
    def prefix(self) -> str:
        return f"fp_ask{self.number}"

    @property
    def keys(self) -> list[str]:
        return [f"fp_k{index}" for index in range(len(self.spine_keys))]

    def named(self, relation: str) -> Sql:
        return name(f"{self.prefix}_{relation}")


def asked_together(views: Iterable[Rows]) -> list[Asked]:
    """Groups of views of one entity that are looked up together."""
    groups: list[Asked] = []
    for rows in views:
        keys = tuple(key.name for key in rows.view.keys)
        for number, group in enumerate(groups):
            together = replace(group, views=(*group.views, rows))
            width = sum(len(each.features) for each in together.views)
            if keys == group.spine_keys and has_places(rows.view) == group.may_be_sparse and width <= MERGED_COLUMNS:
                groups[number] = together
                break
        else:
            groups.append(Asked(len(groups), keys, (rows,)))
    return groups


def given(columns: Iterable[Sql]) -> Sql:
    """Whether there is a value in each of ``columns``: a spine row without a key or a time asks about nothing."""
    return all_of(*(sql(":column IS NOT NULL", column=each) for each in columns))


def same_as_view(rows: Rows, asked: Asked, other: str, view: str = "v") -> Sql:
    """Whether a row of ``other``, which has the keys of ``asked``, and one of the view are about the same entity."""
    pairs = zip(rows.view.keys, asked.keys, strict=True)
    return all_of(*(Sql(f"{their_column(key.name, view)} = {column(own, other)}") for key, own in pairs))

"""Which form of a point-in-time join is the cheapest for a spine.

Queries that look at the spine, and at the views if need be, before the statement runs. What they choose between are
plans of the same answers: :mod:`~feature_platform.compiler.newest_at_rows` has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from feature_platform.compiler.asked_views import Asked, Rows, given, same_as_view
from feature_platform.compiler.fragments import (
    Sql,
    aliased,
    duration,
    listed,
    name,
    quoted,
    sql,
    their_column,
    union_all,
)
from feature_platform.compiler.query_times import GIVEN_SPINE

Form = Literal["sparse", "dense", "whole", "measured"]
"""Which plans a statement holds: one of the three, or the first two."""

SPARSE_MOST: int = 16
"""A spine that asks more often than this about any entity is not sparse."""
SPARSE_MEAN: int = 3
"""Nor is one that asks on average more often than this about an entity."""
WHOLE_LEAST: Final = 0.8
"""A view is merged whole if at least this share of its rows would be kept: to find the others costs a fifth of it."""
_LOOKED_AT: Final = 64
"""One in so many entities is looked at to estimate that share."""


def choice_in_words() -> str:
    """The rule, for people."""
    often = f"{SPARSE_MEAN} times about an entity on average and {SPARSE_MOST} times about any"
    kept = f"without rows that nobody asks for unless {WHOLE_LEAST:.0%} are asked for"
    return f"pairs if the spine asks at most {often}, else spine and rows are sorted and merged, {kept}"


@dataclass(frozen=True, slots=True)
class Measures:
    """How the cheapest form of a statement is found."""

    queries: tuple[Sql, ...]
    """Over ``inputs.spine`` and the views. Each gives one row and column: a form, or NULL if the next has to tell."""
    forms: tuple[Form, ...]
    """Those that they may name."""


def spine_measures(groups: Iterable[Asked], time: str) -> Measures | None:
    """How the cheapest form is found for a spine whose time column is ``time``; None if one form is all.

    Of groups with different entities some may be sparse and others not, then it is ``measured``: that decides for each.
    Views are looked into only for spines of which none is sparse.
    """
    groups = list(groups)
    entities = dict.fromkeys(group.spine_keys for group in groups if group.may_be_sparse)
    if not entities:
        return None
    whole = [group for group in groups if group.plain]
    first = sql(
        """SELECT CASE WHEN BOOL_AND(fp_sparse) THEN 'sparse' WHEN BOOL_OR(fp_sparse) THEN 'measured' ELSE :other END
           FROM (:judged) AS j""",
        judged=union_all(_judged_keys(keys, time) for keys in entities),
        other=sql("NULL") if whole else sql("'dense'"),
    )
    forms: tuple[Form, ...] = ("sparse", "dense") if len(entities) == 1 else ("sparse", "dense", "measured")
    return Measures((first, _whole_measure(whole, time)), (*forms, "whole")) if whole else Measures((first,), forms)


def spine_moments(time: str) -> Sql:
    """The first and the last time of a spine, as text."""
    return sql(
        "SELECT CAST(MIN(:at) AS VARCHAR), CAST(MAX(:at) AS VARCHAR) FROM :spine AS s",
        at=their_column(time, "s"),
        spine=GIVEN_SPINE,
    )


def _whole_measure(groups: Iterable[Asked], time: str) -> Sql:
    """``whole`` or ``dense``, by the share of rows that would be kept, estimated from a sample of the entities."""
    return sql(
        """SELECT CASE WHEN SUM(j.fp_kept) >= :least * SUM(j.fp_rows) THEN 'whole' ELSE 'dense' END
           FROM (:kept) AS j""",
        least=Sql(str(WHOLE_LEAST)),
        kept=union_all(_kept_of(rows, group, time) for group in groups for rows in group.plain),
    )


def _kept_of(rows: Rows, asked: Asked, time: str) -> Sql:
    """Of the rows of some entities, how many there are and how many some question can see."""
    keys, at = [their_column(of, "s") for of in asked.spine_keys], their_column(time, "s")
    named = [aliased(of, name(key)) for of, key in zip(keys, asked.keys, strict=True)]
    kept = sql("e.fp_oldest IS NOT NULL")
    if rows.spec.ttl is not None:
        kept = sql("v.event_time >= e.fp_oldest - :ttl", ttl=duration(rows.spec.ttl.microseconds))
    return sql(
        """SELECT COUNT(*) AS fp_rows, COUNT(*) FILTER (:kept) AS fp_kept FROM "features".:view AS v LEFT JOIN (
             SELECT :named, MIN(:at) AS fp_oldest FROM :spine AS s WHERE :given GROUP BY ALL) AS e ON :same
           WHERE HASH(:of_view) % :looked_at = 0""",
        kept=kept,
        view=quoted(rows.view.name),
        named=listed(*named),
        at=at,
        spine=GIVEN_SPINE,
        given=given([*keys, at]),
        same=same_as_view(rows, asked, "e"),
        of_view=listed(*(their_column(key.name, "v") for key in rows.view.keys)),
        looked_at=Sql(str(_LOOKED_AT)),
    )


def _judged_keys(keys: Sequence[str], time: str) -> Sql:
    named = [their_column(key, "s") for key in keys]
    entities = sql(
        "SELECT COUNT(*) AS fp_rows FROM :spine AS s WHERE :given GROUP BY :keys",
        spine=GIVEN_SPINE,
        given=given([*named, their_column(time, "s")]),
        keys=listed(*named),
    )
    return judged(sql("(:entities)", entities=entities))


def judged(entities: Sql) -> Sql:
    """Whether a spine is sparse that asks ``fp_rows`` times about each of ``entities``; one without rows is not."""
    return sql(
        """SELECT COUNT(*) > 0 AND MAX(e.fp_rows) <= :most AND SUM(e.fp_rows) <= :mean * COUNT(*) AS fp_sparse
           FROM :entities AS e""",
        most=Sql(str(SPARSE_MOST)),
        mean=Sql(str(SPARSE_MEAN)),
        entities=entities,
    )

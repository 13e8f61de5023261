"""Spines that are queries: the rows of a guarded query, numbered, in one statement with the features.

The rows are computed once and numbered as the query delivers them, which is the order of its ORDER BY if it has one.
Nothing of them leaves the engine but the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from feature_platform.compiler.flows import Flow, deciding, settled, union
from feature_platform.compiler.fragments import Relation, Sql, listed, name, sql, their_column, with_relations
from feature_platform.compiler.guard import GuardedQuery
from feature_platform.compiler.plan import OutputColumn
from feature_platform.types import Engine

GIVEN_ROWS: Final = "fp_given"
"""Relation of the spine's rows: ``fp_row`` from 0, and the query's columns."""
_FEATURES: Final = "fp_features"


def beside_rows(
    rows: GuardedQuery, relations: Sequence[Relation], query: Sql, features: Iterable[str], engine: Engine
) -> Sql:
    """``query``, which gives ``fp_row`` and ``features`` and reads :data:`GIVEN_ROWS`, with the columns of ``rows``
    before them, in the order of the rows.
    """
    own = [their_column(column.name, "q") for column in rows.columns]
    given = sql(
        "SELECT ROW_NUMBER() OVER () - 1 AS fp_row, :own FROM (:rows) AS q",
        own=listed(*own),
        rows=Sql(rows.sql(engine)),
    )
    found = [their_column(column.name, "g") for column in rows.columns]
    found += [their_column(each, "f") for each in features]
    beside = sql(
        "SELECT g.fp_row, :found FROM :given AS g JOIN :features AS f ON f.fp_row = g.fp_row ORDER BY g.fp_row",
        found=listed(*found),
        given=name(GIVEN_ROWS),
        features=name(_FEATURES),
    )
    return with_relations([Relation(GIVEN_ROWS, given, stored=True), *relations, Relation(_FEATURES, query)], beside)


def carried(
    features: Iterable[OutputColumn],
    rows: GuardedQuery,
    deciders: Iterable[str],
    request: Mapping[str, Iterable[str]],
) -> Iterator[OutputColumn]:
    """``features`` with what flows into them from the query that gives the rows.

    The columns ``deciders``, keys and time, decide which values there are; what the query itself was decided by is in
    them. The columns that ``request`` names for a feature flow into its value.
    """
    flows = {column.name: _flow(column) for column in rows.columns}
    path = deciding(union([flows[each] for each in deciders]))
    for feature in features:
        value = union([_flow(feature), *(flows[each] for each in request.get(feature.name, ()))])
        flow = settled(value, path)
        yield replace(
            feature, direct=flow.direct, indirect=flow.indirect, labels=flow.labels, transforms=flow.transforms
        )


def _flow(column: OutputColumn) -> Flow:
    return Flow(column.direct, column.indirect, column.labels, column.transforms)

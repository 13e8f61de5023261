"""Training sets for Doris: the features of every spine row as they were known at its time, in one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from feature_platform.compiler.derived import input_name, rows_over
from feature_platform.compiler.doris.lint import checked
from feature_platform.compiler.doris.measured import filled
from feature_platform.compiler.doris.point_in_time import newest_row_relations
from feature_platform.compiler.doris.points import SPINE, KeyedPoints, point_relations, spine_relations
from feature_platform.compiler.doris.text import (
    aliased,
    column,
    columns,
    in_order,
    name,
    order_by,
    selected,
    with_relations,
)
from feature_platform.compiler.doris.windows import window_relations
from feature_platform.compiler.fragments import Relation, Sql, sql
from feature_platform.compiler.given_rows import GIVEN_ROWS
from feature_platform.compiler.guard import GuardedQuery

if TYPE_CHECKING:
    from feature_platform.compiler.training import Request

_VALUES = "fp_values"
_FEATURES = "fp_features"


def training_text(request: Request, time: str, rows: GuardedQuery | None) -> Sql:
    """The query for a training set; of ``rows`` if they are given, else of ``inputs.spine``.

    Raises:
        CompileError: FP-SQL-051, what Doris has no form of.
    """
    spine = Sql(f"{name('inputs')}.{name('spine')}") if rows is None else name(GIVEN_ROWS)
    relations, query = _planned(request, time, spine)
    if rows is None:
        return Sql(checked(with_relations(relations, in_order(query, "s"))))
    return Sql(checked(_beside(rows, relations, query, [input_name(*each) for each in request.wanted])))


def _planned(request: Request, time: str, spine: Sql) -> tuple[list[Relation], Sql]:
    relations = spine_relations(request.key_columns(), time, request.request, request.schedules, spine)
    places = {each: KeyedPoints(each.number, each.spine_keys, each.moment) for each in request.points.values()}
    for points in places.values():
        relations += point_relations(points)
    source = Sql(f"{name(SPINE)} AS `s`")
    stored: dict[tuple[str, str], Sql] = {}
    for number, view in enumerate((*request.aggregations, *request.rows)):
        prefix, points = f"fp_{number}", places[request.at(view)]
        relations += _answers(request, view, points, prefix)
        answers = f"{prefix}_answers"
        source = Sql(f"{source} LEFT OUTER JOIN {name(answers)} ON {points.same(answers, 's')}")
        stored |= _stored(request, view, answers)
    if not request.derived:
        return relations, selected([column("fp_row", "s"), *(stored[each] for each in request.wanted)], source)
    taken = (aliased(column(f"fp_r_{each}", "s"), each) for each in request.request)
    relations.append(Relation(_VALUES, selected([column("fp_row", "s"), *stored.values(), *taken], source)))
    place = {view: f"fp_derived{number}" for number, view in enumerate(request.derived)}
    relations += [
        Relation(place[view], Sql(rows_over(plan, _VALUES, "doris"))) for view, plan in request.derived.items()
    ]
    return relations, _with_derived(request, place)


def _answers(request: Request, view: str, points: KeyedPoints, prefix: str) -> list[Relation]:
    if view in request.aggregations:
        return window_relations(request.aggregations[view], points, prefix)
    spec = request.registry.views[view].spec
    return newest_row_relations(request.compiled.views[view], spec, request.rows[view], points, prefix)


def _stored(request: Request, view: str, answers: str) -> Mapping[tuple[str, str], Sql]:
    found: dict[tuple[str, str], Sql] = {}
    if view in request.aggregations:
        for planned in request.aggregations[view].features:
            feature = planned.feature.name
            found[view, feature] = filled(column(feature, answers), planned)
    for feature in request.rows.get(view, ()):
        found[view, feature] = column(feature, answers)
    return {each: aliased(value, input_name(*each)) for each, value in found.items()}


def _with_derived(request: Request, place: Mapping[str, str]) -> Sql:
    found = [
        aliased(column(feature, place[view]), input_name(view, feature))
        if view in place
        else column(input_name(view, feature), "s")
        for view, feature in request.wanted
    ]
    source = Sql(f"{name(_VALUES)} AS `s`")
    for each in place.values():
        source = Sql(f"{source} LEFT OUTER JOIN {name(each)} ON {column('fp_row', each)} = {column('fp_row', 's')}")
    return selected([column("fp_row", "s"), *found], source)


def _beside(rows: GuardedQuery, relations: Sequence[Relation], query: Sql, features: Sequence[str]) -> str:
    """The spine's own columns before the features. Its rows are numbered in the order of all their columns: Doris may
    compute them more than once, and rows that are equal in everything have equal features.
    """
    own = columns([each.name for each in rows.columns], "q")
    numbered = sql("ROW_NUMBER() OVER (:order) - 1", order=order_by(own))
    given = selected([aliased(numbered, "fp_row"), *own], Sql(f"({rows.sql('doris')}) AS `q`"))
    found = [column("fp_row", "s"), *columns([each.name for each in rows.columns], "s"), *columns(features, "f")]
    source = sql(
        ":given AS `s` INNER JOIN :features AS `f` ON `f`.`fp_row` = `s`.`fp_row`",
        given=name(GIVEN_ROWS),
        features=name(_FEATURES),
    )
    all_of_them = [Relation(GIVEN_ROWS, given), *relations, Relation(_FEATURES, query)]
    return with_relations(all_of_them, in_order(selected(found, source), "s"))

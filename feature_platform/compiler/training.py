"""Training sets: for every row of a spine the features as they were known at the row's time, in one query.

Reads ``"inputs"."spine"``: the caller's rows with a leading bigint ``fp_row``, personal keys as tokens. Gives
``fp_row`` and ``<view>__<feature>`` for every spine row exactly once, ordered by ``fp_row``; the caller puts its own
columns back beside them. Of a spine that is a query, the rows are computed by the same statement; see
:mod:`.given_rows`.

* Aggregations come from the source's events at the row's time, or at the newest tick of the view's schedule
  (``accuracy: snapshot``).
* Views in SQL come from their published rows, the newest one known by then.
* Derived features are computed from those, whether or not the inputs were asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from feature_platform.compiler.aggregation_lines import plan_aggregations
from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.asked_views import Asked, Rows, asked_together
from feature_platform.compiler.catalog import Catalog, catalog_of
from feature_platform.compiler.codes import SPINE_COLUMN, SPINE_TYPE, UNKNOWN_FEATURE
from feature_platform.compiler.derived import DerivedPlan, input_name, plan_derived, rows_over
from feature_platform.compiler.feature_values import filled
from feature_platform.compiler.fragments import (
    Relation,
    Sql,
    aliased,
    equal,
    listed,
    name,
    quoted,
    sql,
    their_column,
    with_relations,
)
from feature_platform.compiler.given_rows import GIVEN_ROWS, beside_rows, carried
from feature_platform.compiler.guard import GuardedQuery
from feature_platform.compiler.newest_at_rows import newest_row_answers
from feature_platform.compiler.plan import CompiledProject, CompiledQuery, OutputColumn, SpineForms
from feature_platform.compiler.point_in_time import newest_row_relations
from feature_platform.compiler.point_measures import level_relation
from feature_platform.compiler.query_times import (
    GIVEN_SPINE,
    SPINE,
    Points,
    Target,
    join_points,
    point_relations,
    spine_relations,
)
from feature_platform.compiler.spine_measures import Form, spine_measures, spine_moments
from feature_platform.compiler.windows_at_points import window_relations
from feature_platform.errors import CompileError, Problem, did_you_mean
from feature_platform.registry.graph import Registry, TableRef
from feature_platform.types import BIGINT, ENGINES, Column, DataType, Engine, TableSchema

_VALUES = "fp_values"


def compile_training_set(  # noqa: PLR0913 - what is asked for, and options by keyword
    registry: Registry,
    compiled: CompiledProject,
    features: Sequence[tuple[str, str]],
    spine: TableSchema,
    *,
    time: str,
    engines: Sequence[Engine] = ENGINES,
    catalog: Catalog | None = None,
    rows: GuardedQuery | None = None,
) -> CompiledQuery:
    """The query for ``features``, (view, feature) in the order wanted, at the times in the spine's column ``time``.

    ``spine`` has the columns of ``inputs.spine`` (``fp_row`` may be left out of it). Duplicates among ``features``
    are given once. With ``rows`` the statement computes the spine too: it reads no ``inputs.spine``, runs on engines
    that have all of ``rows``, and gives the columns of ``rows`` before the features.

    Raises:
        CompileError: unknown features, or a spine without the keys, the time or the request columns that they need,
        or with other types.
    """
    wanted = list(dict.fromkeys(features))
    columns = training_columns(compiled, wanted)
    request = Request(registry, compiled, catalog or catalog_of(registry, compiled.views, compiled.profiles), wanted)
    request.check(spine, time)
    if rows is not None:
        used = {input_name(*each): request.taken_by(*each) for each in wanted}
        columns = (*rows.columns, *carried(columns, rows, (time, *request.key_columns()), used))
        engines = [engine for engine in engines if engine in rows.engines or engine == "doris"]
    return CompiledQuery(
        sql={engine: str(request.sql(time, engine, rows)) for engine in engines},
        columns=(OutputColumn("fp_row", BIGINT), *columns),
        reads=request.reads() if rows is None else tuple(sorted({*request.reads(), *rows.reads})),
        rules=() if rows is None else rows.rules,
        forms=request.forms(time) if rows is None and "duckdb" in engines else None,
    )


def training_columns(compiled: CompiledProject, features: Sequence[tuple[str, str]]) -> tuple[OutputColumn, ...]:
    """The columns that a training set has for ``features``: names ``<view>__<feature>``, types, labels, lineage.

    Raises:
        CompileError: features that do not exist, all of them.
    """
    found: list[OutputColumn] = []
    problems: list[Problem] = []
    for view, feature in dict.fromkeys(features):
        known = compiled.views.get(view)
        has = known.feature(feature) if known else None
        if has is None:
            near = (
                did_you_mean(feature, [each.name for each in known.features])
                if known
                else did_you_mean(view, compiled.views)
            )
            what = f"view '{view}' has no feature '{feature}'." if known else f"there is no view '{view}'."
            problems.append(UNKNOWN_FEATURE.problem(what + near, mend="ask for a feature that exists"))
            continue
        found.append(replace(has.column, name=input_name(view, feature)))
    if problems:
        raise CompileError(problems)
    return tuple(found)


@dataclass
class Request:
    """Everything about one training set that does not depend on the engine."""

    registry: Registry
    compiled: CompiledProject
    catalog: Catalog
    wanted: Sequence[tuple[str, str]]
    aggregations: dict[str, AggregationPlan] = field(default_factory=dict)
    rows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """SQL view → features."""
    derived: dict[str, DerivedPlan] = field(default_factory=dict)
    schedules: list[str] = field(default_factory=list)
    request: dict[str, DataType] = field(default_factory=dict)
    points: dict[tuple[tuple[str, ...], str], Points] = field(default_factory=dict)

    def __post_init__(self) -> None:
        author = self.compiled.author
        for view in dict.fromkeys(view for view, _ in self.wanted):
            if self.compiled.views[view].form == "derived":
                own = {name for of, name in self.wanted if of == view}
                plan = plan_derived(
                    self.registry.views[view], self.compiled.views, self.catalog, self.compiled.author, own
                )
                self.derived[view] = plan
                self.request |= plan.request
        for view, names in self._stored().items():
            if self.compiled.views[view].form == "sql":
                self.rows[view] = names
            else:
                self.aggregations[view] = plan_aggregations(
                    self.registry.views[view], self.registry, self.catalog, author, names
                )
            self.at(view)

    def _stored(self) -> Mapping[str, tuple[str, ...]]:
        stored = [each for each in self.wanted if each[0] not in self.derived]
        stored += [each for plan in self.derived.values() for each in plan.inputs]
        return {view: tuple(dict.fromkeys(name for of, name in stored if of == view)) for view, _ in stored}

    def at(self, view: str) -> Points:
        keys = tuple(key.name for key in self.compiled.views[view].keys)
        moment = "fp_q"
        plan = self.aggregations.get(view)
        if plan is not None and plan.snapshot is not None:
            schedule = plan.view.spec.storage.schedule
            assert schedule is not None
            if schedule not in self.schedules:
                self.schedules.append(schedule)
            moment = f"fp_q{self.schedules.index(schedule)}"
        return self.points.setdefault((keys, moment), Points(len(self.points), keys, moment))

    def reads(self) -> tuple[TableRef, ...]:
        sources = (TableRef("source", plan.source) for plan in self.aggregations.values())
        return tuple(sorted({*sources, *(TableRef("view", view) for view in self.rows)}))

    def key_columns(self) -> dict[str, DataType]:
        """Key columns of the spine and their types; of two integer types for one name the wider."""
        found: dict[str, DataType] = {}
        for view in (*self.aggregations, *self.rows):
            for key in self.compiled.views[view].keys:
                both = {key.type, found.get(key.name, key.type)}
                found[key.name] = key.type if len(both) == 1 else BIGINT
        return found

    def check(self, spine: TableSchema, time: str) -> None:
        """Raises CompileError when the spine does not have what is needed."""
        needed: Iterable[tuple[str, DataType, str]] = (
            *((key, of, "a key of the entities asked for") for key, of in self.key_columns().items()),
            *((each, of, "what derived features take from the request") for each, of in self.request.items()),
        )
        problems = list(self._conflicts())
        for each, of, why in needed:
            has = spine.column(each)
            if has is None:
                what = f"the spine has no column '{each}', {why}.{did_you_mean(each, spine.names)}"
                problems.append(SPINE_COLUMN.problem(what, mend="add it to the spine, or rename a column"))
            elif not _fits(has, of):
                what = f"the spine's column '{each}' is {has.type}, not {of}"
                problems.append(SPINE_TYPE.problem(what, mend="convert the column"))
        at = spine.column(time)
        if at is None:
            what = f"the spine has no time column '{time}'.{did_you_mean(time, spine.names)}"
            problems.append(SPINE_COLUMN.problem(what, mend="say with `time` which column has the query times"))
        elif not at.type.is_temporal:
            what = f"the spine's time column '{time}' is {at.type}"
            problems.append(SPINE_TYPE.problem(what, mend="give a timestamp or a date, in UTC"))
        if problems:
            raise CompileError(problems)

    def _conflicts(self) -> Iterator[Problem]:
        wanted: dict[str, tuple[str, DataType]] = {}
        for view in (*self.aggregations, *self.rows):
            for key in self.compiled.views[view].keys:
                other, of = wanted.setdefault(key.name, (view, key.type))
                if of != key.type and not (of.is_integer and key.type.is_integer):
                    what = f"'{key.name}' is {of} for view '{other}' and {key.type} for view '{view}'"
                    yield SPINE_TYPE.problem(what, mend="ask for their features in two training sets")

    def taken_by(self, view: str, feature: str) -> tuple[str, ...]:
        """The request columns that a derived feature uses."""
        if view not in self.derived or not self.derived[view].request:
            return ()
        own = plan_derived(
            self.registry.views[view], self.compiled.views, self.catalog, self.compiled.author, {feature}
        )
        return tuple(own.request)

    def forms(self, time: str) -> SpineForms | None:
        """The query for DuckDB, of ``inputs.spine``, with one plan instead of several in it."""
        wanted = list(self._rows_wanted())
        found = spine_measures(asked_together(wanted), time)
        if found is None:
            return None
        return SpineForms(
            tuple(map(str, found.queries)),
            {str(form): str(with_relations(*self._planned(time, "duckdb", GIVEN_SPINE, form))) for form in found.forms},
            moments=str(spine_moments(time)),
            seen={rows.view.name: rows.spec.ttl.microseconds if rows.spec.ttl else None for rows in wanted},
        )

    def sql(self, time: str, engine: Engine, rows: GuardedQuery | None = None) -> Sql:
        """The query for one engine; of ``rows`` if they are given, else of ``inputs.spine``."""
        if engine == "doris":
            from feature_platform.compiler.doris.training import training_text

            return training_text(self, time, rows)
        spine = GIVEN_SPINE if rows is None else name(GIVEN_ROWS)
        relations, query = self._planned(time, engine, spine, "measured")
        if rows is None:
            return with_relations(relations, query)
        return beside_rows(rows, relations, query, [input_name(*each) for each in self.wanted], engine)

    def _planned(self, time: str, engine: Engine, spine: Sql, form: Form) -> tuple[list[Relation], Sql]:
        relations = spine_relations(self.key_columns(), time, self.request, self.schedules, engine, rows=spine)
        at_points = [*self.aggregations, *(self.rows if engine != "duckdb" else ())]
        used = list(dict.fromkeys(self.at(view) for view in at_points))
        for points in used:
            relations += point_relations(points, engine)
        if self.aggregations:
            relations.append(level_relation())
        joins = Sql("".join(join_points(points, "s") for points in used))
        stored: dict[tuple[str, str], Sql] = {}
        numbers = {view: number for number, view in enumerate((*self.aggregations, *self.rows))}
        for view in at_points:
            target = Target(self.at(view), f"fp_{numbers[view]}", engine)
            relations += self._answers(view, target)
            same = equal(["fp_point"], f"{target.prefix}_answers", target.points.name)
            # Every point is one of the spine's, so FULL gives the same. PostgreSQL guesses that there is one answer and
            # then compares each point with each answer; for a full join it can't.
            kind = Sql("FULL" if engine == "postgres" else "LEFT")
            answers = target.named("answers")
            joins = sql(":joins :kind JOIN :answers ON :same", joins=joins, kind=kind, answers=answers, same=same)
            stored |= self._stored_columns(view, f"fp_{numbers[view]}_answers", engine)
        asked = aliased(name(SPINE), name("s"))
        groups = asked_together(self._rows_wanted()) if engine == "duckdb" else []
        for together in groups:
            relations += newest_row_answers(together, form)
            if joins or self.request or together.number:
                stored |= self._newest_columns(together, together.answers)
                joins = sql(
                    ":joins LEFT JOIN :answers ON :answers.fp_row = s.fp_row",
                    joins=joins,
                    answers=name(together.answers),
                )
            else:  # they have every spine row, so nothing needs to be joined to the spine
                stored |= self._newest_columns(together, "s")
                asked = aliased(name(together.answers), name("s"))
        parts = {"asked": asked, "joins": joins}
        if self.derived:
            request = (aliased(their_column(f"fp_r_{each}", "s"), quoted(each)) for each in self.request)
            found = listed(Sql("s.fp_row"), *stored.values(), *request)
            relations.append(
                Relation(_VALUES, sql("SELECT :found FROM :asked:joins", found=found, **parts), stored=True)
            )
            return [*relations, *self._derivations(engine)], self._with_derived()
        found = listed(*(stored[each] for each in self.wanted))
        return relations, sql("SELECT s.fp_row, :found FROM :asked:joins ORDER BY s.fp_row", found=found, **parts)

    def _rows_wanted(self) -> Iterator[Rows]:
        for view, features in self.rows.items():
            yield Rows(self.compiled.views[view], self.registry.views[view].spec, features)

    def _newest_columns(self, together: Asked, relation: str) -> dict[tuple[str, str], Sql]:
        return {
            (rows.view.name, feature): aliased(
                Sql(f"{name(relation)}.{rows.column(feature)}"), quoted(input_name(rows.view.name, feature))
            )
            for rows in together.views
            for feature in rows.features
        }

    def _answers(self, view: str, target: Target) -> list[Relation]:
        if view in self.aggregations:
            return window_relations(self.aggregations[view], target)
        spec = self.registry.views[view].spec
        return newest_row_relations(self.compiled.views[view], spec, self.rows[view], target)

    def _stored_columns(self, view: str, answers: str, engine: Engine) -> dict[tuple[str, str], Sql]:
        found: dict[tuple[str, str], Sql] = {}
        if view in self.aggregations:
            for planned in self.aggregations[view].features:
                feature = planned.feature.name
                found[view, feature] = filled(their_column(feature, answers), planned, engine)
        for feature in self.rows.get(view, ()):
            found[view, feature] = their_column(feature, answers)
        return {each: aliased(value, quoted(input_name(*each))) for each, value in found.items()}

    def _derivations(self, engine: Engine) -> list[Relation]:
        return [
            Relation(f"fp_derived{number}", rows_over(plan, _VALUES, engine))
            for number, plan in enumerate(self.derived.values())
        ]

    def _with_derived(self) -> Sql:
        place = {view: f"fp_derived{number}" for number, view in enumerate(self.derived)}
        found = [
            aliased(their_column(feature, place[view]), quoted(input_name(view, feature)))
            if view in place
            else their_column(input_name(view, feature), "v")
            for view, feature in self.wanted
        ]
        joins = (
            sql(" LEFT JOIN :derived ON :same", derived=name(each), same=equal(["fp_row"], each, "v"))
            for each in place.values()
        )
        return sql(
            "SELECT v.fp_row, :found FROM :stored AS v:joins ORDER BY v.fp_row",
            found=listed(*found),
            stored=name(_VALUES),
            joins=Sql("".join(joins)),
        )


def _fits(has: Column, needed: DataType) -> bool:
    if needed.is_integer:
        return has.type.is_integer
    if needed.is_numeric:
        return has.type.is_exact or has.type == needed
    return has.type == needed

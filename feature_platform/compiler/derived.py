"""Derived features: expressions over one row of other features and of what comes with the request.

An expression goes through the guard like any SQL, as a column of a SELECT over one table that has all features of the
view's inputs and its request columns. The text that comes out runs at request time on DuckDB and, over the same
table, inside every training set: there is one definition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from feature_platform.compiler.catalog import Catalog, CatalogColumn, CatalogTable
from feature_platform.compiler.codes import DERIVED_AMBIGUOUS, DERIVED_EXPRESSION, DERIVED_INPUT, DERIVED_REQUEST
from feature_platform.compiler.contracts import broken_promise, described
from feature_platform.compiler.fragments import Sql, sql
from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.compiler.parse import parse_expression
from feature_platform.compiler.plan import COMPILER_VERSION, CompiledQuery, CompiledView, Feature, OutputColumn
from feature_platform.compiler.render import render
from feature_platform.errors import CompileError, Location, Problem, did_you_mean
from feature_platform.governance.access import Access
from feature_platform.registry.fingerprint import digest
from feature_platform.registry.graph import ColumnRef, LinkedView, Registry, TableRef
from feature_platform.types import BIGINT, ENGINES, Column, DataType, Engine

ROWS: Final = "fp_rows"
"""The table of inputs, as far as the guard is concerned. Rendered SQL reads ``inputs.rows``."""
_NUMBER: Final = "fp_row"


@dataclass(frozen=True)
class DerivedPlan:
    """What the expressions of a derived view read, all the way down."""

    rows: GuardedQuery
    """``fp_row`` and the features, from :data:`ROWS`."""
    inputs: tuple[tuple[str, str], ...]
    """(view, feature) of stored features, sorted."""
    request: Mapping[str, DataType]
    """Columns that the caller brings, as far as the expressions use them."""

    def origin(self, column: ColumnRef) -> ColumnRef:
        """The stored feature behind a column of :data:`ROWS`."""
        stored = {input_name(view, name): ColumnRef(TableRef("view", view), name) for view, name in self.inputs}
        return stored.get(column.column, column)


def compile_derived(  # noqa: PLR0913 - what a view is compiled from, and for which engines
    view: LinkedView,
    registry: Registry,
    views: Mapping[str, CompiledView],
    catalog: Catalog,
    author: Access,
    *,
    engines: Sequence[Engine] = ENGINES,
) -> CompiledView:
    """The compiled form of a derived view; ``views`` has those it is built on.

    Raises:
        CompileError: an expression does not parse, names something unknown or ambiguous, or is not about one row;
        GuardError: it uses what the function catalogue, the types or a policy do not allow.
    """
    plan = plan_derived(view, views, catalog, author)
    columns = tuple(_feature_columns(plan, view))
    if broken := [problem for column in columns if (problem := broken_promise(column, view)) is not None]:
        raise CompileError(broken)
    features = tuple(Feature(column.name, column) for column in columns)
    query = CompiledQuery(
        sql={engine: str(_derivation(plan, engine)) for engine in engines},
        columns=(OutputColumn(_NUMBER, BIGINT), *(feature.column for feature in features)),
        reads=(),
        rules=tuple(sorted(replace(rule, column=plan.origin(rule.column)) for rule in plan.rows.rules)),
    )
    shape = [(feature.name, str(feature.column.type), sorted(map(str, feature.column.labels))) for feature in features]
    upstream = [views[name].fingerprint for name in view.spec.inputs]
    entity = registry.entity_of(view.spec.name)
    inherited = {key.name: key for name in view.spec.inputs for key in views[name].keys}
    return CompiledView(
        name=view.spec.name,
        form="derived",
        entity=view.spec.entity,
        keys=tuple(inherited.get(key.name, Column(key.name, key.type)) for key in entity.keys),
        features=features,
        materialize=None,
        derive=query,
        partitioned=None,
        fingerprint=digest([COMPILER_VERSION, dict(query.sql), shape, upstream]),
        reads=tuple(TableRef("view", name) for name in sorted(view.spec.inputs)),
    )


def plan_derived(
    view: LinkedView,
    views: Mapping[str, CompiledView],
    catalog: Catalog,
    author: Access,
    only: Collection[str] | None = None,
) -> DerivedPlan:
    """Understands a derived view, see :func:`compile_derived`; with ``only``, just those of its features."""
    table = _InputTable(view, views)
    problems: list[Problem] = []
    expressions: dict[str, tuple[exp.Expr, Location]] = {}
    for index, feature in enumerate(view.spec.derived):
        if only is not None and feature.name not in only:
            continue
        where = view.origin.where("derived", index, "expression")
        try:
            expressions[feature.name] = (table.resolved(feature.expression, where), where)
        except CompileError as error:
            problems += error.problems
    if problems:
        raise CompileError(problems)
    limited = replace(catalog, tables={ROWS: table.catalog_table(catalog.tables)})
    rows = _guarded(expressions, limited, author.with_purposes(view.purposes), view.origin.where("derived"))
    return DerivedPlan(rows, tuple(sorted(table.inputs)), table.request)


def _derivation(plan: DerivedPlan, engine: Engine) -> Sql:
    rows = Sql(render(_over(plan.rows, exp.table_("rows", db="inputs", quoted=True)), engine))
    if engine == "doris":
        from feature_platform.compiler.doris.lint import checked
        from feature_platform.compiler.doris.text import columns, in_order, selected

        found = selected(columns([column.name for column in plan.rows.columns], "d"), Sql(f"({rows}) AS `d`"))
        return Sql(checked(in_order(found, "d")))
    return sql("SELECT d.* FROM (:rows) AS d ORDER BY d.fp_row", rows=rows)


def rows_over(plan: DerivedPlan, relation: str, engine: Engine) -> Sql:
    """``fp_row`` and the features, computed from a relation of the platform's with the input features and the request
    columns.
    """
    return Sql(render(_over(plan.rows, exp.to_table(relation)), engine))


def input_name(view: str, feature: str) -> str:
    """The column of an input feature: ``card_spend__amount_sum_1d``."""
    return f"{view}__{feature}"


@dataclass
class _InputTable:
    """The table of inputs, as it grows while expressions are resolved."""

    view: LinkedView
    views: Mapping[str, CompiledView]
    inputs: set[tuple[str, str]] = field(default_factory=set)
    request: dict[str, DataType] = field(default_factory=dict)

    def resolved(self, text: str, where: Location) -> exp.Expr:
        """The expression with every name replaced by a column of the table."""
        tree = parse_expression(text, where=where)
        if tree.find(exp.Query, exp.AggFunc, exp.Window):
            mend = "compute what needs several rows in a view with `sql` or `aggregations`, and read its features here"
            raise CompileError(
                DERIVED_EXPRESSION.problem(f"`{text}` looks at more than one row", mend=mend, where=where)
            )
        problems: list[Problem] = []

        def replaced(node: exp.Expr) -> exp.Expr:
            if not isinstance(node, exp.Column):
                return node
            try:
                return self._meaning(node, where)
            except CompileError as error:
                problems.extend(error.problems)
                return node

        tree = tree.transform(replaced)
        if problems:
            raise CompileError(problems)
        return exp.paren(tree)

    def catalog_table(self, stored: Mapping[str, CatalogTable]) -> CatalogTable:
        """What the guard needs to know; ``stored`` are the tables of the project."""
        columns = [
            CatalogColumn(_NUMBER, BIGINT),
            *(CatalogColumn(name, of) for name, of in self.request.items()),
        ]
        for view, name in sorted(self.inputs):
            feature = self.views[view].feature(name)
            assert feature is not None
            column = feature.column
            behind = stored[view].by_name[name.lower()].behind
            columns.append(CatalogColumn(input_name(view, name), column.type, None, column.labels, behind))
        return CatalogTable(TableRef("view", ROWS), tuple(columns))

    def _meaning(self, node: exp.Column, where: Location) -> exp.Expr:
        spec, name = self.view.spec, node.name.lower()
        qualifier = node.table.lower()
        inputs = [each for each in spec.inputs if not qualifier or each == qualifier]
        holding = [(each, own) for each in inputs if (own := _spelled(name, self.views[each])) is not None]
        requested = next((each for each in spec.request if each.lower() == name), None) if not qualifier else None
        if requested is not None and holding:
            what = f"'{requested}' is a request column and a feature of '{holding[0][0]}'"
            mend = f"write '{holding[0][0]}.{name}', or give the request column another name"
            raise CompileError(DERIVED_REQUEST.problem(what, mend=mend, where=where))
        if requested is not None:
            self.request[requested] = spec.request[requested]
            return _row_column(requested)
        if len(holding) > 1:
            what = f"'{name}' is a feature of {' and '.join(each for each, _ in holding)}"
            mend = f"write {' or '.join(f'{each}.{own}' for each, own in holding)}"
            raise CompileError(DERIVED_AMBIGUOUS.problem(what, mend=mend, where=where))
        if not holding:
            known = [*spec.request, *(feature.name for each in inputs for feature in self.views[each].features)]
            what = f"'{node.sql()}' is no feature of {' or '.join(spec.inputs) or 'an input'}, and no request column."
            mend = "correct the name, or add the view to `inputs`"
            raise CompileError(DERIVED_INPUT.problem(what + did_you_mean(name, known), mend=mend, where=where))
        self.inputs.add(holding[0])
        return _row_column(input_name(*holding[0]))


def _spelled(name: str, view: CompiledView) -> str | None:
    return next((feature.name for feature in view.features if feature.name.lower() == name), None)


def _row_column(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(ROWS))


def _guarded(
    expressions: Mapping[str, tuple[exp.Expr, Location]], catalog: Catalog, access: Access, where: Location
) -> GuardedQuery:
    def selecting(names: Sequence[str]) -> exp.Select:
        found = (exp.alias_(expressions[name][0].copy(), exp.to_identifier(name, quoted=True)) for name in names)
        return exp.select(_row_column(_NUMBER), *found).from_(exp.to_table(ROWS))

    try:
        return guard(selecting(list(expressions)), catalog, access, where=where, engines=ENGINES)
    except CompileError as error:
        # One after the other, so that each problem is told at its own line.
        problems: list[Problem] = []
        for name, (_, place) in expressions.items():
            try:
                guard(selecting([name]), catalog, access, where=place, engines=ENGINES)
            except CompileError as own:
                problems += [problem for problem in own.problems if problem not in problems]
        raise CompileError(problems or error.problems) from None


def _over(rows: GuardedQuery, table: exp.Table) -> exp.Query:
    """The guarded query, reading ``table`` in the place of :data:`ROWS`."""
    tree = rows.tree.copy()
    for each in list(tree.find_all(exp.Table)):
        if each.name == ROWS:
            own = table.copy()
            own.set("alias", each.args.get("alias") or exp.TableAlias(this=exp.to_identifier(ROWS)))
            each.replace(own)
    assert isinstance(tree, exp.Query)
    return tree


def _feature_columns(plan: DerivedPlan, view: LinkedView) -> Iterator[OutputColumn]:
    origins = {input_name(*each): ColumnRef(TableRef("view", each[0]), each[1]) for each in plan.inputs}

    def traced(refs: frozenset[ColumnRef]) -> frozenset[ColumnRef]:
        return frozenset(origins[ref.column] for ref in refs if ref.column in origins)

    descriptions = {each.name: each.description for each in view.spec.derived}
    for column in plan.rows.columns:
        if column.name != _NUMBER:
            found = replace(column, direct=traced(column.direct), indirect=traced(column.indirect))
            yield described(replace(found, description=descriptions.get(column.name, "")), view)

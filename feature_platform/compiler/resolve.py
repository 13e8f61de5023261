"""Names → things: tables to the catalogue, columns to tables, stars to columns, ordinals and aliases to expressions.

Afterwards every column has its table in front, in the spelling of its declaration; every table and subquery has an
alias that is unique in the whole query, so that an alias alone says what is meant; every projection has a name; there
are no stars, no USING, no GROUP BY ALL. Names compare without regard to case, as DuckDB does; a CTE comes before a
table of the same name; a column comes before an alias of the same SELECT, but in ORDER BY the alias comes first.

Author's SQL: ``SELECT * EXCLUDE (k), a + 1 AS b FROM t JOIN u USING (k) GROUP BY ALL``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlglot import exp

from feature_platform.compiler.catalog import Catalog
from feature_platform.compiler.codes import (
    AMBIGUOUS_COLUMN,
    CONSTRUCT,
    OUTPUT_NAMES,
    SET_OPERATION,
    UNKNOWN_COLUMN,
    UNKNOWN_TABLE,
)
from feature_platform.compiler.grouping import check_aggregation, resolve_groups
from feature_platform.compiler.joins import resolve_join
from feature_platform.compiler.names import Relation, Resolution, Scope
from feature_platform.compiler.ordering import check_limits, rename_output_references, resolve_order
from feature_platform.compiler.report import Report
from feature_platform.compiler.rows import is_access, resolve_beyond_columns, resolve_position
from feature_platform.compiler.scopes import bare, ctes, first_select, from_items, output_names
from feature_platform.compiler.stars import expand_projections
from feature_platform.errors import did_you_mean

CTEs = Mapping[str, exp.CTE]


def resolve(tree: exp.Query, catalog: Catalog, report: Report) -> Resolution:
    """Resolves ``tree`` in place; what can't be resolved is noted in ``report``."""
    state = Resolution(catalog, report)
    resolve_query(tree, {}, None, state)
    return state


def resolve_query(query: exp.Expr, visible: CTEs, outer: Scope | None, state: Resolution) -> None:
    """Resolves a query of any level with the CTEs and outer columns that it can see."""
    inner = bare(query)
    visible = _resolve_ctes(inner, visible, outer, state)
    if isinstance(inner, exp.Select):
        _resolve_select(inner, visible, outer, state)
    else:
        _resolve_set_operation(inner, visible, outer, state)


def _resolve_ctes(query: exp.Expr, visible: CTEs, outer: Scope | None, state: Resolution) -> CTEs:
    known = dict(visible)
    own: set[str] = set()
    for cte in ctes(query):
        written = cte.alias.lower()
        if written in own:
            state.report.add(OUTPUT_NAMES, cte, f"two CTEs are called '{cte.alias}'", "rename one of them")
        own.add(written)
        resolve_query(cte.this, known, outer, state)
        _rename_outputs(cte, state)
        cte.args["alias"].set("this", _like(state.unique(cte.alias), cte.args["alias"].this))
        known[written] = cte
    return known


def _resolve_set_operation(operation: exp.SetOperation, visible: CTEs, outer: Scope | None, state: Resolution) -> None:
    resolve_query(operation.this, visible, outer, state)
    resolve_query(operation.expression, visible, outer, state)
    left, right = output_names(operation.this), output_names(operation.expression)
    if len(left) != len(right):
        state.report.add(
            SET_OPERATION,
            first_select(operation.expression).expressions[0],
            f"the branches have {len(left)} and {len(right)} columns",
            "give every branch the same columns in the same order",
        )
    resolve_order(operation, None, state)
    check_limits(operation, state)


def _resolve_select(select: exp.Select, visible: CTEs, outer: Scope | None, state: Resolution) -> None:
    scope = Scope(outer=outer)
    if "from_" not in select.args or select.args["from_"] is None:
        state.report.add(CONSTRUCT, select, "not part of the dialect: SELECT without FROM", "read a source or a view")
    for item, join in from_items(select):
        _add_relation(item, scope, visible, state)
        if join is not None:
            resolve_join(join, scope, lambda node: resolve_expression(node, scope, visible, state), state)
    expand_projections(select, scope, state)
    for projection in select.expressions:
        _resolve_projection(projection, scope, visible, state)
    _check_names(select, state)
    resolve_groups(select, lambda node: resolve_expression(node, scope, visible, state), state)
    for part in ("where", "having", "qualify"):
        clause = select.args.get(part)
        if clause is not None:
            resolve_expression(clause, scope, visible, state)
    resolve_order(select, lambda node: resolve_expression(node, scope, visible, state), state)
    check_limits(select, state)
    check_aggregation(select, {relation.alias for relation in scope.relations}, state.report)


def _add_relation(item: exp.Expr, scope: Scope, visible: CTEs, state: Resolution) -> None:
    relation = (
        _subquery(item, scope, visible, state) if isinstance(item, exp.Subquery) else _table(item, visible, state)
    )
    if relation is None:
        scope.relations.append(Relation("", item.alias_or_name.lower(), {}))
        return
    if scope.relation(relation.written) is not None:
        state.report.add(
            OUTPUT_NAMES,
            item,
            f"two tables are called '{relation.written}' here",
            "give one of them another name with AS",
        )
    scope.relations.append(relation)


def _table(item: exp.Expr, visible: CTEs, state: Resolution) -> Relation | None:
    assert isinstance(item, exp.Table)
    name = item.name
    written = (item.alias or name).lower()
    alias = state.unique(item.alias or name)
    if item.args.get("alias") is not None and item.args["alias"].columns:
        state.report.add(
            CONSTRUCT, item, "not part of the dialect: new column names in FROM", "rename columns in a CTE"
        )
    cte = visible.get(name.lower())
    if cte is not None:
        item.set("this", _like(cte.alias, item.this))
        _set_alias(item, alias)
        return Relation(alias, written, _columns(output_names(cte.this)), node=item)
    table = state.catalog.tables.get(name.lower())
    if table is None:
        state.report.add(
            UNKNOWN_TABLE,
            item,
            f"there is no source, view or CTE '{name}'.{did_you_mean(name, [*visible, *state.catalog.tables])}",
            "name a source or a feature view of the project, or a CTE that stands before",
        )
        return None
    _set_alias(item, alias)
    relation = Relation(alias, written, {column.name.lower(): column.name for column in table.columns}, table, item)
    state.bases[alias] = relation
    return relation


def _subquery(item: exp.Subquery, scope: Scope, visible: CTEs, state: Resolution) -> Relation:
    # The tables beside it are not visible inside: that would be LATERAL.
    resolve_query(item.this, visible, scope.outer, state)
    _rename_outputs(item, state)
    written = (item.alias or "subquery").lower()
    alias = state.unique(item.alias or "subquery")
    _set_alias(item, alias)
    return Relation(alias, written, _columns(output_names(item.this)), node=item)


def _resolve_projection(projection: exp.Expr, scope: Scope, visible: CTEs, state: Resolution) -> None:
    resolve_expression(projection, scope, visible, state)
    scope.aliases.setdefault(projection.alias.lower(), projection.this)


def resolve_expression(node: exp.Expr, scope: Scope, visible: CTEs, state: Resolution) -> None:
    """Resolves the columns and subqueries below ``node``, in place."""
    if isinstance(node, exp.Column):
        if not node.meta_get("resolved"):
            _resolve_column(node, scope, state)
        return
    if isinstance(node, exp.PositionalColumn):
        resolve_position(node, scope, state)
        return
    if isinstance(node, exp.Query):
        resolve_query(node, visible, scope, state)
        return
    for child in list(node.iter_expressions()):
        resolve_expression(child, scope, visible, state)


def _resolve_column(column: exp.Column, scope: Scope, state: Resolution) -> None:
    name, qualifier = column.name.lower(), column.table.lower()
    level: Scope | None = scope
    while level is not None:
        if qualifier and not is_access(column):
            found = _find_qualified(column, qualifier, level)
        else:
            found = not qualifier and _find_bare(column, name, level, state, own=level is scope)
        if found or resolve_beyond_columns(column, level):
            return
        if qualifier and level.relation(qualifier) is not None:
            break
        level = level.outer
    _note_unknown(column, scope, state)


def _find_qualified(column: exp.Column, qualifier: str, scope: Scope) -> bool:
    relation = scope.relation(qualifier)
    if relation is None:
        return False
    return _bind(column, relation) or not relation.alias


def _find_bare(column: exp.Column, name: str, scope: Scope, state: Resolution, *, own: bool) -> bool:
    merged = scope.merged.get(name)
    if merged is not None:
        _substitute(column, merged)
        return True
    holders = [relation for relation in scope.relations if name in relation.columns]
    if len(holders) > 1:
        state.report.add(
            AMBIGUOUS_COLUMN,
            column,
            f"'{column.name}' is a column of {' and of '.join(relation.written for relation in holders)}",
            f"write {holders[0].written}.{column.name} or {holders[1].written}.{column.name}",
        )
        return True
    if holders:
        return _bind(column, holders[0])
    alias = scope.aliases.get(name) if own else None
    if alias is not None:
        if alias.find(exp.Query) is not None:
            state.report.add(
                UNKNOWN_COLUMN,
                column,
                f"'{column.name}' is a subquery of this same SELECT",
                "compute it in a CTE first and use its column",
            )
        _substitute(column, alias)
        return True
    return any(not relation.alias for relation in scope.relations)  # an unknown table was noted already


def _bind(column: exp.Column, relation: Relation) -> bool:
    spelled = relation.columns.get(column.name.lower())
    if spelled is None:
        return False
    column.this.set("this", spelled)
    column.set("table", _like(relation.alias, column.this))
    column.meta["resolved"] = True
    return True


def _substitute(column: exp.Column, expression: exp.Expr) -> None:
    copied = expression.copy()
    atom = isinstance(copied, exp.Column | exp.Literal | exp.Func | exp.Paren | exp.Cast)
    column.replace(copied if atom else exp.Paren(this=copied))


def _note_unknown(column: exp.Column, scope: Scope, state: Resolution) -> None:
    relations: Iterable[Relation] = scope.relations
    qualifier = column.table.lower()
    if qualifier:
        known = scope.relation(qualifier)
        if known is None:
            names = [relation.written for relation in scope.relations]
            state.report.add(
                UNKNOWN_COLUMN,
                column,
                f"no table here is called '{column.table}'.{did_you_mean(column.table, names)}",
                f"the tables here are {', '.join(names) or 'none'}",
            )
            return
        relations = [known]
    names = [name for relation in relations for name in relation.columns.values()]
    tables = " or ".join(f"'{relation.written}'" for relation in relations)
    state.report.add(
        UNKNOWN_COLUMN,
        column,
        f"there is no column '{column.name}' in {tables or 'scope'}.{did_you_mean(column.name, names)}",
        f"the columns are {', '.join(names[:30])}{', ...' if len(names) > 30 else ''}",
    )


def _check_names(select: exp.Select, state: Resolution) -> None:
    seen: set[str] = set()
    for projection in select.expressions:
        name = projection.alias.lower()
        if name in seen:
            state.report.add(
                OUTPUT_NAMES, projection, f"two columns are called '{projection.alias}'", "rename one of them with AS"
            )
        seen.add(name)


def _rename_outputs(holder: exp.CTE | exp.Subquery, state: Resolution) -> None:
    """``WITH t (a, b) AS (SELECT …)``: moves the names into the query."""
    alias = holder.args.get("alias")
    if alias is None or not alias.columns:
        return
    projections = first_select(holder.this).expressions
    if len(alias.columns) != len(projections):
        state.report.add(
            SET_OPERATION,
            holder,
            f"{len(alias.columns)} names for {len(projections)} columns",
            "give every column a name, or none",
        )
        return
    renamed = {projection.alias: name for projection, name in zip(projections, alias.columns, strict=True)}
    for projection, name in zip(projections, alias.columns, strict=True):
        projection.set("alias", name.copy())
    rename_output_references(holder.this, renamed)
    alias.set("columns", None)


def _columns(names: list[str]) -> Mapping[str, str]:
    return {name.lower(): name for name in names}


def _set_alias(item: exp.Expr, alias: str) -> None:
    item.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))


def _like(name: str, origin: exp.Expr) -> exp.Identifier:
    """An identifier that stands where ``origin`` stood."""
    identifier = exp.Identifier(this=name, quoted=True)
    start = origin.meta_get("start")
    if start is not None:
        identifier.meta["start"] = start
    return identifier

"""Names → things: tables to the catalogue, columns to tables, stars to columns, ordinals and aliases to expressions.

Afterwards every column has its table in front, in the spelling of its declaration; every table and subquery has an
alias that is unique in the whole query, so that an alias alone says what is meant; every projection has a name; there
are no stars, no USING, no GROUP BY ALL. Names compare without regard to case, as DuckDB does; a CTE comes before a
table of the same name; a column comes before an alias of the same SELECT, but in ORDER BY the alias comes first.

Author's SQL: ``SELECT * EXCLUDE (k), a + 1 AS b FROM t JOIN u USING (k) GROUP BY ALL``.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from feature_platform.compiler.beyond_columns import is_access, resolve_beyond_columns, resolve_position
from feature_platform.compiler.catalog import Catalog
from feature_platform.compiler.codes import AMBIGUOUS_COLUMN, CONSTRUCT, OUTPUT_NAMES, UNKNOWN_COLUMN
from feature_platform.compiler.group_by import check_aggregation, resolve_groups
from feature_platform.compiler.joins import enclose_outer_joins, is_comma, resolve_join
from feature_platform.compiler.names import CTEs, Queries, Relation, Resolution, Scope, quoted
from feature_platform.compiler.ordering import check_limits, resolve_distinct_on, resolve_order
from feature_platform.compiler.recursion import may_recurse, note_recursion
from feature_platform.compiler.relations import add_relation, prune_nested
from feature_platform.compiler.report import Report
from feature_platform.compiler.scopes import bare, ctes, from_items
from feature_platform.compiler.set_operations import align
from feature_platform.compiler.stars import expand_conditions, expand_order, expand_projections
from feature_platform.compiler.trees import children
from feature_platform.errors import did_you_mean


def resolve(tree: exp.Query, catalog: Catalog, report: Report) -> Resolution:
    """Resolves ``tree`` in place; what can't be resolved is noted in ``report``."""
    state = Resolution(catalog, report)
    resolve_query(tree, {}, None, state)
    prune_nested(tree, state)
    return state


def resolve_query(query: exp.Expr, visible: CTEs, outer: Scope | None, state: Resolution) -> None:
    """Resolves a query of any level with the CTEs and outer columns that it can see."""
    inner = bare(query)
    if inner.meta_get("resolved"):  # one that was made of something else, with everything in it resolved
        return
    visible = _resolve_ctes(inner, visible, outer, state)
    if isinstance(inner, exp.Select):
        scope = Scope(outer=outer)
        _resolve_tables(inner, scope, visible, state)
        _resolve_clauses(inner, scope, visible, state)
    else:
        resolve_query(inner.this, visible, outer, state)
        resolve_query(inner.expression, visible, outer, state)
        align(inner, state)
        resolve_order(inner, None, state)
        check_limits(inner, state)


def _resolve_ctes(query: exp.Expr, visible: CTEs, outer: Scope | None, state: Resolution) -> CTEs:
    known = dict(visible)
    own: set[str] = set()
    for cte in ctes(query):
        written = cte.alias.lower()
        if written in own:
            state.report.add(OUTPUT_NAMES, cte, f"two CTEs are called '{cte.alias}'", "rename one of them")
        own.add(written)
        if may_recurse(cte, query.args["with_"]):
            _resolve_recursive(cte, known, outer, state)
        else:
            resolve_query(cte.this, known, outer, state)
            _rename_cte(cte, state)
        known[written] = cte
    return known


def _resolve_recursive(cte: exp.CTE, known: CTEs, outer: Scope | None, state: Resolution) -> None:
    operation = bare(cte.this)
    assert isinstance(operation, exp.SetOperation)
    written = cte.alias.lower()
    visible = _resolve_ctes(operation, known, outer, state)
    resolve_query(operation.this, visible, outer, state)
    _rename_cte(cte, state)
    resolve_query(operation.expression, {**visible, written: cte}, outer, state)
    align(operation, state)
    resolve_order(operation, None, state)
    check_limits(operation, state)
    note_recursion(cte, state.report)


def _rename_cte(cte: exp.CTE, state: Resolution) -> None:
    """Gives the CTE a name of its own in the whole query."""
    alias = cte.args["alias"]
    name = state.unique(cte.alias)
    state.renamed[name] = list(alias.columns)
    cte.set("alias", exp.TableAlias(this=quoted(name, alias.this)))


def _resolve_tables(select: exp.Select, scope: Scope, visible: CTEs, state: Resolution) -> None:
    queries = Queries(
        visible,
        state,
        lambda query, outer: resolve_query(query, visible, outer, state),
        lambda inner, own: _resolve_tables(inner, own, visible, state),
        lambda inner, own: _resolve_clauses(inner, own, visible, state),
    )
    enclose_outer_joins(select)
    for item, join in list(from_items(select)):
        if join is not None and is_comma(join):
            scope.group = len(scope.relations)
        scope.right = len(scope.relations)
        add_relation(item, scope, queries)
        if join is not None:
            resolve_join(join, scope, lambda node, seen: resolve_expression(node, seen, visible, state), state)
        scope.end_join()


def _resolve_clauses(select: exp.Select, scope: Scope, visible: CTEs, state: Resolution) -> None:
    def within(node: exp.Expr) -> None:
        resolve_expression(node, scope, visible, state)

    expand_projections(select, scope, state)
    for projection in select.expressions:
        within(projection)
        scope.aliases.setdefault(projection.alias.lower(), projection.this)
    resolve_groups(select, within, state)
    for part in ("where", "having", "qualify"):
        clause = select.args.get(part)
        if clause is not None:
            expand_conditions(clause, scope, state)
            within(clause)
    for condition in scope.filters:
        select.where(condition, copy=False)
    expand_order(select, scope, state)
    resolve_order(select, within, state)
    resolve_distinct_on(select, within, state)
    check_limits(select, state)
    check_aggregation(select, {relation.alias for relation in scope.relations}, state.report)


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
    if isinstance(node, exp.Columns):
        what = "COLUMNS(...) outside of SELECT, WHERE, HAVING, QUALIFY and ORDER BY"
        state.report.add(CONSTRUCT, node, what, "name the columns")
        return
    for child in children(node):
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
            level.touched = True
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
        if merged.ambiguous:
            what = f"'{column.name}' is a column of two joins beside each other"
            state.report.add(AMBIGUOUS_COLUMN, column, what, f"write a table in front of {column.name}")
        _substitute(column, merged.expression)
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
    column.set("table", quoted(relation.alias, column.this))
    column.meta["resolved"] = True
    return True


def _substitute(column: exp.Column, expression: exp.Expr) -> None:
    copied = expression.copy()
    atom = isinstance(copied, exp.Column | exp.Literal | exp.Func | exp.Paren | exp.Cast)
    column.replace(copied if atom else exp.Paren(this=copied))


def _note_unknown(column: exp.Column, scope: Scope, state: Resolution) -> None:
    relations: Iterable[Relation] = scope.relations
    qualifier = column.table.lower()
    if is_access(column):
        dotted = ".".join(part.name for part in column.parts)
        what = f"'{dotted}' is neither a column nor a field of one"
        mend = "write table.column with the name that the table has in FROM; a field of a struct stands behind that"
        state.report.add(UNKNOWN_COLUMN, column, what, mend)
        return
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
    names = [name for relation in relations for name in relation.names]
    tables = " or ".join(f"'{relation.written}'" for relation in relations)
    state.report.add(
        UNKNOWN_COLUMN,
        column,
        f"there is no column '{column.name}' in {tables or 'scope'}.{did_you_mean(column.name, names)}",
        f"the columns are {', '.join(names[:30])}{', ...' if len(names) > 30 else ''}",
    )

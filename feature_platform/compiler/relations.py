"""What stands in FROM → relations with known columns, in the author's order.

A table of the catalogue stays a table until it becomes a guarded scan; a CTE before a table of the same name, without
regard to case; a name with a schema in front is never a CTE. A subquery sees the relations on its left, as in DuckDB
(`LATERAL` or not), and becomes LATERAL if it uses them. A join in parentheses becomes a subquery.

``FROM t AS x (a), (SELECT x.a + 1 AS b) AS y`` becomes ``FROM t AS x, LATERAL (SELECT x.k + 1 AS b) AS y``, with ``a``
read as ``t.k``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from feature_platform.compiler.codes import CONSTRUCT, OUTPUT_NAMES, SET_OPERATION, UNKNOWN_TABLE
from feature_platform.compiler.names import (
    CTEs,
    Merged,
    Queries,
    Relation,
    Resolution,
    Scope,
    distinct_names,
    quoted,
)
from feature_platform.compiler.pivots import pivoted
from feature_platform.compiler.scopes import bare, output_names
from feature_platform.compiler.values import as_union
from feature_platform.errors import did_you_mean


def add_relation(item: exp.Expr, scope: Scope, queries: Queries) -> exp.Expr:
    """Adds what ``item`` gives to the scope; gives the node that stands in its place now."""
    state = queries.state
    if item.args.get("pivots"):
        item = pivoted(item, scope, queries)
    match item:
        case exp.Values():
            item = as_union(item)
        case exp.Subquery() if not isinstance(item.this, exp.Query) or _begins_join(item.this):
            return _add_nested(item, scope, queries)
    relation: Relation | None
    match item:
        case exp.Table():
            relation = _table(item, queries.visible, queries.state)
        case exp.Unnest():
            relation = _unnest(item, scope, queries)
        case _:
            relation = _subquery(item, scope, queries)
            item = _with_lateral(item, scope)
            if relation is not None:
                relation.node = item
    if relation is None:
        scope.relations.append(Relation("", item.alias_or_name.lower(), {}))
        return item
    if scope.relation(relation.written) is not None:
        state.report.add(
            OUTPUT_NAMES,
            item,
            f"two tables are called '{relation.written}' here",
            "give one of them another name with AS",
        )
    scope.relations.append(relation)
    return item


def prune_nested(tree: exp.Expr, state: Resolution) -> None:
    """Takes from the subqueries of joins in parentheses what nobody asks for: a denied column must not stand there."""
    for alias, select in reversed(state.nested):
        asked = {column.name for column in tree.find_all(exp.Column) if column.table == alias}
        kept = [projection for projection in select.expressions if projection.alias in asked]
        select.set("expressions", kept or [exp.alias_(exp.true(), "fp_row", quoted=True)])


def _table(item: exp.Table, visible: CTEs, state: Resolution) -> Relation | None:
    name, schema = item.name, item.db.lower()
    written = (item.alias or name).lower()
    alias = state.unique(item.alias or name)
    cte = visible.get(name.lower()) if not schema else None
    if cte is not None:
        relation = Relation(alias, written, _columns(output_names(cte.this)), node=item)
        _rename(relation, state.renamed.get(cte.alias, ()), item, state)
        _rename(relation, _given_names(item), item, state)
        item.set("this", quoted(cte.alias, item.this))
        _set_alias(item, alias)
        return relation
    table = state.catalog.tables.get(name.lower())
    if table is None or (schema and schema != table.ref.schema):
        known = [*visible, *state.catalog.tables]
        state.report.add(
            UNKNOWN_TABLE,
            item,
            f"there is no source, view or CTE '{item.db + '.' if schema else ''}{name}'.{did_you_mean(name, known)}",
            "name a source or a feature view of the project, or a CTE that stands before",
        )
        return None
    columns = {column.name.lower(): column.name for column in table.columns}
    relation = Relation(alias, written, columns, table, item)
    _rename(relation, _given_names(item), item, state)
    item.set("db", None)
    _set_alias(item, alias)
    state.bases[alias] = relation
    return relation


def _subquery(item: exp.Expr, scope: Scope, queries: Queries) -> Relation:
    state = queries.state
    if not bare(item.this).meta_get("resolved"):
        scope.touched = False
        queries.whole(item.this, scope)
    written = (item.alias or "unnamed_subquery").lower()
    alias = state.unique(item.alias or "subquery")
    relation = Relation(alias, written, _columns(output_names(item.this)), node=item)
    _rename(relation, _given_names(item), item, state)
    _set_alias(item, alias)
    return relation


def _with_lateral(item: exp.Expr, scope: Scope) -> exp.Expr:
    """LATERAL in front of what looks beside itself, and of nothing else."""
    if isinstance(item, exp.Lateral) and not scope.touched:
        plain = item.this
        plain.set("alias", item.args["alias"])
        item.replace(plain)
        return plain if isinstance(plain, exp.Expr) else item
    if isinstance(item, exp.Subquery) and scope.touched:
        lateral = exp.Lateral(this=exp.null(), alias=item.args["alias"])
        item.replace(lateral)
        item.set("alias", None)
        lateral.set("this", item)
        return lateral
    return item


def _unnest(item: exp.Unnest, scope: Scope, queries: Queries) -> Relation | None:
    state = queries.state
    if len(item.expressions) != 1:
        state.report.add(
            CONSTRUCT, item, "UNNEST of several lists at once", "unnest one list, or join two by ordinality"
        )
        return None
    # The list is an expression over the relations on the left: resolved as the only column of a SELECT without FROM.
    holder = exp.Select(expressions=[exp.alias_(item.expressions[0].copy(), "list", quoted=True)])
    queries.whole(holder, scope)
    item.set("expressions", [holder.expressions[0].this])
    given = item.args.get("alias")
    columns = list(given.columns) if given is not None else []
    offset = item.args.get("offset")
    if isinstance(offset, exp.Identifier):
        columns.append(offset)
    names = [column.name for column in columns] or [item.alias or "unnest"]
    if offset and len(names) == 1:
        names.append("ordinality")
    if len(names) > (2 if offset else 1):
        state.report.add(
            SET_OPERATION, item, f"{len(names)} names for one list", "name the element, and with ORDINALITY its number"
        )
        return None
    names = distinct_names(names)
    item.set("offset", bool(offset))
    alias = state.unique(item.alias or "unnest")
    item.set("alias", exp.TableAlias(this=quoted(alias), columns=[quoted(name) for name in names]))
    return Relation(
        alias, (given.name if given is not None and given.name else "unnest").lower(), _columns(names), node=item
    )


def _begins_join(inside: exp.Expr) -> bool:
    """Whether it is the subquery in ``((SELECT ...) AS a JOIN b ON ...)``."""
    return isinstance(inside, exp.Subquery) and bool(inside.args.get("joins"))


def _add_nested(item: exp.Subquery, scope: Scope, queries: Queries) -> exp.Expr:
    """A table or join in parentheses."""
    state = queries.state
    inside, alias = item.this, item.args.get("alias")
    joins = inside.args.get("joins") or []
    if not joins and alias is None:
        item.replace(inside)
        return add_relation(inside, scope, queries)
    inside.set("joins", None)
    select = exp.Select(expressions=[], from_=exp.From(this=inside.copy()), joins=[join.copy() for join in joins])
    item.set("this", select)
    own = Scope(outer=scope)
    scope.touched = False
    queries.tables(select, own)
    if alias is not None:  # hides the names inside: a subquery like any other
        select.set("expressions", [exp.Star()])
        queries.clauses(select, own)
        select.meta["resolved"] = True
        given = add_relation(item, scope, queries)
        state.nested.append((scope.relations[-1].alias, select))
        return given
    name = state.unique("nested")
    _expose(select, name, own, scope)
    _set_alias(item, name)
    state.nested.append((name, select))
    return _with_lateral(item, scope)


def _expose(select: exp.Select, alias: str, own: Scope, scope: Scope) -> None:
    """Gives all columns of the scope ``own`` names that differ, and its relations to the scope around."""
    every = [(relation, lower) for relation in own.relations for lower in relation.columns]
    names = distinct_names([*own.merged, *(relation.name(lower) for relation, lower in every)])
    projections: list[exp.Expr] = []
    for one, name in zip(own.merged.values(), names, strict=False):
        projections.append(exp.alias_(one.expression.copy(), name, quoted=True))
    outside: dict[tuple[str, str], str] = {}
    for (relation, lower), name in zip(every, names[len(own.merged) :], strict=True):
        projections.append(exp.alias_(relation.column(lower), name, quoted=True))
        outside[relation.alias, relation.columns[lower]] = name
    for relation in own.relations:
        columns = {lower: outside[relation.alias, name] for lower, name in relation.columns.items()}
        shown = {lower: relation.name(lower) for lower in relation.columns}
        scope.relations.append(Relation(alias, relation.written, columns, shown=shown))
    for (lower, one), name in zip(own.merged.items(), names, strict=False):
        whole = Relation(alias, "", {lower: name})
        covers = frozenset((alias, outside[key]) for key in one.covers)
        scope.right_merged[lower] = Merged(whole.column(lower), covers, one.ambiguous)
    for condition in own.filters:
        select.where(condition, copy=False)
    select.set("expressions", projections)


def _given_names(item: exp.Expr) -> Sequence[exp.Expr]:
    alias = item.args.get("alias")
    return alias.columns if alias is not None else ()


def _rename(relation: Relation, given: Sequence[exp.Expr], item: exp.Expr, state: Resolution) -> None:
    """The relation under the column names of ``AS x (a, b)``; those that are left out keep their own."""
    if not given:
        return
    if len(given) > len(relation.columns):
        state.report.add(
            SET_OPERATION,
            item,
            f"{len(given)} names for {len(relation.columns)} columns",
            "name as many columns as there are, or fewer",
        )
        return
    names = distinct_names([name.name for name in given] + relation.names[len(given) :])
    relation.columns = {name.lower(): real for name, real in zip(names, relation.columns.values(), strict=True)}
    relation.shown = {name.lower(): name for name in names}


def _columns(names: Iterable[str]) -> dict[str, str]:
    return {name.lower(): name for name in names}


def _set_alias(item: exp.Expr, alias: str) -> None:
    item.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))

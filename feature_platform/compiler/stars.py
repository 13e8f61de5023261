"""Stars → columns, and a name for every projection.

``SELECT t.* EXCLUDE (a) REPLACE (b + 1 AS b), count(*)`` becomes ``SELECT t.b + 1 AS b, t.c AS c, count(*) AS count``.
This happens before any table is rewritten, so that a star means what was declared, not what a policy lets through.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from feature_platform.compiler.codes import UNKNOWN_COLUMN
from feature_platform.compiler.functions.catalogue import call_of
from feature_platform.compiler.names import Relation, Resolution, Scope
from feature_platform.errors import did_you_mean


def expand_projections(select: exp.Select, scope: Scope, state: Resolution) -> None:
    """Replaces the stars of ``select`` and names what has no name. Columns of stars come out resolved."""
    expanded: list[exp.Expr] = []
    for projection in select.expressions:
        star = _star_of(projection)
        if star is not None:
            expanded.extend(_expand(projection, star, scope, state))
        else:
            expanded.append(_named(projection, len(expanded) + 1))
    select.set("expressions", expanded)


def _star_of(projection: exp.Expr) -> exp.Star | None:
    if isinstance(projection, exp.Star):
        return projection
    if isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star):
        return projection.this
    return None


def _expand(projection: exp.Expr, star: exp.Star, scope: Scope, state: Resolution) -> Iterator[exp.Expr]:
    qualifier = projection.table.lower() if isinstance(projection, exp.Column) else ""
    relations = [relation for relation in scope.relations if not qualifier or relation.written == qualifier]
    if not relations:
        names = [relation.written for relation in scope.relations]
        state.report.add(
            UNKNOWN_COLUMN,
            projection,
            f"no table here is called '{qualifier}'.{did_you_mean(qualifier, names)}",
            f"the tables here are {', '.join(names) or 'none'}",
        )
    excluded = {column.name.lower(): column for column in star.args.get("except_") or ()}
    replaced = {alias.alias.lower(): alias for alias in star.args.get("replace") or ()}
    known: set[str] = set()
    for relation, name in _columns(relations, scope, qualified=bool(qualifier)):
        lower = name.lower()
        known.add(lower)
        if lower in excluded:
            continue
        if lower in replaced:
            yield replaced[lower].copy()
        elif not qualifier and lower in scope.merged:
            yield exp.alias_(scope.merged[lower].copy(), name, quoted=True)
        else:
            yield exp.alias_(_column(relation, name, star), name, quoted=True)
    if all(relation.alias for relation in relations):
        _note_unknown({**excluded, **replaced}, known, state)


def _columns(relations: list[Relation], scope: Scope, *, qualified: bool) -> Iterator[tuple[Relation, str]]:
    merged: set[str] = set()
    for relation in relations:
        for lower, name in relation.columns.items():
            if not qualified and lower in scope.merged:
                if lower in merged:
                    continue
                merged.add(lower)
            yield relation, name


def _column(relation: Relation, name: str, star: exp.Star) -> exp.Column:
    column = exp.column(exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=relation.alias, quoted=True))
    column.meta["resolved"] = True
    column.meta["star"] = True
    start = star.meta_get("start")
    if start is not None:
        column.this.meta["start"] = start
    return column


def _note_unknown(wanted: dict[str, exp.Expr], known: set[str], state: Resolution) -> None:
    for lower, node in wanted.items():
        if lower not in known:
            state.report.add(
                UNKNOWN_COLUMN,
                node,
                f"the star has no column '{node.alias_or_name}'.{did_you_mean(lower, known)}",
                f"its columns are {', '.join(sorted(known)[:30])}",
            )


def _named(projection: exp.Expr, position: int) -> exp.Expr:
    if isinstance(projection, exp.Alias):
        return projection
    inner = projection
    while isinstance(inner, exp.Paren | exp.Cast):
        inner = inner.this
    if isinstance(inner, exp.Column):
        name = inner.name
    elif isinstance(inner, exp.StructExtract) and inner.expression.name:
        name = inner.expression.name
    else:
        called = inner.this if isinstance(inner, exp.Window | exp.Filter) else inner
        call = call_of(called)
        name = call.function.name if call is not None and call.function.name.isidentifier() else f"column_{position}"
        if isinstance(called, exp.Anonymous):
            name = str(called.this).lower()
    if isinstance(projection, exp.Subquery):  # it would take the alias for itself
        return exp.Alias(this=projection, alias=exp.Identifier(this=name, quoted=True))
    return exp.alias_(projection, name, quoted=True, copy=False)

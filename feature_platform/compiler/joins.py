"""Joins: inner, left, right, full and cross, with ON or USING.

``a JOIN b USING (k)`` becomes ``a JOIN b ON a.k = b.k``; a bare ``k`` then means the left column, after a right join
the right one, after a full join the first of both that is not NULL.
"""

from __future__ import annotations

from sqlglot import exp

from feature_platform.compiler.codes import AMBIGUOUS_COLUMN, JOIN, UNKNOWN_COLUMN
from feature_platform.compiler.names import Relation, Resolution, Resolver, Scope
from feature_platform.errors import did_you_mean


def resolve_join(join: exp.Join, scope: Scope, resolve: Resolver, state: Resolution) -> None:
    """Resolves the condition of a join whose right side is the scope's last relation."""
    condition, using = join.args.get("on"), join.args.get("using")
    if join.args.get("kind") == "OUTER":
        join.set("kind", None)
    if join.args.get("kind") == "CROSS":
        if condition is not None or using:
            state.report.add(JOIN, join, "CROSS JOIN has no condition", "write JOIN ... ON")
        return
    if join.method == "POSITIONAL":
        return  # rows pair by their number, on DuckDB only
    if using:
        _expand_using(join, using, scope, state)
        return
    if condition is None:
        state.report.add(
            JOIN, join, "a join without a condition", "write JOIN ... ON, or CROSS JOIN if every pair is meant"
        )
        return
    resolve(condition)
    if join.side == "FULL" and not _only_equalities(join.args["on"]):
        # PostgreSQL can run a full join only by hashing or merging.
        state.report.add(
            JOIN,
            join,
            "a FULL JOIN needs equalities between columns",
            "join on a.x = b.x [AND ...] and filter afterwards",
        )


def _expand_using(join: exp.Join, using: list[exp.Expr], scope: Scope, state: Resolution) -> None:
    right = scope.relations[-1]
    equalities: list[exp.Expr] = []
    for name in using:
        lower = name.name.lower()
        left = _left_column(name, lower, scope, state)
        own = right.columns.get(lower)
        if right.alias and own is None:
            state.report.add(
                UNKNOWN_COLUMN,
                name,
                f"there is no column '{name.name}' in '{right.written}'.{did_you_mean(lower, right.columns)}",
                "USING needs a column of this name on both sides; else write ON",
            )
        if left is None or own is None:
            continue
        mine = _column(right, own, name)
        equalities.append(exp.EQ(this=left.copy(), expression=mine))
        scope.merged[lower] = _merged(join.side, left, mine)
    join.set("using", None)
    if equalities:
        join.set("on", exp.and_(*equalities, copy=False))


def _left_column(name: exp.Expr, lower: str, scope: Scope, state: Resolution) -> exp.Expr | None:
    if lower in scope.merged:
        return scope.merged[lower]
    lefts = scope.relations[:-1]
    holders = [relation for relation in lefts if lower in relation.columns]
    if len(holders) == 1:
        return _column(holders[0], holders[0].columns[lower], name)
    if holders:
        names = " and of ".join(relation.written for relation in holders)
        state.report.add(
            AMBIGUOUS_COLUMN, name, f"'{name.name}' is a column of {names}", "write ON with the table in front"
        )
    elif all(relation.alias for relation in lefts):
        known = [column for relation in lefts for column in relation.columns]
        state.report.add(
            UNKNOWN_COLUMN,
            name,
            f"there is no column '{name.name}' on the left of this join.{did_you_mean(lower, known)}",
            "USING needs a column of this name on both sides; else write ON",
        )
    return None


def _merged(side: str, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    if side == "RIGHT":
        return right.copy()
    if side == "FULL":
        return exp.Coalesce(this=left.copy(), expressions=[right.copy()])
    return left.copy()


def _column(relation: Relation, name: str, origin: exp.Expr) -> exp.Column:
    column = exp.column(exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=relation.alias, quoted=True))
    column.meta["resolved"] = True
    start = origin.meta_get("start")
    if start is not None:
        column.this.meta["start"] = start
    return column


def _only_equalities(condition: exp.Expr) -> bool:
    if isinstance(condition, exp.Paren):
        return _only_equalities(condition.this)
    if isinstance(condition, exp.And):
        return _only_equalities(condition.this) and _only_equalities(condition.expression)
    return isinstance(condition, exp.EQ) and all(
        isinstance(side, exp.Column) for side in (condition.this, condition.expression)
    )

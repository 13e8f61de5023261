"""Joins: inner, left, right, full, cross and comma, with ON, USING or NATURAL; semi and anti, ASOF and positional.

``a JOIN b USING (k)`` becomes ``a JOIN b ON a.k = b.k``; a bare ``k`` then means the left column, after a right join
the right one, after a full join the first of both that is not NULL. NATURAL is USING over the columns of both sides.
``a SEMI JOIN b ON c`` becomes ``a WHERE EXISTS (SELECT 1 FROM b WHERE c)``. A comma is a CROSS JOIN whose right side
begins anew: conditions behind it look there first, and RIGHT, FULL and POSITIONAL joins keep nothing from before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import AMBIGUOUS_COLUMN, JOIN, UNKNOWN_COLUMN
from feature_platform.compiler.engines import limit
from feature_platform.compiler.names import Merged, Relation, Resolution, Scope
from feature_platform.errors import did_you_mean

_INEQUALITIES: Final = (exp.GT, exp.GTE, exp.LT, exp.LTE)


def is_comma(join: exp.Join) -> bool:
    """Whether it is ``a, b``, or was it before it became a CROSS JOIN."""
    return bool(join.meta_get("comma")) or not any(
        join.args.get(part) for part in ("method", "side", "kind", "on", "using")
    )


def enclose_outer_joins(select: exp.Select) -> None:
    """Parentheses for joins that keep rows of their right side, where other things than their left side stand before.

    ``a, b RIGHT JOIN c ON ...`` becomes ``a, (b RIGHT JOIN c ON ...)``; ``a SEMI JOIN b ON ... FULL JOIN c ON ...``
    becomes ``(a SEMI JOIN b ON ...) FULL JOIN c ON ...``.
    """
    joins: list[exp.Join] = list(select.args.get("joins") or ())
    if not any(map(_keeps_right, joins)):
        return
    groups: list[list[exp.Join]] = [[]]
    for join in joins:
        if is_comma(join):
            groups.append([])
        groups[-1].append(join)
    first, *others = groups
    kept = _enclosed_start(select.args["from_"], first)
    for comma, *behind in others:
        if any(map(_keeps_right, behind)):
            comma.set("this", _enclosed(comma.this, behind))
            kept.append(comma)
        else:
            kept += [comma, *behind]
    select.set("joins", kept)


def _enclosed_start(start: exp.From, joins: list[exp.Join]) -> list[exp.Join]:
    """Puts a semi or anti join and what is before it into parentheses if rows of later tables are kept; gives the
    joins that stay outside."""
    filtering = [number for number, join in enumerate(joins, start=1) if join.args.get("kind") in ("SEMI", "ANTI")]
    until = max((number for number in filtering if any(map(_keeps_right, joins[number:]))), default=0)
    if until:
        start.set("this", _enclosed(start.this, joins[:until]))
    return joins[until:]


def _enclosed(first: exp.Expr, joins: list[exp.Join]) -> exp.Subquery:
    inside = first.copy()
    inside.set("joins", [join.copy() for join in joins])
    return exp.Subquery(this=inside)


def _keeps_right(join: exp.Join) -> bool:
    return join.side in ("RIGHT", "FULL") or join.method == "POSITIONAL"


def resolve_join(join: exp.Join, scope: Scope, resolve: Callable[[exp.Expr, Scope], None], state: Resolution) -> None:
    """Resolves the condition of a join whose right side is the scope's; ``resolve`` does so for an expression in a
    scope."""
    _check_order(join, state)
    if join.args.get("kind") == "OUTER":
        join.set("kind", None)
    if is_comma(join) or join.args.get("kind") == "CROSS":
        if join.args.get("on") is not None or join.args.get("using"):
            state.report.add(JOIN, join, "CROSS JOIN has no condition", "write JOIN ... ON")
        join.set("kind", "CROSS")
    elif join.method != "POSITIONAL" and _resolve_condition(join, scope, resolve, state):
        if join.method == "ASOF":
            _check_asof(join, scope, state)
        elif join.side == "FULL" and not _only_equalities(join.args["on"], scope):
            limit(
                join, "a FULL JOIN on anything but equal columns", "join on a.x = b.x [AND ...] and filter afterwards"
            )
        if join.args.get("kind") in ("SEMI", "ANTI"):
            _filter(join, scope)


def _resolve_condition(
    join: exp.Join, scope: Scope, resolve: Callable[[exp.Expr, Scope], None], state: Resolution
) -> bool:
    """Makes ON of what the join has; False if it has nothing, which is noted."""
    if join.method == "NATURAL":
        join.set("method", None)
        join.set("using", _common_columns(join, scope, state))
        if not join.args["using"]:
            return False
    using = join.args.get("using")
    if using:
        _expand_using(join, using, scope, state)
    elif join.args.get("on") is not None:
        resolve(join.args["on"], scope.joined())
    else:
        state.report.add(
            JOIN, join, "a join without a condition", "write JOIN ... ON, or CROSS JOIN if every pair is meant"
        )
    return join.args.get("on") is not None


def _check_order(join: exp.Join, state: Resolution) -> None:
    if _keeps_right(join) and isinstance(join.this, exp.Lateral | exp.Unnest):
        what = f"a {join.side or join.method} JOIN of what looks beside itself"
        state.report.add(JOIN, join, what, "write INNER JOIN, LEFT JOIN or CROSS JOIN")


def _common_columns(join: exp.Join, scope: Scope, state: Resolution) -> list[exp.Identifier]:
    lefts, rights = scope.relations[scope.group : scope.right], scope.relations[scope.right :]
    right = {lower: relation.name(lower) for relation in rights for lower in relation.columns}
    left = dict.fromkeys(lower for relation in lefts for lower in relation.columns)
    common = [exp.to_identifier(right[lower], quoted=True) for lower in left if lower in right]
    if not common and all(relation.alias for relation in (*lefts, *rights)):
        state.report.add(
            JOIN, join, "a NATURAL JOIN of tables without a column in common", "write JOIN ... ON, or CROSS JOIN"
        )
    return common


def _expand_using(join: exp.Join, using: list[exp.Expr], scope: Scope, state: Resolution) -> None:
    lefts, rights = scope.relations[scope.group : scope.right], scope.relations[scope.right :]
    conditions: list[exp.Expr] = []
    for number, name in enumerate(using, start=1):
        lower = name.name.lower()
        left = _side_column(name, scope.left_merged(), lefts, "on the left of this join", state)
        right = _side_column(name, scope.right_merged, rights, f"in '{rights[0].written}'", state)
        if left is None or right is None:
            continue
        compare = exp.GTE if join.method == "ASOF" and number == len(using) else exp.EQ
        conditions.append(compare(this=left.expression.copy(), expression=right.expression.copy()))
        if join.args.get("kind") in ("SEMI", "ANTI"):
            continue
        scope.right_merged.pop(lower, None)
        covers = left.covers | right.covers
        earlier = scope.merged.get(lower)
        ambiguous = left.ambiguous or right.ambiguous or (earlier is not None and not earlier.covers <= covers)
        scope.merged[lower] = Merged(_merged(join, left.expression, right.expression), covers, ambiguous)
    join.set("using", None)
    if conditions:
        join.set("on", exp.and_(*conditions, copy=False))


def _side_column(
    name: exp.Expr, merged: Mapping[str, Merged], relations: Sequence[Relation], where: str, state: Resolution
) -> Merged | None:
    """The one column of this name that a side of a join has."""
    lower = name.name.lower()
    if lower in merged:
        return merged[lower]
    holders = [relation for relation in relations if lower in relation.columns]
    if len(holders) == 1:
        holder = holders[0]
        return Merged(holder.column(lower, name), frozenset({(holder.alias, holder.columns[lower])}))
    if holders:
        names = " and of ".join(relation.written for relation in holders)
        state.report.add(
            AMBIGUOUS_COLUMN, name, f"'{name.name}' is a column of {names}", "write ON with the table in front"
        )
    elif all(relation.alias for relation in relations):
        known = [column for relation in relations for column in relation.columns]
        state.report.add(
            UNKNOWN_COLUMN,
            name,
            f"there is no column '{name.name}' {where}.{did_you_mean(lower, known)}",
            "USING needs a column of this name on both sides; else write ON",
        )
    return None


def _merged(join: exp.Join, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    if join.side == "FULL":
        return exp.Coalesce(this=left.copy(), expressions=[right.copy()])
    kept, other = (right, left) if join.side == "RIGHT" else (left, right)
    merged = kept.copy()
    if join.method != "ASOF":  # there the sides are not equal
        merged.meta["equals"] = other.copy()  # lineage: what is known of one side is known of the other
    return merged


def _check_asof(join: exp.Join, scope: Scope, state: Resolution) -> None:
    right = scope.relations[scope.right].alias
    parts = list(join.args["on"].flatten()) if isinstance(join.args["on"], exp.And) else [join.args["on"]]
    inequalities = [part for part in parts if isinstance(part, _INEQUALITIES)]
    sided = all(
        isinstance(part, (*_INEQUALITIES, exp.EQ))
        and any(_only_of(one, right) and _none_of(other, right) for one, other in _both_ways(part))
        for part in parts
    )
    if len(inequalities) != 1 or not sided or join.side not in ("", "LEFT") or join.args.get("kind") == "SEMI":
        state.report.add(
            JOIN,
            join,
            "an ASOF JOIN of another form",
            "write ASOF [LEFT] JOIN ... ON a.k = b.k AND a.t >= b.t: equalities and one inequality between the sides",
        )


def _both_ways(part: exp.Expr) -> list[tuple[exp.Expr, exp.Expr]]:
    return [(part.this, part.expression), (part.expression, part.this)]


def _only_of(node: exp.Expr, alias: str) -> bool:
    columns = list(node.find_all(exp.Column))
    return bool(columns) and all(column.table == alias for column in columns)


def _none_of(node: exp.Expr, alias: str) -> bool:
    return all(column.table != alias for column in node.find_all(exp.Column))


def _filter(join: exp.Join, scope: Scope) -> None:
    """Turns a semi or anti join into a condition for WHERE; its right side is not seen outside."""
    del scope.relations[scope.right :]
    scope.right_merged = {}
    exists = exp.Exists(
        this=exp.Select(
            expressions=[exp.alias_(exp.Literal.number(1), "one", quoted=True)],
            from_=exp.From(this=join.this),
            where=exp.Where(this=join.args["on"]),
        )
    )
    exists.this.meta["resolved"] = True
    scope.filters.append(exists if join.args["kind"] == "SEMI" else exp.Not(this=exists))
    join.pop()


def _only_equalities(condition: exp.Expr, scope: Scope) -> bool:
    """Whether only columns of one side are compared with columns of the other."""
    if isinstance(condition, exp.Paren):
        return _only_equalities(condition.this, scope)
    if isinstance(condition, exp.And):
        return _only_equalities(condition.this, scope) and _only_equalities(condition.expression, scope)
    if not isinstance(condition, exp.EQ):
        return False
    left = {relation.alias for relation in scope.relations[scope.group : scope.right]}
    right = {relation.alias for relation in scope.relations[scope.right :]}
    one, two = (
        {column.table for column in side.find_all(exp.Column)} for side in (condition.this, condition.expression)
    )
    columns = isinstance(condition.this, exp.Column) and isinstance(condition.expression, exp.Column)
    return columns and ((one <= left and two <= right) or (one <= right and two <= left))

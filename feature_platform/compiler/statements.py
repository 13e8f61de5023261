"""Queries that are written as statements of their own → SELECTs: PIVOT, UNPIVOT, VALUES; joins where a SELECT has
them, numbers in a row, what stands behind parentheses, and one form of UNNEST.

>>> import sqlglot
>>> normal(sqlglot.parse_one("VALUES (1), (2)", read="duckdb")).sql("duckdb")
'SELECT 1 AS col0 UNION ALL SELECT 2 AS col0'
>>> normal(sqlglot.parse_one("PIVOT t ON a IN ('x') USING sum(b)", read="duckdb")).sql("duckdb")
"SELECT * FROM t PIVOT(SUM(b) FOR a IN ('x'))"
>>> normal(sqlglot.parse_one("FROM t JOIN u JOIN v ON u.b = v.b ON t.a = u.a", read="duckdb")).sql("duckdb")
'SELECT * FROM t JOIN (u JOIN v ON u.b = v.b) ON t.a = u.a'
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions.constants import whole_value
from feature_platform.compiler.trees import nodes
from feature_platform.compiler.values import as_union, union_of

_KINDS: Final = (exp.Pivot, exp.Values, exp.Unnest, exp.Lateral, exp.Subquery, exp.Table, exp.From, exp.Join)
_BEHIND: Final = ("order", "limit", "offset")
_MOST_ROWS: Final = 1_000


def normal(tree: exp.Expr) -> exp.Expr:
    """Rewrites ``tree`` in place; gives the root."""
    for call in [each for each in nodes(tree) if isinstance(each, exp.GenerateSeries)]:
        _list_numbers(call)
    for node in [each for each in nodes(tree) if isinstance(each, _KINDS)]:
        new = _normal(node)
        if new is node:
            continue
        if node is tree:
            tree = new
        else:
            node.replace(new)
    return tree


def _normal(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.Unnest() | exp.Lateral():
            return _unnest(node)
        case exp.Subquery():
            return _ordered(node)
        case exp.Table():
            return _series(node)
        case exp.From():
            return _spread(node)
        case exp.Join():
            return _enclosed(node)
    if isinstance(node, exp.Values):
        if isinstance(node.parent, exp.From | exp.Join):
            return node
        if isinstance(node.parent, exp.In):
            node.parent.set("query", as_union(node.copy()))
            node.parent.set("expressions", None)
            return node
        query: exp.Expr = as_union(node.copy()).this
        return query
    if node.arg_key == "pivots":
        for derived in ("columns", "identify_pivot_strings", "prefixed_pivot_columns", "pivot_column_naming"):
            node.set(derived, None)  # what the parser makes of the rest
        for named in node.find_all(exp.PivotAlias):
            named.set("alias", exp.to_identifier(named.alias, quoted=True))
        return node
    table = node.this.copy()
    pivot = _unpivot(node) if node.args.get("unpivot") else _pivot(node)
    table.append("pivots", pivot)
    return exp.Select(expressions=[exp.Star()], from_=exp.From(this=table))


def _spread(node: exp.From) -> exp.Expr:
    """``FROM t JOIN u ... SELECT a``: the parser leaves the joins with the table; they belong to the SELECT."""
    select, joins = node.parent, node.this.args.get("joins")
    if joins and isinstance(select, exp.Select):
        node.this.set("joins", None)
        select.set("joins", [*joins, *(select.args.get("joins") or ())])
    return node


def _enclosed(node: exp.Join) -> exp.Expr:
    """``t JOIN u JOIN v ON ... ON ...`` is ``t JOIN (u JOIN v ON ...) ON ...``."""
    inner = node.this
    if inner.args.get("joins"):
        node.set("this", exp.Subquery(this=inner))
    return node


def _ordered(node: exp.Subquery) -> exp.Expr:
    """``(SELECT ...) ORDER BY a LIMIT 1``: what stands behind the parentheses moves in, or around another SELECT."""
    behind = {part: node.args[part] for part in _BEHIND if node.args.get(part)}
    if not behind or not isinstance(node.this, exp.Query):
        return node
    inner: exp.Expr = node.this
    if any(inner.args.get(part) for part in _BEHIND):
        inner = exp.Select(expressions=[exp.Star()], from_=exp.From(this=exp.Subquery(this=inner)))
        node.set("this", inner)
    for part, clause in behind.items():
        node.set(part, None)
        inner.set(part, clause)
    return node


def _series(node: exp.Table) -> exp.Expr:
    """``range(3)`` and ``generate_series(1, 3)`` of constants: their numbers, row by row."""
    call = node.this
    numbers = _numbers(call) if isinstance(call, exp.GenerateSeries) else None
    if not numbers:
        return node
    name = "range" if call.args.get("is_end_exclusive") else "generate_series"
    bigint = exp.DataType.build("BIGINT")
    selects = [
        exp.Select(expressions=[exp.alias_(exp.cast(exp.convert(number), bigint), name, quoted=True)])
        for number in numbers
    ]
    alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name, quoted=True))
    return exp.Subquery(this=union_of(selects), alias=alias.copy())


def _list_numbers(call: exp.GenerateSeries) -> None:
    """``range(3)`` of constants in an expression: the list of its numbers."""
    numbers = _numbers(call)
    if numbers is not None and not isinstance(call.parent, exp.Table):
        listed = exp.Array(expressions=[exp.convert(number) for number in numbers])
        call.replace(exp.Cast(this=listed, to=exp.DataType.build("BIGINT[]", dialect="duckdb")))


def _numbers(call: exp.GenerateSeries) -> range | None:
    """The numbers between constants; None if they aren't known or too many."""
    step = call.args.get("step")
    first, last, by = whole_value(call.args["start"]), whole_value(call.args["end"]), whole_value(step) if step else 1
    if first is None or last is None or not by:
        return None
    end = last if call.args.get("is_end_exclusive") else last + (1 if by > 0 else -1)
    return range(first, end, by) if abs(end - first) <= _MOST_ROWS * abs(by) else None


def _unnest(node: exp.Expr) -> exp.Expr:
    """``, LATERAL unnest(a)`` is ``CROSS JOIN unnest(a)``, which is how it is written out."""
    join = node.parent
    if isinstance(node, exp.Lateral):
        if not isinstance(node.this, exp.Unnest):
            return node
        inner = node.this.copy()
        inner.set("alias", node.args.get("alias"))
        node = inner
    if isinstance(join, exp.Join) and not any(join.args.get(part) for part in ("kind", "side", "method", "on")):
        join.set("kind", "CROSS")
        join.meta["comma"] = True  # what is joined behind it is joined to the list, not to what is before it
    return node


def _pivot(node: exp.Expr) -> exp.Pivot:
    group = node.args.get("group")
    return exp.Pivot(
        expressions=[each.copy() for each in node.args.get("using") or [exp.Count(this=exp.Star(), big_int=True)]],
        fields=[each.copy() for each in node.expressions],
        unpivot=False,
        group=group.copy() if group is not None else None,
    )


def _unpivot(node: exp.Expr) -> exp.Pivot:
    into = node.args.get("into")
    name = into.this.this.copy() if into is not None else exp.to_identifier("name")
    values = [each.this.copy() for each in into.expressions] if into is not None else [exp.to_identifier("value")]
    return exp.Pivot(
        expressions=[exp.Tuple(expressions=values)] if len(values) > 1 else values,
        fields=[exp.In(this=name, expressions=[_entry(each) for each in node.expressions])],
        unpivot=True,
        include_nulls=node.args.get("include_nulls"),
    )


def _entry(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Alias):
        return exp.PivotAlias(this=node.this.copy(), alias=exp.to_identifier(node.alias, quoted=True))
    return node.copy()

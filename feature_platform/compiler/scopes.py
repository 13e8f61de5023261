"""Walking over the nested queries of a tree."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from feature_platform.compiler.functions.catalogue import AGGREGATE_NODES, call_of
from feature_platform.compiler.trees import children


def bare(query: exp.Expr) -> exp.Select | exp.SetOperation:
    """The SELECT or set operation inside parentheses."""
    while isinstance(query, exp.Subquery):
        assert not query.args.get("joins"), "a join in parentheses is no query"
        query = query.this
    assert isinstance(query, exp.Select | exp.SetOperation), f"not a query: {type(query).__name__}"
    return query


def first_select(query: exp.Expr) -> exp.Select:
    """The leftmost SELECT: it names the columns of a set operation."""
    inner = bare(query)
    while not isinstance(inner, exp.Select):
        inner = bare(inner.this)
    return inner


def is_null_column(query: exp.Expr, place: int) -> bool:
    """Whether the column at ``place`` (from 0) is written as NULL in every branch: it goes with everything."""
    inner = bare(query)
    if isinstance(inner, exp.SetOperation):
        return is_null_column(inner.this, place) and is_null_column(inner.expression, place)
    projections = inner.expressions
    return place < len(projections) and is_null(projections[place])


def is_null(node: exp.Expr) -> bool:
    """Whether it is written as NULL: as such, with a name, in parentheses or with a type."""
    while isinstance(node, exp.Alias | exp.Paren | exp.Cast):
        node = node.this
    return isinstance(node, exp.Null)


def output_names(query: exp.Expr) -> list[str]:
    """Names of the columns that a resolved query gives, in order."""
    return [projection.alias_or_name for projection in first_select(query).expressions]


def from_items(select: exp.Select) -> Iterator[tuple[exp.Expr, exp.Join | None]]:
    """Tables and subqueries of FROM and JOIN, in order, each with its join."""
    start = select.args.get("from_")
    if start is not None:
        yield start.this, None
    for join in select.args.get("joins") or ():
        yield join.this, join


def ctes(query: exp.Expr) -> list[exp.CTE]:
    """The query's own CTEs, in order."""
    with_ = query.args.get("with_")
    return list(with_.expressions) if with_ is not None else []


def is_aggregate(node: exp.Expr) -> bool:
    """Whether the node is a call of an aggregate, with or without OVER."""
    if type(node) in AGGREGATE_NODES:
        return True
    call = call_of(node) if isinstance(node, exp.Anonymous) else None
    return call is not None and call.function.form == "aggregate"


def aggregates_in(node: exp.Expr) -> Iterator[exp.Expr]:
    """Aggregates that collapse rows of this query level: not those with OVER (but those inside them), not those of
    subqueries."""
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, exp.Query):
            continue
        if isinstance(current, exp.Window):
            windowed = current.this.this if isinstance(current.this, exp.Filter) else current.this
            stack.extend(child for child in children(current) if child is not current.this)
            if isinstance(current.this, exp.Filter):
                stack.append(current.this.expression)
            stack.extend(children(windowed))
            continue
        if is_aggregate(current):
            yield current
        stack.extend(children(current))


def windows_in(node: exp.Expr) -> Iterator[exp.Window]:
    """Window functions of this query level."""
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, exp.Query):
            continue
        if isinstance(current, exp.Window):
            yield current
        stack.extend(children(current))

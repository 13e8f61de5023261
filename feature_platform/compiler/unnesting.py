"""``unnest`` in a SELECT: a row per element. It stands in the SELECT list alone."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from feature_platform.compiler.codes import CONSTRUCT
from feature_platform.compiler.report import Report
from feature_platform.compiler.trees import children, walk


def unnested(select: exp.Select) -> Iterator[exp.Explode]:
    """The calls of ``unnest`` that make rows of this SELECT."""
    stack: list[exp.Expr] = list(select.expressions)
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Query):
            continue
        if isinstance(node, exp.Explode):
            yield node
        stack.extend(children(node))


def check_unnest(tree: exp.Expr, report: Report) -> None:
    """Notes calls of ``unnest`` where they would make no rows of their SELECT."""
    selected = {id(node) for select in walk(tree) if isinstance(select, exp.Select) for node in unnested(select)}
    for node in tree.find_all(exp.Explode):
        inside = node.find_ancestor(exp.Window, exp.Filter, exp.Lambda, exp.Explode, exp.Case, exp.AggFunc, exp.Query)
        if id(node) not in selected or not isinstance(inside, exp.Query):
            report.add(
                CONSTRUCT,
                node,
                "not part of the dialect: unnest inside another expression, or outside the SELECT list",
                "unnest in a CTE first and use its column",
            )

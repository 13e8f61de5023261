"""Flows of what compares values and of what chooses between them.

The equality of two tokens of a class is a fact that names nobody; a value that was chosen keeps its labels, and has
those of the conditions that chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from feature_platform.compiler.flows import Flow, decided, deciding, derived, kept, union, without_tokens
from feature_platform.compiler.nested_flows import Walk
from feature_platform.compiler.report import Report
from feature_platform.compiler.token_use import check_comparison, check_mixture, refuse_token

Columns = Callable[[exp.Expr], list[Flow]]
"""The flows of a subquery's columns, with what decides about its rows."""


def comparison_flow(node: exp.Expr, walk: Walk, report: Report) -> Flow:
    """Of ``=``, ``<>`` and their like."""
    left, right = walk(node.this), walk(node.expression)
    check_comparison(node, [node.this, node.expression], [left, right], report)
    return _fact([left, right])


def nullif_flow(sides: Sequence[exp.Expr], walk: Walk, report: Report) -> Flow:
    """Of NULLIF: the left side, or NULL."""
    left, right = walk(sides[0]), walk(sides[1])
    check_comparison(sides[0], list(sides), [left, right], report)
    chosen = decided(left, deciding(right))
    return kept(chosen, left) if left.parts else chosen


def test_flow(node: exp.Is, walk: Walk, report: Report) -> Flow:
    """Of IS: whether something is NULL tells nothing else of it."""
    tested = walk(node.this)
    if isinstance(node.expression, exp.Null):
        return Flow(tested.direct, tested.indirect, derived(tested.labels, tokens=True), tested.transforms)
    refuse_token(tested, node, "compared", report)
    return tested


def membership_flow(node: exp.In, walk: Walk, columns: Columns, report: Report) -> Flow:
    """Of IN, over values or a subquery."""
    query = node.args.get("query")
    if isinstance(node.this, exp.Tuple) and query is not None:
        return _row_membership(node.this.expressions, query, walk, columns, report)
    tested = walk(node.this)
    if query is not None:
        members = columns(query)[:1]
        sides: list[exp.Expr] = [query]
    else:
        members = [walk(member) for member in node.expressions]
        sides = node.expressions
    for side, member in zip(sides, members, strict=False):
        check_comparison(node, [node.this, side], [tested, member], report)
    return _fact([tested, *members])


def _row_membership(row: list[exp.Expr], query: exp.Expr, walk: Walk, columns: Columns, report: Report) -> Flow:
    members = columns(query)
    tested = [walk(value) for value in row]
    for value, one, other in zip(row, tested, members, strict=False):
        check_comparison(value, [value, query], [one, other], report)
    return _fact([*tested, *members])


def _fact(compared: Sequence[Flow]) -> Flow:
    flow = union(compared)
    return Flow(flow.direct, flow.indirect, without_tokens(flow.labels), flow.transforms)


def case_flow(node: exp.Case, walk: Walk, report: Report) -> Flow:
    """Of both forms of CASE."""
    branches = [(branch.this, branch.args["true"]) for branch in node.args["ifs"]]
    default = node.args.get("default")
    if node.this is None:
        return _choice(branches, default, walk, report)
    subject = walk(node.this)
    for value, _ in branches:
        check_comparison(value, [node.this, value], [subject, walk(value)], report)
    tested = union([subject, *(walk(value) for value, _ in branches)])
    return kept(_results(branches, default, walk, report), tested)


def if_flow(node: exp.If, walk: Walk, report: Report) -> Flow:
    """Of ``if(condition, then, else)``."""
    return _choice([(node.this, node.args["true"])], node.args.get("false"), walk, report)


def _choice(branches: list[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None, walk: Walk, report: Report) -> Flow:
    conditions = union(walk(condition) for condition, _ in branches)
    return kept(_results(branches, default, walk, report), conditions)


def _results(branches: list[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None, walk: Walk, report: Report) -> Flow:
    results = [result for _, result in branches] + ([default] if default is not None else [])
    flows = [walk(result) for result in results]
    check_mixture(results, flows, report)
    return union(flows)

"""Parser and renderer must agree: a tree, written out and read again, is the same tree.

Where they do not, an engine could understand something else than what was checked. Spellings of one function count as
the same: ``if(a, b, c)`` and
``CASE WHEN a THEN b ELSE c END``, ``stddev`` and ``stddev_samp``.
"""

from __future__ import annotations

from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from feature_platform.compiler.codes import ROUND_TRIP
from feature_platform.compiler.functions.catalogue import FUNCTION_NODES, Call, call_of
from feature_platform.compiler.parse import DIALECT
from feature_platform.compiler.report import Report
from feature_platform.compiler.spellings import spell_within_groups
from feature_platform.compiler.statements import normal
from feature_platform.compiler.trees import clone

_SPELLED_OUT: Final = {(exp.WindowSpec, "end"), (exp.WindowSpec, "end_side"), (exp.ParseJSON, "is_literal")}
"""Parts that the renderer adds where the author left them out: ``ROWS 3 PRECEDING`` ends at the current row."""


def check_round_trip(tree: exp.Expr, report: Report) -> None:
    """Notes a tree that reads differently once it is written out."""
    if not _survives(tree) and not (tree.find(exp.WithinGroup) and _survives(spell_within_groups(tree.copy()))):
        report.add(
            ROUND_TRIP, tree, "the SQL, written out again, reads differently", "simplify it, or say it in another way"
        )


def _survives(tree: exp.Expr) -> bool:
    return _same(tree, _again(tree, quoted=False)) or _same(tree, _again(tree, quoted=True))


def _again(tree: exp.Expr, *, quoted: bool) -> exp.Expr | None:
    """The tree as text, read again; with names in quotes if one of them is a key word."""
    try:
        text = clone(tree).sql(DIALECT, identify=quoted, comments=False, copy=False)
        return normal(sqlglot.parse_one(text, read=DIALECT))
    except (SqlglotError, RecursionError):
        return None


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, exp.Expr) and isinstance(two, exp.Expr):
        return _same_nodes(one, two)
    if type(one) is list and type(two) is list:
        return len(one) == len(two) and all(map(_same, one, two))
    return bool(one == two) or (not one and not two)


def _same_nodes(one: exp.Expr, two: exp.Expr) -> bool:
    if type(one) is exp.Identifier and type(two) is exp.Identifier:
        return bool(one.name == two.name)  # quotes change nothing: names compare without regard to case
    one, two = _as_case(one.unnest()), _as_case(two.unnest())
    if _may_call(one) and _may_call(two):
        first, second = call_of(one), call_of(two)
        if first is not None and second is not None:
            return _same_calls(first, second)
    if type(one) is not type(two):
        return False
    if isinstance(one, exp.Identifier):
        return bool(one.name == two.name)
    if isinstance(one, exp.Anonymous):
        return str(one.this).lower() == str(two.this).lower() and _same(one.expressions, two.expressions)
    return all(
        _same(one.args.get(key), two.args.get(key))
        for key in one.args.keys() | two.args.keys()
        if (type(one), key) not in _SPELLED_OUT
    )


def _may_call(node: exp.Expr) -> bool:
    return type(node) in FUNCTION_NODES or isinstance(node, exp.Anonymous)


def _same_calls(one: Call, two: Call) -> bool:
    return (
        one.function is two.function
        and one.distinct == two.distinct
        and _same([_plain(argument) for argument in one.arguments], [_plain(argument) for argument in two.arguments])
        and _same(list(one.order), list(two.order))
    )


def _as_case(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.If) and not isinstance(node.parent, exp.Case):
        # Of a copy: the parts of a tree know one parent only, and the tree goes on to be compiled.
        copied = clone(node)
        return exp.Case(ifs=[exp.If(this=copied.this, true=copied.args.get("true"))], default=copied.args.get("false"))
    return node


def _plain(argument: exp.Expr) -> exp.Expr:
    """Without the cast to boolean that the renderer puts around the argument of bool_and and bool_or."""
    if isinstance(argument, exp.Cast) and argument.to.this == exp.DType.BOOLEAN:
        inner: exp.Expr = argument.this
        return inner
    return argument

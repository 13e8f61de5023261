"""Many spellings → few nodes: what authors may write in several ways is brought to one before names are resolved.

================================================  =====================================================================
``s.f``, ``(e).f``, ``s['f']``                    ``struct_extract(s, 'f')``, and ``array_extract`` where types decide
``l[2]``, ``l[2:4]``                              ``array_extract(l, 2)``, ``list_slice(l, 2, 4)``
``x.lower()``                                     ``lower(x)``
``[f(x) FOR x IN l IF c(x)]``                     ``list_transform(list_filter(l, x -> c(x)), x -> f(x))``
``(a, b) = (c, d)``                               ``a IS NOT DISTINCT FROM c AND b IS NOT DISTINCT FROM d``, which it is
``row(a, b)``                                     ``{'element1': a, 'element2': b}``
``x IN l``, ``x = ANY (SELECT ...)``              ``list_contains(l, x)``, ``x IN (SELECT ...)``
``x SIMILAR TO 'p'``                              ``regexp_full_match(x, 'p')``
``t AT TIME ZONE 'UTC'``                          ``t``: every timestamp is one in UTC
``percentile_cont(p) WITHIN GROUP (ORDER BY x)``  ``quantile_cont(x, p)``
================================================  =====================================================================

Parameters of lambdas get names of their own and are columns without a table from here on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp
from sqlglot.expressions import apply_index_offset

from feature_platform.compiler.codes import CONSTRUCT
from feature_platform.compiler.functions.catalogue import function_named
from feature_platform.compiler.lambdas import (
    LAMBDA_CALLS,
    bind_parameters,
    comprehension,
    is_lambda_argument,
    lambda_call,
    spelled_as_call,
)
from feature_platform.compiler.parse import DIALECT
from feature_platform.compiler.report import Report
from feature_platform.compiler.row_values import QUANTIFIABLE, comparison, is_row, membership, row_value
from feature_platform.compiler.stars import is_star
from feature_platform.compiler.trees import nodes, walk
from feature_platform.compiler.unnesting import check_unnest

_OWN: Final = frozenset({"row", "all"})
_AGGREGATES: Final = frozenset({"list_aggregate", "list_aggr", "array_aggregate", "array_aggr", "aggregate"})
_UTC: Final = frozenset({"utc", "etc/utc"})


def normalize_spellings(tree: exp.Query, report: Report) -> exp.Query:
    """Rewrites ``tree`` in place; gives the root."""
    everything = nodes(tree)
    kinds = {type(node) for node in everything}
    if exp.Bracket in kinds:
        _spell_brackets(tree)
        everything = nodes(tree)
    for node in reversed(everything):
        rule = _RULES.get(type(node))
        if rule is None or is_star(node):  # a pattern over the names of a star is none over texts
            continue
        new = rule(node, report)
        if new is not node:
            start = node.meta_get("start")
            if start is not None and new.meta_get("start") is None:
                new.meta["start"] = start
            node.replace(new)
    if exp.Explode in kinds:
        check_unnest(tree, report)
    if kinds & _LEFT_OVER.keys():
        _check_left_over(tree, report)
    return tree


def is_spelling(node: exp.Anonymous) -> bool:
    """Whether a call that the parser does not know is another spelling of something that is."""
    name = str(node.this).lower()
    return (
        (name in _OWN and bool(node.expressions))
        or spelled_as_call(node)
        or (name in _AGGREGATES and _folded(node) is not None)
    )


def _anonymous(node: exp.Anonymous, report: Report) -> exp.Expr:
    if is_row(node):
        return row_value(node, report)
    if isinstance(node.parent, exp.Dot) and node.arg_key == "expression":
        return node  # a call with a dot in front, which gives it its first argument
    if spelled_as_call(node):
        return lambda_call(node, report)
    if str(node.this).lower() in _AGGREGATES:
        return _folded(node) or node
    if str(node.this).lower() == "all" and isinstance(node.parent, QUANTIFIABLE) and len(node.expressions) == 1:
        return exp.All(this=node.expressions[0])
    return node


def _folded(node: exp.Anonymous) -> exp.Expr | None:
    """``list_aggregate(l, 'sum')`` is ``list_sum(l)``."""
    if len(node.expressions) != 2 or not isinstance(node.expressions[1], exp.Literal):
        return None
    name = f"list_{node.expressions[1].name.lower()}"
    return exp.Anonymous(this=name, expressions=node.expressions[:1]) if function_named(name) else None


def _dot(node: exp.Dot, report: Report) -> exp.Expr:
    base = _value(node.this)
    accessed = node.expression
    if isinstance(accessed, exp.Identifier):
        return exp.StructExtract(this=base, expression=exp.Literal.string(accessed.name))
    call = exp.Anonymous(this=accessed.name, expressions=[base, *accessed.expressions])
    return _anonymous(call, report) if isinstance(accessed, exp.Anonymous) else node


def _value(node: exp.Expr) -> exp.Expr:
    """The parser leaves a bare name before a dot as an identifier."""
    if not isinstance(node, exp.Identifier):
        return node
    return exp.Column(this=node)


def _spell_brackets(tree: exp.Expr) -> None:
    """``l[2]`` and ``l[2:4]`` as calls. Outermost first: what the parser noted of the parts decides how it counted."""
    while brackets := [node for node in nodes(tree) if isinstance(node, exp.Bracket)]:
        for node in brackets:
            node.replace(_bracket(node))
    for made in [node for node in nodes(tree) if isinstance(node, exp.ToMap)]:
        while isinstance(made.this, exp.Anonymous):  # the parser opens what is in braces, not the map
            access = made.this
            made.set("this", access.expressions[0])
            made.replace(access)
            access.set("expressions", [made, *access.expressions[1:]])


def _bracket(node: exp.Bracket) -> exp.Expr:
    accessed = node.expressions[0]
    if isinstance(accessed, exp.Slice):
        base = _value(node.this)
        bounds = [accessed.this or exp.Literal.number(1), accessed.expression or exp.Neg(this=exp.Literal.number(1))]
        step = accessed.args.get("step")
        return exp.Anonymous(this="list_slice", expressions=[base, *bounds, *([step] if step is not None else [])])
    # The parser counts from 0, whatever the dialect; this takes back what it did.
    index = apply_index_offset(node.this, [accessed], 1, dialect=DIALECT)[0]
    return exp.Anonymous(this="array_extract", expressions=[_value(node.this), index])


def _array(node: exp.Array, report: Report) -> exp.Expr:
    if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Comprehension):
        return comprehension(node.expressions[0], report)
    return node


def _lambda_holder(node: exp.Expr, report: Report) -> exp.Expr:
    bind_parameters(node, report)
    return node


def _lambda(node: exp.Lambda, _report: Report) -> exp.Expr:
    """``f(j -> 'key')`` is access into JSON, which the parser takes for a lambda."""
    if len(node.expressions) == 1 and isinstance(node.this, exp.Literal) and not is_lambda_argument(node):
        return exp.JSONExtract(this=exp.Column(this=node.expressions[0]), expression=node.this)
    return node


def _similar(node: exp.SimilarTo, _report: Report) -> exp.Expr:
    return exp.RegexpFullMatch(this=node.this, expression=node.expression)


def _position(node: exp.PositionalColumn, _report: Report) -> exp.Expr:
    """``ORDER BY #1`` of a query is its own first column, as ``ORDER BY 1``; elsewhere ``#1`` is one of FROM's."""
    ordered = node.parent
    order = ordered.parent if isinstance(ordered, exp.Ordered) else None
    ends_query = order is not None and isinstance(order.parent, exp.Query) and node.arg_key == "this"
    inner: exp.Expr = node.this
    return inner if ends_query else node


def _zone(node: exp.AtTimeZone, report: Report) -> exp.Expr:
    zone = node.args.get("zone")
    if not (isinstance(zone, exp.Literal) and zone.name.lower() in _UTC):
        report.add(
            CONSTRUCT,
            node,
            "not part of the dialect: AT TIME ZONE with a zone other than 'UTC'",
            "leave it out: every timestamp is UTC",
        )
    inner: exp.Expr = node.this
    return inner


def spell_within_groups(tree: exp.Expr) -> exp.Expr:
    """``percentile_cont(p) WITHIN GROUP (ORDER BY x)`` as ``quantile_cont(x, p)``: DuckDB's renderer writes something
    else."""
    for node in list(tree.find_all(exp.WithinGroup)):
        if _is_quantile(node):
            node.replace(_quantile(node))
    return tree


def _is_quantile(node: exp.WithinGroup) -> bool:
    called, order = node.this, node.expression
    plain = isinstance(order, exp.Order) and len(order.expressions) == 1 and not order.expressions[0].args.get("desc")
    return plain and isinstance(called, exp.PercentileCont) and called.args.get("expression") is None


def _quantile(node: exp.WithinGroup) -> exp.Expr:
    return exp.PercentileCont(this=node.expression.expressions[0].this, expression=node.this.this)


def _within(node: exp.WithinGroup, report: Report) -> exp.Expr:
    if _is_quantile(node):
        return _quantile(node)
    report.add(
        CONSTRUCT,
        node,
        "not part of the dialect: WITHIN GROUP of this form",
        "write quantile_cont(x, share), or the ORDER BY inside the parentheses",
    )
    return node


def _json_object(node: exp.JSONObject, report: Report) -> exp.Expr:
    """``json_object('a', x)`` is ``to_json({'a': x})``."""
    keys = [pair.this for pair in node.expressions]
    if not keys or not all(isinstance(key, exp.Literal) and key.is_string for key in keys):
        report.add(
            CONSTRUCT,
            node,
            "not part of the dialect: json_object with keys that are no constant texts",
            "write to_json(map([key], [value]))",
        )
        return node
    fields = [
        exp.PropertyEQ(this=exp.Identifier(this=pair.this.name, quoted=True), expression=pair.expression)
        for pair in node.expressions
    ]
    return exp.Anonymous(this="to_json", expressions=[exp.Struct(expressions=fields)])


def _contained(node: exp.ArrayContainedBy, _report: Report) -> exp.Expr:
    return exp.ArrayContainsAll(this=node.expression, expression=node.this)


def _prepended(node: exp.ArrayPrepend, _report: Report) -> exp.Expr:
    return exp.Anonymous(this="list_prepend", expressions=[node.expression, node.this])


def _sorted(node: exp.ArraySort, report: Report) -> exp.Expr:
    asc, first = node.args.get("asc"), node.args.get("nulls_first")
    if isinstance(first, exp.Expr) and (not isinstance(first, exp.Boolean) or first.this):
        what = "not part of the dialect: a list in order with NULLs first"
        report.add(CONSTRUCT, node, what, "leave it out: NULLs come last")
    descending = isinstance(asc, exp.Boolean) and not asc.this
    return exp.Anonymous(this="list_reverse_sort" if descending else "list_sort", expressions=[node.this])


def _respected(node: exp.RespectNulls, _report: Report) -> exp.Expr:
    inner: exp.Expr = node.this
    return inner


def _try(node: exp.Try, _report: Report) -> exp.Expr:
    inner = node.this
    if isinstance(inner, exp.Cast) and not isinstance(inner, exp.TryCast):
        return exp.TryCast(this=inner.this, to=inner.to)
    return node


def _check_left_over(tree: exp.Expr, report: Report) -> None:
    """Notes what was allowed because a rule above would bring it to something else, and none has."""
    for node in walk(tree):
        fine = _LEFT_OVER.get(type(node))
        if fine is not None and not fine(node):
            report.add(
                CONSTRUCT,
                node,
                f"not part of the dialect: {_shown(node)} in this place",
                "write list_transform(list, x -> ...), {'name': value} or (a, b) = (c, d)",
            )


def _shown(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return f"{str(node.this).lower()}(...)"
    return ":=" if isinstance(node, exp.PropertyEQ) else f"a {type(node).__name__.lower()}"


def _in_list_argument(node: exp.Expr) -> bool:
    if isinstance(node.parent, exp.Columns):  # a condition on names, which is decided when they are known
        return True
    return isinstance(node.parent, LAMBDA_CALLS) and node.arg_key in ("expression", "merge")


_LEFT_OVER: Final[Mapping[type[exp.Expr], Callable[[exp.Expr], bool]]] = {
    exp.Anonymous: lambda node: not (isinstance(node, exp.Anonymous) and is_spelling(node)),
    exp.Lambda: _in_list_argument,
    exp.Any: lambda node: isinstance(node.parent, QUANTIFIABLE) and node.arg_key == "expression",
    exp.All: lambda node: isinstance(node.parent, QUANTIFIABLE) and node.arg_key == "expression",
    exp.PropertyEQ: lambda node: isinstance(node.parent, exp.Struct),
    exp.StructExtract: lambda node: isinstance(node.args.get("expression"), exp.Literal),
    exp.Comprehension: lambda _node: False,
    exp.Slice: lambda _node: False,
    exp.Dot: lambda _node: False,
}
"""Node classes that rules above make or take away, and where they may be left."""

Rule = Callable[[Any, Report], exp.Expr]
_RULES: Final[dict[type[exp.Expr], Rule]] = {
    exp.Anonymous: _anonymous,
    exp.Tuple: row_value,
    exp.Dot: _dot,
    exp.Array: _array,
    exp.Lambda: _lambda,
    exp.Transform: _lambda_holder,
    exp.ArrayFilter: _lambda_holder,
    exp.EQ: comparison,
    exp.NEQ: comparison,
    exp.NullSafeEQ: comparison,
    exp.NullSafeNEQ: comparison,
    exp.In: membership,
    exp.SimilarTo: _similar,
    exp.PositionalColumn: _position,
    exp.AtTimeZone: _zone,
    exp.WithinGroup: _within,
    exp.RespectNulls: _respected,
    exp.Try: _try,
    exp.ParseJSON: lambda node, _report: exp.TryCast(this=node.this, to=exp.DataType.build("JSON")),
    exp.JSONObject: _json_object,
    exp.ArrayContainedBy: _contained,
    exp.ArrayPrepend: _prepended,
    exp.ArraySort: _sorted,
    exp.LT: comparison,
    exp.LTE: comparison,
    exp.GT: comparison,
    exp.GTE: comparison,
}

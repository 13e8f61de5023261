"""Types of every column of a guarded query, inferred by own rules over the closed lists of constructs and functions.

The pass puts casts where engines would otherwise disagree, and around every column of the outermost SELECT: what a
store gets has exactly the inferred types, whatever an engine made of the expression inside. What has no type does not
compile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from feature_platform.compiler.calls import infer_call, infer_filter, infer_window
from feature_platform.compiler.casts import infer_cast, infer_try_cast
from feature_platform.compiler.codes import ARGUMENTS, LITERAL, SET_OPERATION, UNTYPED
from feature_platform.compiler.functions.catalogue import call_of
from feature_platform.compiler.group_by import keys_of
from feature_platform.compiler.infer_tables import infer_grouping, infer_unnest
from feature_platform.compiler.inference import UNKNOWN, Inference, cast_to
from feature_platform.compiler.lambdas import LAMBDA_CALLS
from feature_platform.compiler.nested_types import (
    ACCESS,
    infer_access,
    infer_field,
    infer_lambda_call,
    infer_map,
    infer_struct,
)
from feature_platform.compiler.numeric import INTERVAL, NULL, Inferred, NoTypeError, number_literal, supertype
from feature_platform.compiler.operators import (
    infer_arithmetic,
    infer_between,
    infer_case,
    infer_comparison,
    infer_if,
    infer_interval,
    infer_like,
    infer_logic,
    infer_membership,
    infer_negation,
    infer_quantified,
    infer_test,
    require_boolean,
)
from feature_platform.compiler.ordering import is_output_reference
from feature_platform.compiler.recursion import is_recursive, recursive_types
from feature_platform.compiler.report import Report
from feature_platform.compiler.scan_columns import Scan
from feature_platform.compiler.scopes import bare, ctes, first_select, from_items
from feature_platform.types import BOOLEAN, STRING, DataType


def infer_types(tree: exp.Expr, scans: Mapping[str, Scan], report: Report) -> dict[str, DataType]:
    """The types of the tree's columns, by name in order. The tree is changed in place; what has no type is noted."""
    state = Inference(report, _visit, _visit_query, frozenset(scans))
    for alias, scan in scans.items():
        state.relations[alias] = {name: column.type for name, column in scan.columns.items()}
    found = _visit_query(tree, state)
    types = {name: type_ for name, type_ in _complete(tree, found, state).items() if isinstance(type_, DataType)}
    if not report.problems:
        _cast_outputs(tree, list(types.values()))
    return types


def _visit_query(query: exp.Expr, state: Inference) -> Mapping[str, Inferred]:
    inner = bare(query)
    for cte in ctes(inner):
        if is_recursive(cte):
            recursive_types(cte, state)
        state.ctes[cte.alias] = _complete(cte.this, _visit_query(cte.this, state), state)
    if isinstance(inner, exp.Select):
        return _visit_select(inner, state)
    return _visit_set_operation(inner, state)


def _visit_select(select: exp.Select, state: Inference) -> Mapping[str, Inferred]:
    for item, join in from_items(select):
        if item.alias not in state.scans:
            state.relations[item.alias] = _relation(item, state)
        if join is not None and join.args.get("on") is not None:
            require_boolean(join.args["on"], state.of(join.args["on"]), state)
    types = {projection.alias: state.of(projection.this) for projection in select.expressions}
    for part in ("where", "having"):
        clause = select.args.get(part)
        if clause is not None:
            require_boolean(clause.this, state.of(clause.this), state)
    group = select.args.get("group")
    for key in list(keys_of(group.expressions)) if group is not None else ():
        state.of(key)
    order = select.args.get("order")
    for ordered in order.expressions if order is not None else ():
        if not is_output_reference(ordered.this):
            state.of(ordered.this)
    return types


def _relation(item: exp.Expr, state: Inference) -> Mapping[str, Inferred]:
    if isinstance(item, exp.Table):
        return state.ctes[item.name]
    if isinstance(item, exp.Unnest):
        return infer_unnest(item, state)
    return _complete(item.this, _visit_query(item.this, state), state)


def _visit_set_operation(operation: exp.SetOperation, state: Inference) -> Mapping[str, Inferred]:
    left, right = _visit_query(operation.this, state), _visit_query(operation.expression, state)
    common: dict[str, Inferred] = {}
    for (name, one), two in zip(left.items(), right.values(), strict=False):
        try:
            common[name] = UNKNOWN if UNKNOWN in (one, two) else supertype([one, two])
        except NoTypeError as problem:
            state.report.add(
                SET_OPERATION,
                operation,
                f"column '{name}' does not fit in both branches: {problem}",
                "cast it in one branch",
            )
            common[name] = UNKNOWN
    wanted = list(common.values())
    for branch, types in ((operation.this, left), (operation.expression, right)):
        if list(types.values()) != wanted:
            _cast_outputs(branch, wanted)
    return common


def _cast_outputs(query: exp.Expr, types: list[Any]) -> None:
    inner = bare(query)
    if isinstance(inner, exp.Select):
        for projection, type_ in zip(inner.expressions, types, strict=False):
            if isinstance(type_, DataType):
                cast_to(projection.this, type_)
    else:
        _cast_outputs(inner.this, types)
        _cast_outputs(inner.expression, types)


def _complete(query: exp.Expr, types: Mapping[str, Inferred], state: Inference) -> dict[str, Inferred]:
    """Notes columns without a type of the platform."""
    projections = first_select(query).expressions
    complete: dict[str, Inferred] = dict(types)
    for projection, (name, type_) in zip(projections, types.items(), strict=False):
        if type_ == NULL:
            state.report.add(
                UNTYPED,
                projection,
                f"column '{name}' is NULL in every row and has no type",
                "write CAST(NULL AS bigint), or the type that is meant",
            )
            complete[name] = UNKNOWN
        elif type_ == INTERVAL:
            state.report.add(
                UNTYPED,
                projection,
                f"column '{name}' is an interval, which no store holds",
                "use date_diff, or add the interval to a time",
            )
            complete[name] = UNKNOWN
    return complete


def _visit(node: exp.Expr, state: Inference) -> Inferred:
    rule = _RULES.get(type(node))
    if rule is not None:
        return rule(node, state)
    if isinstance(node, exp.Query):
        return _scalar_subquery(node, state)
    call = call_of(node)
    assert call is not None, f"no typing rule for {type(node).__name__}"
    if call.function.name == ACCESS:
        return infer_access(node, state)
    return infer_call(node, call, state)


def _column(node: exp.Column, state: Inference) -> Inferred:
    return state.relations.get(node.table, {}).get(node.name, UNKNOWN)


def _literal(node: exp.Literal, state: Inference) -> Inferred:
    if node.is_string:
        return STRING
    try:
        type_ = number_literal(node.name)
    except NoTypeError as problem:
        state.report.add(LITERAL, node, str(problem), "write a shorter number")
        return UNKNOWN
    if type_.kind == "decimal" and type_.scale == 0:
        cast_to(node, type_)
    return type_


def _scalar_subquery(node: exp.Expr, state: Inference) -> Inferred:
    columns = list(_visit_query(node, state).values())
    if len(columns) != 1:
        state.report.add(ARGUMENTS, node, f"a subquery used as a value has {len(columns)} columns", "select one column")
        return UNKNOWN
    return columns[0]


def _exists(node: exp.Exists, state: Inference) -> Inferred:
    _visit_query(node.this, state)
    return BOOLEAN


def _inside(node: exp.Expr, state: Inference) -> Inferred:
    return state.of(node.this)


Rule = Callable[[Any, Inference], Inferred]
_RULES: Final[dict[type[exp.Expr], Rule]] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: lambda _node, _state: BOOLEAN,
    exp.Null: lambda _node, _state: NULL,
    exp.Paren: _inside,
    exp.Collate: _inside,
    exp.Alias: _inside,
    exp.Exists: _exists,
    exp.Grouping: infer_grouping,
    exp.Add: infer_arithmetic,
    exp.Sub: infer_arithmetic,
    exp.Mul: infer_arithmetic,
    exp.Div: infer_arithmetic,
    exp.IntDiv: infer_arithmetic,
    exp.Neg: infer_negation,
    exp.And: infer_logic,
    exp.Or: infer_logic,
    exp.Not: infer_logic,
    exp.EQ: infer_comparison,
    exp.NEQ: infer_comparison,
    exp.LT: infer_comparison,
    exp.LTE: infer_comparison,
    exp.GT: infer_comparison,
    exp.GTE: infer_comparison,
    exp.NullSafeEQ: infer_comparison,
    exp.NullSafeNEQ: infer_comparison,
    exp.Is: infer_test,
    exp.Between: infer_between,
    exp.In: infer_membership,
    exp.Like: infer_like,
    exp.Escape: infer_like,
    exp.Case: infer_case,
    exp.If: infer_if,
    exp.Interval: infer_interval,
    exp.Cast: infer_cast,
    exp.TryCast: infer_try_cast,
    exp.Window: infer_window,
    exp.Filter: infer_filter,
    exp.ILike: infer_like,
    exp.Glob: infer_like,
    exp.Any: infer_quantified,
    exp.All: infer_quantified,
    exp.Try: _inside,
    exp.Struct: infer_struct,
    exp.StructExtract: infer_field,
    exp.ToMap: infer_map,
    exp.Map: infer_map,
    **dict.fromkeys(LAMBDA_CALLS, infer_lambda_call),
}

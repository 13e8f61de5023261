"""Types of calls: which signature of the catalogue fits, the casts that it asks for, and the rules of aggregates and
windows."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from feature_platform.compiler.codes import ARGUMENTS, GROUPING, LITERAL, NOT_REPRODUCIBLE
from feature_platform.compiler.functions.catalogue import Call, call_of, written_name
from feature_platform.compiler.functions.constants import interval_parts, whole_value
from feature_platform.compiler.functions.model import ANY, TIME, Function, NotFittingError, Signature
from feature_platform.compiler.functions.numbers import digits_of, rounded
from feature_platform.compiler.inference import (
    DUCKDB_ALONE,
    INPUT_KIND,
    UNKNOWN,
    Inference,
    cast_to,
    is_known,
    meet,
    read_time_literal,
    tightened,
)
from feature_platform.compiler.numeric import NULL, Inferred, NoTypeError
from feature_platform.compiler.operators import require_boolean
from feature_platform.types import STRING, TIMESTAMP, DataType

SIGNATURE = "fp_signature"
"""Key in a node's ``meta``: the signature that typing chose, for rendering."""


@dataclass(frozen=True)
class _Given:
    """A call with the types of its arguments."""

    node: exp.Expr
    function: Function
    arguments: tuple[exp.Expr, ...]
    types: tuple[Inferred, ...]


def infer_call(node: exp.Expr, call: Call, state: Inference, *, over: bool = False) -> Inferred:
    """The type of a call; its arguments are cast as the signature asks."""
    function = call.function
    if function.form == "window" and not over:
        state.report.add(
            GROUPING, node, f"{function.name} is a window function", f"write {function.name}(...) OVER (ORDER BY ...)"
        )
        return UNKNOWN
    _check_aggregate(node, call, state, over=over)
    candidates = [signature for signature in function.signatures if signature.accepts_count(len(call.arguments))]
    if not candidates:
        return _refuse_count(node, function, len(call.arguments), state)
    types = [_argument_type(index, argument, candidates, state) for index, argument in enumerate(call.arguments)]
    for ordered in call.order:
        state.of(ordered.this)
    if not is_known(*types):
        return UNKNOWN
    typed = taken_apart(node)
    arguments = typed.arguments  # typing may have put casts around them
    _break_ties(typed)
    given = _Given(node, function, arguments, tuple(types))
    for signature in candidates:
        if _fits(signature, given):
            node.meta[SIGNATURE] = signature.key
            for index, argument in enumerate(arguments):
                if signature.parameter(index).stored_keys is not None:
                    argument.meta.pop(DUCKDB_ALONE, None)
            return _settled(node, _apply(given, signature, state), signature)
    return _refuse_types(given, candidates, state)


def _settled(node: exp.Expr, type_: Inferred, signature: Signature) -> Inferred:
    if signature.settled and isinstance(type_, DataType):
        while isinstance(node.parent, exp.Filter | exp.Window) and node.arg_key == "this":
            node = node.parent
        cast_to(node, type_)
    return type_


def taken_apart(node: exp.Expr) -> Call:
    """The call that ``node`` is known to be."""
    call = call_of(node)
    assert call is not None, f"{type(node).__name__} is no call of the catalogue"
    return call


def infer_window(node: exp.Window, state: Inference) -> Inferred:
    """The type of ``f(...) OVER (...)``."""
    for key in node.args.get("partition_by") or ():
        state.of(key)
    order = node.args.get("order")
    ordering = [state.of(ordered.this) for ordered in order.expressions] if order is not None else []
    _check_frame(node, ordering, state)
    filtered = isinstance(node.this, exp.Filter)
    if filtered:
        require_boolean(node.this.expression.this, state.of(node.this.expression.this), state)
    called = node.this.this if filtered else node.this
    if isinstance(called, exp.IgnoreNulls):
        called = called.this
    call = call_of(called)
    if call is None or call.function.form == "scalar":
        state.report.add(GROUPING, called, f"{written_name(called)} is no window function", "leave out OVER")
        return UNKNOWN
    if call.function.ordered == "over" and order is None:
        state.report.add(
            NOT_REPRODUCIBLE,
            node,
            f"{call.function.name} without an order",
            "write OVER (PARTITION BY ... ORDER BY ...)",
        )
    return infer_call(called, call, state, over=True)


def infer_filter(node: exp.Filter, state: Inference) -> Inferred:
    """The type of ``f(...) FILTER (WHERE ...)``."""
    require_boolean(node.expression.this, state.of(node.expression.this), state)
    call = call_of(node.this)
    if call is None or call.function.form != "aggregate":
        state.report.add(GROUPING, node, f"{written_name(node.this)} is no aggregate", "leave out FILTER, or use CASE")
        return UNKNOWN
    return infer_call(node.this, call, state)


def _check_aggregate(node: exp.Expr, call: Call, state: Inference, *, over: bool) -> None:
    function = call.function
    if over and function.form == "aggregate" and (not function.windowed or call.distinct):
        what = f"{function.name}(DISTINCT ...)" if call.distinct else function.name
        state.report.add(GROUPING, node, f"{what} has no OVER on every engine", "aggregate in a CTE and join it")
    if call.distinct and not function.distinct:
        state.report.add(ARGUMENTS, node, f"{function.name} has no DISTINCT", "select the distinct rows in a CTE first")
    if call.distinct and any(ordered.this != call.arguments[0] for ordered in call.order):
        state.report.add(
            ARGUMENTS, node, f"{function.name}(DISTINCT ...) in another order", "order it by the value itself"
        )
    if function.ordered == "inside" and not call.order:
        state.report.add(
            NOT_REPRODUCIBLE, node, f"{function.name} without an order", f"write {function.name}(... ORDER BY ...)"
        )
    if call.order and function.ordered != "inside":
        state.report.add(
            ARGUMENTS, node, f"{function.name} has no ORDER BY", "leave it out; the result does not depend on it"
        )


def _break_ties(call: Call) -> None:
    """Rows that tie in an ORDER BY inside the parentheses would come in the engine's order: the value decides."""
    if not call.order or not call.arguments:
        return
    value, order = call.arguments[0], call.order[0].parent
    if value.find(exp.Column) is not None and all(ordered.this != value for ordered in call.order):
        assert isinstance(order, exp.Order)
        order.append("expressions", exp.Ordered(this=value.copy(), nulls_first=False))


def _argument_type(index: int, argument: exp.Expr, candidates: list[Signature], state: Inference) -> Inferred:
    if all(signature.parameter(index).constant is not None for signature in candidates):
        return NULL  # looked at as a constant only
    return state.of(argument)


def _fits(signature: Signature, given: _Given) -> bool:
    return all(
        _argument_fits(signature, index, argument, type_)
        for index, (argument, type_) in enumerate(zip(given.arguments, given.types, strict=True))
    )


def _argument_fits(signature: Signature, index: int, argument: exp.Expr, type_: Inferred) -> bool:
    parameter = signature.parameter(index)
    if parameter.constant is not None:
        try:
            parameter.constant(argument)
        except NotFittingError:
            return False
        return True
    if type_ == NULL:
        return True
    if not isinstance(type_, DataType):
        return False
    if parameter.stored_keys is not None:
        keys = type_.key.kind if type_.key and type_.is_stored else None
        return isinstance(argument, exp.Column) and keys in parameter.stored_keys
    return type_.kind in parameter.kinds or (
        parameter.kinds == TIME and type_ == STRING and isinstance(argument, exp.Literal)
    )


def _apply(given: _Given, signature: Signature, state: Inference) -> Inferred:
    """Casts the arguments as the signature asks; gives the type of the call."""
    types, placed = list(given.types), list(given.arguments)
    for index, argument in enumerate(given.arguments):
        parameter = signature.parameter(index)
        if parameter.constant is not None:
            normal = parameter.constant(argument)
            if normal is not argument:
                argument.replace(normal)
                placed[index] = normal
        elif parameter.kinds == TIME and types[index] == STRING:
            types[index] = read_time_literal(argument, STRING, TIMESTAMP, state)
        elif parameter.cast is not None and types[index] != parameter.cast:
            placed[index] = cast_to(argument, parameter.cast)
            types[index] = parameter.cast
    try:
        if signature.unify:
            types = _unify(placed, types, state)
        first = types[0] if types else NULL
        if given.function.name == "array_agg" and first == STRING and isinstance(placed[0], exp.Literal):
            cast_to(placed[0], STRING)  # a literal has no type of its own in PostgreSQL
        if given.function.name in ("round", "avg") and isinstance(first, DataType):
            given.node.meta[INPUT_KIND] = first.kind
        if given.function.name == "round" and len(types) == 2 and isinstance(first, DataType) and first.is_exact:
            return rounded(first, digits_of(placed[1]))
        return signature.result(types) if callable(signature.result) else signature.result
    except NoTypeError as problem:
        state.report.add(ARGUMENTS, given.node, f"{given.function.name}: {problem}", "cast the arguments to one type")
        return UNKNOWN


def _unify(arguments: list[exp.Expr], types: list[Inferred], state: Inference) -> list[Inferred]:
    common = meet(arguments, types, state)
    if isinstance(common, DataType):
        tight = tightened(arguments, types)
        for argument, type_ in zip(arguments, tight, strict=True):
            mixed = isinstance(type_, DataType) and type_ != common and not (type_.is_exact and common.is_exact)
            if mixed and argument.parent is not None and not (type_ == STRING and common.is_temporal):
                cast_to(argument, common)
    return [common] * len(types)


def _check_frame(node: exp.Window, ordering: list[Inferred], state: Inference) -> None:
    spec = node.args.get("spec")
    if spec is None:
        return
    kind = str(spec.args.get("kind")).upper()
    bounds = [bound for bound in (spec.args.get("start"), spec.args.get("end")) if isinstance(bound, exp.Expr)]
    if kind in ("ROWS", "GROUPS"):
        for bound in bounds:
            if whole_value(bound) is None:
                state.report.add(
                    LITERAL,
                    bound,
                    f"a {kind} frame counts {kind.lower()}",
                    "write a whole number, UNBOUNDED or CURRENT ROW",
                )
    else:
        for bound in bounds:
            parts = interval_parts(bound)
            if parts is None or parts[0] or ordering != [TIMESTAMP]:
                state.report.add(
                    LITERAL,
                    bound,
                    "a RANGE frame spans a constant time over one timestamp",
                    "write ORDER BY time RANGE BETWEEN INTERVAL 7 DAYS PRECEDING ...",
                )
            else:
                state.of(bound)


def _refuse_count(node: exp.Expr, function: Function, count: int, state: Inference) -> Inferred:
    state.report.add(
        ARGUMENTS,
        node,
        f"{function.name} does not take {count} argument{'' if count == 1 else 's'}",
        f"write {_forms(function)}",
    )
    return UNKNOWN


def _refuse_types(given: _Given, candidates: list[Signature], state: Inference) -> Inferred:
    name = given.function.name
    for signature in candidates:
        wrong = _wrong_constant(signature, given)
        if wrong is not None:
            argument, what = wrong
            state.report.add(ARGUMENTS, argument, what, f"write {_forms(given.function)}")
            return UNKNOWN
    shown = ", ".join(
        str(type_)
        for type_, argument in zip(given.types, given.arguments, strict=True)
        if type_ != NULL or isinstance(argument, exp.Null)
    )
    wanted = " or ".join(dict.fromkeys(_wanted(signature) for signature in candidates[:3]))
    state.report.add(
        ARGUMENTS, given.node, f"{name} does not take ({shown})", f"it takes ({wanted}); cast the arguments"
    )
    return UNKNOWN


def _wrong_constant(signature: Signature, given: _Given) -> tuple[exp.Expr, str] | None:
    """The constant argument that alone keeps the signature from fitting, and what it should be."""
    for index, argument in enumerate(given.arguments):
        parameter = signature.parameter(index)
        others = [other for other in range(len(given.arguments)) if other != index]
        if parameter.constant is None or not all(
            _argument_fits(signature, other, given.arguments[other], given.types[other]) for other in others
        ):
            continue
        try:
            parameter.constant(argument)
        except NotFittingError as form:
            return argument, f"'{parameter.name}' of {given.function.name} is {form}"
    return None


def _wanted(signature: Signature) -> str:
    return ", ".join(
        parameter.name if parameter.constant else "any" if parameter.kinds == ANY else "|".join(sorted(parameter.kinds))
        for parameter in signature.parameters
    )


def _forms(function: Function) -> str:
    return " or ".join(dict.fromkeys(f"{function.name}({signature.text})" for signature in function.signatures[:3]))

"""Types of operators: arithmetic, comparison, logic, choice. Puts in the casts that make engines agree."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import ARGUMENTS, LITERAL, OPERAND_TYPES
from feature_platform.compiler.functions.constants import interval
from feature_platform.compiler.functions.model import NotFittingError
from feature_platform.compiler.inference import (
    ARITHMETIC,
    DUCKDB_ALONE,
    UNKNOWN,
    Inference,
    cast_to,
    is_known,
    is_whole_literal,
    meet,
    read_time_literals,
    tightened,
)
from feature_platform.compiler.numeric import (
    INTERVAL,
    NULL,
    Inferred,
    NoTypeError,
    addition,
    comparable,
    multiplication,
)
from feature_platform.compiler.trees import children
from feature_platform.types import BIGINT, BOOLEAN, DATE, DOUBLE, INT, STRING, TIMESTAMP, DataType, decimal

_WIDEST_IN_64_BITS = 18
"""Digits of the decimals that DuckDB multiplies in 64 bits, with an overflow where the product needs more."""


def infer_arithmetic(node: exp.Binary, state: Inference) -> Inferred:
    """Of ``+ - * / //``."""
    left, right = state.of(node.this), state.of(node.expression)
    if not is_known(left, right):
        return UNKNOWN
    if isinstance(node, exp.Add | exp.Sub) and (_is_time(left) or _is_time(right)):
        return _time_arithmetic(node, left, right, state)
    if NULL in (left, right):
        known = right if left == NULL else left
        return DOUBLE if isinstance(node, exp.Div) else known
    if not (isinstance(left, DataType) and isinstance(right, DataType) and left.is_numeric and right.is_numeric):
        return _refuse(node, left, right, "calculate with numbers; convert texts with TRY_CAST", state)
    if isinstance(node, exp.Div):
        return DOUBLE
    if isinstance(node, exp.IntDiv):
        return _whole_division(node, left, right, state)
    one, two = tightened([node.this, node.expression], [left, right])
    assert isinstance(one, DataType)
    assert isinstance(two, DataType)
    try:
        result = multiplication(one, two) if isinstance(node, exp.Mul) else addition(one, two)
    except NoTypeError as problem:
        state.report.add(OPERAND_TYPES, node, str(problem), "use round(x, digits)")
        return UNKNOWN
    _widen(node, left, right, result)
    if result == BIGINT and BIGINT in (left, right):
        node.meta[ARITHMETIC] = "whole"
    return result


def infer_negation(node: exp.Neg, state: Inference) -> Inferred:
    """Of ``-x``."""
    type_ = state.of(node.this)
    if isinstance(type_, DataType) and not type_.is_numeric:
        return _refuse(node, type_, None, "negate numbers", state)
    if type_ == INT and not is_whole_literal(node.this):
        cast_to(node.this, BIGINT)  # the least int has no positive counterpart
        return BIGINT
    return type_


def infer_comparison(node: exp.Expr, state: Inference) -> Inferred:
    """Of ``= <> < <= > >=``, ``IS [NOT] DISTINCT FROM``."""
    sides = [node.this, node.expression]
    types = read_time_literals(sides, [state.of(side) for side in sides], state)
    _check_comparable(
        node, types, state, equality=isinstance(node, exp.EQ | exp.NEQ | exp.NullSafeEQ | exp.NullSafeNEQ)
    )
    return BOOLEAN


def infer_between(node: exp.Between, state: Inference) -> Inferred:
    """Of ``x BETWEEN low AND high``."""
    parts = [node.this, node.args["low"], node.args["high"]]
    types = read_time_literals(parts, [state.of(part) for part in parts], state)
    for bound in types[1:]:
        _check_comparable(node, [types[0], bound], state, equality=False)
    return BOOLEAN


def infer_membership(node: exp.In, state: Inference) -> Inferred:
    """Of ``x IN (...)``, with values or a query of one column; of ``(x, y) IN (SELECT ...)``."""
    query = node.args.get("query")
    if isinstance(node.this, exp.Tuple) and query is not None:
        return _row_membership(node, node.this.expressions, query, state)
    tested = state.of(node.this)
    if query is not None:
        columns = list(state.query(query).values())
        if len(columns) != 1:
            state.report.add(ARGUMENTS, query, f"the query after IN has {len(columns)} columns", "select one column")
        _check_comparable(node, [tested, *columns[:1]], state, equality=True)
        return BOOLEAN
    parts = [node.this, *node.expressions]
    types = read_time_literals(parts, [tested, *(state.of(member) for member in node.expressions)], state)
    for member in types[1:]:
        _check_comparable(node, [types[0], member], state, equality=True)
    return BOOLEAN


def _row_membership(node: exp.In, row: list[exp.Expr], query: exp.Expr, state: Inference) -> Inferred:
    tested = [state.of(value) for value in row]
    columns = list(state.query(query).values())
    if len(columns) != len(row):
        what = f"the query after IN has {len(columns)} columns for {len(row)} values"
        state.report.add(ARGUMENTS, query, what, "select one column for each value")
    for one, other in zip(tested, columns, strict=False):
        _check_comparable(node, [one, other], state, equality=True)
    return BOOLEAN


def infer_quantified(node: exp.Expr, state: Inference) -> Inferred:
    """Of ``ANY (...)`` and ``ALL (...)``: the type that the other side is compared with."""
    inner = node.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Query):
        columns = list(state.query(inner).values())
        if len(columns) != 1:
            state.report.add(ARGUMENTS, node, f"the query has {len(columns)} columns", "select one column")
        return columns[0]
    type_ = state.of(inner)
    if isinstance(type_, DataType) and type_.kind == "array":
        assert type_.element is not None
        node.meta[DUCKDB_ALONE] = "ANY and ALL over a list"  # which differ where the list is NULL
        return type_.element
    if type_ != UNKNOWN:
        state.report.add(ARGUMENTS, node, f"ANY and ALL take a list or a query, not {type_}", "write IN (...)")
    return UNKNOWN


def infer_test(node: exp.Is, state: Inference) -> Inferred:
    """Of ``x IS NULL``, ``x IS TRUE``."""
    type_ = state.of(node.this)
    if isinstance(node.expression, exp.Boolean):
        require_boolean(node.this, type_, state)
    elif not isinstance(node.expression, exp.Null):
        state.report.add(ARGUMENTS, node, "IS takes NULL, TRUE or FALSE", "write = or IS NOT DISTINCT FROM")
    return BOOLEAN


def infer_logic(node: exp.Expr, state: Inference) -> Inferred:
    """Of AND, OR, NOT."""
    for child in children(node):
        require_boolean(child, state.of(child), state)
    return BOOLEAN


def infer_like(node: exp.Expr, state: Inference) -> Inferred:
    """Of LIKE with or without ESCAPE."""
    like = node.this if isinstance(node, exp.Escape) else node
    if isinstance(node, exp.Escape) and not (
        isinstance(node.expression, exp.Literal) and len(node.expression.name) == 1
    ):
        state.report.add(LITERAL, node, "ESCAPE takes one character", "write ESCAPE '!'")
    for side in (like.this, like.expression):
        type_ = state.of(side)
        if isinstance(type_, DataType) and type_ != STRING:
            _refuse(side, type_, None, "LIKE compares texts", state)
    return BOOLEAN


def infer_case(node: exp.Case, state: Inference) -> Inferred:
    """Of CASE in both forms."""
    branches = node.args["ifs"]
    if node.this is not None:
        parts = [node.this, *(branch.this for branch in branches)]
        types = read_time_literals(parts, [state.of(part) for part in parts], state)
        for value in types[1:]:
            _check_comparable(node, [types[0], value], state, equality=True)
    else:
        for branch in branches:
            require_boolean(branch.this, state.of(branch.this), state)
    results = [branch.args["true"] for branch in branches]
    return _choice(node, [*results, node.args["default"]] if node.args.get("default") is not None else results, state)


def infer_if(node: exp.If, state: Inference) -> Inferred:
    """Of ``if(condition, a, b)``."""
    require_boolean(node.this, state.of(node.this), state)
    results = [node.args["true"], *([node.args["false"]] if node.args.get("false") is not None else [])]
    return _choice(node, results, state)


def infer_interval(node: exp.Interval, state: Inference) -> Inferred:
    """Of a constant interval, which is brought to one unit."""
    try:
        normal = interval(node)
    except NotFittingError as form:
        state.report.add(LITERAL, node, f"an interval is {form}", "write several intervals one after the other")
        return UNKNOWN
    node.set("this", normal.this)
    node.set("unit", normal.args["unit"])
    return INTERVAL


def require_boolean(node: exp.Expr, type_: Inferred, state: Inference) -> None:
    """Notes a condition that is no boolean."""
    if type_ not in (BOOLEAN, NULL, UNKNOWN):
        state.report.add(OPERAND_TYPES, node, f"a condition is a boolean, not {type_}", "compare it with something")


def _choice(node: exp.Expr, results: list[exp.Expr], state: Inference) -> Inferred:
    try:
        return meet(results, [state.of(result) for result in results], state)
    except NoTypeError as problem:
        state.report.add(OPERAND_TYPES, node, f"the branches do not fit: {problem}", "cast them to one type")
        return UNKNOWN


def _check_comparable(node: exp.Expr, types: list[Inferred], state: Inference, *, equality: bool) -> None:
    if not is_known(*types):
        return
    if INTERVAL in types or not comparable(types[0], types[1]):
        _refuse(node, types[0], types[1], "compare values of one type; use TRY_CAST for texts", state)
    elif not equality and any(isinstance(type_, DataType) and type_.kind in _UNORDERED for type_ in types):
        _refuse(node, types[0], types[1], "order numbers, texts or times", state)
    elif not equality and any(isinstance(type_, DataType) and type_.is_nested for type_ in types):
        node.meta[DUCKDB_ALONE] = "an order of nested values"


_UNORDERED: Final = frozenset({"boolean", "map", "json"})


def _is_time(type_: Inferred) -> bool:
    return type_ == INTERVAL or (isinstance(type_, DataType) and type_.is_temporal)


def _time_arithmetic(node: exp.Binary, left: Inferred, right: Inferred, state: Inference) -> Inferred:
    subtracts = isinstance(node, exp.Sub)
    if not subtracts and left == INTERVAL:
        left, right = right, left
    match left, right:
        case (DataType(kind="date" | "timestamp"), _) if right == INTERVAL:
            return TIMESTAMP
        case (DataType(kind="date"), DataType()) if right.is_integer:
            cast_to(node.expression, INT)
            node.meta[ARITHMETIC] = "days"
            return DATE
        case (DataType(kind="date"), DataType(kind="date")) if subtracts:
            cast_to(node, BIGINT)
            node.meta[ARITHMETIC] = "between"
            return BIGINT
        case (DataType(kind="date" | "timestamp"), DataType(kind="date" | "timestamp")) if subtracts:
            return _refuse(node, left, right, "use date_diff('second', start, end), or cast both to date", state)
        case (DataType(kind="date" | "timestamp"), _) if right == NULL:
            return left
    return _refuse(node, left, right, "add an INTERVAL to a time, or whole days to a date", state)


def _whole_division(node: exp.Binary, left: DataType, right: DataType, state: Inference) -> Inferred:
    if not (left.is_integer and right.is_integer):
        return _refuse(node, left, right, "// divides integers; use / or trunc(x / y)", state)
    cast_to(node.this, BIGINT)
    return BIGINT


def _widen(node: exp.Binary, left: DataType, right: DataType, result: DataType) -> None:
    if result == BIGINT and left == INT and right == INT:
        cast_to(node.this, BIGINT)
    elif (
        isinstance(node, exp.Mul)
        and result.kind == "decimal"
        and result.precision > _WIDEST_IN_64_BITS
        and max(_digits(left), _digits(right)) <= _WIDEST_IN_64_BITS
    ):
        wide, narrow = (node.this, left) if not is_whole_literal(node.this) else (node.expression, right)
        cast_to(wide, decimal(_WIDEST_IN_64_BITS + 1, narrow.scale))


def _digits(type_: DataType) -> int:
    return type_.precision if type_.kind == "decimal" else 10 if type_ == INT else 19


def _refuse(node: exp.Expr, left: Inferred, right: Inferred | None, mend: str, state: Inference) -> Inferred:
    operands = f"{left} and {right}" if right is not None else f"{left}"
    state.report.add(OPERAND_TYPES, node, f"{_SIGNS.get(type(node), 'this')} does not take {operands}", mend)
    return UNKNOWN


_SIGNS: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.IntDiv: "//",
    exp.Neg: "-",
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.In: "IN",
    exp.Between: "BETWEEN",
    exp.Case: "CASE",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}

"""Types of nested values: structs, maps, what is taken out of them, and calls with lambdas."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.calls import infer_call
from feature_platform.compiler.codes import ARGUMENTS, UNKNOWN_COLUMN, UNTYPED
from feature_platform.compiler.functions.catalogue import call_of
from feature_platform.compiler.functions.constants import whole_value
from feature_platform.compiler.inference import UNKNOWN, Inference, cast_to, is_known, meet
from feature_platform.compiler.lambdas import NO_TABLE, lambda_name, lambda_of
from feature_platform.compiler.numeric import NULL, Inferred, NoTypeError, supertype
from feature_platform.compiler.operators import require_boolean
from feature_platform.errors import did_you_mean
from feature_platform.types import BIGINT, DataType, array, map_of, struct


def infer_struct(node: exp.Struct, state: Inference) -> Inferred:
    """Of ``{'a': x, 'b': y}``."""
    fields: list[tuple[str, DataType]] = []
    for field in node.expressions:
        type_ = state.of(field.expression)
        if isinstance(type_, DataType):
            fields.append((field.name, type_))
        elif type_ != UNKNOWN:
            _note_untyped(field, field.name, type_, state)
    if len({name.lower() for name, _ in fields}) < len(fields):
        state.report.add(ARGUMENTS, node, "two fields of a struct have one name", "rename one of them")
        return UNKNOWN
    return struct(*fields) if len(fields) == len(node.expressions) else UNKNOWN


def infer_field(node: exp.StructExtract, state: Inference) -> Inferred:
    """Of ``s.f``."""
    return _field(node, state.of(node.this), state)


def infer_access(node: exp.Expr, state: Inference) -> Inferred:
    """Of ``x[y]``, which is a field of a struct, a value of JSON, or a call of ``array_extract``."""
    call = call_of(node)
    assert call is not None
    if len(call.arguments) != 2:
        return infer_call(node, call, state)
    held, accessed = call.arguments
    type_ = state.of(held)
    held = _arguments(node)[0]
    if isinstance(type_, DataType) and type_.kind == "struct":
        access = exp.StructExtract(this=held, expression=accessed)
        node.replace(access)
        return _field(access, type_, state)
    if isinstance(type_, DataType) and type_.kind == "json":
        opened = exp.JSONExtract(this=held, expression=accessed)
        node.replace(opened)
        return state.of(opened)
    return infer_call(node, call_of(node) or call, state)


def infer_map(node: exp.Expr, state: Inference) -> Inferred:
    """Of ``MAP {'k': v}`` and ``map(keys, values)``."""
    if isinstance(node, exp.Map):
        listed = [node.args.get(part) for part in ("keys", "values")]
        types = [state.of(part) if part is not None else NULL for part in listed]
        elements = [type_.element if isinstance(type_, DataType) and type_.kind == "array" else None for type_ in types]
        if not is_known(*types):
            return UNKNOWN
        if elements[0] is None or elements[1] is None:
            state.report.add(
                ARGUMENTS, node, f"map does not take ({types[0]}, {types[1]})", "write map([keys], [values])"
            )
            return UNKNOWN
        return map_of(elements[0], elements[1])
    pairs = node.this.expressions
    keys = _common([pair.this for pair in pairs], "keys", node, state)
    values = _common([pair.expression for pair in pairs], "values", node, state)
    return map_of(keys, values) if isinstance(keys, DataType) and isinstance(values, DataType) else UNKNOWN


def infer_lambda_call(node: exp.Expr, state: Inference) -> Inferred:
    """Of ``list_transform``, ``list_filter`` and ``list_reduce``."""
    listed = state.of(node.this)
    if listed == UNKNOWN:
        return UNKNOWN
    if not (isinstance(listed, DataType) and listed.kind == "array"):
        state.report.add(
            ARGUMENTS,
            node.this,
            f"{lambda_name(node)} does not take {listed}",
            f"write {lambda_name(node)}(list, x -> ...)",
        )
        return UNKNOWN
    assert listed.element is not None
    held = lambda_of(node)
    if isinstance(node, exp.Reduce):
        return _reduce(node, listed.element, state)
    body = _body(held, [listed.element, BIGINT], state)
    if isinstance(node, exp.ArrayFilter):
        require_boolean(held.this, body, state)
        return listed
    if isinstance(body, DataType):
        return array(body)
    if body != UNKNOWN:
        _note_untyped(held, "x", body, state)
    return UNKNOWN


def _reduce(node: exp.Reduce, element: DataType, state: Inference) -> Inferred:
    """What has been gathered is of one type from the first step to the last."""
    initial, held = node.args.get("initial"), node.args["merge"]
    gathered: Inferred = state.of(initial) if initial is not None else element
    if not is_known(gathered):
        return UNKNOWN
    if gathered == NULL:
        gathered = element
    written = held.this.copy()
    try:
        body = _body(held, [gathered, element, BIGINT], state)
        common = supertype([gathered, body]) if is_known(body) else UNKNOWN
        if common != gathered and isinstance(common, DataType):
            # The sum of two ints is a bigint: gather in the wider type from the start, without the casts of the first.
            held.set("this", written)
            body = _body(held, [common, element, BIGINT], state)
            common = supertype([common, body]) if is_known(body) else UNKNOWN
    except NoTypeError as problem:
        state.report.add(ARGUMENTS, held, f"list_reduce: {problem}", "let the lambda give what it gathers")
        return UNKNOWN
    if not isinstance(common, DataType):
        return UNKNOWN
    cast_to(held.this, common)
    if initial is not None:
        cast_to(node.args["initial"], common)
    elif common != element:
        cast_to(node.this, array(common))
    return common


def _body(held: exp.Lambda, types: list[Inferred], state: Inference) -> Inferred:
    """The type of a lambda's body with its parameters in sight."""
    before = dict(state.relations.get(NO_TABLE, {}))
    parameters = {parameter.name: type_ for parameter, type_ in zip(held.expressions, types, strict=False)}
    state.relations[NO_TABLE] = {**before, **parameters}
    try:
        return state.of(held.this)
    finally:
        state.relations[NO_TABLE] = before


def _field(node: exp.StructExtract, type_: Inferred, state: Inference) -> Inferred:
    if type_ == UNKNOWN:
        return UNKNOWN
    if isinstance(type_, DataType) and type_.kind == "json":
        opened = exp.JSONExtract(this=node.this, expression=node.expression)
        node.replace(opened)
        return state.of(opened)
    name = node.expression.name
    if not (isinstance(type_, DataType) and type_.kind == "struct"):
        state.report.add(
            ARGUMENTS, node, f"{type_} has no fields, so there is no '{name}' in it", "take fields out of structs"
        )
        return UNKNOWN
    position = whole_value(node.expression)
    found = type_.field(name) if position is None else _at(type_, position)
    if found is None:
        names = [field for field, _ in type_.fields]
        state.report.add(
            UNKNOWN_COLUMN,
            node,
            f"the struct has no field '{name}'.{did_you_mean(name, names)}",
            f"its fields are {', '.join(names)}",
        )
        return UNKNOWN
    node.set("expression", exp.Literal.string(found[0]))
    return found[1]


def _at(type_: DataType, position: int) -> tuple[str, DataType] | None:
    return type_.fields[position - 1] if 1 <= position <= len(type_.fields) else None


def _common(parts: list[exp.Expr], what: str, node: exp.Expr, state: Inference) -> Inferred:
    types = [state.of(part) for part in parts]
    try:
        common = meet(parts, types, state)
    except NoTypeError as problem:
        state.report.add(ARGUMENTS, node, f"the {what} of a map do not fit: {problem}", "cast them to one type")
        return UNKNOWN
    if common == NULL:
        _note_untyped(node, what, common, state)
        return UNKNOWN
    return common


def _arguments(node: exp.Expr) -> tuple[exp.Expr, ...]:
    call = call_of(node)
    assert call is not None
    return call.arguments


def _note_untyped(node: exp.Expr, name: str, type_: Inferred, state: Inference) -> None:
    state.report.add(
        UNTYPED, node, f"'{name}' is {type_} and has no type", "write CAST(NULL AS bigint), or the type that is meant"
    )


ACCESS: Final = "array_extract"

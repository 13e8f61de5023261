"""CAST and TRY_CAST: which conversions mean the same on every engine, and how the others are said so that they do.

Nested values are converted on DuckDB alone. Out of JSON, and from text to JSON, ``CAST`` is what ``TRY_CAST`` is: what
does not fit is NULL.

``CAST`` from text is refused except of constants, which are read while compiling: what is not a number would stop a
run, with the value in the message, and engines differ in what they take for a number. ``TRY_CAST`` from text gives
NULL for everything but the plain forms: digits with sign and decimal point, ISO 8601 dates and times, true and false.
"""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from feature_platform.compiler.calls import SIGNATURE
from feature_platform.compiler.codes import CAST, LITERAL
from feature_platform.compiler.inference import (
    DUCKDB_ALONE,
    SOURCE_KIND,
    UNKNOWN,
    Inference,
    cast_to,
    read_time_literal,
    type_node,
)
from feature_platform.compiler.numeric import INTERVAL, NULL, Inferred
from feature_platform.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INT,
    JSON,
    STRING,
    TIMESTAMP,
    DataType,
    array,
    decimal,
    map_of,
    struct,
)

_NAMES: Final = {
    "TEXT": STRING,
    "VARCHAR": STRING,
    "INT": INT,
    "BIGINT": BIGINT,
    "DOUBLE": DOUBLE,
    "BOOLEAN": BOOLEAN,
    "DATE": DATE,
    "TIMESTAMP": TIMESTAMP,
    "TIMESTAMPNTZ": TIMESTAMP,
    "JSON": JSON,
}
_LEAP: Final = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DAY: Final = (
    "([0-9]{4}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{4}-(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    f"|[0-9]{{4}}-02-(0[1-9]|1[0-9]|2[0-8])|{_LEAP}-02-29)"
)
_CLOCK: Final = "([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?)?"
TESTED: Final = "fp_tested"
"""Key in a cast's ``meta``: a condition around it keeps out what it can't cast."""
_WHOLE: Final = "[+-]?[0-9]{1,37}"
_REAL: Final = "[+-]?([0-9]{1,200}([.][0-9]{0,200})?|[.][0-9]{1,200})([eE][+-]?[0-9]{1,2})?"


def infer_cast(node: exp.Cast, state: Inference) -> Inferred:
    """Of CAST; rewrites it so that engines agree."""
    target = _target(node, state)
    source = state.of(node.this)
    if target is None or source == UNKNOWN:
        return target or UNKNOWN
    value = node.this
    if JSON in (source, target) and source in (STRING, JSON) and target != source:
        return _read(node, target)
    if isinstance(value, exp.Literal) and value.is_string:
        return _cast_literal(node, value, target, state)
    if source in (NULL, target):
        _retarget(node, target)
        return target
    if isinstance(source, DataType) and (source.is_nested or target.is_nested):
        complaint = _apply_nested(node, source, target)
    else:
        complaint = _apply(node, source, target)
    if complaint is not None:
        state.report.add(CAST, node, f"CAST from {source} to {target} is not portable", complaint)
    return target


def infer_try_cast(node: exp.TryCast, state: Inference) -> Inferred:
    """Of TRY_CAST, which reads text."""
    target = _target(node, state)
    source = state.of(node.this)
    if target is None or source == UNKNOWN:
        return target or UNKNOWN
    if source == JSON or (source == STRING and target == JSON):
        return _read(node, target)
    tested = _test(node.this, target)
    if source not in (STRING, NULL) or tested is None:
        state.report.add(
            CAST,
            node,
            f"TRY_CAST from {source} to {target} is not part of the dialect",
            "TRY_CAST reads texts; else use CAST",
        )
        return target
    node.replace(tested)
    return target


def _read(node: exp.Cast, target: DataType) -> Inferred:
    """Out of JSON, or JSON out of text, on DuckDB without ever stopping."""
    read = exp.TryCast(this=node.this, to=type_node(target))
    read.meta[DUCKDB_ALONE] = "JSON"
    node.replace(read)
    return target


def type_of(node: exp.DataType) -> DataType | None:
    """The platform's type that a type's name in SQL means, or None."""
    name = node.this.name if hasattr(node.this, "name") else str(node.this)
    if name == "DECIMAL":
        numbers = [int(parameter.name) for parameter in node.expressions]
        precision, scale = [*numbers, 0][:2] if numbers else (18, 3)
        return decimal(precision, scale) if 1 <= precision <= 38 and scale <= precision else None
    if name == "ARRAY" and len(node.expressions) == 1:
        element = None if node.args.get("values") else type_of(node.expressions[0])
        return array(element) if element is not None else None
    if name == "MAP" and len(node.expressions) == 2:
        key, value = (type_of(part) for part in node.expressions)
        return map_of(key, value) if key is not None and value is not None else None
    if name == "STRUCT":
        fields = [(field.name, type_of(field.args["kind"])) for field in node.expressions if field.args.get("kind")]
        known = [(field, type_) for field, type_ in fields if type_ is not None]
        return struct(*known) if known and len(known) == len(node.expressions) else None
    return _NAMES.get(name)


def _target(node: exp.Cast | exp.TryCast, state: Inference) -> DataType | None:
    target = type_of(node.to)
    if target is None:
        state.report.add(
            CAST,
            node,
            f"type {node.to.sql('duckdb')} is not a type of the platform",
            "use boolean, int, bigint, double, decimal(p,s), varchar, date or timestamp",
        )
    return target


def _cast_literal(node: exp.Cast, value: exp.Literal, target: DataType, state: Inference) -> Inferred:
    if target in (DATE, TIMESTAMP):
        type_ = read_time_literal(value, STRING, target, state)
        if type_ == UNKNOWN:
            return target
        node.set("this", node.this.this)  # the literal was cast already: once is enough
        if type_ != target:
            state.report.add(LITERAL, node, f"this text is no {target}", "write the day alone, or TIMESTAMP '...'")
    elif target != STRING and not re.fullmatch(_pattern(target), value.name):
        state.report.add(LITERAL, node, f"this text is no {target}", f"write a plain {target}")
    _retarget(node, target)
    return target


def _retarget(node: exp.Cast, target: DataType) -> None:
    node.set("to", type_node(target))
    node.meta["type"] = str(target)


def _apply(node: exp.Cast, source: Inferred, target: DataType) -> str | None:
    """Rewrites a cast between known types; gives what to write instead where there is no portable form."""
    if not isinstance(source, DataType):
        return "use date_diff or epoch for lengths of time" if source == INTERVAL else "write a value"
    _retarget(node, target)
    node.meta[SOURCE_KIND] = source.kind
    match source.kind, target.kind:
        case ("int" | "bigint" | "decimal", "int" | "bigint" | "decimal" | "double") | ("int" | "bigint", "string"):
            return None
        case (
            ("double", "int" | "bigint") | ("date", "timestamp") | ("timestamp", "date") | ("boolean", "int" | "string")
        ):
            return None
        case ("double", "decimal"):
            # By the shortest text that means this double: engines scale binary values in different ways.
            cast_to(node.this, STRING)
            return None
        case ("boolean", "bigint"):
            cast_to(node.this, INT)
            return None
        case ("decimal", "string"):
            cast_to(node.this, source)
            return None
        case ("int" | "bigint", "boolean"):
            node.replace(exp.paren(exp.NEQ(this=node.this, expression=exp.Literal.number(0)), copy=False))
            return None
        case ("date", "string"):
            day = exp.TimeToStr(this=node.this, format=exp.Literal.string("%Y-%m-%d"))
            cast_to(day.this, TIMESTAMP)
            node.set("this", day)
            return None
        case ("timestamp", "string"):
            return "use strftime(time, '%Y-%m-%d %H:%M:%S')"
        case ("string", _):
            return f"write TRY_CAST(... AS {target}): what is no {target} becomes NULL instead of stopping the run"
        case ("double", "string"):
            return "cast to a decimal first"
    return "there is no such conversion; use CASE"


def _apply_nested(node: exp.Cast, source: DataType, target: DataType) -> str | None:
    """Of lists, structs, maps and JSON; DuckDB's alone."""
    _retarget(node, target)
    if target == STRING:
        return None
    if target == JSON:
        made = exp.Anonymous(this="to_json", expressions=[node.this])
        made.meta[SIGNATURE] = ""
        node.replace(made)
        return None
    if _widens(source, target):
        return None
    return "convert the parts: list_transform(list, x -> CAST(x AS ...)), or {'a': CAST(s.a AS ...)}"


def _widens(source: DataType, target: DataType) -> bool:
    """Whether a cast between nested types converts numbers and dates alone, and keeps every field."""
    if source.kind == target.kind and source.is_nested:
        pairs = [(source.element, target.element), (source.key, target.key)]
        pairs += [(type_, (target.field(name) or (name, None))[1]) for name, type_ in source.fields]
        fitting = all(one == two or (one and two and _widens(one, two)) for one, two in pairs)
        return fitting and len(source.fields) == len(target.fields)
    return source == target or (source.is_numeric and target.is_numeric) or (source == DATE and target == TIMESTAMP)


def _pattern(target: DataType) -> str:
    match target.kind:
        case "int" | "bigint":
            return _WHOLE
        case "decimal":
            # One digit of room, so that rounding up can't overflow before the range is looked at.
            return f"[+-]?[0-9]{{1,{max(37 - target.scale, 1)}}}([.][0-9]{{0,37}})?"
        case "double":
            return _REAL
        case "boolean":
            return "([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])"
        case "date":
            return _DAY
        case _:
            return _DAY + _CLOCK


def _test(value: exp.Expr, target: DataType) -> exp.Expr | None:
    """``CASE WHEN value has the form of the type THEN CAST(value AS type) END``; None if the type has none."""
    if target.kind == "string" or target.is_nested:
        return None
    if isinstance(value, exp.Literal):  # PostgreSQL casts what has no type yet before it looks at the condition
        typed = exp.Cast(this=value.copy(), to=type_node(STRING))
        typed.meta["type"] = str(STRING)
        value = typed
    matches: exp.Expr = exp.RegexpLike(this=value.copy(), expression=exp.Literal.string(f"^{_pattern(target)}$"))
    if target.kind in ("date", "timestamp"):
        zero = exp.Left(this=value.copy(), expression=exp.Literal.number(4))
        matches = exp.and_(matches, exp.NEQ(this=zero, expression=exp.Literal.string("0000")), copy=False)
    if target.kind == "boolean":
        first = exp.Lower(this=exp.Left(this=value.copy(), expression=exp.Literal.number(1)))
        return _when(matches, exp.EQ(this=first, expression=exp.Literal.string("t")))
    bound = _bound(target)
    if bound is None:
        return _when(matches, _cast(value.copy(), target))
    roomy = _cast(value.copy(), decimal(38, target.scale))
    fits = exp.Between(
        this=roomy,
        low=exp.Neg(this=exp.Literal.number(bound[0])),
        high=exp.Literal.number(bound[1]),
    )
    return _when(matches, _when(fits, _cast(roomy.copy(), target)))


def _bound(target: DataType) -> tuple[str, str] | None:
    """(-least, greatest) of an exact type, as written."""
    match target.kind:
        case "int":
            return str(2**31), str(2**31 - 1)
        case "bigint":
            return str(2**63), str(2**63 - 1)
        case "decimal" if target.precision < 38:
            digits = "9" * target.precision
            whole, fraction = (
                digits[: target.precision - target.scale] or "0",
                digits[target.precision - target.scale :],
            )
            greatest = f"{whole}.{fraction}" if fraction else whole
            return greatest, greatest
    return None


def _when(condition: exp.Expr, result: exp.Expr) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=condition, true=result)])


def _cast(value: exp.Expr, target: DataType) -> exp.Cast:
    cast = exp.Cast(this=value, to=type_node(target))
    cast.meta["type"] = str(target)
    cast.meta[TESTED] = True
    return cast

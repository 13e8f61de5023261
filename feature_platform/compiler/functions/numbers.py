"""Functions of numbers. Where an engine would raise or give NaN or infinity, the result is NULL in every engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions.constants import power_of_ten, whole, whole_value
from feature_platform.compiler.functions.model import EXACT, NUMBER, WHOLE, Function, Parameter, node, sig
from feature_platform.compiler.numeric import MOST_DIGITS, Inferred, NoTypeError, supertype
from feature_platform.types import BIGINT, DOUBLE, INT, DataType, decimal

_NULL_IN: Final = "when an argument is"
_DOMAIN: Final = "when an argument is, or lies outside the function's domain"

_A: Final = Parameter("a", WHOLE, cast=BIGINT)
_B: Final = Parameter("b", WHOLE, cast=BIGINT)
_X: Final = Parameter("x", NUMBER, cast=DOUBLE)
_Y: Final = Parameter("y", NUMBER, cast=DOUBLE)

# 2 ** 52: from there on every double is whole, and adding a half would change it.
_ROUND: Final = "CASE WHEN ABS(x) >= 4503599627370496 THEN x ELSE SIGN(x) * FLOOR(ABS(x) + 0.5) END"
_ROUND_AT: Final = (
    "CASE WHEN ABS(x) >= 4503599627370496 / digits THEN x ELSE SIGN(x) * FLOOR(ABS(x) * digits + 0.5) / digits END"
)


def _same(types: Sequence[Inferred]) -> Inferred:
    return types[0]


def _without_scale(types: Sequence[Inferred]) -> Inferred:
    only = types[0]
    if isinstance(only, DataType) and only.kind == "decimal":
        # Rounding up may need one digit more: 9.5 becomes 10.
        return decimal(min(max(only.precision - only.scale, 0) + 1, MOST_DIGITS), 0)
    return only


def rounded(type_: DataType, digits: int) -> DataType:
    """The type of ``round(x, digits)``."""
    if type_.kind != "decimal":
        return type_
    scale = min(digits, type_.scale)
    return decimal(min(type_.precision - type_.scale + scale + 1, MOST_DIGITS), scale)


def _remainder(types: Sequence[Inferred]) -> Inferred:
    result = supertype(list(types))
    if not isinstance(result, DataType):
        raise NoTypeError("a remainder needs numbers")
    return BIGINT if result.is_integer else result


def _real(name: str, kind: type[exp.Expr], sql: str, doc: str, nulls: str = _NULL_IN) -> Function:
    return Function(name, (sig(_X, to=DOUBLE, both=sql),), doc, nulls, (node(kind, "this"),), tolerance=True)


def _bits(name: str, kind: type[exp.Expr], duckdb: str, postgres: str, doc: str) -> Function:
    return Function(
        name,
        (sig(_A, _B, to=BIGINT, duckdb=duckdb, postgres=postgres),),
        doc,
        _NULL_IN,
        (node(kind, "this", "expression"),),
    )


FUNCTIONS: Final = (
    Function(
        "abs",
        (sig(Parameter("x", NUMBER), to=_same, both="ABS(x)"),),
        "The value without its sign.",
        _NULL_IN,
        (node(exp.Abs, "this"),),
    ),
    Function(
        "sign",
        (
            sig(
                Parameter("x", NUMBER),
                to=INT,
                both="CASE WHEN x > 0 THEN 1 WHEN x < 0 THEN -1 WHEN x = 0 THEN 0 END",
            ),
        ),
        "-1, 0 or 1.",
        _NULL_IN,
        (node(exp.Sign, "this"),),
    ),
    Function(
        "round",
        (
            sig(Parameter("x", EXACT), to=_without_scale, both="ROUND(x, 0)", shown="without decimals"),
            sig(
                Parameter("x", EXACT),
                Parameter("digits", constant=whole(0, 15)),
                to=_same,
                both="ROUND(x, digits)",
                key="digits",
            ),
            sig(Parameter("x", NUMBER), to=DOUBLE, both=_ROUND, key="double"),
            sig(
                Parameter("x", NUMBER),
                Parameter("digits", constant=power_of_ten),
                to=DOUBLE,
                both=_ROUND_AT,
                key="double_digits",
            ),
        ),
        "To the nearest, halves away from zero. A double is rounded by its binary value.",
        _NULL_IN,
        (node(exp.Round, "this", "decimals"),),
    ),
    Function(
        "floor",
        (
            sig(Parameter("x", WHOLE), to=_same, both="x", key="whole"),
            sig(Parameter("x", NUMBER), to=_without_scale, both="FLOOR(x)", shown="without decimals"),
        ),
        "The greatest whole number that is not above `x`.",
        _NULL_IN,
        (node(exp.Floor, "this"),),
    ),
    Function(
        "ceil",
        (
            sig(Parameter("x", WHOLE), to=_same, both="x", key="whole"),
            sig(Parameter("x", NUMBER), to=_without_scale, both="CEIL(x)", shown="without decimals"),
        ),
        "The smallest whole number that is not below `x`.",
        _NULL_IN,
        (node(exp.Ceil, "this"),),
        aliases=("ceiling",),
    ),
    Function(
        "trunc",
        (
            sig(Parameter("x", WHOLE), to=_same, both="x", key="whole"),
            sig(Parameter("x", NUMBER), to=_without_scale, both="TRUNC(x)", shown="without decimals"),
        ),
        "Without what stands behind the decimal point.",
        _NULL_IN,
        (node(exp.Trunc, "this"),),
    ),
    Function(
        "mod",
        (
            sig(
                Parameter("x", EXACT),
                Parameter("y", EXACT),
                to=_remainder,
                duckdb="x % NULLIF(y, 0)",
                postgres="x % NULLIF(y, 0)",
                unify=True,
            ),
        ),
        "The remainder of the division towards zero, as `x % y`; it has the sign of `x`.",
        "when an argument is, or `y` is zero",
        (node(exp.Mod, "this", "expression"),),
        aliases=("%",),
    ),
    _real("sqrt", exp.Sqrt, "CASE WHEN x >= 0 THEN SQRT(x) END", "Square root.", nulls=_DOMAIN),
    _real("cbrt", exp.Cbrt, "CBRT(x)", "Cube root."),
    _real("ln", exp.Ln, "CASE WHEN x > 0 THEN LN(x) END", "Natural logarithm.", nulls=_DOMAIN),
    Function(
        "log10",
        (sig(_X, to=DOUBLE, duckdb="CASE WHEN x > 0 THEN LOG10(x) END", postgres="CASE WHEN x > 0 THEN LOG(x) END"),),
        "Logarithm to the base 10. `log(x)` is the same.",
        _DOMAIN,
        (node(exp.Log, "expression", fixed={"this": "10"}), node(exp.Log, "this")),
        aliases=("log",),
        tolerance=True,
    ),
    Function(
        "log2",
        (sig(_X, to=DOUBLE, both="CASE WHEN x > 0 THEN LN(x) / LN(CAST(2 AS DOUBLE PRECISION)) END"),),
        "Logarithm to the base 2.",
        _DOMAIN,
        (node(exp.Log, "expression", fixed={"this": "2"}),),
        tolerance=True,
    ),
    # PostgreSQL raises on overflow and underflow, DuckDB gives infinity and zero.
    _real(
        "exp",
        exp.Exp,
        "CASE WHEN x > 709 THEN NULL WHEN x < -708 THEN 0 ELSE EXP(x) END",
        "e to the power of `x`; NULL above 709, where doubles end.",
        nulls="when an argument is, or is above 709",
    ),
    Function(
        "power",
        (
            sig(
                _X,
                _Y,
                to=DOUBLE,
                both=(
                    "CASE WHEN x IS NULL OR y IS NULL THEN NULL WHEN y = 0 THEN 1"
                    " WHEN x = 0 THEN CASE WHEN y > 0 THEN 0 END"
                    " WHEN x < 0 AND y <> FLOOR(y) THEN NULL"
                    " WHEN y * LN(ABS(x)) > 709 THEN NULL WHEN y * LN(ABS(x)) < -708 THEN 0"
                    " ELSE POWER(x, y) END"
                ),
            ),
        ),
        "`x` to the power of `y`, as `x ** y`.",
        "when an argument is, where there is no real result, and where doubles end",
        (node(exp.Pow, "this", "expression"),),
        aliases=("pow", "**", "^"),
        tolerance=True,
    ),
    _real("sin", exp.Sin, "SIN(x)", "Sine of an angle in radians."),
    _real("cos", exp.Cos, "COS(x)", "Cosine of an angle in radians."),
    _real("tan", exp.Tan, "TAN(x)", "Tangent of an angle in radians."),
    _real("asin", exp.Asin, "CASE WHEN x BETWEEN -1 AND 1 THEN ASIN(x) END", "Arc sine, in radians.", nulls=_DOMAIN),
    _real("acos", exp.Acos, "CASE WHEN x BETWEEN -1 AND 1 THEN ACOS(x) END", "Arc cosine, in radians.", nulls=_DOMAIN),
    _real("atan", exp.Atan, "ATAN(x)", "Arc tangent, in radians."),
    Function(
        "atan2",
        (sig(Parameter("y", NUMBER, cast=DOUBLE), Parameter("x", NUMBER, cast=DOUBLE), to=DOUBLE, both="ATAN2(y, x)"),),
        "The angle of the point (`x`, `y`), in radians.",
        _NULL_IN,
        (node(exp.Atan2, "this", "expression"),),
        tolerance=True,
    ),
    _real("radians", exp.Radians, "RADIANS(x)", "Degrees as radians."),
    _real("degrees", exp.Degrees, "DEGREES(x)", "Radians as degrees."),
    _bits("&", exp.BitwiseAnd, "a & b", "a & b", "The bits that both have."),
    _bits("|", exp.BitwiseOr, "a | b", "a | b", "The bits that one of them has."),
    _bits("xor", exp.BitwiseXor, "XOR(a, b)", "a # b", "The bits that only one of them has."),
    Function("~", (sig(_A, to=BIGINT, both="~(a)"),), "The other bits.", _NULL_IN, (node(exp.BitwiseNot, "this"),)),
    Function(
        "<<",
        (
            sig(
                _A,
                Parameter("places", constant=whole(0, 62)),
                to=BIGINT,
                both="CASE WHEN a >= 0 AND a <= (9223372036854775807 >> places) THEN a << places END",
            ),
        ),
        "The bits of a number that is not negative, moved to the left by a constant.",
        "when the number is or is negative, and where 63 bits end",
        (node(exp.BitwiseLeftShift, "this", "expression", ignored=("requires_int128",)),),
    ),
    Function(
        ">>",
        (sig(_A, Parameter("places", constant=whole(0, 62)), to=BIGINT, both="a >> places"),),
        "The bits moved to the right by a constant; the sign stays.",
        _NULL_IN,
        (node(exp.BitwiseRightShift, "this", "expression", ignored=("requires_int128",)),),
    ),
    Function("pi", (sig(to=DOUBLE, both="PI()"),), "The number pi.", "never", (node(exp.Pi),)),
)


def digits_of(argument: exp.Expr) -> int:
    """The second argument of ``round``, which was checked before."""
    value = whole_value(argument)
    assert value is not None
    return value

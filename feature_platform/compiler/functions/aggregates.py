"""Aggregates. NULL inputs are skipped; without any other input the result is NULL, and 0 for counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.model import (
    ANY,
    EXACT,
    NESTED,
    NUMBER,
    ORDERED,
    TEXT,
    TRUTH,
    WHOLE,
    Function,
    Parameter,
    node,
    sig,
)
from feature_platform.compiler.numeric import MOST_DIGITS, Inferred
from feature_platform.types import BIGINT, BOOLEAN, DOUBLE, STRING, DataType, array, decimal

_EMPTY: Final = "when there is no input that is not"

_X: Final = Parameter("x", NUMBER, cast=DOUBLE)


def _same(types: Sequence[Inferred]) -> Inferred:
    return types[0]


def _sum(types: Sequence[Inferred]) -> Inferred:
    only = types[0]
    assert isinstance(only, DataType)
    return decimal(MOST_DIGITS, only.scale)


def _array(types: Sequence[Inferred]) -> Inferred:
    only = types[0]
    assert isinstance(only, DataType)
    return array(only)


def _spread(
    name: str, kinds: tuple[type[exp.Expr], ...], sql: str, doc: str, aliases: tuple[str, ...] = ()
) -> Function:
    return Function(
        name,
        (sig(_X, to=DOUBLE, both=f"{sql}(x)"),),
        doc,
        _EMPTY,
        tuple(node(kind, "this") for kind in kinds),
        aliases=aliases,
        form="aggregate",
        labels="aggregated",
        tolerance=True,
    )


def _bits(name: str, kind: type[exp.Expr], doc: str) -> Function:
    signature = sig(Parameter("x", WHOLE, cast=BIGINT), to=BIGINT, both=f"{name.upper()}(x)")
    return Function(name, (signature,), doc, _EMPTY, (node(kind, "this"),), form="aggregate", labels="aggregated")


FUNCTIONS: Final = (
    _bits("bit_and", exp.BitwiseAndAgg, "The bits that all have."),
    _bits("bit_or", exp.BitwiseOrAgg, "The bits that one of them has."),
    _bits("bit_xor", exp.BitwiseXorAgg, "The bits that an odd number of them has."),
    Function(
        "count",
        (
            sig(to=BIGINT, both="COUNT(*)", key="rows"),
            sig(Parameter("x", ANY), to=BIGINT, both="COUNT(x)"),
        ),
        "Number of rows, `count(*)`, of inputs that are not NULL, or of different ones, `count(DISTINCT x)`.",
        "never",
        (node(exp.Count, "this", ignored=("big_int",)),),
        form="aggregate",
        labels="aggregated",
        tokens=frozenset({0}),
        distinct=True,
    ),
    Function(
        "count_if",
        (
            sig(
                Parameter("condition", TRUTH),
                to=BIGINT,
                both="COUNT(CASE WHEN condition THEN 1 END)",
            ),
        ),
        "Number of rows where the condition is true; 0 if there are no rows, where DuckDB by itself has NULL.",
        "never",
        (node(exp.CountIf, "this"),),
        aliases=("countif",),
        form="aggregate",
        labels="aggregated",
    ),
    Function(
        "sum",
        (
            sig(
                Parameter("x", WHOLE),
                to=decimal(MOST_DIGITS, 0),
                duckdb="CAST(SUM(x) AS DECIMAL(38, 0))",
                postgres="CAST(SUM(x) AS DECIMAL(38, 0))",
                key="whole",
            ),
            sig(Parameter("x", EXACT), to=_sum, both="SUM(x)", shown="`decimal(38,s)`"),
            sig(Parameter("x", NUMBER), to=DOUBLE, both="SUM(x)", key="double"),
        ),
        "The sum: exact up to 38 digits for integers (`decimal(38,0)`) and decimals (`decimal(38,s)`), a double for "
        "doubles.",
        _EMPTY,
        (node(exp.Sum, "this"),),
        form="aggregate",
        labels="aggregated",
        distinct=True,
        tolerance=True,
    ),
    Function(
        "avg",
        (sig(Parameter("x", NUMBER), to=DOUBLE, duckdb="AVG(x)", postgres="CAST(AVG(x) AS DOUBLE PRECISION)"),),
        "The mean, a double.",
        _EMPTY,
        (node(exp.Avg, "this"),),
        aliases=("mean",),
        form="aggregate",
        labels="aggregated",
        tolerance=True,
    ),
    Function(
        "min",
        (
            sig(Parameter("x", ORDERED), to=_same, both="MIN(x)"),
            sig(Parameter("x", NESTED), to=_same, duckdb="MIN(x)", key="nested"),
        ),
        "The smallest; texts compare by code point.",
        _EMPTY,
        (node(exp.Min, "this"),),
        form="aggregate",
    ),
    Function(
        "max",
        (
            sig(Parameter("x", ORDERED), to=_same, both="MAX(x)"),
            sig(Parameter("x", NESTED), to=_same, duckdb="MAX(x)", key="nested"),
        ),
        "The greatest; texts compare by code point.",
        _EMPTY,
        (node(exp.Max, "this"),),
        form="aggregate",
    ),
    _spread(
        "stddev_samp",
        (exp.StddevSamp, exp.Stddev),
        "STDDEV_SAMP",
        "Sample standard deviation; NULL of fewer than two.",
        ("stddev",),
    ),
    _spread("stddev_pop", (exp.StddevPop,), "STDDEV_POP", "Population standard deviation."),
    _spread("var_samp", (exp.Variance,), "VAR_SAMP", "Sample variance; NULL of fewer than two.", ("variance",)),
    _spread("var_pop", (exp.VariancePop,), "VAR_POP", "Population variance."),
    Function(
        "median",
        (
            sig(
                _X,
                to=DOUBLE,
                duckdb="QUANTILE_CONT(x, 0.5)",
                postgres="PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY x)",
            ),
        ),
        "The middle value, between two the mean of both; a double.",
        _EMPTY,
        (node(exp.Median, "this"),),
        form="aggregate",
        labels="aggregated",
        windowed=False,
        tolerance=True,
    ),
    Function(
        "quantile_cont",
        (
            sig(
                _X,
                Parameter("share", constant=constants.fraction),
                to=DOUBLE,
                duckdb="QUANTILE_CONT(x, share)",
                postgres="PERCENTILE_CONT(share) WITHIN GROUP (ORDER BY x)",
            ),
        ),
        "The value below which this share of the inputs lies, interpolated; a double.",
        _EMPTY,
        (node(exp.PercentileCont, "this", "expression"),),
        form="aggregate",
        labels="aggregated",
        windowed=False,
        tolerance=True,
    ),
    Function(
        "bool_and",
        (sig(Parameter("condition", TRUTH), to=BOOLEAN, both="BOOL_AND(condition)"),),
        "Whether all are true.",
        _EMPTY,
        (node(exp.LogicalAnd, "this"),),
        form="aggregate",
        labels="aggregated",
    ),
    Function(
        "bool_or",
        (sig(Parameter("condition", TRUTH), to=BOOLEAN, both="BOOL_OR(condition)"),),
        "Whether one is true.",
        _EMPTY,
        (node(exp.LogicalOr, "this"),),
        form="aggregate",
        labels="aggregated",
    ),
    Function(
        "arg_max",
        (
            sig(
                Parameter("x", ANY),
                Parameter("by", ORDERED),
                to=_same,
                duckdb="(ARRAY_AGG(x ORDER BY by DESC, x DESC) FILTER (WHERE NOT x IS NULL AND NOT by IS NULL))[1]",
                postgres="(ARRAY_AGG(x ORDER BY by DESC, x DESC) FILTER (WHERE NOT x IS NULL AND NOT by IS NULL))[1]",
            ),
        ),
        "The `x` that is not NULL with the greatest `by`; of several the greatest `x`.",
        "when there is no row where neither is",
        (node(exp.ArgMax, "this", "expression"),),
        aliases=("max_by",),
        form="aggregate",
        tokens=frozenset({0}),
        windowed=False,
    ),
    Function(
        "arg_min",
        (
            sig(
                Parameter("x", ANY),
                Parameter("by", ORDERED),
                to=_same,
                duckdb="(ARRAY_AGG(x ORDER BY by, x) FILTER (WHERE NOT x IS NULL AND NOT by IS NULL))[1]",
                postgres="(ARRAY_AGG(x ORDER BY by, x) FILTER (WHERE NOT x IS NULL AND NOT by IS NULL))[1]",
            ),
        ),
        "The `x` that is not NULL with the smallest `by`; of several the smallest `x`.",
        "when there is no row where neither is",
        (node(exp.ArgMin, "this", "expression"),),
        aliases=("min_by",),
        form="aggregate",
        tokens=frozenset({0}),
        windowed=False,
    ),
    Function(
        "string_agg",
        (
            sig(
                Parameter("text", TEXT),
                Parameter("separator", constant=constants.text),
                to=STRING,
                both="STRING_AGG(text, separator)",
            ),
        ),
        "Texts put together in the order of an ORDER BY inside the parentheses, ties by the text itself.",
        _EMPTY,
        (node(exp.GroupConcat, "this", "separator"),),
        aliases=("listagg", "group_concat"),
        form="aggregate",
        ordered="inside",
        windowed=False,
        distinct=True,
    ),
    Function(
        "array_agg",
        (sig(Parameter("x", ANY), to=_array, both="ARRAY_AGG(x)", shown="`array` of the input"),),
        "All inputs, NULLs too, in the order of an ORDER BY inside the parentheses, ties by the input itself.",
        "when there is no row",
        (node(exp.ArrayAgg, "this", ignored=("nulls_excluded",)),),
        aliases=("list",),
        form="aggregate",
        tokens=frozenset({0}),
        ordered="inside",
        windowed=False,
        distinct=True,
    ),
)

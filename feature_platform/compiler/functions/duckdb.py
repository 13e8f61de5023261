"""Functions that DuckDB alone has, or that other engines have with other values: for queries that only it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.constants import whole
from feature_platform.compiler.functions.model import (
    ANY,
    NUMBER,
    TEXT,
    WHOLE,
    Form,
    Function,
    NotFittingError,
    Parameter,
    node,
    settled,
    sig,
)
from feature_platform.compiler.numeric import Inferred
from feature_platform.types import BIGINT, BOOLEAN, DOUBLE, STRING, TIMESTAMP, DataType, array


def _written(argument: exp.Expr) -> exp.Expr:
    if isinstance(argument, exp.Literal) and argument.is_string:
        return argument
    raise NotFittingError("a text written as a constant")


_NULL_IN: Final = "when an argument is"
_TEXT: Final = Parameter("text", TEXT)
_OTHER: Final = Parameter("other", TEXT)
_PATTERN: Final = Parameter("pattern", constant=constants.text)
_BY: Final = Parameter("by", constant=_written)
_GROUP: Final = Parameter("group_", constant=whole(0, 9))
_X: Final = Parameter("x", NUMBER, cast=DOUBLE)
_Y: Final = Parameter("y", NUMBER, cast=DOUBLE)
_WHOLE: Final = Parameter("x", WHOLE, cast=BIGINT)


def _same(types: Sequence[Inferred]) -> Inferred:
    return types[0]


def _of_texts(name: str, to: DataType, doc: str, *forms: Form, both: bool = False) -> Function:
    parameters = (_TEXT, _OTHER) if both else (_TEXT,)
    arguments = "text, other" if both else "text"
    return Function(name, (settled(sig(*parameters, to=to, duckdb=f"{name}({arguments})")),), doc, _NULL_IN, forms)


def _of_doubles(name: str, doc: str, *forms: Form) -> Function:
    return Function(name, (sig(_X, to=BOOLEAN, duckdb=f"{name}(x)"),), doc, _NULL_IN, forms)


def _pair(name: str, kind: type[exp.Expr], doc: str) -> Function:
    return Function(
        name,
        (sig(_X, _Y, to=DOUBLE, duckdb=f"NULLIF({name}(x, y), CAST('nan' AS DOUBLE))"),),
        doc,
        "when there are too few pairs of which neither is, or they do not vary",
        (node(kind, "this", "expression", ignored=("null_on_zero_variance",)),),
        form="aggregate",
        labels="aggregated",
        tolerance=True,
    )


def _picked(name: str, kind: type[exp.Expr], template: str, doc: str) -> Function:
    return Function(
        name,
        (sig(Parameter("x", ANY), to=_same, duckdb=template),),
        doc,
        "when there is no row, and when the value there is",
        (node(kind, "this"),),
        form="aggregate",
        tokens=frozenset({0}),
        ordered="inside",
        windowed=False,
    )


FUNCTIONS: Final = (
    Function(
        "regexp_extract",
        (sig(_TEXT, _PATTERN, _GROUP, to=STRING, duckdb="REGEXP_EXTRACT(text, pattern, group_)"),),
        "The first match of a regular expression of RE2, or one of its groups; empty if there is none.",
        _NULL_IN,
        (node(exp.RegexpExtract, "this", "expression", "group", ignored=("null_if_pos_overflow",)),),
    ),
    Function(
        "regexp_extract_all",
        (sig(_TEXT, _PATTERN, to=array(STRING), duckdb="REGEXP_EXTRACT_ALL(text, pattern)"),),
        "All matches of a regular expression of RE2.",
        _NULL_IN,
        (node(exp.RegexpExtractAll, "this", "expression", fixed={"group": "0"}),),
    ),
    Function(
        "regexp_replace",
        (
            sig(_TEXT, _PATTERN, _BY, to=STRING, duckdb="REGEXP_REPLACE(text, pattern, by)"),
            sig(
                _TEXT,
                _PATTERN,
                _BY,
                Parameter("options", constant=constants.text),
                to=STRING,
                duckdb="REGEXP_REPLACE(text, pattern, by, options)",
                key="options",
            ),
        ),
        "The text with the first match replaced; with the option `'g'` every one.",
        _NULL_IN,
        (
            node(
                exp.RegexpReplace,
                "this",
                "expression",
                "replacement",
                "modifiers",
                ignored=("single_replace", "position", "occurrence"),
            ),
        ),
    ),
    _of_texts("reverse", STRING, "The other way round, by what people see as a character.", node(exp.Reverse, "this")),
    _of_texts("strip_accents", STRING, "Without accents."),
    _of_texts("strlen", BIGINT, "Number of bytes in UTF-8."),
    _of_texts("unicode", BIGINT, "The code point of the first character.", node(exp.Unicode, "this")),
    _of_texts(
        "levenshtein",
        BIGINT,
        "Number of single edits from one text to the other.",
        node(exp.Levenshtein, "this", "expression"),
        both=True,
    ),
    _of_texts("damerau_levenshtein", BIGINT, "The same, with swaps of neighbours.", both=True),
    Function(
        "jaccard",
        (sig(_TEXT, _OTHER, to=DOUBLE, duckdb="CASE WHEN text <> '' AND other <> '' THEN JACCARD(text, other) END"),),
        "Similarity of the sets of characters, from 0 to 1.",
        "when an argument is, or is empty",
    ),
    _of_texts(
        "jaro_winkler_similarity",
        DOUBLE,
        "Similarity with weight on the beginning, from 0 to 1.",
        node(exp.JarowinklerSimilarity, "this", "expression", ignored=("case_insensitive", "integer_scale")),
        both=True,
    ),
    _of_doubles("isnan", "Whether it is NaN.", node(exp.IsNan, "this")),
    _of_doubles("isinf", "Whether it is infinite.", node(exp.IsInf, "this")),
    _of_doubles("isfinite", "Whether it is neither."),
    Function(
        "gcd",
        (settled(sig(_WHOLE, Parameter("y", WHOLE, cast=BIGINT), to=BIGINT, duckdb="GREATEST_COMMON_DIVISOR(x, y)")),),
        "The greatest common divisor.",
        _NULL_IN,
        aliases=("greatest_common_divisor",),
    ),
    Function(
        "bit_count",
        (settled(sig(_WHOLE, to=BIGINT, duckdb="BIT_COUNT(x)")),),
        "Number of bits that are set.",
        _NULL_IN,
    ),
    Function(
        "try_strptime",
        (sig(_TEXT, Parameter("format", constant=constants.text), to=TIMESTAMP, duckdb="TRY_STRPTIME(text, format)"),),
        "The time in a text of a given format; NULL for other texts.",
        "when the text is, or does not fit",
    ),
    _picked("first", exp.First, "(ARRAY_AGG(x))[1]", "The value of the first row."),
    _picked("last", exp.Last, "(ARRAY_AGG(x))[-1]", "The value of the last row."),
    _pair("corr", exp.Corr, "Correlation of the pairs."),
    _pair("covar_pop", exp.CovarPop, "Population covariance of the pairs."),
    _pair("covar_samp", exp.CovarSamp, "Sample covariance of the pairs."),
    Function(
        "skewness",
        (sig(_X, to=DOUBLE, duckdb="SKEWNESS(x)"),),
        "How lopsided the inputs lie.",
        "of fewer than three inputs",
        (node(exp.Skewness, "this"),),
        form="aggregate",
        labels="aggregated",
        tolerance=True,
    ),
)

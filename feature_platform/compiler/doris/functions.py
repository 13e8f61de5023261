"""How each function of the catalogue is said in Doris, and why some have no form there.

A template is Doris' SQL over the parameters' names (``:x``); an aggregate's or window function's ``:over`` is where
OVER goes, at the end by default. Every function and signature of the catalogue stands in :data:`TEMPLATES`, in
:mod:`special` (where the text depends on constants) or in :data:`NO_FORM`; a test holds the three to the catalogue.

Floor: Doris 4.0. What its functions do is taken from its source and documentation; where those leave a doubt, the
template avoids the function: differences of times are counted from calendar days and parts, nothing depends on the
session's time zone, NULL and empty texts are told apart by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MICROS: Final = (
    "(DATEDIFF({0}, CAST('1970-01-01' AS DATE)) * 86400000000 + HOUR({0}) * 3600000000 + MINUTE({0}) * 60000000"
    " + SECOND({0}) * 1000000 + MICROSECOND({0}))"
)
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_ROUND: Final = "CASE WHEN ABS(:x) >= 4503599627370496 THEN :x ELSE SIGN(:x) * FLOOR(ABS(:x) + 0.5) END"
_ROUND_AT: Final = (
    "CASE WHEN ABS(:x) >= 4503599627370496 / :digits THEN :x"
    " ELSE SIGN(:x) * FLOOR(ABS(:x) * :digits + 0.5) / :digits END"
)
_BEGIN: Final = "CASE WHEN :start < 0 THEN CHAR_LENGTH(:text) + :start + 1 ELSE :start END"
_REST: Final = f"SUBSTR(:text, GREATEST({_BEGIN}, 1))"
_PART: Final = (
    f"SUBSTR(:text, GREATEST({_BEGIN}, 1), GREATEST({_BEGIN} + GREATEST(:length, 0) - GREATEST({_BEGIN}, 1), 0))"
)
_PARTS: Final = {
    "year": "YEAR(:time)",
    "quarter": "QUARTER(:time)",
    "month": "MONTH(:time)",
    "week": "WEEKOFYEAR(:time)",
    "day": "DAYOFMONTH(:time)",
    "hour": "HOUR(:time)",
    "minute": "MINUTE(:time)",
    "second": "SECOND(:time)",
    "dow": "DAYOFWEEK(:time) - 1",
    "isodow": "WEEKDAY(:time) + 1",
    "doy": "DAYOFYEAR(:time)",
    # The year that the week's Thursday lies in.
    "isoyear": "YEAR(DAYS_ADD(DATE_TRUNC(:time, 'week'), 3))",
}
_NAMED_PARTS: Final = {"dow": "dayofweek", "doy": "dayofyear"}
_DAYS: Final = "DATEDIFF(:end_, :start_)"
_CLOCK: Final = {
    "hour": "HOUR({0})",
    "minute": "(HOUR({0}) * 60 + MINUTE({0}))",
    "second": "(HOUR({0}) * 3600 + MINUTE({0}) * 60 + SECOND({0}))",
    "millisecond": "(HOUR({0}) * 3600000 + MINUTE({0}) * 60000 + SECOND({0}) * 1000 + MICROSECOND({0}) DIV 1000)",
}
_PER_DAY: Final = {"hour": 24, "minute": 1_440, "second": 86_400, "millisecond": 86_400_000}
_SECONDS: Final = f"CAST({_MICROS.format(':time')} AS DOUBLE) / 1000000"
_STAMP: Final = (
    "MICROSECONDS_ADD(SECONDS_ADD(DAYS_ADD(CAST('1970-01-01' AS DATETIME(6)),"
    " ({0} - (({0} % {1} + {1}) % {1})) DIV {1}), (({0} % {1} + {1}) % {1}) DIV {2}),"
    " (({0} % {1} + {1}) % {1}) % {2} * {3})"
)


def _stamp(value: str, per_second: int) -> str:
    """The time at a whole number of parts of a second since 1970."""
    return _STAMP.format(value, 86_400 * per_second, per_second, 1_000_000 // per_second)


def _differences() -> dict[str, str]:
    counted = {
        unit: f"{_DAYS} * {_PER_DAY[unit]} + {clock.format(':end_')} - {clock.format(':start_')}"
        for unit, clock in _CLOCK.items()
    }
    return {
        **counted,
        "microsecond": f"{_MICROS.format(':end_')} - {_MICROS.format(':start_')}",
        "day": _DAYS,
        "week": "DATEDIFF(DATE_TRUNC(:end_, 'week'), DATE_TRUNC(:start_, 'week')) DIV 7",
        "month": "YEAR(:end_) * 12 + MONTH(:end_) - YEAR(:start_) * 12 - MONTH(:start_)",
        "quarter": "YEAR(:end_) * 4 + QUARTER(:end_) - YEAR(:start_) * 4 - QUARTER(:start_)",
        "year": "YEAR(:end_) - YEAR(:start_)",
    }


def _one(template: str) -> dict[str, str]:
    return {"": template}


TEMPLATES: Final[Mapping[str, Mapping[str, str]]] = {
    # choosing among values, arrays
    "coalesce": _one("COALESCE(:x)"),
    "nullif": _one("NULLIF(:x, :y)"),
    "list_contains": _one(
        "CASE WHEN :list_ IS NOT NULL AND :x IS NOT NULL THEN COALESCE(ARRAY_CONTAINS(:list_, :x), FALSE) END"
    ),
    "array_length": _one("ARRAY_SIZE(:list_)"),
    # numbers
    "abs": _one("ABS(:x)"),
    "sign": _one("CASE WHEN :x > 0 THEN 1 WHEN :x < 0 THEN -1 WHEN :x = 0 THEN 0 END"),
    "round": {"double": _ROUND, "double_digits": _ROUND_AT},
    "floor": {"whole": ":x", "": "FLOOR(:x)"},
    "ceil": {"whole": ":x", "": "CEIL(:x)"},
    "trunc": {"whole": ":x", "": "TRUNCATE(:x, 0)"},
    "sqrt": _one("CASE WHEN :x >= 0 THEN SQRT(:x) END"),
    "cbrt": _one("CBRT(:x)"),
    "ln": _one("CASE WHEN :x > 0 THEN LN(:x) END"),
    "log10": _one("CASE WHEN :x > 0 THEN LOG10(:x) END"),
    "log2": _one("CASE WHEN :x > 0 THEN LN(:x) / LN(CAST(2 AS DOUBLE)) END"),
    "exp": _one("CASE WHEN :x > 709 THEN NULL WHEN :x < -708 THEN 0 ELSE EXP(:x) END"),
    "power": _one(
        "CASE WHEN :x IS NULL OR :y IS NULL THEN NULL WHEN :y = 0 THEN 1"
        " WHEN :x = 0 THEN CASE WHEN :y > 0 THEN 0 END WHEN :x < 0 AND :y <> FLOOR(:y) THEN NULL"
        " WHEN :y * LN(ABS(:x)) > 709 THEN NULL WHEN :y * LN(ABS(:x)) < -708 THEN 0 ELSE POWER(:x, :y) END"
    ),
    "sin": _one("SIN(:x)"),
    "cos": _one("COS(:x)"),
    "tan": _one("TAN(:x)"),
    "asin": _one("CASE WHEN :x BETWEEN -1 AND 1 THEN ASIN(:x) END"),
    "acos": _one("CASE WHEN :x BETWEEN -1 AND 1 THEN ACOS(:x) END"),
    "atan": _one("ATAN(:x)"),
    "atan2": _one("ATAN2(:y, :x)"),
    "radians": _one("RADIANS(:x)"),
    "degrees": _one("DEGREES(:x)"),
    "pi": _one("PI()"),
    "&": _one("BITAND(:a, :b)"),
    "|": _one("BITOR(:a, :b)"),
    "xor": _one("BITXOR(:a, :b)"),
    "~": _one("BITNOT(:a)"),
    # texts: positions and lengths in code points
    "length": {"": "CHAR_LENGTH(:text)", "list": "ARRAY_SIZE(:list_)"},
    "lower": _one(f"TRANSLATE(:text, '{_UPPER}', '{_LOWER}')"),
    "upper": _one(f"TRANSLATE(:text, '{_LOWER}', '{_UPPER}')"),
    "trim": _one("TRIM(:text, ' ')"),
    "ltrim": _one("LTRIM(:text, ' ')"),
    "rtrim": _one("RTRIM(:text, ' ')"),
    "substr": {
        "": "SUBSTR(:text, :start, :length)",
        "rest": "SUBSTR(:text, :start)",
        "computed": _PART,
        "computed_rest": _REST,
    },
    "left": _one("LEFT(:text, :count)"),
    "right": _one("RIGHT(:text, :count)"),
    "concat": _one("CONCAT_WS('', :text)"),
    "concat_ws": _one("CONCAT_WS(:separator, :text)"),
    "||": _one("CONCAT(:text, :other)"),
    "starts_with": _one("STARTS_WITH(:text, :part)"),
    "ends_with": _one("ENDS_WITH(:text, :part)"),
    "contains": _one(
        "CASE WHEN :part = '' THEN CASE WHEN :text IS NOT NULL THEN TRUE END ELSE INSTR(:text, :part) > 0 END"
    ),
    "strpos": _one("CASE WHEN :part = '' THEN CASE WHEN :text IS NOT NULL THEN 1 END ELSE INSTR(:text, :part) END"),
    "replace": _one("CASE WHEN :part = '' AND :by IS NOT NULL THEN :text ELSE REPLACE(:text, :part, :by) END"),
    "translate": _one("TRANSLATE(:text, :characters, :by)"),
    "repeat": _one("REPEAT(:text, :count)"),
    "lpad": _one("LPAD(:text, :length, :fill)"),
    "rpad": _one("RPAD(:text, :length, :fill)"),
    "md5": _one("MD5(:text)"),
    "sha256": _one("SHA2(:text, 256)"),
    # times
    "date_trunc": {
        unit: f"DATE_TRUNC(:time, '{unit}')"
        for unit in ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
    },
    "date_diff": _differences(),
    "date_part": {**_PARTS, "epoch": _SECONDS},
    **{_NAMED_PARTS.get(part, part): _one(template) for part, template in _PARTS.items()},
    "epoch": _one(_SECONDS),
    "epoch_us": _one(_MICROS.format(":time")),
    "epoch_ms": {
        "": f"DATEDIFF(:time, CAST('1970-01-01' AS DATE)) * 86400000 + {_CLOCK['millisecond'].format(':time')}",
        "timestamp": _stamp(":milliseconds", 1_000),
    },
    "to_timestamp": _one(_stamp(":seconds", 1)),
    "make_timestamp": _one(_stamp(":microseconds", 1_000_000)),
    "make_date": _one(
        "CASE WHEN :year BETWEEN 1 AND 9999 AND :month BETWEEN 1 AND 12 AND :day >= 1 AND :day <="
        " CASE WHEN :month IN (4, 6, 9, 11) THEN 30 WHEN :month <> 2 THEN 31"
        " WHEN :year % 4 = 0 AND (:year % 100 <> 0 OR :year % 400 = 0) THEN 29 ELSE 28 END"
        " THEN TRY_CAST(CONCAT(LPAD(CAST(:year AS STRING), 4, '0'), '-', LPAD(CAST(:month AS STRING), 2, '0'), '-',"
        " LPAD(CAST(:day AS STRING), 2, '0')) AS DATE) END"
    ),
    "last_day": _one("LAST_DAY(:time)"),
    "dayname": _one("DAYNAME(:time)"),
    "monthname": _one("MONTHNAME(:time)"),
    # aggregates
    "bit_and": _one("GROUP_BIT_AND(:x)"),
    "bit_or": _one("GROUP_BIT_OR(:x)"),
    "bit_xor": _one("GROUP_BIT_XOR(:x)"),
    "count": {"rows": "COUNT(*)", "": "COUNT(:x)"},
    "count_if": _one("COUNT(CASE WHEN :condition THEN 1 END)"),
    "sum": {"whole": "SUM(CAST(:x AS DECIMAL(38, 0)))", "": "SUM(:x)", "double": "SUM(:x)"},
    # by kind of input: of decimals AVG rounds, and of 64 bits a sum wraps
    "avg": {
        "": "AVG(CAST(:x AS DOUBLE))",
        "decimal": "CAST(SUM(:x):over AS DOUBLE) / COUNT(:x):over",
        **dict.fromkeys(("int", "bigint"), "CAST(SUM(CAST(:x AS DECIMAL(38, 0))):over AS DOUBLE) / COUNT(:x):over"),
    },
    "min": _one("MIN(:x)"),
    "max": _one("MAX(:x)"),
    "stddev_samp": _one("STDDEV_SAMP(:x)"),
    "stddev_pop": _one("STDDEV_POP(:x)"),
    "var_samp": _one("VAR_SAMP(:x)"),
    "var_pop": _one("VAR_POP(:x)"),
    "median": _one("PERCENTILE_CONT(:x, 0.5)"),
    "quantile_cont": _one("PERCENTILE_CONT(:x, :share)"),
    "bool_and": _one("MIN(CAST(:condition AS INT)):over = 1"),
    "bool_or": _one("MAX(CAST(:condition AS INT)):over = 1"),
    # window functions: LAG and LEAD take three arguments, before 4.0 at least
    "row_number": _one("ROW_NUMBER()"),
    "rank": _one("RANK()"),
    "dense_rank": _one("DENSE_RANK()"),
    "percent_rank": _one("PERCENT_RANK()"),
    "cume_dist": _one("CUME_DIST()"),
    "ntile": _one("NTILE(:buckets)"),
    "lag": {"": "LAG(:x, 1, NULL)", "offset": "LAG(:x, :offset_, NULL)"},
    "lead": {"": "LEAD(:x, 1, NULL)", "offset": "LEAD(:x, :offset_, NULL)"},
    "first_value": _one("FIRST_VALUE(:x)"),
    "last_value": _one("LAST_VALUE(:x)"),
    "nth_value": _one("NTH_VALUE(:x, :n)"),
}
"""Function → key of the signature → template."""

_NESTED: Final = "model the elements as rows of a source"
_ORDERED: Final = "rank with row_number() in a CTE and keep the first"

NO_FORM: Final[Mapping[tuple[str, str], str]] = {
    ("list_value", "empty"): "leave it out",
    ("||", "list"): _NESTED,
    ("min", "nested"): "aggregate a column of a plain type",
    ("max", "nested"): "aggregate a column of a plain type",
    ("arg_max", ""): _ORDERED,  # MAX_BY says nothing about ties
    ("arg_min", ""): _ORDERED,
    ("array_agg", ""): "use an aggregation view with last_k or top_k: Doris has no ordered array_agg",
}
"""(function, key) → what to write instead, where no exact equivalent exists. The families of lists, maps and JSON have
none as a whole (:data:`NO_FORM_FAMILIES`)."""

NO_FORM_FAMILIES: Final = ("lists", "maps", "duckdb")
"""Modules of the catalogue whose functions run on DuckDB or over lists alone."""


def template_of(function: str, key: str) -> str | None:
    """The template of one signature, or None."""
    return TEMPLATES.get(function, {}).get(key)

"""Calls of every function of the catalogue, over a table whose rows are edges."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.compiler.sql_catalogs import source

EDGES = source(
    "edges",
    id="bigint",
    grp="int",
    i="int",
    b="bigint",
    d="decimal(18,2)",
    w="decimal(38,9)",
    f="double",
    s="string",
    t="string",
    ok="boolean",
    day="date",
    at="timestamp",
    until="timestamp",
)

_TEXTS: list[tuple[str | None, str | None]] = [
    ("", ""), ("a", ""), ("", "a"), ("abc", "b"), ("abcabc", "bc"), ("  pad  ", " "), ("ÀÉß", "É"), ("žluťoučký kůň", "ů"), ("😀x😀", "x"),
    ("e\u0301", "e"), ("a,b,,c", ","), ("100%", "%"), ("under_score", "_"), ("back\\slash", "\\"), ("O'Neil", "'"), ("İstanbul", "i"),
    ("line\nbreak", "\n"), ("tab\there", "\t"), ("ABC", "abc"), ("Zebra", "apple"), ("\u00a0nbsp", "n"), (None, "x"), ("x", None), (None, None),
]  # fmt: skip
_NUMBERS: list[tuple[Any, Any, Any, Any, Any]] = [
    (0, 0, "0", "0", 0.0), (1, 1, "1", "1", 1.0), (-1, -1, "-1", "-1", -1.0), (2, 3, "2.50", "2.500000000", 2.5), (-3, 2, "-2.50", "-2.5", -2.5),
    (7, -2, "0.01", "0.000000001", 0.1), (-7, 2, "-0.01", "-0.000000001", -0.145), (2147483647, 9007199254740993, "9999999999999999.99", "12345678901234567890123456789.123456789", 1e15),
    (-2147483648, -9007199254740993, "-9999999999999999.99", "-12345678901234567890123456789.123456789", -1e15), (10, 100, "0.05", "0.15", 2.675), (None, None, None, None, None),
    (5, 4503599627370497, "1.05", "99.995", 0.5), (3, 12, "1.15", "-99.995", 1.5), (9, 81, "33.33", "0.333333333", 4503599627370495.5), (0, 7, "0.00", "0", -0.0),
]  # fmt: skip
_TIMES: list[tuple[str | None, str | None]] = [
    ("2024-02-29 13:45:56.789012", "2024-03-01 00:00:00"), ("1970-01-01 00:00:00", "1969-12-31 23:59:59.999999"), ("1969-12-31 23:59:59.999999", "2000-01-03 00:00:00"),
    ("1900-02-28 12:00:00.000001", "2100-12-31 23:59:59.999999"), ("2024-12-30 00:00:00", "2025-01-01 00:00:00"), ("2021-01-03 23:00:00", "2021-01-04 01:00:00"),
    ("2024-01-31 06:07:08", "2024-05-31 05:07:08.5"), ("0002-01-01 00:00:00", "9998-12-31 23:59:59.999999"), (None, "2024-01-01 00:00:00"), ("2024-06-15 00:00:00.000500", None),
]  # fmt: skip


def rows() -> list[tuple[Any, ...]]:
    """Every text, number and time at least once, in changing company."""
    made = []
    for index in range(max(len(_TEXTS), len(_NUMBERS), len(_TIMES)) * 2):
        s, t = _TEXTS[index % len(_TEXTS)]
        i, b, d, w, f = _NUMBERS[index * 7 % len(_NUMBERS)]
        at, until = (None if text is None else datetime.fromisoformat(text) for text in _TIMES[index * 3 % len(_TIMES)])
        ok = (True, False, None)[index % 3]
        day = date(2024, 2, 29) if at is None else at.date()
        made.append((index, index % 5, i, b, _exact(d), _exact(w), f, s, t, ok, day, at, until))
    return made


def _exact(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


SCALARS: dict[str, list[str]] = {
    "coalesce": ["coalesce(i, b)", "coalesce(d, 0)", "coalesce(s, t, 'none')", "coalesce(day, at)", "ifnull(f, d)"],
    "nullif": ["nullif(i, 0)", "nullif(s, t)", "nullif(d, 0)", "nullif(at, TIMESTAMP '1970-01-01')"],
    "greatest": ["greatest(i, b)", "greatest(d, 0, i)", "greatest(s, t)", "greatest(day, at)", "greatest(f, d)"],
    "least": ["least(i, b)", "least(d, 1)", "least(s, t)", "least(at, until)"],
    "list_value": ["[i, 2]", "[s, t]", "[d, 1]"],
    "list_contains": ["list_contains([i, 2], 2)", "list_contains([s, t], 'a')", "list_contains([1, 2], i)"],
    "array_length": ["array_length([i, 2, 3])"],
    "abs": ["abs(d)", "abs(f)", "abs(w)"],
    "sign": ["sign(i)", "sign(d)", "sign(f)"],
    "round": ["round(d)", "round(d, 1)", "round(w, 3)", "round(f)", "round(f, 2)", "round(i)"],
    "floor": ["floor(d)", "floor(f)", "floor(b)", "floor(w)"],
    "ceil": ["ceil(d)", "ceil(f)", "ceiling(b)", "ceil(w)"],
    "trunc": ["trunc(d)", "trunc(f)", "trunc(i)", "trunc(w)"],
    "mod": ["i % 3", "mod(b, i)", "d % 0.7", "b % i"],
    "sqrt": ["sqrt(d)", "sqrt(f)"],
    "cbrt": ["cbrt(f)"],
    "ln": ["ln(d)", "ln(f)"],
    "log10": ["log10(d)", "log(f)"],
    "log2": ["log2(d)"],
    "exp": ["exp(i)", "exp(f)"],
    "power": ["power(f, 2)", "pow(i, 3)", "d ** 0.5", "power(i, b)", "power(f, -2)"],
    "sin": ["sin(i)"],
    "cos": ["cos(i)"],
    "tan": ["tan(i)"],
    "asin": ["asin(f)"],
    "acos": ["acos(f)"],
    "atan": ["atan(f)"],
    "atan2": ["atan2(f, d)"],
    "radians": ["radians(d)"],
    "degrees": ["degrees(d)"],
    "pi": ["pi()"],
    "length": ["length(s)", "len(t)"],
    "lower": ["lower(s)"],
    "upper": ["upper(s)"],
    "trim": ["trim(s)", "trim(s, 'xa ')", "trim(BOTH 'a' FROM s)"],
    "ltrim": ["ltrim(s)", "ltrim(s, 'a')"],
    "rtrim": ["rtrim(s)", "rtrim(s, 'c')"],
    "substr": ["substr(s, 2)", "substr(s, 2, 3)", "substr(s, 1, 0)", "substr(s, i % 20, 2)", "substr(s, i % 20)", "substring(s, strpos(s, 'b'))", "substr(s, 2, i % 20)"],
    "left": ["left(s, 2)", "left(s, 0)"],
    "right": ["right(s, 2)", "right(s, 0)"],
    "concat": ["concat(s, t)", "concat(s, '-', t)"],
    "concat_ws": ["concat_ws(',', s, t)"],
    "||": ["s || t", "s || '-' || t"],
    "starts_with": ["starts_with(s, t)", "s ^@ 'a'"],
    "ends_with": ["ends_with(s, t)", "suffix(s, 'c')"],
    "contains": ["contains(s, t)"],
    "strpos": ["strpos(s, t)", "instr(s, 'c')", "position('c' IN s)"],
    "replace": ["replace(s, t, '#')", "replace(s, 'a', t)"],
    "translate": ["translate(s, 'abc', 'xy')"],
    "split_part": ["split_part(s, ',', 1)", "split_part(s, ',', 3)", "split_part(s, ',', -1)", "split_part(s, 'bc', 2)"],
    "repeat": ["repeat(s, 2)", "repeat(s, 0)"],
    "lpad": ["lpad(s, 4, '*')", "lpad(s, 2, 'xy')"],
    "rpad": ["rpad(s, 5, 'xy')"],
    "md5": ["md5(s)"],
    "sha256": ["sha256(s)"],
    "regexp_matches": ["regexp_matches(s, 'b.')", "regexp_matches(s, '^[a-c]+$')", "regexp_matches(s, '\\d|\\s')", "s ~ '(ab|c){2}'", "regexp_matches(s, '[^a-z]')", "regexp_matches(s, 'a\\.|\\w+%')", "regexp_matches(s, 'É|ů')"],
    "regexp_full_match": ["regexp_full_match(s, 'a.*')", "regexp_full_match(s, '.*')", "regexp_full_match(s, 'a|abc')"],
    "date_trunc": [f"date_trunc('{unit}', at)" for unit in ("second", "minute", "hour", "day", "week", "month", "quarter", "year")] + ["date_trunc('month', day)"],
    "date_diff": [f"date_diff('{unit}', at, until)" for unit in ("microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")] + ["date_diff('day', day, until)"],
    "date_part": [f"date_part('{part}', at)" for part in ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "dow", "isodow", "doy", "isoyear", "epoch")] + ["extract(year FROM day)"],
    "year": ["year(at)"],
    "quarter": ["quarter(at)"],
    "month": ["month(day)"],
    "week": ["week(at)", "weekofyear(day)"],
    "day": ["day(at)"],
    "hour": ["hour(at)"],
    "minute": ["minute(at)"],
    "second": ["second(at)"],
    "dayofweek": ["dayofweek(at)"],
    "isodow": ["isodow(at)"],
    "dayofyear": ["dayofyear(at)"],
    "isoyear": ["isoyear(at)"],
    "epoch": ["epoch(at)", "epoch(day)"],
    "epoch_us": ["epoch_us(at)"],
    "epoch_ms": ["epoch_ms(at)", "epoch_ms(b % 1000000000000)"],
    "to_timestamp": ["to_timestamp(i)"],
    "make_timestamp": ["make_timestamp(b)"],
    "make_date": ["make_date(2024, 2, i)", "make_date(i, 2, 29)", "make_date(2024, 13, 1)"],
    "last_day": ["last_day(at)", "last_day(day)"],
    "dayname": ["dayname(at)"],
    "monthname": ["monthname(at)"],
    "strftime": ["strftime(at, '%Y-%m-%d %H:%M:%S.%f')", "strftime(day, '%j/%G-%V-%u %y')"],
    "time_bucket": ["time_bucket(INTERVAL 15 MINUTES, at)", "time_bucket(INTERVAL '3 days', at)", "time_bucket(INTERVAL 7 HOURS, until)"],
}  # fmt: skip
"""By function. Columns: i int, b bigint, d and w decimals, f double, s and t texts, ok boolean, day date, at and until timestamps."""

OPERATORS: list[str] = [
    "i + 1", "i + i", "b - i", "i * 2", "d + d", "d - i", "d * 3", "d * d", "w + 1", "f * 2", "f + d", "d / i", "i / 0", "i / 2", "b // 3", "i // i", "-d", "-i",
    "(d + 1) * (d - 1)", "CASE WHEN ok THEN d ELSE i END", "CASE i WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE s END", "if(ok, 1, 2.5)", "CASE WHEN i > 0 THEN day END",
    "i BETWEEN 0 AND 5", "s BETWEEN 'a' AND 'b'", "s < t", "s <= t", "s > 'Z'", "s = t", "s <> t", "i IN (1, 2, 7)", "s NOT IN ('a', 'abc')", "d IN (2.5, 1)", "i IS NULL", "s IS NOT NULL",
    "ok IS TRUE", "ok IS NOT FALSE", "i IS DISTINCT FROM b", "s IS NOT DISTINCT FROM t", "NOT ok", "ok AND i > 0", "ok OR i > 0", "s LIKE 'a%'", "s LIKE '%\\%'", "s LIKE '1__!%' ESCAPE '!'",
    "s NOT LIKE '%b%'", "s NOT LIKE 'x!%' ESCAPE '!'", "s LIKE t", "at + INTERVAL 1 DAY", "at - INTERVAL '1' MONTH", "at + INTERVAL '90 minutes'", "day + INTERVAL 1 MONTH", "day + 3", "day - i % 100", "day - DATE '2024-01-01'",
    "at >= '2024-01-01'", "at = TIMESTAMP '1970-01-01T00:00'", "day < at", "at IN ('1970-01-01', '2024-01-31 06:07:08')", "CAST(i AS bigint)", "CAST(d % 1000 AS int)", "CAST(round(d) AS bigint)",
    "CAST(f AS decimal(38,2))", "CAST(d AS varchar)", "CAST(w AS varchar)", "CAST(i AS varchar)", "CAST(ok AS varchar)", "CAST(ok AS int)", "CAST(ok AS bigint)", "CAST(i AS boolean)", "CAST(day AS varchar)", "CAST(day AS timestamp)",
    "CAST(at AS date)", "CAST(d AS double)", "CAST(d AS decimal(20,1))", "CAST(b AS decimal(38,4))", "CAST('12' AS int)", "CAST('2024-02-29' AS date)", "1e3 + i", "10000000000 + i", "12345678901234567890 + b", "TRUE", "CAST(least(greatest(f, -1000), 1000) AS int)",
]  # fmt: skip

TRY_CASTS: list[str] = [
    "TRY_CAST(s AS int)", "TRY_CAST(s AS bigint)", "TRY_CAST(s AS decimal(10,2))", "TRY_CAST(s AS double)", "TRY_CAST(s AS date)", "TRY_CAST(s AS timestamp)", "TRY_CAST(s AS boolean)",
]  # fmt: skip

AGGREGATES: dict[str, list[str]] = {
    "count": ["count(*)", "count(s)", "count(DISTINCT s)", "count(*) FILTER (WHERE ok)", "count(DISTINCT i) FILTER (WHERE i > 0)"],
    "count_if": ["count_if(ok)", "count_if(i > 0)"],
    "sum": ["sum(i)", "sum(b)", "sum(d)", "sum(w)", "sum(f)", "sum(DISTINCT i)", "sum(d) FILTER (WHERE ok)", "sum(i) FILTER (WHERE i > 100)"],
    "avg": ["avg(i)", "avg(d)", "avg(f)", "avg(d) FILTER (WHERE ok)"],
    "min": ["min(i)", "min(s)", "min(at)", "min(d)"],
    "max": ["max(b)", "max(s)", "max(day)", "max(f)"],
    "stddev_samp": ["stddev(i)", "stddev_samp(d)"],
    "stddev_pop": ["stddev_pop(i)"],
    "var_samp": ["variance(i)", "var_samp(d)"],
    "var_pop": ["var_pop(i)"],
    "median": ["median(i)", "median(d)", "median(d) FILTER (WHERE ok)"],
    "quantile_cont": ["quantile_cont(d, 0.9)", "quantile_cont(i, 0.25)"],
    "bool_and": ["bool_and(ok)"],
    "bool_or": ["bool_or(ok)", "bool_or(i > 5) FILTER (WHERE ok)"],
    "arg_max": ["arg_max(s, i)", "arg_max(i, at)", "arg_max(d, s) FILTER (WHERE ok)", "max_by(ok, b)"],
    "arg_min": ["arg_min(s, at)", "min_by(at, d)", "arg_min(s, i) FILTER (WHERE ok)"],
    "string_agg": ["string_agg(s, ',' ORDER BY id)", "string_agg(s, '-' ORDER BY i DESC)", "string_agg(s, ',' ORDER BY id) FILTER (WHERE ok)"],
    "array_agg": ["array_agg(i ORDER BY id)", "list(s ORDER BY at DESC)"],
}  # fmt: skip

WINDOWS: dict[str, list[str]] = {
    "row_number": ["row_number() OVER (PARTITION BY grp ORDER BY i DESC, id)", "row_number() OVER (ORDER BY s, id)"],
    "rank": ["rank() OVER (ORDER BY i)", "rank() OVER (ORDER BY i NULLS FIRST)", "rank() OVER (ORDER BY s DESC)"],
    "dense_rank": ["dense_rank() OVER (PARTITION BY ok ORDER BY d)"],
    "percent_rank": ["percent_rank() OVER (ORDER BY b)"],
    "cume_dist": ["cume_dist() OVER (ORDER BY b)"],
    "ntile": ["ntile(4) OVER (ORDER BY id)"],
    "lag": ["lag(i) OVER (ORDER BY id)", "lag(s, 2) OVER (PARTITION BY grp ORDER BY id)", "coalesce(lag(d, 1) OVER (ORDER BY id), 0)"],
    "lead": ["lead(at) OVER (ORDER BY id)", "lead(i, 3) OVER (ORDER BY id DESC)"],
    "first_value": ["first_value(s) OVER (PARTITION BY grp ORDER BY id)"],
    "last_value": ["last_value(i) OVER (PARTITION BY grp ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"],
    "nth_value": ["nth_value(i, 2) OVER (PARTITION BY grp ORDER BY id)"],
}  # fmt: skip

FRAMES: list[str] = [
    "sum(d) OVER (PARTITION BY grp ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)", "sum(i) OVER (PARTITION BY grp)", "count(*) OVER (PARTITION BY grp ORDER BY i)",
    "avg(d) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)", "min(s) OVER (PARTITION BY grp ORDER BY id ROWS 3 PRECEDING)",
    "sum(d) FILTER (WHERE ok) OVER (PARTITION BY grp ORDER BY id)", "count(*) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN INTERVAL 30 DAYS PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING)",
    "max(b) OVER (ORDER BY at RANGE BETWEEN INTERVAL 7 DAYS PRECEDING AND CURRENT ROW)", "bool_or(ok) OVER (PARTITION BY grp ORDER BY id)",
]  # fmt: skip

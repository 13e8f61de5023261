"""Functions of dates and timestamps. Timestamps are UTC without a zone, whole microseconds; weeks begin on Monday."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.constants import UNITS, one_unit
from feature_platform.compiler.functions.model import TIME, WHOLE, Form, Function, Parameter, Signature, node, sig
from feature_platform.types import BIGINT, DATE, DOUBLE, INT, STRING, TIMESTAMP

_NULL_IN: Final = "when an argument is"

_TIME: Final = Parameter("time", TIME, cast=TIMESTAMP)

_SINCE_EPOCH: Final = "EXTRACT(EPOCH FROM DATE_TRUNC('{unit}', {name}))"
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600}
_DAYS: Final = {"day": 1, "week": 7}
_DUCKDB_WEEKS: Final = "(CAST(DATE_TRUNC('week', end_) AS DATE) - CAST(DATE_TRUNC('week', start_) AS DATE)) // 7"
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}

_TRUNCATED: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_PARTS: Final = {
    "year": "EXTRACT(YEAR FROM time)",
    "quarter": "EXTRACT(QUARTER FROM time)",
    "month": "EXTRACT(MONTH FROM time)",
    "week": "EXTRACT(WEEK FROM time)",
    "day": "EXTRACT(DAY FROM time)",
    "hour": "EXTRACT(HOUR FROM time)",
    "minute": "EXTRACT(MINUTE FROM time)",
    "second": "FLOOR(EXTRACT(SECOND FROM time))",
    "dow": "EXTRACT(DOW FROM time)",
    "isodow": "EXTRACT(ISODOW FROM time)",
    "doy": "EXTRACT(DOY FROM time)",
    "isoyear": "EXTRACT(ISOYEAR FROM time)",
}
_PART_NAMES: Final = {
    "year": ("year", (exp.Year,), "The year."),
    "quarter": ("quarter", (exp.Quarter,), "The quarter, 1 to 4."),
    "month": ("month", (exp.Month,), "The month, 1 to 12."),
    "week": ("week", (exp.Week, exp.WeekOfYear), "The ISO 8601 week, 1 to 53."),
    "day": ("day", (exp.Day, exp.DayOfMonth), "The day of the month."),
    "hour": ("hour", (exp.Hour,), "The hour, 0 to 23."),
    "minute": ("minute", (exp.Minute,), "The minute."),
    "second": ("second", (exp.Second,), "The whole second."),
    "dow": ("dayofweek", (exp.DayOfWeek,), "The day of the week, Sunday 0 to Saturday 6."),
    "isodow": ("isodow", (exp.DayOfWeekIso,), "The day of the week, Monday 1 to Sunday 7."),
    "doy": ("dayofyear", (exp.DayOfYear,), "The day of the year, from 1."),
    "isoyear": ("isoyear", (), "The year that the ISO 8601 week belongs to."),
}


def _difference(unit: str) -> str:
    """PostgreSQL's count of unit boundaries between ``start`` and ``end_``, as DuckDB's ``date_diff`` counts them."""
    if unit in _SECONDS:
        pair = [_SINCE_EPOCH.format(unit=unit, name=name) for name in ("end_", "start_")]
        return f"CAST(({pair[0]} - {pair[1]}) / {_SECONDS[unit]} AS BIGINT)"
    if unit in _DAYS:
        pair = [f"CAST(DATE_TRUNC('{unit}', {name}) AS DATE)" for name in ("end_", "start_")]
        return f"CAST(({pair[0]} - {pair[1]}) / {_DAYS[unit]} AS BIGINT)"
    if unit in _MONTHS:
        months = [
            f"CAST(EXTRACT(YEAR FROM {name}) * 12 + EXTRACT(MONTH FROM DATE_TRUNC('{unit}', {name})) AS BIGINT)"
            for name in ("end_", "start_")
        ]
        if unit == "year":
            return "CAST(EXTRACT(YEAR FROM end_) - EXTRACT(YEAR FROM start_) AS BIGINT)"
        return f"({months[0]} - {months[1]}) / {_MONTHS[unit]}"
    pair = [_SINCE_EPOCH.format(unit=f"{unit}s", name=name) for name in ("end_", "start_")]
    return f"CAST(({pair[0]} - {pair[1]}) * {1_000 if unit == 'millisecond' else 1_000_000} AS BIGINT)"


def _date_diff(unit: str) -> Signature:
    return sig(
        Parameter("unit", constant=one_unit(unit)),
        Parameter("start_", TIME, cast=TIMESTAMP),
        Parameter("end_", TIME, cast=TIMESTAMP),
        to=BIGINT,
        # DuckDB counts weeks from the days in between, not by Mondays.
        duckdb=_DUCKDB_WEEKS if unit == "week" else f"DATE_DIFF('{unit}', start_, end_)",
        postgres=_difference(unit),
        key=unit,
    )


def _part(unit: str, duckdb: str) -> Signature:
    return sig(_TIME, to=BIGINT, duckdb=duckdb, postgres=f"CAST({_PARTS[unit]} AS BIGINT)")


def _part_function(unit: str) -> Function:
    name, kinds, doc = _PART_NAMES[unit]
    forms: tuple[Form, ...] = tuple(node(kind, "this") for kind in kinds)
    return Function(name, (_part(unit, f"DATE_PART('{unit}', time)"),), doc, _NULL_IN, forms)


def _date_part(unit: str) -> Signature:
    unit_parameter = Parameter("part", constant=one_unit(unit))
    plain = _part(unit, f"DATE_PART('{unit}', time)")
    return Signature((unit_parameter, _TIME), BIGINT, plain.templates, key=unit)


FUNCTIONS: Final = (
    Function(
        "date_trunc",
        tuple(
            sig(
                Parameter("unit", constant=one_unit(unit)),
                _TIME,
                to=TIMESTAMP,
                both=f"DATE_TRUNC('{unit}', time)",
                key=unit,
            )
            for unit in _TRUNCATED
        ),
        "The start of the second, minute, hour, day, week, month, quarter or year; of a date too a timestamp.",
        _NULL_IN,
        (
            node(exp.TimestampTrunc, "unit", "this"),
            node(exp.DateTrunc, "unit", "this", ignored=("input_type_preserved",)),
        ),
        aliases=("datetrunc",),
    ),
    Function(
        "date_diff",
        tuple(_date_diff(unit) for unit in UNITS),
        "How many boundaries of the unit lie between two times; negative if `end` is earlier.",
        _NULL_IN,
        (node(exp.DateDiff, "unit", "expression", "this", ignored=("date_part_boundary",)),),
        aliases=("datediff",),
    ),
    Function(
        "date_part",
        (
            *(_date_part(unit) for unit in _PARTS),
            sig(
                Parameter("part", constant=one_unit("epoch")),
                _TIME,
                to=DOUBLE,
                duckdb="EPOCH(time)",
                postgres="CAST(EXTRACT(EPOCH FROM time) AS DOUBLE PRECISION)",
                key="epoch",
            ),
        ),
        f"A part of a time: {', '.join(_PARTS)} or epoch. `extract(part FROM time)` is the same.",
        _NULL_IN,
        (node(exp.Extract, "this", "expression"),),
        aliases=("datepart", "extract"),
    ),
    *(_part_function(unit) for unit in _PART_NAMES),
    Function(
        "epoch",
        (sig(_TIME, to=DOUBLE, duckdb="EPOCH(time)", postgres="CAST(EXTRACT(EPOCH FROM time) AS DOUBLE PRECISION)"),),
        "Seconds since 1970-01-01, with fractions.",
        _NULL_IN,
        (node(exp.TimeToUnix, "this"),),
    ),
    Function(
        "epoch_us",
        (
            sig(
                _TIME, to=BIGINT, duckdb="EPOCH_US(time)", postgres="CAST(EXTRACT(EPOCH FROM time) * 1000000 AS BIGINT)"
            ),
        ),
        "Whole microseconds since 1970-01-01.",
        _NULL_IN,
    ),
    Function(
        "epoch_ms",
        (
            sig(
                _TIME,
                to=BIGINT,
                # DuckDB's EPOCH_MS rounds towards zero before 1970, so it is not used.
                duckdb="CAST(FLOOR(EPOCH_US(DATE_TRUNC('milliseconds', time)) / 1000) AS BIGINT)",
                postgres="CAST(EXTRACT(EPOCH FROM DATE_TRUNC('milliseconds', time)) * 1000 AS BIGINT)",
            ),
            sig(
                Parameter("milliseconds", WHOLE, cast=BIGINT),
                to=TIMESTAMP,
                duckdb="MAKE_TIMESTAMP(milliseconds * 1000)",
                postgres=(
                    "CAST('1970-01-01' AS TIMESTAMP) + (milliseconds / 1000) * INTERVAL '1 second'"
                    " + (milliseconds % 1000) * INTERVAL '1 millisecond'"
                ),
                key="timestamp",
            ),
        ),
        "Whole milliseconds since 1970-01-01 of a time; of a whole number, the timestamp.",
        _NULL_IN,
        (node(exp.UnixToTime, "this", fixed={"scale": "3"}),),
    ),
    Function(
        "to_timestamp",
        (
            sig(
                Parameter("seconds", WHOLE, cast=BIGINT),
                to=TIMESTAMP,
                duckdb="MAKE_TIMESTAMP(seconds * 1000000)",
                postgres="CAST('1970-01-01' AS TIMESTAMP) + seconds * INTERVAL '1 second'",
            ),
        ),
        "The timestamp at whole seconds since 1970-01-01.",
        _NULL_IN,
        (node(exp.UnixToTime, "this"),),
    ),
    Function(
        "make_timestamp",
        (
            sig(
                Parameter("microseconds", WHOLE, cast=BIGINT),
                to=TIMESTAMP,
                duckdb="MAKE_TIMESTAMP(microseconds)",
                postgres=(
                    "CAST('1970-01-01' AS TIMESTAMP) + (microseconds / 1000000) * INTERVAL '1 second'"
                    " + (microseconds % 1000000) * INTERVAL '1 microsecond'"
                ),
            ),
        ),
        "The timestamp at whole microseconds since 1970-01-01.",
        _NULL_IN,
        (node(exp.UnixToTime, "this", fixed={"scale": "6"}),),
    ),
    Function(
        "make_date",
        (
            sig(
                Parameter("year", WHOLE, cast=INT),
                Parameter("month", WHOLE, cast=INT),
                Parameter("day", WHOLE, cast=INT),
                to=DATE,
                both=(
                    "CASE WHEN year BETWEEN 1 AND 9999 AND month BETWEEN 1 AND 12 AND day >= 1 AND day <="
                    " CASE WHEN month IN (4, 6, 9, 11) THEN 30 WHEN month <> 2 THEN 31"
                    " WHEN year % 4 = 0 AND (year % 100 <> 0 OR year % 400 = 0) THEN 29 ELSE 28 END"
                    " THEN MAKE_DATE(year, month, day) END"
                ),
            ),
        ),
        "The date of year, month and day.",
        "when an argument is, or there is no such day in the years 1 to 9999",
        (node(exp.DateFromParts, "year", "month", "day"),),
    ),
    Function(
        "last_day",
        (
            sig(
                _TIME,
                to=DATE,
                duckdb="LAST_DAY(time)",
                postgres="CAST(DATE_TRUNC('month', time) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE)",
            ),
        ),
        "The last day of the month.",
        _NULL_IN,
        (node(exp.LastDay, "this"),),
    ),
    Function(
        "dayname",
        (sig(_TIME, to=STRING, duckdb="DAYNAME(time)", postgres="TO_CHAR(time, 'FMDay')"),),
        "The English name of the day of the week.",
        _NULL_IN,
        (node(exp.Dayname, "this", ignored=("abbreviated",)),),
    ),
    Function(
        "monthname",
        (sig(_TIME, to=STRING, duckdb="MONTHNAME(time)", postgres="TO_CHAR(time, 'FMMonth')"),),
        "The English name of the month.",
        _NULL_IN,
        (node(exp.Monthname, "this", ignored=("abbreviated",)),),
    ),
    Function(
        "strftime",
        (
            sig(
                _TIME,
                Parameter("format", constant=constants.strftime),
                to=STRING,
                duckdb="STRFTIME(time, format)",
                postgres="TO_CHAR(time, format)",
            ),
        ),
        f"The time as text. Format codes: {' '.join(f'`{code}`' for code in constants.STRFTIME)}.",
        _NULL_IN,
        (node(exp.TimeToStr, "this", "format"),),
    ),
    Function(
        "time_bucket",
        (
            sig(
                Parameter("width", constant=constants.short_interval),
                _TIME,
                to=TIMESTAMP,
                duckdb="TIME_BUCKET(width, time)",
                postgres="DATE_BIN(width, time, CAST('2000-01-03' AS TIMESTAMP))",
            ),
        ),
        "The start of the bucket of this width that the time lies in; buckets are counted from 2000-01-03 (a Monday).",
        _NULL_IN,
        (node(exp.DateBin, "this", "expression"),),
    ),
)

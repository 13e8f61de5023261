"""The statements of the search for personal data, as trees for each engine. Patterns are constants, columns are
identifiers.

Doris matches with RE2, as DuckDB does, so it gets the same patterns whole; its emitter says how a match is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from sqlglot import exp

from feature_platform.compiler.platform_sql import text_in_doris
from feature_platform.governance import expressions as sql
from feature_platform.governance.detection.parts import NOT_ASCII, Part
from feature_platform.governance.detection.patterns import (
    CARD,
    ENCODED,
    LONG,
    LONG_NUMBER,
    PARTS,
    PATTERNS,
    SUSPICIOUS,
)
from feature_platform.governance.transforms import PREFIX
from feature_platform.governance.transforms.cards import luhn_valid
from feature_platform.monitoring.staged_table import ReadableTable, column, count_where
from feature_platform.types import BIGINT, STRING, DataType, Engine

SAMPLE: Final = 200
"""Distinct values per column and class that are judged one by one."""
_LONG: Final = 1_000_000_000_000
"""Smaller integers are no card numbers."""
_FIRST_ROWS: Final = 5_000
ALL_HITS: Final = ""
"""Stands for the class of the row that counts all values that were noticed, of any class or none."""


_SIMPLE: Final = frozenset({"string", "int", "bigint", "decimal"})
_NESTED: Final = frozenset({"array", "struct", "map"})


@dataclass(frozen=True, slots=True)
class ScannedColumn:
    """A column that can hold personal data: text, an integer that may be a card number, anything nested."""

    name: str
    type: DataType
    token_pattern: str = ""
    """Of a column of tokens: what every value has to match as a whole. Such a column is not searched."""

    def text(self, engine: Engine) -> exp.Expression:
        """The column's value as one text; of an integer only if it is long enough for a card."""
        if not self.type.is_exact:
            return self.whole_text(engine)
        reference = column(self.name)
        long = exp.GTE(this=reference.copy(), expression=sql.number(_LONG))
        return sql.when(long, sql.cast(reference, STRING, engine))

    def whole_text(self, engine: Engine) -> exp.Expression:
        """The column's value as one text: of a list of scalars one after the other, of other nested values their
        JSON.
        """
        reference = column(self.name)
        if self.type.kind == "string":
            return reference
        element = self.type.element
        if self.type.kind == "array" and element is not None and element.kind in _SIMPLE:
            joined = "array_join" if engine == "doris" else "array_to_string"
            return sql.call(joined, reference, sql.text(" "))
        if engine == "doris":
            return text_in_doris(reference, self.type)
        if engine == "duckdb" and self.type.kind in _NESTED:
            return sql.cast(sql.call("to_json", reference), STRING, engine)
        return sql.as_text(reference, engine)


def noticed(table: ReadableTable, columns: Sequence[ScannedColumn]) -> exp.Select:
    """One row: ``rows_counted``; per column *i* ``not_tokens_i``, or ``suspicious_i`` and ``long_i``."""
    counts = [exp.Count(this=exp.Star()).as_("rows_counted")]
    for place, scanned in enumerate(columns):
        value = scanned.text(table.engine)
        if scanned.token_pattern:
            is_token = sql.matches(value, f"^({scanned.token_pattern})$")
            counts.append(count_where(exp.Not(this=exp.paren(is_token, copy=False))).as_(f"not_tokens_{place}"))
            continue
        if not scanned.type.is_exact:
            counts.append(count_where(_suspicious(value, table.engine)).as_(f"suspicious_{place}"))
        counts.append(count_where(_long(value, table.engine)).as_(f"long_{place}"))
    return exp.select(*counts).from_(table.source)


def class_hits(table: ReadableTable, scanned: ScannedColumn, classes: Sequence[str]) -> exp.Query:
    """Rows (classification, value, distinct_values, rows_found, passing_luhn) of one column.

    Per class or encoding one row with value NULL that counts all hits, and up to 200 rows with a value each; and one
    row for :data:`ALL_HITS`.
    """
    value = scanned.text(table.engine)
    coarse = sql.either(_suspicious(value, table.engine), _long(value, table.engine))
    hits = (
        exp.select(value.as_("value"), exp.Count(this=exp.Star()).as_("occurrences"))
        .from_(table.source)
        .where(coarse)
        .group_by(value.copy())
    )
    parts = [part for name in classes for part in (_total(name, table.engine), _sample(name))]
    parts.append(_all_hits(table.engine))
    return (
        exp.union(*parts, distinct=False)
        .with_("hits", as_=hits, materialized=True)
        .with_("classed", as_=_classed(classes, table.engine), materialized=True)
    )


def samples(table: ReadableTable, columns: Sequence[ScannedColumn]) -> exp.Query:
    """Rows (place, value, distinct_values, rows_found): up to 200 distinct values among the first 5,000 rows of each
    column that are not NULL, and how many distinct ones and rows those are.
    """
    parts: list[exp.Query] = []
    for place, scanned in enumerate(columns):
        value = scanned.whole_text(table.engine)
        present = value.copy().is_(exp.null()).not_()
        first = exp.select(value.as_("value")).from_(table.source).where(present).limit(_FIRST_ROWS)
        counted = (
            exp.select("value", exp.Count(this=exp.Star()).as_("occurrences"))
            .from_(first.subquery("first_rows"))
            .group_by("value")
        )
        sized = exp.select(
            "value",
            exp.Window(this=exp.Count(this=exp.Star())).as_("distinct_values"),
            exp.Window(this=exp.Sum(this=column("occurrences"))).as_("occurrences"),
        ).from_(counted.subquery("counted"))
        rows = sql.cast(column("occurrences"), BIGINT, table.engine)
        picked = (
            exp.select(
                sql.number(place).as_("place"), column("value"), column("distinct_values"), rows.as_("rows_found")
            )
            .from_(sized.subquery("sized"))
            .limit(SAMPLE)
        )
        names = map(column, ("place", "value", "distinct_values", "rows_found"))
        parts.append(exp.select(*names).from_(picked.subquery("picked")))
    return parts[0] if len(parts) == 1 else exp.union(*parts, distinct=False)


def _all_hits(engine: Engine) -> exp.Select:
    rows = sql.cast(sql.call("coalesce", exp.Sum(this=column("occurrences")), sql.number(0)), BIGINT, engine)
    nothing = sql.cast(exp.null(), STRING, engine)
    counted = (nothing, exp.Count(this=exp.Star()), rows, sql.number(0))
    return exp.select(sql.text(ALL_HITS), *counted).from_("hits")


def _suspicious(value: exp.Expression, engine: Engine) -> exp.Expression:
    """Whether the coarse pattern is found: one automaton in DuckDB and Doris, part by part in PostgreSQL."""
    if engine != "postgres":
        return sql.matches(value, SUSPICIOUS)
    return reduce(sql.either, (_found(value, part) for part in PARTS))


def _long(value: exp.Expression, engine: Engine) -> exp.Expression:
    """Whether there are enough digits in a row for a card."""
    return _found(value, LONG) if engine == "postgres" else sql.matches(value, LONG_NUMBER)


def _found(value: exp.Expression, part: Part) -> exp.Expression:
    """Whether a pattern is found, in PostgreSQL: the tests that cost least come first."""
    tests: list[exp.Expression] = []
    if part.shortest:
        tests.append(exp.GTE(this=sql.call("octet_length", value), expression=sql.number(part.shortest)))
    if part.one_of == NOT_ASCII:
        tests.append(exp.NEQ(this=sql.call("octet_length", value), expression=sql.call("length", value)))
    elif part.one_of:
        tests.append(reduce(sql.either, (_contains(value, character) for character in part.one_of)))
    if part.like:
        tests.append(reduce(sql.either, (_like(value, pattern) for pattern in part.like)))
    if part.has:
        plain = exp.Collate(this=value.copy(), expression=exp.to_identifier("C", quoted=True))
        low, high = sql.call("lower", plain), sql.call("upper", plain)
        one, other = {"upper": (value, low), "lower": (value, high), "letter": (low, high)}[part.has]
        tests.append(exp.NEQ(this=one.copy(), expression=other))
    patterns = [sql.matches(value, pattern) for pattern in (part.head, part.pattern) if pattern]
    return reduce(sql.both, [*tests, *patterns])


def _like(value: exp.Expression, pattern: str) -> exp.Expression:
    return exp.Like(this=value.copy(), expression=sql.text(pattern))


def _contains(value: exp.Expression, character: str) -> exp.Expression:
    return exp.GT(this=sql.call("strpos", value, sql.text(character)), expression=sql.number(0))


def _classed(classes: Sequence[str], engine: Engine) -> exp.Select:
    """Every distinct hit with, per class, the text that speaks for it: each pattern runs once."""
    value = column("value")
    matched = {
        name: _card(value, engine) if name == "payment_card" else sql.when(sql.matches(value, pattern), value)
        for name, pattern in ({**PATTERNS, **ENCODED}).items()
        if name in classes
    }
    named = [expression.as_(name) for name, expression in matched.items()]
    return exp.select(value, column("occurrences"), *named).from_("hits")


def _card(value: exp.Expression, engine: Engine) -> exp.Expression:
    """The number that the pattern's first group has, NULL where it is not found."""
    return sql.extract(value, CARD, "duckdb" if engine == "doris" else engine)


def _passes_luhn(value: exp.Expression, engine: Engine) -> exp.Expression:
    return sql.call(f"{PREFIX}luhn_valid", value) if engine == "doris" else luhn_valid(engine, [value])


def _total(classification: str, engine: Engine) -> exp.Select:
    rows = sql.cast(sql.call("coalesce", exp.Sum(this=column("occurrences")), sql.number(0)), BIGINT, engine)
    passing: exp.Expression = sql.number(0)
    if classification == "payment_card":
        passing = count_where(_passes_luhn(column(classification), engine))
    return (
        exp.select(
            sql.text(classification).as_("classification"),
            sql.cast(exp.null(), STRING, engine).as_("value"),
            exp.Count(this=exp.Star()).as_("distinct_values"),
            rows.as_("rows_found"),
            passing.as_("passing_luhn"),
        )
        .from_("classed")
        .where(column(classification).is_(exp.null()).not_())
    )


def _sample(classification: str) -> exp.Select:
    picked = (
        exp.select(column("value"), column("occurrences"))
        .from_("classed")
        .where(column(classification).is_(exp.null()).not_())
        .limit(SAMPLE)
    )
    columns = (sql.text(classification), column("value"), sql.number(1), column("occurrences"), sql.number(0))
    return exp.select(*columns).from_(picked.subquery("picked"))

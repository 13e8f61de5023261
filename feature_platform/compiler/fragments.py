"""The platform's own SQL, written as text with places for trees: ``sql("SELECT fp_t FROM :events", events=name("e"))``.

Only constants of this package go through here, never text of a user: what a user wrote enters as a guarded tree, as a quoted
identifier or as a typed literal. Fragments are in sqlglot's neutral dialect, in which NULL sorts first; the renderer spells that
out for every engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from sqlglot import exp, parse_one

from feature_platform.types import DataType, Engine

LONGEST_SUBTRACTED: Final = 1_000 * 366 * 86_400_000_000
"""Microseconds. A longer window is not subtracted from a time, because the start could lie before PostgreSQL's calendar."""


@dataclass(frozen=True)
class Relation:
    """A named subquery of a plan. ``stored`` says whether the engine computes it once or sees through it; None leaves it to the engine."""

    name: str
    tree: exp.Query
    stored: bool | None = None


def sql(text: str, **parts: exp.Expr) -> exp.Expr:
    """The tree of ``text``, with every ``:name`` replaced by that part.

    >>> sql("fp_t < :q", q=name("tick")).sql()
    'fp_t < tick'
    """
    tree = _parsed(text).copy()
    return exp.replace_placeholders(tree, **{key: part.copy() for key, part in parts.items()}) if parts else tree


def select(text: str, *columns: exp.Expr, **parts: exp.Expr) -> exp.Select:
    """Like :func:`sql` for a SELECT, with ``columns`` put behind those in the text."""
    tree = sql(text, **parts)
    assert isinstance(tree, exp.Select)
    return tree.select(*columns, append=True, copy=False)


def name(text: str) -> exp.Identifier:
    """An identifier of the platform's own (lower case, no quotes needed)."""
    return exp.to_identifier(text)


def column(text: str, table: str | None = None) -> exp.Column:
    """A column of the platform's own naming."""
    return exp.column(text, table=table)


def columns(names: Iterable[str], table: str | None = None) -> list[exp.Expr]:
    """Several of them."""
    return [column(each, table) for each in names]


def equal(names: Iterable[str], one: str, other: str) -> exp.Expr:
    """``one.a = other.a AND one.b = other.b …``: a NULL equals nothing."""
    return exp.and_(*(exp.EQ(this=column(each, one), expression=column(each, other)) for each in names), copy=False)


def all_of(*conditions: exp.Expr | None) -> exp.Expr:
    """The conjunction of those that are there; TRUE when none is."""
    given = [condition for condition in conditions if condition is not None]
    return exp.and_(*given) if given else exp.true()


def union_all(branches: Iterable[exp.Query]) -> exp.Query:
    """One UNION ALL over ``branches``."""
    first, *rest = branches
    result: exp.Query = first
    for branch in rest:
        result = exp.union(result, branch, distinct=False, copy=False)
    return result


def subquery(tree: exp.Query, alias: str) -> exp.Subquery:
    """``(tree) AS alias``."""
    return exp.Subquery(this=tree.copy(), alias=exp.TableAlias(this=name(alias)))


def duration(microseconds: int) -> exp.Interval:
    """A length of time in microseconds alone, so that no engine has to know how long a day or a month is."""
    return exp.Interval(this=exp.Literal.string(str(microseconds)), unit=exp.var("MICROSECOND"))


def cast(value: exp.Expr, to: DataType, engine: Engine) -> exp.Expr:
    """``CAST(value AS to)`` in the engine's spelling."""
    return exp.cast(value, exp.DataType.build(to.sql(engine), dialect=engine))


def by_code_point(value: exp.Expr, of: DataType, engine: Engine) -> exp.Expr:
    """``value``, so that it sorts by code point where it is text. DuckDB does that by itself."""
    if of.kind == "string" and engine == "postgres":
        return exp.Collate(this=value, expression=exp.to_identifier("C", quoted=True))
    return value


def seconds_between(later: exp.Expr, earlier: exp.Expr, engine: Engine) -> exp.Expr:
    """Fractional seconds as a double."""
    if engine == "duckdb":
        return sql("(epoch_us(:later) - epoch_us(:earlier)) / CAST(1000000 AS DOUBLE)", later=later, earlier=earlier)
    return sql("CAST(EXTRACT(EPOCH FROM (:later - :earlier)) AS DOUBLE)", later=later, earlier=earlier)


def started(event: exp.Expr, moment: exp.Expr, window: int | None) -> exp.Expr | None:
    """``moment - window <= event``, or None where there is no window."""
    if window is None:
        return None
    if window <= LONGEST_SUBTRACTED:
        return sql(":event >= :moment - :window", event=event, moment=moment, window=duration(window))
    return sql(":event + :window >= :moment", event=event, moment=moment, window=duration(window))


def with_relations(query: exp.Select, relations: Iterable[Relation]) -> exp.Select:
    """``WITH … query``."""
    for relation in relations:
        query = query.with_(name(relation.name), as_=relation.tree, materialized=relation.stored, copy=False)
    return query


@cache
def _parsed(text: str) -> exp.Expr:
    return parse_one(text)

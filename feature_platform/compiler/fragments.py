"""The platform's own SQL, put together from constant pieces: ``sql("SELECT fp_t FROM :events",
events=name("fp_events"))``.

Only constants of this package are templates. What comes from elsewhere enters as a part, and there are few ways to
make one: a guarded query as the renderer wrote it, a quoted identifier, a typed literal. Most of a project's compile
time would go into building, copying and printing trees for SQL that is the same every time; text is a hundred times
cheaper, and reads like the SQL it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from feature_platform.types import DataType, Engine

LONGEST_SUBTRACTED: Final = 1_000 * 366 * 86_400_000_000
"""Microseconds. A longer window is not subtracted from a time, because the start could lie before PostgreSQL's
calendar.
"""

_PLACE: Final = re.compile(r":([a-z_]\w*)")
_SPACE: Final = re.compile(r"\s+")
_OWN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")


class Sql(str):
    """A piece of SQL for one engine. Never made from a user's text, but by the functions here."""

    __slots__ = ()


NOTHING: Final = Sql("")


@dataclass(frozen=True)
class Relation:
    """A named subquery of a plan. ``stored`` says whether the engine computes it once or sees through it; None leaves
    it to the engine.
    """

    name: str
    body: Sql
    stored: bool | None = None


def sql(template: str, **parts: Sql) -> Sql:
    """``template`` with every ``:name`` replaced by that part, as it is: parentheses are the template's business.

    >>> sql("fp_t < :q", q=name("tick"))
    'fp_t < tick'
    """
    texts = _pieces(template)
    return Sql("".join(parts[text] if index % 2 else text for index, text in enumerate(texts)))


def name(text: str) -> Sql:
    """An identifier of the platform's own naming; it needs no quotes."""
    if not _OWN_NAME.fullmatch(text):
        raise ValueError(f"'{text}' is not a name of the platform's own")
    return Sql(text)


def quoted(text: str) -> Sql:
    """An identifier of a user's naming."""
    return Sql('"' + text.replace('"', '""') + '"')


def column(text: str, table: str | None = None) -> Sql:
    """A column of the platform's own naming."""
    return name(text) if table is None else Sql(f"{name(table)}.{name(text)}")


def their_column(text: str, table: str) -> Sql:
    """A column of a user's naming, in a relation of the platform's naming."""
    return Sql(f"{name(table)}.{quoted(text)}")


def columns(names: Iterable[str], table: str | None = None) -> list[Sql]:
    """Several columns of the platform's own naming."""
    return [column(each, table) for each in names]


def listed(*parts: Sql) -> Sql:
    """``a, b, c``."""
    return Sql(", ".join(parts))


def aliased(part: Sql, alias: Sql) -> Sql:
    """``part AS alias``."""
    return Sql(f"{part} AS {alias}")


def all_of(*conditions: Sql | None) -> Sql:
    """The conjunction of those that are there; empty when none is."""
    return Sql(" AND ".join(condition for condition in conditions if condition))


def any_of(*conditions: Sql) -> Sql:
    """The disjunction."""
    return conditions[0] if len(conditions) == 1 else Sql("(" + " OR ".join(f"({each})" for each in conditions) + ")")


def equal(names: Iterable[str], one: str, other: str) -> Sql:
    """``one.a = other.a AND one.b = other.b …``: a NULL equals nothing."""
    return all_of(*(Sql(f"{column(each, one)} = {column(each, other)}") for each in names))


def where(condition: Sql) -> Sql:
    """`` WHERE condition``, or nothing."""
    return Sql(f" WHERE {condition}") if condition else NOTHING


def ascending(keys: Iterable[Sql]) -> Sql:
    """``ORDER BY`` with NULL first, on every engine."""
    return Sql("ORDER BY " + ", ".join(f"{key} NULLS FIRST" for key in keys))


def union_all(branches: Iterable[Sql]) -> Sql:
    """One UNION ALL over ``branches``."""
    return Sql(" UNION ALL ".join(branches))


def duration(microseconds: int) -> Sql:
    """A length of time in microseconds alone, so that no engine has to know how long a day or a month is."""
    return Sql(f"INTERVAL '{microseconds} microseconds'")


def cast(value: Sql, to: DataType, engine: Engine) -> Sql:
    """``CAST(value AS to)`` in the engine's spelling."""
    return Sql(f"CAST({value} AS {to.sql(engine)})")


def text_literal(value: str) -> Sql:
    """A text constant. DuckDB and PostgreSQL take backslashes as they are."""
    return Sql("'" + value.replace("'", "''") + "'")


def literal(value: Any, of: DataType, engine: Engine) -> Sql:
    """A constant of a logical type."""
    if isinstance(value, bool):
        return Sql("TRUE" if value else "FALSE")
    if isinstance(value, str):
        return text_literal(value)
    return cast(text_literal(str(value)), of, engine)


def by_code_point(value: Sql, of: DataType, engine: Engine) -> Sql:
    """``value``, so that it sorts by code point where it is text. DuckDB does that by itself."""
    if of.kind == "string" and engine == "postgres":
        return Sql(f'{value} COLLATE "C"')
    return value


def seconds_between(later: Sql, earlier: Sql, engine: Engine) -> Sql:
    """Fractional seconds as a double."""
    if engine == "duckdb":
        return sql("(EPOCH_US(:later) - EPOCH_US(:earlier)) / CAST(1000000 AS DOUBLE)", later=later, earlier=earlier)
    return sql("CAST(EXTRACT(EPOCH FROM (:later - :earlier)) AS DOUBLE PRECISION)", later=later, earlier=earlier)


def started(event: Sql, moment: Sql, window: int | None) -> Sql | None:
    """``moment - window <= event``, or None where there is no window."""
    if window is None:
        return None
    if window <= LONGEST_SUBTRACTED:
        return sql(":event >= :moment - :window", event=event, moment=moment, window=duration(window))
    return sql(":event + :window >= :moment", event=event, moment=moment, window=duration(window))


def with_relations(relations: Iterable[Relation], query: Sql) -> Sql:
    """``WITH … query``, one relation a line."""
    hints = {None: "", True: "MATERIALIZED ", False: "NOT MATERIALIZED "}
    told = ",\n".join(f"{name(each.name)} AS {hints[each.stored]}({each.body})" for each in relations)
    return Sql(f"WITH {told}\n{query}")


@cache
def _pieces(template: str) -> tuple[str, ...]:
    # Constant text at even places, names of parts at odd ones.
    return tuple(_PLACE.split(_SPACE.sub(" ", template)))

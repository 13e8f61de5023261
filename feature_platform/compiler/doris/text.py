"""Pieces of Doris' SQL: names in back-quotes, literals, times as whole microseconds.

Doris' intervals know no microseconds, its floors no tile of any length, and its calendar ends in the year 9999. So the
platform's plans compute with whole microseconds since 1970 as BIGINT: the rule of the window standard in plain integer
arithmetic, which is the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from feature_platform.compiler.fragments import NOTHING, Relation, Sql, all_of, listed, sql
from feature_platform.types import DataType

DAY: Final = 86_400_000_000
"""Microseconds."""
EPOCH_DAY: Final = "CAST('1970-01-01' AS DATE)"

_EVERY: Final = 2**63 - 1
_ESCAPED: Final = re.compile(r"[\\']")


def name(text: str) -> Sql:
    """An identifier, always in back-quotes: Doris reserves 190 words."""
    return Sql("`" + text.replace("`", "``") + "`")


def column(text: str, table: str | None = None) -> Sql:
    """A column, of a relation if one is named."""
    return name(text) if table is None else Sql(f"{name(table)}.{name(text)}")


def columns(names: Iterable[str], table: str | None = None) -> list[Sql]:
    """Several columns."""
    return [column(each, table) for each in names]


def aliased(part: Sql, alias: str) -> Sql:
    """``part AS `alias```."""
    return Sql(f"{part} AS {name(alias)}")


def equal(names: Iterable[str], one: str, other: str) -> Sql:
    """``one.a = other.a AND …``: a NULL equals nothing."""
    return all_of(*(Sql(f"{column(each, one)} = {column(each, other)}") for each in names))


def text_literal(value: str) -> Sql:
    """A text constant. In Doris a backslash escapes, so it is doubled."""
    return Sql("'" + _ESCAPED.sub(lambda found: found[0] * 2, value) + "'")


def cast(value: Sql, to: DataType) -> Sql:
    """``CAST(value AS to)``."""
    return Sql(f"CAST({value} AS {to.sql('doris')})")


def literal(value: Any, of: DataType) -> Sql:
    """A constant of a logical type."""
    if isinstance(value, bool):
        return Sql("TRUE" if value else "FALSE")
    if isinstance(value, str):
        return text_literal(value)
    return cast(text_literal(str(value)), of)


def number(value: int) -> Sql:
    """A whole number."""
    return Sql(str(value))


def case(*branches: tuple[Sql, Sql], otherwise: Sql | None = None) -> Sql:
    """``CASE WHEN … THEN … END``."""
    told = " ".join(f"WHEN {condition} THEN {result}" for condition, result in branches)
    return Sql(f"CASE {told}{f' ELSE {otherwise}' if otherwise else ''} END")


def microseconds(time: Sql) -> Sql:
    """Whole microseconds since 1970-01-01 of a DATETIME(6); negative before it."""
    return sql(
        "(DATEDIFF(:t, :epoch) * 86400000000 + HOUR(:t) * 3600000000 + MINUTE(:t) * 60000000"
        " + SECOND(:t) * 1000000 + MICROSECOND(:t))",
        t=time,
        epoch=Sql(EPOCH_DAY),
    )


def remainder(value: Sql, size: int) -> Sql:
    """What is left above the multiple of ``size`` at or below a whole number; never negative."""
    return sql("((:v % :size + :size) % :size)", v=value, size=number(size))


def floored(value: Sql, size: int) -> Sql:
    """The multiple of ``size`` at or below a whole number of microseconds."""
    return sql("(:v - :rest)", v=value, rest=remainder(value, size))


def time_of(value: Sql) -> Sql:
    """The DATETIME(6) at whole microseconds since 1970-01-01."""
    rest = remainder(value, DAY)
    # Days, seconds and the rest apart: each fits into the INT that older signatures take.
    return sql(
        "MICROSECONDS_ADD(SECONDS_ADD(DAYS_ADD(CAST('1970-01-01' AS DATETIME(6)), (:v - :rest) DIV 86400000000),"
        " :rest DIV 1000000), :rest % 1000000)",
        v=value,
        rest=rest,
    )


def order_by(keys: Iterable[Sql], *, newest_first: bool = False) -> Sql:
    """``ORDER BY`` with the place of NULL told: first, and last where it is descending."""
    how = " DESC NULLS LAST" if newest_first else " ASC NULLS FIRST"
    return Sql("ORDER BY " + ", ".join(f"{key}{how}" for key in keys))


def in_order(query: Sql, of: str) -> Sql:
    """``query``, whose relation ``of`` has ``fp_row``, in the order of it. Doris may cut an ORDER BY without LIMIT."""
    return Sql(f"{query} {order_by([column('fp_row', of)])} LIMIT {_EVERY}")


def with_relations(relations: Iterable[Relation], query: Sql) -> Sql:
    """``WITH … query``, one relation a line. Doris decides by itself what it computes once."""
    told = ",\n".join(f"{name(each.name)} AS ({each.body})" for each in relations)
    return Sql(f"WITH {told}\n{query}")


def selected(found: Iterable[Sql], source: Sql, *, where: Sql | None = None, by: Iterable[Sql] = ()) -> Sql:
    """``SELECT found FROM source [WHERE …] [GROUP BY …]``."""
    condition = sql(" WHERE :where", where=where) if where else NOTHING
    keys = list(by)
    group = sql(" GROUP BY :keys", keys=listed(*keys)) if keys else NOTHING
    return sql(
        "SELECT :found FROM :source:where:group", found=listed(*found), source=source, where=condition, group=group
    )

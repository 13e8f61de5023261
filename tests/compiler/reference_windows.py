"""The window standard in plain Python: slow, obvious, and written without a look at the SQL. Engines are held to it.

An event is a dict of a source's columns. Times are naive UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from feature_platform.specs.durations import Duration, is_all
from feature_platform.specs.models import Aggregation, Source

Event = Mapping[str, Any]
Condition = Callable[[Event], bool | None]

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


def as_time(value: date | datetime | None) -> datetime | None:
    """A date is its midnight."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.combine(value, time())


def happened(event: Event, source: Source) -> datetime | None:
    assert source.event_time is not None
    return as_time(event[source.event_time])


def available(event: Event, source: Source) -> datetime | None:
    assert source.event_time is not None
    return as_time(event[source.available_at or source.event_time])


def known_at(events: Iterable[Event], source: Source, q: datetime) -> list[Event]:
    """The events as they were known at ``q``: one version per source key."""
    survivors: list[Event] = []
    best: dict[tuple[Any, ...], Event] = {}
    for event in events:
        a = available(event, source)
        if a is None or a > q:
            continue
        key = tuple(event[column] for column in source.key)
        if not key or None in key:
            survivors.append(event)
        elif key not in best or _version(event, source) > _version(best[key], source):
            best[key] = event
    return survivors + list(best.values())


def _version(event: Event, source: Source) -> tuple[datetime, bool, datetime]:
    a, t = available(event, source), happened(event, source)
    assert a is not None
    return (a, t is not None, t or a)


def in_window(t: datetime | None, q: datetime, window: Duration) -> bool:
    """``q - w <= t < q``; a start before the calendar's beginning is no start."""
    if t is None or t >= q:
        return False
    if is_all(window):
        return True
    try:
        return q - timedelta(microseconds=window.microseconds) <= t
    except OverflowError:
        return True


def feature(
    events: Sequence[Event],
    source: Source,
    line: Aggregation,
    window: Duration,
    q: datetime | None,
    *,
    entity: Mapping[str, Any],
    conditions: Mapping[str, Condition],
    view_where: str | None = None,
) -> Any:
    """One feature of one entity (source column → value) at one time. Exact numbers come back as Decimal, doubles as
    Fraction.
    """
    counted: list[Event] = []
    if q is not None and None not in entity.values():
        counted = [
            event
            for event in known_at(events, source, q)
            if all(event[column] == value for column, value in entity.items())
            and (view_where is None or conditions[view_where](event) is True)
            and (line.where is None or conditions[line.where](event) is True)
            and in_window(happened(event, source), q, window)
        ]
    result = aggregate(counted, source, line, q)
    if line.default is not None and (result is None or (line.function in ("count", "count_distinct") and result == 0)):
        return line.default
    return result


def has_row(
    events: Sequence[Event],
    source: Source,
    longest: Duration,
    q: datetime,
    *,
    entity: Mapping[str, Any],
    conditions: Mapping[str, Condition],
    view_where: str | None,
) -> bool:
    """Whether a materialization as of ``q`` has a row for the entity."""
    return any(
        all(event[column] == value for column, value in entity.items())
        and (view_where is None or conditions[view_where](event) is True)
        and in_window(happened(event, source), q, longest)
        for event in known_at(events, source, q)
    )


def aggregate(counted: Sequence[Event], source: Source, line: Aggregation, q: datetime | None) -> Any:
    """The function over the events that count."""
    column = line.column
    if column is not None:
        counted = [event for event in counted if event[column] is not None]
    values = [event[column] for event in counted] if column is not None else []
    exact = [Fraction(value) for value in values if isinstance(value, int | float | Decimal)]
    match line.function:
        case "count":
            return len(counted)
        case "count_distinct":
            return len(set(values))
        case "sum":
            return sum(exact) if values else None
        case "avg":
            return sum(exact) / len(exact) if values else None
        case "min":
            return min(values) if values else None
        case "max":
            return max(values) if values else None
        case "variance":
            return variance(exact)
        case "stddev":
            return square_root(variance(exact))
        case "first" | "last":
            in_order = sorted(counted, key=lambda event: _position(event, source, column))
            return in_order[0 if line.function == "first" else -1][column] if in_order and column else None
        case "time_since_last":
            times = [t for event in counted if (t := happened(event, source)) is not None]
            if not times or q is None:
                return None
            return Fraction((q - max(times)) // MICROSECOND, 10**6)


def variance(values: Sequence[Fraction]) -> Fraction | None:
    """Sample variance, exactly; None for fewer than two."""
    if len(values) < 2:
        return None
    mean = sum(values, Fraction(0)) / len(values)
    return sum(((value - mean) ** 2 for value in values), Fraction(0)) / (len(values) - 1)


def square_root(value: Fraction | None) -> Fraction | None:
    """To 60 digits."""
    if value is None:
        return None
    with localcontext(prec=60):
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


def _position(event: Event, source: Source, column: str | None) -> tuple[Any, ...]:
    # (t, a, source key), NULL first; among events that tie because of a NULL in their key, the value.
    parts: list[Any] = [happened(event, source), available(event, source)]
    for name in (*source.key, column):
        value = event[name] if name else None
        parts += [value is not None, 0 if value is None else value]
    # A NULL and a value are told apart by the flag before them, so unlike types are never compared.
    return tuple(parts)


def newest_row(rows: Sequence[Event], q: datetime | None, ttl: Duration | None, order: Sequence[str]) -> Event | None:
    """The newest feature row of one entity at ``q``: ``event_time``, ``available_at`` and features by name."""
    if q is None:
        return None
    seen = [
        row
        for row in rows
        if row["event_time"] is not None
        and row["available_at"] is not None
        and row["event_time"] <= q
        and row["available_at"] <= q
        and (ttl is None or row["event_time"] + timedelta(microseconds=ttl.microseconds) >= q)
    ]

    def position(row: Event) -> tuple[Any, ...]:
        flags = [part for name in order for part in (row[name] is not None, 0 if row[name] is None else row[name])]
        return (row["event_time"], row["available_at"], *flags)

    return max(seen, key=position, default=None)


def newest_tick(matches: Callable[[datetime], bool], q: datetime) -> datetime:
    """The newest minute at or before ``q`` that the schedule has, by trying every minute."""
    tick = q.replace(second=0, microsecond=0)
    while not matches(tick):
        tick -= MINUTE
    return tick

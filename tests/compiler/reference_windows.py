"""The window standard in plain Python: slow, obvious, and written without a look at the SQL. Engines are held to it.

An event is a dict of a source's columns. Times are naive UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from math import log2
from typing import Any

from feature_platform.specs.durations import Duration, is_all
from feature_platform.specs.models import Aggregation, FeatureView, Source

Event = Mapping[str, Any]
Condition = Callable[[Event], bool | None]

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1)


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


def in_window(t: datetime | None, q: datetime, window: Duration, line: Aggregation, accuracy: str) -> bool:
    """``start(q - o) <= t < end(q - o)``; a start before the calendar's beginning is no start."""
    if t is None or t >= end(q, window, line, accuracy):
        return False
    return begun(t, q, window, line, accuracy)


def begun(t: datetime, q: datetime, window: Duration, line: Aggregation, accuracy: str) -> bool:
    """``start(q - o) <= t``."""
    if is_all(window):
        return True
    try:
        start = q - offset(line) - timedelta(microseconds=window.microseconds)
        return (floor(start, tile(window, line)) if accuracy == "tiled" else start) <= t
    except OverflowError:
        return True


def end(q: datetime, window: Duration, line: Aggregation, accuracy: str) -> datetime:
    moment = q - offset(line)
    return floor(moment, tile(window, line)) if accuracy == "tiled" and line.offset else moment


def offset(line: Aggregation) -> timedelta:
    return timedelta(microseconds=line.offset.microseconds) if line.offset else timedelta(0)


def tile(window: Duration, line: Aggregation) -> timedelta:
    """Five minutes, an hour or a day, or as declared."""
    if line.hop:
        return timedelta(microseconds=line.hop.microseconds)
    length = timedelta.max if is_all(window) else timedelta(microseconds=window.microseconds)
    if length < timedelta(hours=12):
        return timedelta(minutes=5)
    return timedelta(hours=1) if length < timedelta(days=12) else timedelta(days=1)


def floor(moment: datetime, hop: timedelta) -> datetime:
    """The tile's beginning, towards minus infinity, counted from the epoch."""
    return EPOCH + (moment - EPOCH) // hop * hop


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
    accuracy: str = "exact",
    looked_at: dict[Any, list[Event]] | None = None,
) -> Any:
    """One feature of one entity (source column → value) at one time. Exact numbers come back as Decimal, doubles as
    Fraction. ``looked_at`` keeps the events of windows for other features of the same row.
    """

    def counted(window: Duration) -> list[Event]:
        if q is None or None in entity.values():
            return []
        key = (window, line.where, line.offset, line.hop)
        if looked_at is None:
            return inside(window, q)
        if key not in looked_at:
            looked_at[key] = inside(window, q)
        return looked_at[key]

    def inside(window: Duration, q: datetime) -> list[Event]:
        return [
            event
            for event in known_at(events, source, q)
            if all(event[column] == value for column, value in entity.items())
            and (view_where is None or conditions[view_where](event) is True)
            and (line.where is None or conditions[line.where](event) is True)
            and in_window(happened(event, source), q, window, line, accuracy)
        ]

    if line.function == "ratio":
        assert line.to is not None
        result = ratio(counted(window), counted(line.to), line.column)
    elif line.is_map:
        return grouped(counted(window), source, line, window, q)
    elif line.function == "rate":
        number = len(counted(window))
        result = number / Fraction(window.microseconds, 3_600_000_000) if number else None
    else:
        result = aggregate(counted(window), source, line, q)
    if line.default is not None and (result is None or (line.function in COUNTS and result == 0)):
        return line.default
    return result


def grouped(
    counted: Sequence[Event], source: Source, line: Aggregation, window: Duration, q: datetime | None
) -> dict[Any, Any] | None:
    """The function for each key with an input; of too many keys those with most of them, of equal ones the smaller."""
    groups: dict[Any, list[Event]] = {}
    for event in counted:
        key = key_of(event, line)
        if key is not None and (line.column is None or event[line.column] is not None):
            groups.setdefault(key, []).append(event)
    kept = sorted(groups, key=lambda key: (-len(groups[key]), key))[: line.largest_map]

    def value(events: Sequence[Event]) -> Any:
        if line.function == "histogram":
            return len(events)
        if line.function == "rate":
            return len(events) / Fraction(window.microseconds, 3_600_000_000)
        return aggregate(events, source, line, q)

    return {key: value(groups[key]) for key in sorted(kept)} or None


def key_of(event: Event, line: Aggregation) -> Any:
    value = event[line.group or line.column or ""]
    if line.bins is None or value is None:
        return value
    return max((edge for edge in line.bins if edge_value(edge, value) <= value), default=None)


def edge_value(edge: float, value: Any) -> Any:
    return Decimal(str(edge)) if isinstance(value, Decimal) else edge


COUNTS = ("count", "count_distinct", "approx_count_distinct")


def ratio(part: Sequence[Event], whole: Sequence[Event], column: str | None) -> Fraction | None:
    """The share of the whole that lies in the part; NULL when the whole has nothing, or sums to nothing."""
    if column is None:
        return Fraction(len(part), len(whole)) if whole else None
    inputs = [Fraction(event[column]) for event in whole if event[column] is not None]
    total = sum(inputs, Fraction(0))
    if not inputs or total == 0:
        return None
    return sum((Fraction(event[column]) for event in part if event[column] is not None), Fraction(0)) / total


def has_row(
    events: Sequence[Event],
    source: Source,
    view: FeatureView,
    q: datetime,
    *,
    entity: Mapping[str, Any],
    conditions: Mapping[str, Condition],
) -> bool:
    """Whether a materialization as of ``q`` has a row for the entity: an event between the earliest start and ``q``."""
    frames = [(line, window) for line in view.aggregations for window in (*line.windows, *filter(None, [line.to]))]
    return any(
        all(event[column] == value for column, value in entity.items())
        and (view.where is None or conditions[view.where](event) is True)
        and (t := happened(event, source)) is not None
        and t < q
        and any(begun(t, q, window, line, view.accuracy) for line, window in frames)
        for event in known_at(events, source, q)
    )


def aggregate(counted: Sequence[Event], source: Source, line: Aggregation, q: datetime | None) -> Any:
    """The function over the events that count."""
    if line.column is not None:
        counted = [event for event in counted if event[line.column] is not None]
    values = [event[line.column] for event in counted] if line.column is not None else []
    if line.function == "count":
        return len(counted)
    if line.function in COUNTS:
        return len(set(values))
    if not counted or q is None:
        return None
    if line.function in ("time_since_first", "time_since_last"):
        times = [t for event in counted if (t := happened(event, source)) is not None]
        chosen = max(times) if line.function == "time_since_last" else min(times)
        return Fraction((q - chosen) // MICROSECOND, 10**6)
    if line.function in ("first", "last", "first_k", "last_k", "last_distinct_k"):
        return in_order(counted, source, line)
    if line.function in OF_VALUES:
        return OF_VALUES[line.function](values, line)
    return OF_NUMBERS[line.function]([Fraction(value) for value in values], line)


OF_VALUES: Mapping[str, Callable[[Sequence[Any], Aggregation], Any]] = {
    "min": lambda values, _: min(values),
    "max": lambda values, _: max(values),
    "any": lambda values, _: any(values),
    "all": lambda values, _: all(values),
    "mode": lambda values, _: most_frequent(values)[0],
    "top_k": lambda values, line: most_frequent(values)[: line.k],
    "entropy": lambda values, _: entropy(values),
}
OF_NUMBERS: Mapping[str, Callable[[Sequence[Fraction], Aggregation], Fraction | None]] = {
    "sum": lambda numbers, _: sum(numbers, Fraction(0)),
    "avg": lambda numbers, _: sum(numbers, Fraction(0)) / len(numbers),
    "variance": lambda numbers, _: variance(numbers),
    "stddev": lambda numbers, _: square_root(variance(numbers)),
    "variance_pop": lambda numbers, _: spread(numbers) / len(numbers),
    "stddev_pop": lambda numbers, _: square_root(spread(numbers) / len(numbers)),
    "median": lambda numbers, _: percentile(numbers, 0.5),
    "percentile": lambda numbers, line: percentile(numbers, line.percentile or 0),
    "approx_percentile": lambda numbers, line: percentile(numbers, line.percentile or 0),
}


def in_order(counted: Sequence[Event], source: Source, line: Aggregation) -> Any:
    """The first or last value, or up to k of them; of the distinct ones the newest k."""
    assert line.column is not None
    column = line.column
    ordered = [event[column] for event in sorted(counted, key=lambda event: _position(event, source, column))]
    if line.function.startswith("last"):
        ordered.reverse()
    if line.function == "last_distinct_k":
        ordered = list(dict.fromkeys(ordered))
    return ordered[: line.k] if line.k else ordered[0]


def variance(values: Sequence[Fraction]) -> Fraction | None:
    """Sample variance, exactly; None for fewer than two."""
    return spread(values) / (len(values) - 1) if len(values) > 1 else None


def spread(values: Sequence[Fraction]) -> Fraction:
    """The sum of squared deviations."""
    mean = sum(values, Fraction(0)) / len(values)
    return sum(((value - mean) ** 2 for value in values), Fraction(0))


def percentile(values: Sequence[Fraction], share: float) -> Fraction:
    """Between the two values around it, linearly."""
    ordered = sorted(values)
    place = Fraction(share) * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def most_frequent(values: Sequence[Any]) -> list[Any]:
    """Distinct values, most frequent first, of equally frequent ones the smaller."""
    return sorted(set(values), key=lambda value: (-values.count(value), value))


def entropy(values: Sequence[Any]) -> float:
    """Shannon's, in bits."""
    shares = [values.count(value) / len(values) for value in set(values)]
    return sum(share * log2(1 / share) for share in shares)


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

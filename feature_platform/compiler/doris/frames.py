"""Which events a frame has at a query time, in whole microseconds: ``frames`` as plain integer arithmetic.

``t`` and ``q`` are BIGINT microseconds since 1970; that ``t < q`` and ``a <= q`` is looked at elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection

from feature_platform.compiler.doris.text import floored, number
from feature_platform.compiler.fragments import Sql, all_of, any_of, sql
from feature_platform.compiler.frames import Frame


def entered(frame: Frame, t: Sql) -> Sql:
    """The first query time that counts the event, as far as the frame's end is concerned."""
    entry = frame.entry
    if entry.hop is None:
        return sql(":t + :passed", t=t, passed=number(entry.offset + 1))
    return sql(":tile + :passed", tile=floored(t, entry.hop), passed=number(entry.hop + entry.offset))


def left(frame: Frame, t: Sql) -> Sql | None:
    """The first query time that does not count the event any more; None: there is none."""
    if frame.window is None:
        return None
    back = frame.window + frame.offset
    if frame.hop is None:
        return sql(":t + :passed", t=t, passed=number(back + 1))
    return sql(":tile + :passed", tile=floored(t, frame.hop), passed=number(frame.hop + back))


def inside(frame: Frame, t: Sql, q: Sql) -> Sql | None:
    """Whether ``q`` counts an event before it; None where every such event counts."""
    ended = sql(":entered <= :q", entered=entered(frame, t), q=q) if frame.offset else None
    return all_of(_begun(frame, t, q), ended) or None


def reached(frames: Collection[Frame], t: Sql, q: Sql) -> Sql | None:
    """Whether some frame begins at or before the event; None where one has no start."""
    if any(frame.window is None for frame in frames):
        return None
    exact = [frame for frame in frames if frame.hop is None]
    farthest = [max(exact, key=lambda frame: frame.reach or 0)] if exact else []
    tiled = {(frame.reach, frame.hop): frame for frame in frames if frame.hop is not None}
    begun = (_begun(frame, t, q) for frame in (*farthest, *tiled.values()))
    return any_of(*(condition for condition in begun if condition))


def _begun(frame: Frame, t: Sql, q: Sql) -> Sql | None:
    leave = left(frame, t)
    return None if leave is None else sql(":leave > :q", leave=leave, q=q)

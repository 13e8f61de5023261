"""Which events a feature counts at a query time: window, offset and tile of one feature, and how SQL says it.

With ``q`` the query time, ``t`` an event's time, ``w`` the window, ``o`` the offset and ``h`` the tile, an event counts
iff ``start <= t < end``:

=========  ====================  ==========================================
accuracy   ``start``             ``end``
=========  ====================  ==========================================
exact      ``q - o - w``         ``q - o``
tiled      ``floor(q - o - w)``  ``q``; with an offset ``floor(q - o)``
=========  ====================  ==========================================

``floor`` goes down to a multiple of ``h`` since the epoch. Turned around, an event *enters* at one query time and
*leaves* at another, which is how points are counted (``windows_at_points``); as of a single moment the same two times
are compared with it. ``accuracy: snapshot`` is exact at another ``q``, so it has no frames of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from feature_platform.compiler.fragments import LONGEST_SUBTRACTED, Sql, all_of, any_of, duration, sql, started
from feature_platform.specs.aggregations import Aggregation
from feature_platform.specs.durations import Duration, is_all
from feature_platform.specs.fields import Accuracy
from feature_platform.types import Engine

_HOUR: Final = 3_600_000_000
_TILES: Final = ((12 * _HOUR, 300_000_000), (12 * 24 * _HOUR, _HOUR))
"""Microseconds: windows below the first are made of tiles of the second."""
_LARGEST_TILE: Final = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Frame:
    """The events that a feature counts, relative to the query time. Lengths in microseconds."""

    window: int | None
    """None: without start."""
    offset: int = 0
    hop: int | None = None
    """The length of a tile; None where starts are exact."""

    @property
    def entry(self) -> Entry:
        """What decides when events enter."""
        return Entry(self.offset, self.hop if self.offset else None)

    @property
    def reach(self) -> int | None:
        """No event that counts is farther back than this; None: any may be."""
        return None if self.window is None else self.window + self.offset + (self.hop or 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """When events enter: the offset, and the tile that an offset is rounded to."""

    offset: int
    hop: int | None

    def time(self, event: Sql, engine: Engine) -> Sql:
        """The first query time that counts the event, as far as its end is concerned."""
        if self.hop is None:
            return sql(":t + :passed", t=event, passed=duration(self.offset + 1))
        tile = floored(event, self.hop, engine)
        return sql(":tile + :passed", tile=tile, passed=duration(self.hop + self.offset))


def frame_of(line: Aggregation, window: Duration, accuracy: Accuracy) -> Frame:
    """The frame of one line in one window."""
    length = None if is_all(window) else window.microseconds
    offset = line.offset.microseconds if line.offset else 0
    if accuracy != "tiled":
        return Frame(length, offset)
    return Frame(length, offset, line.hop.microseconds if line.hop else tile_of(length))


def tile_of(window: int | None) -> int:
    """The tile of a window where none is declared: five minutes, an hour or a day."""
    if window is None:
        return _LARGEST_TILE
    return next((tile for below, tile in _TILES if window < below), _LARGEST_TILE)


def leaves(frame: Frame, event: Sql, engine: Engine) -> Sql | None:
    """The first query time that does not count the event any more; None: there is none."""
    if frame.window is None:
        return None
    back = frame.window + frame.offset
    if frame.hop is None:
        return sql(":t + :passed", t=event, passed=duration(back + 1))
    return sql(":tile + :passed", tile=floored(event, frame.hop, engine), passed=duration(frame.hop + back))


def begins(frame: Frame, moment: Sql, engine: Engine) -> Sql | None:
    """The earliest event time that counts at ``moment``; None: there is none, or engines can't go back that far."""
    if frame.reach is None or frame.window is None or frame.reach > LONGEST_SUBTRACTED:
        return None
    start = sql(":moment - :back", moment=moment, back=duration(frame.window + frame.offset))
    return start if frame.hop is None else floored(start, frame.hop, engine)


def inside(frame: Frame, event: Sql, moment: Sql, engine: Engine) -> Sql | None:
    """Whether ``moment`` counts an event before it; None where every such event counts."""
    ended = None
    if frame.offset:
        ended = sql(":entered <= :moment", entered=frame.entry.time(event, engine), moment=moment)
    return all_of(_begun(frame, event, moment, engine), ended) or None


def reached(frames: Collection[Frame], event: Sql, moment: Sql, engine: Engine) -> Sql | None:
    """Whether some frame begins at or before the event, as of ``moment``; None where one has no start.

    A view has a row for an entity with an event between the earliest start of its frames and the moment.
    """
    if any(frame.window is None for frame in frames):
        return None
    exact = [frame for frame in frames if frame.hop is None]
    farthest = [max(exact, key=lambda frame: frame.reach or 0)] if exact else []
    tiled = {(frame.reach, frame.hop): frame for frame in frames if frame.hop is not None}
    begun = [_begun(frame, event, moment, engine) for frame in (*farthest, *tiled.values())]
    conditions = [condition for condition in begun if condition]
    if len(conditions) == 1:
        return conditions[0]
    # The first condition is implied by the others; engines skip files by a plain bound, and by no disjunction.
    return all_of(started(event, moment, farthest_reach(frames)), any_of(*conditions))


def nests(frames: Iterable[Frame]) -> list[list[Frame]]:
    """The frames in groups whose members count ever more, shortest first: whatever one counts, those behind it count.

    Such frames end together, and none begins later than one before it. That is certain where tiles divide each other.
    """
    found: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda each: (each.window is None, each.window or 0, each.hop or 0)):
        for nest in found:
            if nest[-1].entry == frame.entry and (frame.hop or 1) % (nest[-1].hop or 1) == 0:
                nest.append(frame)
                break
        else:
            found.append([frame])
    return found


def farthest_reach(frames: Iterable[Frame]) -> int | None:
    """The reach of all frames together."""
    reaches = [frame.reach for frame in frames]
    return None if None in reaches else max(reach for reach in reaches if reach is not None)


def floored(time: Sql, hop: int, engine: Engine) -> Sql:
    """The beginning of the tile that a time lies in; tiles are counted from the epoch, before it too."""
    if engine == "duckdb":
        return sql("TIME_BUCKET(:hop, :time, TIMESTAMP '1970-01-01 00:00:00')", hop=duration(hop), time=time)
    return sql("DATE_BIN(:hop, :time, TIMESTAMP '1970-01-01 00:00:00')", hop=duration(hop), time=time)


def _begun(frame: Frame, event: Sql, moment: Sql, engine: Engine) -> Sql | None:
    if frame.window is None:
        return None
    if frame.hop is None:
        return started(event, moment, frame.window + frame.offset)
    leave = leaves(frame, event, engine)
    assert leave is not None
    # The first condition is implied by the second; it is there because engines can use it to skip files.
    return all_of(started(event, moment, frame.reach), sql(":leave > :moment", leave=leave, moment=moment))

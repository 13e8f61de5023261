"""Windows on a line of time: which payments count is what the reference says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from docs.pictures.page import NOW, Question, Row, counted, line_of, moment, payments, query_time, source_of, view_of
from docs.pictures.svg import WIDTH, Picture
from feature_platform.specs.durations import is_all
from tests.compiler import reference_windows as reference

LEFT: Final = 24
RIGHT: Final = WIDTH - 24
_RADIUS: Final = 10
_STEP: Final = 24
"""Height of one payment above another of nearly the same time."""
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Scale:
    """Time to pixels."""

    start: datetime
    end: datetime
    tick: timedelta
    format: str

    def x(self, at: datetime) -> float:
        share = (at - self.start) / (self.end - self.start)
        return LEFT + min(max(share, 0.0), 1.0) * (RIGHT - LEFT)

    def ticks(self) -> Iterator[datetime]:
        at = reference.floor(self.start, self.tick)
        while at <= self.end:
            if at >= self.start:
                yield at
            at += self.tick


@dataclass(frozen=True)
class Lane:
    """One question, drawn."""

    question: Question
    focus: int | None = None
    """A payment of which every version is shown, known or not, and when it became known."""


def window_picture(title: str, scale: Scale, lanes: Sequence[Lane]) -> Picture:
    """Lanes below each other, over one axis each."""
    picture = Picture(title, 0)
    top = 8.0
    for lane in lanes:
        top = _lane(picture, scale, lane, top)
    picture.height = top
    return picture


def _lane(picture: Picture, scale: Scale, lane: Lane, top: float) -> float:
    question = lane.question
    line, window = line_of(question.view, question.feature)
    accuracy, q = view_of(question.view).accuracy, query_time(question.view, question.at)
    placed = list(_placed(scale, lane, q))
    levels = max((level for _, _, level in placed), default=0) + 1
    head, axis = top + 62, top + 62 + 14 + levels * _STEP
    end = reference.end(q, window, line, accuracy)
    start = scale.start if is_all(window) else _start(question, q)
    x1, x2 = scale.x(start), scale.x(end)
    picture.text(LEFT, top + 14, _headline(question, start, end), bold=True)
    picture.rectangle(x1, head, x2 - x1, axis - head, "window")
    if accuracy == "tiled":
        _tiles(picture, scale, question, start, end, head, axis)
    if not is_all(window):
        picture.line(x1, head, x1, axis, "edge")
        picture.text(x1, head - 6, _clock(start, scale), "counts", anchor=_anchor(x1), small=True)
    elif x1 == LEFT:
        picture.text(LEFT + 6, head + 15, "◀ no start", "quiet", small=True)
    _moments(picture, scale, question, q, end, head, axis)
    axis_of(picture, scale, axis)
    for event, x, level in placed:
        _payment(picture, scale, event, x, axis - 14 - level * _STEP, lane, q)
    numbers = [str(event["payment"]) for event in sorted(counted(question), key=lambda event: event["payment"])]
    value = _sum(counted(question))
    picture.text(LEFT, axis + 38, f"counts {', '.join(numbers)}: sum {value}", "counts", bold=True)
    if accuracy == "tiled":
        picture.rectangle(RIGHT - 168, axis + 28, 22, 12, "more", round=3)
        picture.text(RIGHT, axis + 38, "added by the first tile", "quiet", anchor="end", small=True)
    return axis + 52


def _sum(events: Sequence[Row]) -> str:
    return f"{sum(event['amount'] for event in events):.2f}"


def _headline(question: Question, start: datetime, end: datetime) -> str:
    line, window = line_of(question.view, question.feature)
    accuracy = view_of(question.view).accuracy
    words = [f"{accuracy}, window {window.text}"]
    if line.offset:
        words.append(f"offset {line.offset.text}")
    form = "%H:%M" if end - start <= timedelta(hours=12) else "%-d %b %H:%M"
    begin = "" if is_all(window) else f"{start.strftime(form)} ≤ "
    return f"{', '.join(words)}, at {question.at:%H:%M}:   {begin}paid_at < {end.strftime(form)}"


def _start(question: Question, q: datetime) -> datetime:
    """The first minute that counts, by asking the reference for every hour, then every minute."""
    line, window = line_of(question.view, question.feature)
    accuracy = view_of(question.view).accuracy
    at = q
    for step in (timedelta(days=1), timedelta(hours=1), _MINUTE):
        while reference.begun(at - step, q, window, line, accuracy):
            at -= step
    return at


def _tiles(
    picture: Picture, scale: Scale, question: Question, start: datetime, end: datetime, head: float, axis: float
) -> None:
    """Whole tiles, then the raw head; the tile's part that is longer than the window is marked."""
    line, window = line_of(question.view, question.feature)
    hop = reference.tile(window, line)
    exact = end - timedelta(microseconds=window.microseconds)
    picture.rectangle(scale.x(start), head, scale.x(exact) - scale.x(start), axis - head, "more")
    raw = reference.floor(end, hop)
    at = start
    while at <= raw:
        picture.line(scale.x(at), axis - 8, scale.x(at), axis, "edge")
        picture.line(scale.x(at), head, scale.x(at), head + 8, "edge")
        at += hop
    x1, x2 = scale.x(raw), scale.x(end)
    if x2 - x1 > 4:
        picture.line(x1, head, x1, axis, "edge", dashed=True)
    picture.text(x2 - 5, head - 6, "raw head", "counts", anchor="end", small=True)
    picture.text((scale.x(start) + x1) / 2, head - 6, f"tiles of {_length(hop)}", "counts", anchor="middle", small=True)


def _length(hop: timedelta) -> str:
    minutes = hop // _MINUTE
    return f"{minutes} min" if minutes < 60 else "1 hour" if minutes == 60 else "1 day"


def _moments(
    picture: Picture, scale: Scale, question: Question, q: datetime, end: datetime, head: float, axis: float
) -> None:
    """The query time, and what replaces or shifts it."""
    x = scale.x(question.at)
    picture.line(x, head - 18, x, axis, "now")
    picture.text(x, head - 22, f"q {question.at:%H:%M}", "held", anchor=_anchor(x), bold=True, small=True)
    if q != question.at:
        picture.line(scale.x(q), head - 18, scale.x(q), axis, "now", dashed=True)
        picture.text(scale.x(q), head - 22, f"tick {q:%H:%M}", "held", anchor="middle", bold=True, small=True)
    elif end != q:
        picture.text(scale.x(end), head - 6, _clock(end, scale), "counts", anchor="middle", small=True)
        picture.line(scale.x(end), head, scale.x(end), axis, "edge", dashed=True)


def _clock(at: datetime, scale: Scale) -> str:
    return at.strftime("%H:%M" if scale.tick < timedelta(hours=1) else "%-d %b %H:%M")


def _anchor(x: float) -> str:
    return "start" if x < LEFT + 40 else "end" if x > RIGHT - 40 else "middle"


def axis_of(picture: Picture, scale: Scale, y: float) -> None:
    picture.line(LEFT - 8, y, RIGHT + 8, y, "line")
    for at in scale.ticks():
        x = scale.x(at)
        picture.line(x, y, x, y + 5, "line")
        picture.text(x, y + 18, at.strftime(scale.format), "quiet", anchor="middle", small=True)


def _placed(scale: Scale, lane: Lane, q: datetime) -> Iterator[tuple[Row, float, int]]:
    """Payments with their place; those of nearly the same time stand above each other, a version that came later above
    all.
    """
    known = reference.known_at(payments(), source_of(lane.question.view), max(q, lane.question.at))
    shown = [event for event in payments() if event in known or event["payment"] == lane.focus]
    rows: list[list[float]] = []
    for event in sorted(shown, key=lambda event: (event["known_at"] > event["paid_at"], event["paid_at"])):
        if not scale.start <= event["paid_at"] <= scale.end:
            continue
        x, level = scale.x(event["paid_at"]), 0
        if _focused(event, lane):
            level = len(rows)
        while level < len(rows) and any(abs(x - other) <= 2 * _RADIUS + 2 for other in rows[level]):
            level += 1
        rows.extend([] for _ in range(level + 1 - len(rows)))
        rows[level].append(x)
        yield event, x, level


def _focused(event: Row, lane: Lane) -> bool:
    """Whether it is shown when the payment became known."""
    return event["payment"] == lane.focus and bool(event["known_at"] > event["paid_at"])


def _payment(picture: Picture, scale: Scale, event: Row, x: float, y: float, lane: Lane, q: datetime) -> None:
    known = reference.known_at(payments(), source_of(lane.question.view), q)
    late = event["payment"] == lane.focus and event["known_at"] > q
    if _focused(event, lane):
        there = scale.x(event["known_at"])
        picture.arrow(x + _RADIUS, there, y, "now" if late else "faint")
        beside = max(there, scale.x(q)) + 6
        picture.text(beside, y + 4, f"known {event['known_at']:%H:%M}", "held" if late else "quiet", small=True)
    kind = "counts" if event in counted(lane.question) else "late" if late else "out"
    picture.circle(x, y, _RADIUS, kind)
    number = {"counts": "on", "late": "held", "out": "quiet"}[kind]
    picture.text(x, y + 4, str(event["payment"]), number, anchor="middle", bold=True, small=True)
    if event["payment"] == lane.focus and not late and event not in known:
        picture.line(x - _RADIUS, y + _RADIUS, x + _RADIUS, y - _RADIUS, "now")  # another version took its place


def window_pictures() -> dict[str, Picture]:
    """Slug → picture."""
    minutes = Scale(moment("03-10 13:20"), moment("03-10 15:00"), timedelta(minutes=10), "%H:%M")
    hours = Scale(moment("03-10 12:30"), moment("03-10 15:15"), timedelta(minutes=30), "%H:%M")
    day = Scale(moment("03-09 12:00"), moment("03-10 16:00"), timedelta(hours=4), "%H:%M")
    month = Scale(moment("02-06"), moment("03-12"), timedelta(days=4), "%-d %b")
    long = Scale(moment("01-18"), moment("03-14"), timedelta(days=7), "%-d %b")

    def one(title: str, scale: Scale, view: str, feature: str) -> Picture:
        return window_picture(title, scale, [Lane(Question(NOW, view, feature))])

    def lanes(title: str, focus: int, *times: str) -> Picture:
        questions = [Question(moment(f"03-10 {at}"), "card_spend", "amount_sum_1h") for at in times]
        return window_picture(title, hours, [Lane(question, focus) for question in questions])

    return {
        "exact": one("An exact window of one hour", minutes, "card_spend", "amount_sum_1h"),
        "tiled-5m": one("A window of one hour, in tiles of five minutes", minutes, "card_spend_tiled", "amount_sum_1h"),
        "tiled-1h": one("A window of one day, in tiles of one hour", day, "card_spend_tiled", "amount_sum_1d"),
        "tiled-1d": one("A window of thirty days, in tiles of one day", month, "card_spend_tiled", "amount_sum_30d"),
        "snapshot": one("One hour before the newest tick", hours, "card_spend_hourly", "amount_sum_1h"),
        "offset": one("The week before this one", month, "card_week_before", "amount_sum_7d_offset_7d"),
        "all": one("Everything before the query time", long, "card_lifetime", "amount_sum_all"),
        "late": lanes("A late event is held back until it is known", 10, "14:45", "14:48"),
        "correction": lanes("A correction takes an event out of a window", 7, "14:48", "14:52"),
    }

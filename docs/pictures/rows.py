"""Rows with a ttl, partitions and their runs, a derived feature: what each shows is what the reference says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from docs.pictures.page import (
    BACKFILL,
    NOW,
    QUESTIONS,
    Question,
    answer,
    builds,
    limits,
    loaded_payments,
    moment,
    newest_limit,
    scored,
    view_of,
)
from docs.pictures.svg import WIDTH, Picture
from docs.pictures.windows import LEFT, RIGHT, Scale, axis_of

_ROW: Final = 34


def rows_picture() -> Picture:
    """Bars from a row's time to the end of its ttl, and questions across them."""
    scale = Scale(moment("01-01"), moment("04-04"), timedelta(days=14), "%-d %b")
    ttl = view_of("card_limit").ttl
    assert ttl is not None
    top, axis = 64.0, 64.0 + len(limits()) * _ROW + 8
    picture = Picture("The newest row within its ttl answers", axis + 60)
    picture.text(LEFT, 22, f"ttl {ttl.text}: rows hold from changed_at on, once they are known", bold=True)
    for place, row in enumerate(limits()):
        y = top + place * _ROW
        begin, end = row["changed_at"], row["changed_at"] + timedelta(microseconds=ttl.microseconds)
        known = max(begin, row["known_at"])
        if known > begin:
            picture.rectangle(scale.x(begin), y, scale.x(known) - scale.x(begin), 22, "late")
        picture.rectangle(scale.x(known), y, scale.x(end) - scale.x(known), 22, "window")
        picture.line(scale.x(begin), y - 3, scale.x(begin), y + 25, "edge")
        words = f"limit {row['credit_limit']}" + (f", known {known:%-d %b}" if known > begin else "")
        picture.text(scale.x(end) - 8, y + 15, words, "counts", anchor="end", bold=True, small=True)
    for question in QUESTIONS["rows"]:
        _asked(picture, scale, question.at, top, axis)
    axis_of(picture, scale, axis)
    picture.circle(LEFT + 5, axis + 40, 5, "held")
    picture.text(LEFT + 18, axis + 44, "the row that answers", "quiet", small=True)
    picture.line(LEFT + 170, axis + 40, LEFT + 192, axis + 40, "now", dashed=True)
    picture.text(LEFT + 200, axis + 44, "a query time, its answer above", "quiet", small=True)
    picture.rectangle(LEFT + 410, axis + 33, 22, 14, "late")
    picture.text(LEFT + 440, axis + 44, "holds, but is not known yet", "quiet", small=True)
    return picture


def _asked(picture: Picture, scale: Scale, at: datetime, top: float, axis: float) -> None:
    x, row = scale.x(at), newest_limit(at)
    picture.line(x, top - 10, x, axis, "now", dashed=True)
    found = None if row is None else next(i for i, each in enumerate(limits()) if each.items() <= row.items())
    picture.text(
        x, top - 14, "NULL" if row is None else str(row["credit_limit"]), "held", anchor="middle", bold=True, small=True
    )
    if found is not None:
        picture.circle(x, top + found * _ROW + 11, 5, "held")


def partitions_picture() -> Picture:
    """A row per partition, a column per run; a cell is what the partition serves after that run."""
    runs = list(builds())
    days = sorted(runs[-1].served)
    left, top, width = 196.0, 74.0, (WIDTH - 196 - 16) / len(runs)
    picture = Picture("Which run builds which partition", top + len(days) * _ROW + 46)
    picture.text(LEFT - 8, 22, "What a partition serves after each run: payments of its day", bold=True)
    picture.text(LEFT - 8, top - 12, "partition", "quiet", small=True)
    for column, build in enumerate(runs):
        middle = left + (column + 0.5) * width
        picture.text(
            middle, top - 28, "backfill" if build.at == BACKFILL else "night to", "quiet", anchor="middle", small=True
        )
        picture.text(middle, top - 12, f"{build.at:%-d %b}", "ink", anchor="middle", small=True, bold=True)
        for row, day in enumerate(days):
            if day in build.served:
                y, differs = top + row * _ROW, build.served[day] != build.training[day]
                kind = "late" if differs else "counts" if day in build.built else "window"
                picture.rectangle(left + column * width + 3, y, width - 6, _ROW - 8, kind, round=4)
                ink = "held" if differs else "on" if day in build.built else "ink"
                words = f"{build.served[day]}, not {build.training[day]}" if differs else str(build.served[day])
                picture.text(middle, y + 17, words, ink, anchor="middle", bold=True)
    for row, day in enumerate(days):
        picture.text(LEFT - 8, top + row * _ROW + 17, f"{day:%-d %b}", "ink", bold=True)
    for event in loaded_payments():
        if event["loaded"] - event["paid_at"] > timedelta(hours=12):
            row = days.index(datetime.combine(event["paid_at"].date(), datetime.min.time()))
            picture.text(66, top + row * _ROW + 10, f"payment {event['payment']}", "held", small=True)
            picture.text(66, top + row * _ROW + 23, f"came {event['loaded']:%-d %b %H:%M}", "held", small=True)
    _key(picture, top + len(days) * _ROW + 12)
    return picture


def _key(picture: Picture, y: float) -> None:
    x = float(LEFT - 8)
    for kind, words in (
        ("counts", "built by this run"),
        ("window", "left as it was: current"),
        ("late", "parity exception: a training row counts another number"),
    ):
        picture.rectangle(x, y, 22, 14, kind, round=3)
        picture.text(x + 28, y + 12, words, "quiet", small=True)
        x += 52 + 6.4 * len(words)


def derived_picture() -> Picture:
    """Request and stored row into one expression; below each other for training and online."""
    hour = answer(Question(NOW, "card_spend_hourly", "amount_sum_1h"))
    share = float(answer(Question(NOW, "card_check", "share_of_hour")))
    picture = Picture("A derived feature is computed when it is asked for", 214)
    picture.text(LEFT, 24, "share_of_hour = amount / card_spend_hourly.amount_sum_1h", bold=True)
    for top, name, asked, stored in (
        (44.0, "training", "spine column", "window at the tick"),
        (128.0, "online", "request", "newest row in the store"),
    ):
        picture.text(LEFT, top + 36, name, "ink", bold=True)
        _box(picture, 110, top, 150, f"amount = {scored()['amount']}", asked, "more")
        _box(picture, 290, top, 190, f"amount_sum_1h = {float(hour):.2f}", stored, "window")
        picture.text(275, top + 38, "+", "ink", anchor="middle", bold=True)
        picture.arrow(488, 520, top + 34, "line")
        _box(picture, 528, top, RIGHT - 528, f"{share:g}", "one compiled expression", "counts")
    return picture


def _box(picture: Picture, x: float, top: float, width: float, value: str, what: str, kind: str) -> None:
    picture.rectangle(x, top, width, 68, kind, round=6)
    ink = "on" if kind == "counts" else "ink"
    picture.text(x + width / 2, top + 30, value, ink, anchor="middle", bold=True)
    picture.text(x + width / 2, top + 50, what, ink, anchor="middle", small=True)

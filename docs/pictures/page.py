"""What the page on time says: YAML, tables of events, questions; and answers from the plain-Python reference.

The page is the only source: pictures and tables of answers are made from it (``docs.pictures.draw``), and a test asks
the platform the same questions (``tests/acceptance/test_time_guide.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from feature_platform.registry.cron import parse_cron
from feature_platform.registry.graph import Registry
from feature_platform.registry.load import load_registry
from feature_platform.specs.durations import Duration
from feature_platform.specs.models import Aggregation, FeatureView, Source
from tests.compiler import reference_windows as reference

PAGE: Final = Path(__file__).parents[1] / "guides" / "time.md"
CARD: Final = 1
"""The only card there is."""
DAY: Final = timedelta(days=1)
Row = Mapping[str, Any]


def moment(text: str) -> datetime:
    """``03-10 14:42`` of 2026, or with its year."""
    return datetime.fromisoformat(text if text.startswith("20") else f"2026-{text}")


@dataclass(frozen=True)
class Question:
    """One feature at one time."""

    at: datetime
    view: str
    feature: str


NOW: Final = moment("03-10 14:42")
QUESTIONS: Final[Mapping[str, Sequence[Question]]] = {
    "exact": [
        Question(NOW, "card_spend", "amount_sum_1h"),
        Question(NOW, "card_spend", "count_1h"),
        Question(NOW, "card_spend", "amount_sum_1d"),
        Question(NOW, "card_spend", "amount_sum_30d"),
        Question(NOW, "card_spend", "time_since_last_1d"),
    ],
    "tiled": [Question(NOW, "card_spend_tiled", f"amount_sum_{window}") for window in ("1h", "1d", "30d")],
    "snapshot": [
        Question(NOW, "card_spend_hourly", "amount_sum_1h"),
        Question(NOW, "card_spend_hourly", "time_since_last_1d"),
    ],
    "offset": [
        Question(NOW, "card_week_before", "amount_sum_7d_offset_7d"),
        Question(NOW, "card_week_before", "amount_sum_7d"),
    ],
    "all": [Question(NOW, "card_lifetime", "amount_sum_all"), Question(NOW, "card_lifetime", "count_all")],
    "late": [Question(moment(f"03-10 {at}"), "card_spend", "amount_sum_1h") for at in ("14:45", "14:48")],
    "correction": [Question(moment(f"03-10 {at}"), "card_spend", "amount_sum_1h") for at in ("14:48", "14:52")],
    "rows": [
        Question(moment(at), "card_limit", "credit_limit")
        for at in ("01-20 12:00", "02-04 00:00", "02-10 12:00", "03-01 00:00", "03-06 12:00")
    ],
    "derived": [
        Question(NOW, "card_spend_hourly", "amount_sum_1h"),
        Question(NOW, "card_check", "share_of_hour"),
    ],
}
"""Slug of a table of answers → what it answers."""


@dataclass(frozen=True)
class Build:
    """A run of the daily view, and what it leaves: partition → number of payments."""

    at: datetime
    how: str
    built: Mapping[datetime, int]
    served: Mapping[datetime, int]
    training: Mapping[datetime, int]
    """What training rows at the partitions' ends get at the time of the run."""


def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def yaml_blocks(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def write_project(page: str, root: Path) -> None:
    """The page's project, every document of it, in a folder."""
    (root / "payments").mkdir(parents=True)
    for number, block in enumerate(yaml_blocks(page)):
        folder = root if "kind: platform" in block else root / "payments"
        (folder / f"block{number}.yaml").write_text(block, encoding="utf-8")


@cache
def registry() -> Registry:
    with TemporaryDirectory() as folder:
        write_project(text(), Path(folder))
        return load_registry(Path(folder))


def table(page: str, *columns: str) -> list[dict[str, str]]:
    """The rows of the page's table with these columns first."""
    head = "| " + " | ".join(columns) + " |"
    lines = page[page.index(head) :].split("\n\n", 1)[0].splitlines()[2:]
    return [dict(zip(columns, (cell.strip() for cell in line.strip("|").split("|")), strict=False)) for line in lines]


@cache
def payments() -> Sequence[Row]:
    """Versions of payments as the source has them."""
    return [
        {
            "payment": int(row["payment"]),
            "card_id": CARD,
            "paid_at": moment(row["paid_at"]),
            "known_at": moment(row["known_at"]),
            "amount": Decimal(row["amount"]),
        }
        for row in table(text(), "payment", "paid_at", "known_at", "amount")
    ]


@cache
def limits() -> Sequence[Row]:
    return [
        {
            "card_id": CARD,
            "changed_at": moment(row["changed_at"]),
            "known_at": moment(row["known_at"]),
            "credit_limit": int(row["credit_limit"]),
        }
        for row in table(text(), "changed_at", "known_at", "credit_limit")
    ]


@cache
def loaded_payments() -> Sequence[Row]:
    """Payments of the daily view; ``loaded`` is no column of its source."""
    return [
        {
            "payment": int(row["payment"]),
            "card_id": CARD,
            "paid_at": moment(row["paid_at"]),
            "loaded": moment(row["loaded"]),
        }
        for row in table(text(), "payment", "paid_at", "loaded")
    ]


def source_of(view: str) -> Source:
    found = registry().views[view].spec.source
    assert found is not None
    return registry().sources[found].spec


def view_of(name: str) -> FeatureView:
    return registry().views[name].spec


def line_of(view: str, feature: str) -> tuple[Aggregation, Duration]:
    """The aggregation line and the window of a feature."""
    lines = ((line, window) for line in view_of(view).aggregations for window in line.windows)
    return next((line, window) for line, window in lines if line.feature_name(window) == feature)


def query_time(view: str, at: datetime) -> datetime:
    """The time that counts: of a snapshot its tick."""
    spec = view_of(view)
    if spec.accuracy != "snapshot":
        return at
    cron = parse_cron(str(spec.storage.schedule))
    return reference.newest_tick(
        lambda t: cron.ticks_on(t.date()) and t.hour in cron.hours and t.minute in cron.minutes, at
    )


def counted(question: Question) -> list[Row]:
    """The payments that count, by the reference."""
    line, window = line_of(question.view, question.feature)
    source, q = source_of(question.view), query_time(question.view, question.at)
    known = reference.known_at(payments(), source, q)
    accuracy = view_of(question.view).accuracy
    return [
        event for event in known if reference.in_window(reference.happened(event, source), q, window, line, accuracy)
    ]


def answer(question: Question) -> Any:
    """The feature's value, by the reference."""
    spec = view_of(question.view)
    if spec.derived:
        # One expression, and its inputs by the reference; the platform's own answer is compared with it by the test.
        hour = answer(Question(question.at, "card_spend_hourly", "amount_sum_1h"))
        return Fraction(scored()["amount"]) / Fraction(hour)
    if not spec.aggregations:
        row = newest_limit(question.at)
        return None if row is None else row[question.feature]
    line, window = line_of(question.view, question.feature)
    return reference.feature(
        payments(),
        source_of(question.view),
        line,
        window,
        query_time(question.view, question.at),
        entity={"card_id": CARD},
        conditions={},
        accuracy=spec.accuracy,
    )


def scored() -> Row:
    """The payment that happens at the page's moment."""
    return next(event for event in payments() if event["paid_at"] == NOW)


def newest_limit(at: datetime) -> Row | None:
    """The row that answers at a time, by the reference."""
    rows = [{"event_time": row["changed_at"], "available_at": row["known_at"], **row} for row in limits()]
    return reference.newest_row(rows, at, view_of("card_limit").ttl, ["credit_limit"])


BACKFILL: Final = moment("03-06 12:00")


def builds() -> Iterator[Build]:
    """Every nightly run of the daily view, then a backfill: windows by the reference, over what was loaded."""
    storage = view_of("card_days").storage
    assert storage.start is not None
    assert storage.lookback is not None
    start, lookback = moment(str(storage.start)), timedelta(microseconds=storage.lookback.microseconds)
    served: dict[datetime, int] = {}
    for run in (*(moment("03-03") + number * DAY for number in range(4)), BACKFILL):
        newest = reference.floor(run, DAY) - DAY
        ended = [start + number * DAY for number in range((newest - start).days + 1)]
        now = {day: days_count(day + DAY, run) for day in ended}
        reach = start if run == BACKFILL else newest - lookback
        built = {day: number for day, number in now.items() if day >= reach and served.get(day) != number}
        served |= built
        yield Build(run, "backfill" if run == BACKFILL else "nightly run", built, dict(served), now)


def days_count(q: datetime, loaded_by: datetime) -> int:
    """``card_days`` at ``q``, from the payments that the source had at a time."""
    line, window = line_of("card_days", "count_1d")
    there = [event for event in loaded_payments() if event["loaded"] <= loaded_by]
    source = source_of("card_days")
    number: int = reference.feature(there, source, line, window, q, entity={"card_id": CARD}, conditions={})
    return number

"""The page on time says what is: its pictures and answers are drawn again and compared, its YAML is compiled, and the
platform is asked for every number of it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from docs.pictures import draw, page
from docs.pictures.page import BACKFILL, CARD, NOW, QUESTIONS
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from tests.compiler import reference_windows as reference

RENEW = "renew them and look at them: python -m docs.pictures.draw"
TEXT = page.text()


def test_the_pictures_are_what_the_reference_says() -> None:
    drawn = draw.pictures()
    kept = {path.name: path.read_text(encoding="utf-8") for path in draw.FOLDER.iterdir()}
    assert kept == drawn, RENEW
    assert {name: len(svg) for name, svg in drawn.items() if len(svg) > 15_000} == {}


def test_the_page_shows_every_picture_and_gives_each_a_text() -> None:
    shown = re.findall(r"!\[(.+?)\]\(\.\./images/time/(.+?)\)", TEXT)
    assert sorted(name for _, name in shown) == sorted(draw.pictures())


def test_the_answers_on_the_page_are_those_of_the_reference() -> None:
    assert draw.answered(TEXT) == TEXT, RENEW


def test_times_of_day_in_the_text_are_times_of_the_example() -> None:
    questions = [question for asked in QUESTIONS.values() for question in asked]
    aggregated = [each for each in questions if page.view_of(each.view).aggregations]
    known = {question.at for question in questions} | {page.query_time(each.view, each.at) for each in aggregated}
    known |= {each[column] for each in page.payments() for column in ("paid_at", "known_at")}
    for question in aggregated:
        line, window = page.line_of(question.view, question.feature)
        if window.text != "all":
            q = page.query_time(question.view, question.at)
            start = q - timedelta(microseconds=window.microseconds)
            known |= {start, reference.floor(start, reference.tile(window, line))}
    prose = "\n".join(line for line in TEXT.splitlines() if not line.startswith("|"))
    assert set(re.findall(r"\b\d\d:\d\d\b", prose)) <= {f"{at:%H:%M}" for at in known}


def write(path: Path, rows: Sequence[page.Row], *columns: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([row[column] for column in columns] for row in rows)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The page's own project, with the page's own rows."""
    root = tmp_path_factory.mktemp("time") / "project"
    page.write_project(TEXT, root)
    data = root / ".fp" / "data"
    data.mkdir(parents=True)
    write(data / "card_payments.csv", page.payments(), "payment", "card_id", "paid_at", "known_at", "amount")
    write(data / "limits.csv", page.limits(), "card_id", "changed_at", "known_at", "credit_limit")
    write(data / "daily_payments.csv", [], "payment", "card_id", "paid_at")
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(STATE_VARIABLE, raising=False)
        with Project.open(root) as opened:
            yield opened


def trained(store: FeatureStore, features: Sequence[str], times: Sequence[datetime]) -> list[dict[str, Any]]:
    amounts = [page.scored()["amount"]] * len(times)
    spine = pa.table({"card_id": [CARD] * len(times), "at": list(times), "amount": amounts})
    return store.training_set(spine, features, time="at").to_arrow().to_pylist()


def test_the_platform_gives_the_answers_of_the_page(project: Project) -> None:
    report = materialize(project, ["card_limit", "card_spend_hourly"], as_of=NOW)
    assert report.ok, report.of("failed")
    questions = [each for asked in QUESTIONS.values() for each in asked]
    times = sorted({each.at for each in questions})
    with FeatureStore(project, purpose="learning") as store:
        features = list(dict.fromkeys(f"{each.view}:{each.feature}" for each in questions))
        found = dict(zip(times, trained(store, features, times), strict=True))
        for each in questions:
            value = found[each.at][f"{each.view}__{each.feature}"]
            assert draw.written(each, value) == draw.written(each, page.answer(each)), each
        # Online: the row that the run for the tick published, and the amount of the request.
        vector = store.online(["card_check:share_of_hour"], {"card_id": CARD, "amount": page.scored()["amount"]})[0]
        assert vector.values["card_check__share_of_hour"] == found[NOW]["card_check__share_of_hour"]


def test_partitions_are_rebuilt_within_lookback_and_healed_by_a_backfill(project: Project) -> None:
    with FeatureStore(project, purpose="learning") as store:
        for build in page.builds():
            there = [each for each in page.loaded_payments() if each["loaded"] <= build.at]
            write(project.state / "data" / "daily_payments.csv", there, "payment", "card_id", "paid_at")
            partition = "all" if build.at == BACKFILL else None
            report = materialize(project, ["card_days"], as_of=build.at, partition=partition)
            assert report.ok, report.of("failed")
            rows = store.sql("SELECT event_time, count_1d FROM card_days").to_arrow().to_pylist()
            ends = {row["event_time"].astimezone(UTC).replace(tzinfo=None): row["count_1d"] for row in rows}
            assert {end - page.DAY: number for end, number in ends.items()} == build.served, build.at
        training = trained(store, ["card_days:count_1d"], [day + page.DAY for day in build.training])
        assert [row["card_days__count_1d"] for row in training] == list(build.training.values())

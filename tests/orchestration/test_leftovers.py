"""What stores hold that no definition asks for any more: named, shown before it goes, removed, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.orchestration.leftovers import Leftover, leftovers
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from tests.orchestration.builders import DAILY_SPEND, LAST_PAYMENT, Workplace, online, rows_of, utc

NOON = utc(2026, 1, 4, 12)
EVERYWHERE = LAST_PAYMENT.replace("online: redis", "online: [redis, postgres]")


def found(project: Project) -> dict[tuple[str, str], Leftover]:
    return {(each.name, each.store): each for each in leftovers(project) if isinstance(each, Leftover)}


def fp(cards: Workplace, *words: str, ends_with: int = 0) -> dict[str, Any]:
    ran = CliRunner().invoke(app, ["store", *words, "--project", str(cards.root), "--json"])
    assert ran.exit_code == ends_with, ran.output
    answer: dict[str, Any] = json.loads(ran.stdout or ran.stderr)
    return answer


def test_a_view_that_left_is_named_and_removed_from_every_store_and_nothing_else_is(cards: Workplace) -> None:
    cards.write(EVERYWHERE, DAILY_SPEND)
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        assert not found(project), "a definition asks for all of it"
    cards.write(DAILY_SPEND)
    with cards.open() as project:
        left = found(project)
        history = left["last_payment", "warehouse"]
        assert (history.kind, history.rows, history.event_time) == ("history", 4, utc(2026, 1, 3, 10))
        assert history.bytes
        assert history.published_at
        assert {key: each.kind for key, each in left.items()} == {
            ("last_payment", "warehouse"): "history",
            ("last_payment@redis", "warehouse"): "mirror",
            ("last_payment@postgres", "warehouse"): "mirror",
            ("last_payment", "redis"): "online",
            ("last_payment", "postgres"): "online",
        }
        assert (left["last_payment", "redis"].rows, left["last_payment", "postgres"].rows) == (2, 2)
    assert len(fp(cards, "status")["left"]) == 5
    assert len(fp(cards, "remove", "last_payment")["would_go"]) == 5
    assert len(fp(cards, "status")["left"]) == 5, "showing removes nothing"

    refused = fp(cards, "remove", "daily_spend", "--yes", ends_with=2)
    assert refused["problems"][0]["code"] == "FP-RUN-011"
    unknown = fp(cards, "remove", "last_paymnt", "--yes", ends_with=2)
    assert unknown["problems"][0]["code"] == "FP-RUN-012"
    assert [each["leftover"]["store"] for each in fp(cards, "remove", "--left", "--store", "redis", "--yes")["removed"]]

    done = fp(cards, "remove", "last_payment", "--yes")["removed"]
    assert [each["gone"] for each in done] == [True] * 4
    with cards.open() as project:
        assert not found(project)
        assert rows_of(project, "daily_spend")
        assert online(project, "daily_spend", 1, at=NOON) != [None]
    export = ["audit", "export", "--action", "removal", "--json", "--project", str(cards.root)]
    trail = CliRunner().invoke(app, export).stdout
    assert trail.count('"removal"') >= 5
    assert "online:last_payment of store:redis" in trail


def test_a_store_that_a_view_left_keeps_nothing_of_it_after_a_removal_that_was_stopped(
    cards: Workplace, stores: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.write(EVERYWHERE)
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
    cards.write(LAST_PAYMENT.replace("online: redis", "online: postgres"))
    with cards.open() as project:
        assert set(found(project)) == {("last_payment", "redis"), ("last_payment@redis", "warehouse")}
    monkeypatch.setenv("FP_TEST_REDIS", "redis://127.0.0.1:1/0")
    half = fp(cards, "remove", "last_payment", "--yes", ends_with=1)
    assert [(each["leftover"]["name"], each["gone"]) for each in half["removed"]] == [("last_payment@redis", True)]
    assert [each["store"] for each in half["unasked"]] == ["redis"]
    monkeypatch.setenv("FP_TEST_REDIS", stores["FP_TEST_REDIS"])
    rest = fp(cards, "remove", "last_payment", "--yes")["removed"]
    assert [(each["leftover"]["kind"], each["gone"]) for each in rest] == [("online", True)]
    with cards.open() as project:
        assert not found(project)
        assert online(project, "last_payment", 1, store="postgres") != [None]


def test_a_feature_that_left_takes_the_history_along_and_comes_not_back(cards: Workplace) -> None:
    cards.write(DAILY_SPEND.replace("online: redis, ", ""))
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
    cards.write(
        DAILY_SPEND.replace("online: redis, ", "")
        .replace("windows: [1d, 7d]", "windows: [1d]")
        .replace("    features:\n      amount_sum_7d: {max: 1000}\n", "")
    )
    assert [each["name"] for each in fp(cards, "status")["left"]] == ["daily_spend:amount_sum_7d"]
    assert fp(cards, "remove", "--left")["would_go"] == [], "wanted rows go only when the feature is named"
    shown = CliRunner().invoke(app, ["store", "remove", "daily_spend:amount_sum_7d", "--project", str(cards.root)])
    assert "takes all rows of 'daily_spend' along; then: fp materialize daily_spend" in shown.stdout.replace("\n", " ")
    assert fp(cards, "remove", "daily_spend:amount_sum_7d", "--yes")["removed"][0]["gone"]
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        assert "amount_sum_7d" not in rows_of(project, "daily_spend")[0]
        assert not found(project)

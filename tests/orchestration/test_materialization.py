"""The steps of a materialization, without Dagster."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from feature_platform.errors import GateError
from feature_platform.orchestration.history import why_stale
from feature_platform.orchestration.materialization import (
    Audited,
    audit,
    discard,
    publication,
    publish,
    request,
    stage,
    tick,
)
from feature_platform.orchestration.partitions import partition_of
from feature_platform.orchestration.report import RunEvent
from feature_platform.orchestration.runs import materialize
from tests.orchestration.builders import DAILY_SPEND, LAST_PAYMENT, Payment, Workplace, inherited, online, rows_of, utc

NOON = utc(2026, 1, 4, 12)
WHOLE = request("last_payment", None, NOON)


def test_the_steps_import_no_orchestrator() -> None:
    code = "import sys, feature_platform.orchestration.materialization as m; print('dagster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=inherited(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_staged_rows_are_seen_by_nobody_until_they_are_published(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        audited = audit(project, stage(project, WHOLE, run_id="run"))
        assert publication(project, "last_payment") is None
        publish(project, audited)
        assert len(rows_of(project, "last_payment")) == 4


def test_what_was_published_tells_run_definition_and_inputs(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        publish(project, audit(project, stage(project, WHOLE, run_id="run")))
        live = publication(project, "last_payment")
        assert live is not None
        assert live.properties["run_id"] == "run"
        assert live.properties["fingerprint"] == project.compiled.views["last_payment"].fingerprint
        assert live.properties["input:sources.transactions"]


def test_rows_that_failed_a_check_cannot_be_published(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT.replace("rows_min: 1", "rows_min: 100"))
    with cards.open() as project:
        audited = audit(project, stage(project, WHOLE, run_id="run"))
        with pytest.raises(GateError, match="row_count"):
            publish(project, audited)


def test_rows_that_nobody_audited_cannot_be_published(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        staged = stage(project, WHOLE, run_id="run")
        with pytest.raises(GateError, match="none was run"):
            publish(project, Audited(staged, ()))


def test_a_failed_check_that_does_not_block_lets_rows_through(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        audited = audit(project, stage(project, WHOLE, run_id="run"))
        warned = replace(
            audited, outcomes=tuple(replace(each, passed=False, blocking=False) for each in audited.outcomes)
        )
        assert publish(project, warned).rows == 4


def test_discarded_rows_are_gone(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        discard(project, stage(project, WHOLE, run_id="run"))
        assert list((cards.state / "warehouse").rglob("*.parquet")) == []


def test_a_partition_is_rebuilt_as_of_its_end(cards: Workplace) -> None:
    day = partition_of("2026-01-02", "day")
    assert request("daily_spend", day, NOON).as_of == utc(2026, 1, 3)


def test_rows_are_current_until_definition_or_input_changes(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        assert why_stale(project, "last_payment", as_of=NOON) == "never published"
        publish(project, audit(project, stage(project, WHOLE, run_id="run")))
        assert not why_stale(project, "last_payment", as_of=NOON)
        cards.pay([Payment(3, utc(2026, 1, 3))], file="2.csv")
        assert why_stale(project, "last_payment", as_of=NOON) == "new rows in sources.transactions"
    cards.write(LAST_PAYMENT.replace("amount, note", "amount * 2 AS amount, note"))
    with cards.open() as project:
        assert why_stale(project, "last_payment", as_of=NOON) == "definition changed"


def test_an_unpartitioned_aggregation_is_current_for_one_moment(cards: Workplace) -> None:
    cards.write(DAILY_SPEND.replace("partition: day, start: 2026-01-01", "partition: none"))
    with cards.open() as project:
        publish(project, audit(project, stage(project, request("daily_spend", None, NOON), run_id="run")))
        assert not why_stale(project, "daily_spend", as_of=NOON)
        assert why_stale(project, "daily_spend", as_of=utc(2026, 1, 4, 13)) == "another moment"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ('schedule: "@daily"', utc(2026, 3, 4)),
        ('schedule: "@hourly"', utc(2026, 3, 4, 15)),
        ('schedule: "30 6 * * *"', utc(2026, 3, 4, 6, 30)),
        ("offline: warehouse", utc(2026, 3, 4, 15)),
    ],
)
def test_an_aggregation_stands_for_the_newest_tick_of_its_schedule(
    cards: Workplace, schedule: str, expected: object
) -> None:
    storage = f"{{{schedule}, partition: none}}"
    cards.write(DAILY_SPEND.partition("materialization:")[0] + f"materialization: {storage}\n")
    spec = cards.open().registry.views["daily_spend"].spec
    assert tick(spec, utc(2026, 3, 4, 15, 59)) == expected


def test_rows_of_a_query_stand_for_now(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    spec = cards.open().registry.views["last_payment"].spec
    assert tick(spec, NOON) == NOON


def test_a_run_that_was_overtaken_says_so_and_leaves_what_is_live(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)

    def overtake(event: RunEvent) -> None:
        if (event.asset, event.step) == ("warehouse/payments/last_payment", "publish"):
            cards.pay([Payment(3, utc(2026, 1, 3))], file="2.csv")
            publish(project, audit(project, stage(project, WHOLE, run_id="faster")))

    with cards.open() as project:
        report = materialize(project, as_of=NOON, on_event=overtake)
        assert report.ok, "nobody has to get up for it"
        (history,) = (each for each in report.assets if each.store == "warehouse")
        assert (history.status, "began later" in history.reason) == ("superseded", True)
        assert [each["card_id"] for each in rows_of(project, "last_payment")][-1] == 3
        live = publication(project, "last_payment")
        assert live is not None
        assert live.properties["run_id"] == "faster"
        assert online(project, "last_payment", 3) != [None], "what depends on it goes on with what is live"


def test_a_history_goes_back_to_an_earlier_moment_only_for_those_who_ask(cards: Workplace) -> None:
    cards.write(
        DAILY_SPEND.replace("partition: day, start: 2026-01-01", "partition: none").replace("online: redis, ", "")
    )
    earlier = utc(2026, 1, 3, 12)
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        (late,) = materialize(project, as_of=earlier).assets
        assert (late.status, "live as of 2026-01-04T12:00:00" in late.reason) == ("superseded", True)
        (back,) = materialize(project, as_of=earlier, force=True).assets
        assert back.status == "published"
        live = publication(project, "daily_spend")
        assert live is not None
        assert live.properties["as_of"] == earlier.isoformat()

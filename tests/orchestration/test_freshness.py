"""Freshness of aggregation views: their rows carry the tick, so their age is that of the newest event behind them."""

from __future__ import annotations

from datetime import datetime

import pytest

from feature_platform.monitoring.outcome import FRESHNESS, CheckOutcome
from feature_platform.orchestration.materialization import audit, request, stage
from tests.orchestration.builders import DAILY_SPEND, Payment, Workplace, utc

NEWEST_PAYMENT = utc(2026, 1, 3, 10)
HOURLY = DAILY_SPEND.replace("partition: day, start: 2026-01-01", "partition: none").replace(
    "    features:\n", "    contract: {freshness: 2h}\n    features:\n"
)


def _outcome(cards: Workplace, as_of: datetime) -> CheckOutcome:
    cards.write(HOURLY)
    with cards.open() as project:
        audited = audit(project, stage(project, request("daily_spend", None, as_of), run_id="run"))
        return next(outcome for outcome in audited.outcomes if outcome.name == FRESHNESS)


@pytest.mark.parametrize(("hour", "passes"), [(12, True), (13, False)])
def test_old_events_behind_new_ticks_are_not_fresh(cards: Workplace, hour: int, passes: bool) -> None:
    outcome = _outcome(cards, utc(2026, 1, 3, hour))
    assert outcome.passed is passes
    assert outcome.metadata["newest_event_time"] == NEWEST_PAYMENT.isoformat()


def test_an_event_after_the_tick_makes_nothing_fresh(cards: Workplace) -> None:
    cards.pay([Payment(3, utc(2026, 1, 9))], file="2.csv")
    assert not _outcome(cards, utc(2026, 1, 5)).passed


def test_no_event_before_the_tick_is_not_fresh(cards: Workplace) -> None:
    assert not _outcome(cards, utc(2025, 12, 1)).passed

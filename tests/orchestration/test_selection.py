"""What a selection names."""

from __future__ import annotations

import pytest

from feature_platform.errors import UsageError
from feature_platform.orchestration.selection import Selected, select
from feature_platform.registry.graph import Registry
from tests.orchestration.builders import CARD_MODEL, DAILY_SPEND, LAST_PAYMENT, PAYMENT_RATIO, PAYMENT_SIZE, Workplace


@pytest.fixture
def registry(cards: Workplace) -> Registry:
    cards.write(LAST_PAYMENT, PAYMENT_SIZE, DAILY_SPEND, PAYMENT_RATIO, CARD_MODEL)
    return cards.open().registry


@pytest.mark.parametrize(
    ("selection", "views", "services"),
    [
        (None, {"last_payment", "payment_size", "daily_spend"}, {"card_model"}),
        (["payment_size"], {"payment_size"}, set()),
        (["+payment_size"], {"payment_size", "last_payment"}, set()),
        (["daily_spend+"], {"daily_spend"}, {"card_model"}),
        (["last_payment+"], {"last_payment", "payment_size"}, {"card_model"}),
        (["+card_model"], {"last_payment", "daily_spend"}, {"card_model"}),
        (["+payment_size+"], {"last_payment", "payment_size"}, set()),
        (["+payment_ratio"], {"last_payment"}, set()),
        (["domain:payments"], {"last_payment", "payment_size", "daily_spend"}, {"card_model"}),
        (["payment_size", "daily_spend"], {"payment_size", "daily_spend"}, set()),
    ],
)
def test_a_selection_names_views_and_services(
    registry: Registry, selection: list[str] | None, views: set[str], services: set[str]
) -> None:
    selected = select(registry, selection)
    assert (set(selected.views), set(selected.services)) == (views, services)


def test_views_come_after_those_that_they_read(registry: Registry) -> None:
    assert select(registry, ["payment_size", "last_payment"]) == Selected(("last_payment", "payment_size"), ())


@pytest.mark.parametrize("selection", [["payment_ratio"], []])
def test_a_selection_without_anything_to_materialize_is_refused(registry: Registry, selection: list[str]) -> None:
    with pytest.raises(UsageError, match="FP-RUN-002"):
        select(registry, selection)

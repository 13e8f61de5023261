"""Which features a session may have: labels, what lies behind them, keys, and what they tell together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_platform.errors import GuardError, UsageError
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from feature_platform.sdk.selection import Asker, select
from tests.compiler.sql_projects import project, view

POLICY = """
kind: policy
name: more
owner: privacy@example.com
rules:
  - {classification: birth_date, action: deny, transforms: [age_band, birth_year]}
  - {classification: payment_card, purposes: [marketing], action: deny}
  - classification: email
    purposes: [marketing]
    roles: [investigator]
    action: raw
    approver: dpo@example.com
    expires: 2020-01-31
"""
PEOPLE = """
kind: source
name: people
domain: payments
table: people
event_time: at
columns: {customer_id: {type: bigint}, born: {type: date, pii: birth_date}, at: {type: timestamp}}
"""
GROUPED = "SELECT customer_id, max(updated_at) AS at, count(*) AS n FROM customers GROUP BY customer_id, email"


def of_customers(name: str, sql: str) -> str:
    return view(name, sql, entity="customer", event_time="at")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    project(
        tmp_path / "defs",
        POLICY,
        PEOPLE,
        of_customers("age", "SELECT customer_id, at, age_band(born, at) AS band FROM people"),
        of_customers("year", "SELECT customer_id, at, birth_year(born) AS year FROM people"),
        of_customers("grouped", GROUPED),
        view("amounts", "SELECT card_number, event_time, amount FROM transactions"),
    )
    with Project.open(tmp_path / "defs") as found:
        yield found


def test_two_forms_of_one_value_are_refused_together_and_given_alone(opened: Project) -> None:
    fraud = Asker("fraud", "author")
    assert select(opened, ["age:band"], fraud)
    assert select(opened, ["year:*"], fraud)
    with pytest.raises(UsageError, match="age_band and birth_year of birth_date together tell more"):
        select(opened, ["age:band", "year:year"], fraud)


def test_a_feature_behind_which_a_class_is_closed_is_refused(opened: Project) -> None:
    assert select(opened, ["grouped:n"], Asker("fraud", "author"))
    with pytest.raises(UsageError, match=r"grouped:n depends on customers.email \(email\), of which nothing is open"):
        select(opened, ["grouped:n"], Asker("marketing", "author"))


def test_features_by_a_key_that_is_closed_are_refused(opened: Project) -> None:
    assert select(opened, ["amounts:amount"], Asker("fraud", "author"))
    with pytest.raises(UsageError, match="known by a key that is token"):
        select(opened, ["amounts:amount"], Asker("marketing", "author"))


def test_a_session_is_told_that_its_permission_for_raw_values_is_over(opened: Project) -> None:
    store = FeatureStore(opened, purpose="marketing", role="investigator")
    with pytest.raises(GuardError, match=r"FP-SQL-020.*expired on 2020-01-31"):
        store.sql("SELECT email FROM customers")

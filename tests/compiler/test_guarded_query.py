"""What a guarded query says about itself: rules, transforms, raw values."""

from __future__ import annotations

from datetime import date

import pytest

import feature_platform.compiler
from feature_platform.compiler.catalog import CatalogColumn, CatalogTable
from feature_platform.errors import GuardError, Location
from feature_platform.governance.access import Access
from feature_platform.governance.labels import Label, describe
from feature_platform.governance.policies import BookRule, PolicyBook
from feature_platform.registry.graph import TableRef
from feature_platform.specs.models import PolicyRule
from feature_platform.types import STRING
from tests.compiler.sql_catalogs import POLICIES, catalog, guarded, rule

RAW = PolicyRule.model_validate(
    {
        "classification": "email",
        "purposes": ("fraud",),
        "roles": ("investigator",),
        "action": "raw",
        "approver": "dpo@example.com",
        "expires": "2026-06-01",
    }
)
INVESTIGATIONS = PolicyBook((BookRule("cases", RAW, Location("cases.yaml", 9)),), date(2026, 6, 1))


def test_the_package_hands_out_the_function_and_its_result() -> None:
    # whatever else was imported before: the module has the name of the function
    query = feature_platform.compiler.guard("SELECT mcc FROM merchants", catalog(), Access(("fraud",)))
    assert isinstance(query, feature_platform.compiler.GuardedQuery)


def test_a_query_says_which_rule_opened_which_column() -> None:
    query = guarded(
        "SELECT c.email, last4(t.card_number) AS ends, s.issuer FROM transactions AS t "
        "JOIN customers AS c ON c.customer_id = t.customer_id JOIN card_spend AS s ON s.card_number = t.card_number"
    )
    by = "by policy 'privacy' (policy.yaml:5)"
    assert [str(rule) for rule in query.rules] == [
        f"customers.email (email) gives token {by}",
        f"transactions.card_number (payment_card) gives last4 {by}",
        f"transactions.card_number (payment_card) gives token {by}",
        f"card_spend.card_number (payment_card) gives token(payment_card) {by}",
        f"card_spend.issuer (payment_card) gives partial(payment_card, bin6) {by}",
    ]
    assert query.transforms == {"token", "last4"}
    assert query.compiled().rules == query.rules


def test_a_column_that_only_decides_about_rows_is_accounted_for_too() -> None:
    query = guarded("SELECT count(*) AS n FROM customers WHERE email_domain(email) = 'gmail.com'")
    assert [rule.gives for rule in query.rules] == ["email_domain"]
    assert query.transforms == {"email_domain"}


def test_of_several_purposes_only_rules_that_give_it_are_named() -> None:
    stricter = PolicyBook((*POLICIES.rules, rule("payment_card", "token", purposes=["marketing"])))
    both = Access(("marketing", "fraud"), policies=stricter)
    query = guarded("SELECT last4(card_number) AS ends FROM transactions", both)
    assert [(each.gives, each.where) for each in query.rules] == [("last4", Location("policy.yaml", 5, 3))]


def test_a_raw_value_is_labelled_at_every_distance_and_its_rule_is_told() -> None:
    access = Access(("fraud",), "investigator", policies=INVESTIGATIONS)
    query = guarded(
        "SELECT lower(e) AS e, n FROM (SELECT email AS e, max(email) AS n FROM customers GROUP BY 1)", access
    )
    assert [describe(column.labels) for column in query.columns] == ["derived(email) + raw(email)"] * 2
    assert [str(each) for each in query.rules] == ["customers.email (email) gives raw by policy 'cases' (cases.yaml:9)"]
    assert '"email" AS "email" FROM "sources"."customers"' in query.sql("duckdb")


def test_a_raw_value_is_refused_after_its_last_day_and_to_authors() -> None:
    over = Access(("fraud",), "investigator", policies=INVESTIGATIONS.on(date(2026, 6, 2)))
    with pytest.raises(GuardError, match=r"FP-SQL-020.*policy 'cases' \(cases.yaml:9\) expired on 2026-06-01"):
        guarded("SELECT email FROM customers", over)
    with pytest.raises(GuardError, match="FP-SQL-020"):
        guarded("SELECT email FROM customers", Access(("fraud",), policies=INVESTIGATIONS))


def test_a_column_of_a_view_that_carried_a_raw_value_would_be_refused_to_authors() -> None:
    leaking = CatalogTable(
        TableRef("view", "leak"), (CatalogColumn("e", STRING, labels=frozenset({Label("raw", "email")})),)
    )
    with pytest.raises(GuardError, match=r"FP-SQL-028.*raw\(email\)"):
        guarded("SELECT e FROM leak", over=catalog(leaking))


# Forms of one value together

PARTS = (
    rule("payment_card", "token", "bin6", "last4", purposes=["fraud"], together=[["bin6", "last4"]]),
    rule("email", "token", "email_domain"),
)


@pytest.mark.parametrize(
    "select",
    [
        "SELECT card_number, last4(card_number) AS x FROM transactions",
        "SELECT card_number AS x, amount FROM transactions WHERE last4(card_number) = '1111'",
        "SELECT t.card_number, s.issuer FROM transactions AS t JOIN card_spend AS s ON s.card_number = t.card_number",
        "SELECT count(DISTINCT card_number) AS n, card_number, last4(card_number) AS x FROM transactions GROUP BY ALL",
        "SELECT max(bin6(card_number)) AS x, card_number FROM transactions GROUP BY card_number",
    ],
)
def test_a_part_of_a_card_beside_its_token_needs_a_policy_for_it(select: str) -> None:
    with pytest.raises(GuardError, match="FP-SQL-043") as caught:
        guarded(select, Access(("fraud",), policies=PolicyBook(PARTS)))
    (problem,) = caught.value.problems
    assert "combinations: [[" in problem.mend
    open_ = rule("payment_card", "token", "bin6", "last4", together=[["bin6", "last4", "token"]])
    guarded(select, Access(("fraud",), policies=PolicyBook((open_,))))


@pytest.mark.parametrize(
    "select",
    [
        "SELECT bin6(card_number) AS x, last4(card_number) AS y FROM transactions",
        "SELECT last4(t.card_number) AS x FROM transactions AS t JOIN customers AS c ON c.card_number = t.card_number",
        "SELECT email, email_domain(email) AS x FROM customers",
        "SELECT count(card_number) AS n, last4(card_number) AS x FROM transactions GROUP BY last4(card_number)",
    ],
)
def test_what_tells_no_more_together_needs_none(select: str) -> None:
    guarded(select, Access(("fraud",), policies=PolicyBook(PARTS)))


def test_only_what_every_matching_rule_lets_stand_together_may() -> None:
    stricter = rule("payment_card", "token", "bin6", "last4")
    with pytest.raises(GuardError, match="bin6 and last4 of payment_card"):
        guarded(
            "SELECT bin6(card_number) AS x, last4(card_number) AS y FROM transactions",
            Access(("fraud",), policies=PolicyBook((*PARTS, stricter))),
        )

"""Purposes are inherited: what comes from a class that is closed for a purpose never gets there, at any distance."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.guard import guard
from feature_platform.compiler.project import compile_project
from feature_platform.errors import CompileError, GuardError
from tests.compiler.sql_projects import project, service, view

CLOSED = "\n---\n".join(
    [
        """kind: policy
name: marketing
owner: privacy@example.com
rules: [{classification: email, purposes: [marketing], action: deny}]""",
        view(
            "step_0",
            "SELECT customer_id, updated_at, 1 AS one, email_domain(email) AS secret, segment FROM customers",
            entity="customer",
            event_time="updated_at",
        ),
    ]
)
"""E-mail addresses are open for fraud (token, domain) and closed for marketing."""

STEPS = {
    "keep": "SELECT customer_id, event_time, one, secret, segment FROM {before}",
    "rename": "SELECT customer_id, event_time, one, CASE WHEN one = 1 THEN secret END AS secret, segment FROM {before}",
    "test": "SELECT customer_id, event_time, one, secret IS NULL AS secret, segment FROM {before}",
    "condition": "SELECT customer_id, event_time, one, one AS secret, segment FROM {before} WHERE secret IS NOT NULL",
    "branch": "SELECT customer_id, event_time, one, CASE WHEN secret = secret THEN 1 ELSE 0 END AS secret, segment "
    "FROM {before}",
    "number": "SELECT customer_id, max(event_time) AS event_time, 1 AS one, count(secret) AS secret, "
    "max(segment) AS segment FROM {before} GROUP BY customer_id",
    "window": "SELECT customer_id, event_time, one, segment, "
    "first_value(secret) OVER (PARTITION BY customer_id ORDER BY event_time, segment) AS secret FROM {before}",
    "linked": "SELECT a.customer_id, a.event_time, a.one, b.secret, a.segment FROM {before} AS a "
    "JOIN {before} AS b ON a.customer_id = b.customer_id",
}


def chain(folder: Path, steps: list[str], feature: str = "secret", *, purpose: str = "marketing") -> None:
    """Compiles views on views, and a service that asks for a feature of the last."""
    views = [
        view(
            f"step_{number}",
            STEPS[step].format(before=f"step_{number - 1}"),
            entity="customer",
        )
        for number, step in enumerate(steps, start=1)
    ]
    asking = service("asking", f"[step_{len(steps)}:{feature}]", purpose) + "domain: payments\n"
    compile_project(project(folder, CLOSED, *views, asking))


@pytest.mark.parametrize("distance", [0, 1, 3])
@pytest.mark.parametrize("step", STEPS)
def test_a_feature_is_refused_to_a_forbidden_purpose_at_every_distance(
    step: str, distance: int, tmp_path: Path
) -> None:
    with pytest.raises(CompileError, match=r"FP-SQL-041.*'step_\d:secret'.*customers.email.*policy 'marketing'"):
        chain(tmp_path, [step] * distance)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=5))
def test_no_chain_of_views_sheds_what_it_comes_from(steps: list[str]) -> None:
    with TemporaryDirectory() as folder, pytest.raises(CompileError, match=r"FP-SQL-041.*customers.email"):
        chain(Path(folder), steps)


def test_derived_features_and_aggregations_inherit_too(tmp_path: Path) -> None:
    derived = (
        "kind: feature_view\nname: known\nentity: customer\ninputs: [step_0]\n"
        "derived: [{name: has_address, expression: secret IS NOT NULL}]"
    )
    counted = (
        "kind: feature_view\nname: counted\ndomain: payments\nentity: customer\nsource: customers\n"
        "aggregations: [{function: count, where: email IS NULL, windows: [1d], name: missing}]"
    )
    for wanted, document in (("known:has_address", derived), ("counted:missing_1d", counted)):
        asking = service("asking", f"[{wanted}]", "marketing") + "domain: payments\n"
        with pytest.raises(CompileError, match=rf"FP-SQL-041.*'{wanted}'.*customers.email"):
            compile_project(project(tmp_path / wanted.partition(":")[0], CLOSED, document, asking))


@pytest.mark.parametrize("steps", [[], ["keep"], ["rename", "test", "window"]])
def test_a_feature_beside_it_stays_open(steps: list[str], tmp_path: Path) -> None:
    chain(tmp_path / "beside", steps, "segment")
    chain(tmp_path / "fraud", steps, purpose="fraud")


GROUPED_BY_EMAIL = view(
    "pairs",
    "SELECT customer_id, max(updated_at) AS updated_at, count(*) AS rows FROM customers GROUP BY customer_id, email",
    entity="customer",
    event_time="updated_at",
)


def test_a_feature_that_was_only_grouped_by_tokens_depends_on_them(tmp_path: Path) -> None:
    asking = service("asking", "[pairs:rows]", "marketing") + "domain: payments\n"
    with pytest.raises(CompileError, match=r"FP-SQL-041: feature 'pairs:rows' depends on customers.email \(email\)"):
        compile_project(project(tmp_path, GROUPED_BY_EMAIL, asking))


def test_an_ad_hoc_query_inherits_purposes_too(tmp_path: Path) -> None:
    registry = project(tmp_path, GROUPED_BY_EMAIL)
    compiled = compile_project(registry)
    query, catalog = "SELECT max(rows) AS n FROM pairs", catalog_of(registry, compiled.views)
    assert guard(query, catalog, compiled.author.with_purposes(["fraud"])).columns[0].name == "n"
    with pytest.raises(GuardError, match=r"FP-SQL-028.*'rows' depends on email"):
        guard(query, catalog, compiled.author.with_purposes(["marketing"]))


AMOUNTS = """
kind: feature_view
name: amounts
domain: payments
entity: card
source: transactions
aggregations: [{function: sum, column: amount, windows: [1d], name: spent}]
"""
NO_CARDS = """
kind: policy
name: no_cards
owner: privacy@example.com
rules:
  - {classification: payment_card, purposes: [marketing], action: deny}
"""


def test_a_service_may_not_have_features_by_a_key_that_is_closed(tmp_path: Path) -> None:
    asking = service("asking", "[amounts:spent_1d]", "marketing") + "domain: payments\n"
    compile_project(project(tmp_path / "open", AMOUNTS, asking))
    with pytest.raises(CompileError, match=r"FP-SQL-041.*transactions.card_number \(payment_card\)"):
        compile_project(project(tmp_path / "closed", AMOUNTS, NO_CARDS, asking))


# Forms that tell more together


def combining(folder: Path, allowed: str) -> None:
    policy = (
        "kind: policy\nname: birth\nowner: privacy@example.com\nrules:\n  - {classification: birth_date, action: deny, "
        f"transforms: [age_band, birth_year], combinations: {allowed}}}"
    )
    people = (
        "kind: source\nname: people\ndomain: payments\ntable: people\nevent_time: at\ncolumns:\n"
        "  customer_id: {type: bigint}\n  born: {type: date, pii: birth_date}\n  at: {type: timestamp}"
    )
    one, two = (
        view(f"v_{name}", f"SELECT customer_id, at, {call} AS {name} FROM people", entity="customer", event_time="at")
        for name, call in (("age", "age_band(born, at)"), ("year", "birth_year(born)"))
    )
    asking = service("asking", "[v_age:age, v_year:year]") + "domain: payments\n"
    compile_project(project(folder, policy, people, one, two, asking))


def test_a_service_that_brings_forms_together_needs_a_policy_for_it(tmp_path: Path) -> None:
    combining(tmp_path / "allowed", "[[age_band, birth_year]]")
    with pytest.raises(CompileError, match=r"FP-SQL-043: service 'asking': age_band and birth_year of birth_date"):
        combining(tmp_path / "alone", "[]")

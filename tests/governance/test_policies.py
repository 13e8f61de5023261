"""What the book of policies opens and closes."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from feature_platform.errors import Location
from feature_platform.governance.access import Access
from feature_platform.governance.labels import Label
from feature_platform.governance.policies import BookRule, Decision, PolicyBook
from feature_platform.governance.policy_checks import check_policies
from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.registry.graph import Origin, Registry
from feature_platform.specs.models import Platform, Policy, PolicyRule

FRAUD, CREDIT = "fraud_detection", "credit_risk"


def rule(classification: str = "email", action: str = "token", **fields: Any) -> PolicyRule:
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return PolicyRule.model_validate({"classification": classification, "action": action, **lists})


def book(*rules: PolicyRule) -> PolicyBook:
    return PolicyBook(tuple(BookRule("privacy", each, Location("p.yaml", n)) for n, each in enumerate(rules, start=1)))


def decide(
    rules: PolicyBook, classification: str | None, *purposes: str, role: str = "author", place: str = ""
) -> Decision:
    return Access(purposes or (FRAUD,), role, place, rules).decide(classification)


def test_what_no_rule_names_is_denied() -> None:
    decision = decide(book(rule("email")), "phone")
    assert (decision.action, decision.transforms, decision.cited) == (
        "deny",
        frozenset(),
        "no rule of any policy allows it",
    )


@pytest.mark.parametrize("classification", [None, "none"])
def test_columns_that_are_not_personal_are_clear(classification: str | None) -> None:
    assert decide(book(), classification).action == "clear"


@pytest.mark.parametrize(
    ("purposes", "roles", "matches"),
    [((), (), True), ((FRAUD,), (), True), ((CREDIT,), (), False), ((), ("author",), True), ((), ("auditor",), False)],
)
def test_a_rule_counts_for_its_purposes_and_roles_only(
    purposes: tuple[str, ...], roles: tuple[str, ...], matches: bool
) -> None:
    decision = decide(book(rule(purposes=purposes, roles=roles)), "email")
    assert (decision.action == "token") is matches


@pytest.mark.parametrize(
    ("environments", "place", "matches"),
    [((), "laptop", True), (("production",), "production", True), (("production",), "laptop", False)],
)
def test_a_rule_counts_in_its_environments_only(environments: tuple[str, ...], place: str, matches: bool) -> None:
    decision = decide(book(rule(environments=environments)), "email", place=place)
    assert (decision.action == "token") is matches


def test_the_most_restrictive_matching_rule_wins_and_is_cited() -> None:
    rules = book(rule(action="token", transforms=["email_domain"]), rule(action="deny"), rule(action="redact"))
    decision = decide(rules, "email")
    assert (decision.action, decision.location) == ("deny", Location("p.yaml", 2))
    assert decision.cited == ", ".join(f"policy 'privacy' (p.yaml:{line})" for line in (1, 2, 3))


def test_a_transform_stays_allowed_only_if_every_matching_rule_allows_it() -> None:
    rules = book(rule(transforms=["email_domain", "redact"]), rule(transforms=["redact"], purposes=[FRAUD]))
    assert decide(rules, "email", FRAUD).transforms == {"token", "redact"}
    assert decide(rules, "email", CREDIT).transforms == {"token", "redact", "email_domain"}


def test_a_denied_column_may_still_have_transforms() -> None:
    decision = decide(book(rule("birth_date", "deny", transforms=["age_years"])), "birth_date")
    assert (decision.action, decision.transforms, decision.opens) == ("deny", {"age_years"}, True)


def test_several_purposes_have_what_some_of_them_has() -> None:
    rules = book(
        rule(action="token", purposes=[FRAUD]), rule(action="deny", transforms=["email_domain"], purposes=[CREDIT])
    )
    decision = decide(rules, "email", FRAUD, CREDIT)
    assert (decision.action, decision.transforms) == ("token", {"token", "email_domain"})


def test_without_a_purpose_nothing_is_open() -> None:
    assert not Access((), policies=book(rule())).decide("email").opens


actions = st.sampled_from(["deny", "redact", "token"])
rules_of_email = st.builds(
    lambda action, purposes, transforms: rule("email", action, purposes=purposes, transforms=transforms),
    actions,
    st.lists(st.sampled_from([FRAUD, CREDIT]), unique=True),
    st.lists(st.sampled_from(sorted(TRANSFORMS)), unique=True),
)


@given(st.lists(rules_of_email, min_size=1, max_size=4), rules_of_email)
def test_one_more_rule_never_opens_what_matching_rules_had_closed(rules: list[PolicyRule], more: PolicyRule) -> None:
    before = decide(book(*rules), "email", FRAUD)
    after = decide(book(*rules, more), "email", FRAUD)
    severity = ["clear", "token", "redact", "deny"].index
    if before.rules:
        assert severity(after.action) >= severity(before.action)
        assert after.transforms <= before.transforms


@given(st.lists(rules_of_email, max_size=4))
def test_more_purposes_never_close_anything(rules: list[PolicyRule]) -> None:
    one, both = decide(book(*rules), "email", FRAUD), decide(book(*rules), "email", FRAUD, CREDIT)
    assert one.transforms <= both.transforms


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        (Label("token", "email", "v1"), True),
        (Label("partial", "email", "email_domain"), True),
        (Label("partial", "birth_date", "birth_year"), False),
        (Label("partial", "birth_date", "age_years"), True),
        (Label("token", "birth_date", "v1"), False),
        (Label("derived", "birth_date"), True),
        (Label("aggregated", "email"), True),
        (Label("aggregated", "phone"), False),
        (Label("derived", "phone"), False),
    ],
)
def test_a_service_gets_only_labels_that_its_purpose_allows(label: Label, allowed: bool) -> None:
    rules = book(
        rule("email", "token", transforms=["email_domain"], purposes=[FRAUD]),
        rule("birth_date", "deny", transforms=["age_years"]),
    )
    refusals = Access((FRAUD,), policies=rules).refuses(frozenset({label}))
    assert (not refusals) is allowed


def test_a_refusal_says_what_for_whom_and_by_which_rule() -> None:
    rules = book(rule("email", "deny", purposes=[CREDIT]))
    (refusal,) = Access((CREDIT,), "service", policies=rules).refuses(frozenset({Label("token", "email", "v1")}))
    assert str(refusal) == (
        "token(email, v1) is not allowed for purpose 'credit_risk' and role 'service': policy 'privacy' (p.yaml:1)"
    )


# Raw values

TODAY = date(2026, 6, 1)


def raw_rule(expires: date = TODAY, **fields: Any) -> PolicyRule:
    given: dict[str, Any] = {"purposes": [FRAUD], "roles": ["investigator"], "approver": "dpo@example.com"}
    return rule("email", "raw", **{**given, **fields}, expires=expires)


def asked_raw(rules: PolicyBook, *purposes: str, role: str = "investigator") -> Decision:
    return decide(rules, "email", *purposes, role=role)


def test_raw_values_are_for_the_purposes_and_roles_that_are_named_and_for_nobody_else() -> None:
    rules = book(raw_rule()).on(TODAY)
    assert asked_raw(rules).action == "raw"
    assert "email_domain" in asked_raw(rules).transforms
    assert asked_raw(rules, CREDIT).action == asked_raw(rules, role="analyst").action == "deny"


def test_raw_values_end_with_the_last_day_and_the_message_says_so() -> None:
    rules = book(raw_rule())
    after = asked_raw(rules.on(TODAY + timedelta(days=1)))
    assert (after.action, after.opens) == ("deny", False)
    assert after.cited == "no rule of any policy allows it; policy 'privacy' (p.yaml:1) expired on 2026-06-01"
    assert asked_raw(rules).action == "deny", "where nobody says what day it is"


def test_any_other_rule_is_stricter_than_raw() -> None:
    for action in ("token", "redact", "deny"):
        assert asked_raw(book(raw_rule(), rule(action=action)).on(TODAY)).action == action


def test_an_expired_rule_takes_nothing_from_what_others_give() -> None:
    rules = book(raw_rule(), rule(transforms=["email_domain"]))
    assert asked_raw(rules.on(date.max)).transforms == {"token", "email_domain"}
    assert asked_raw(rules.on(TODAY)).transforms == {"token", "email_domain"}


def test_an_author_never_has_raw_values_even_by_a_rule_that_no_document_could_hold() -> None:
    sneaked = raw_rule().model_copy(update={"roles": ("author",)})
    assert asked_raw(book(sneaked).on(TODAY), role="author").action == "deny"


def test_a_raw_label_needs_a_raw_rule() -> None:
    label = frozenset({Label("raw", "email")})
    rules = book(raw_rule(), rule(roles=["author"])).on(TODAY)
    assert Access((FRAUD,), "investigator", policies=rules).refuses(label) == ()
    assert [str(each.label) for each in Access((FRAUD,), policies=rules).refuses(label)] == ["raw(email)"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"approver": None}, "`raw` without `approver`"),
        ({"expires": None}, "`raw` without `expires`"),
        ({"purposes": []}, "`raw` without `purposes`"),
        ({"roles": []}, "`raw` without `roles`"),
        ({"roles": ["author", "investigator"]}, "`raw` for role `author`"),
        ({"transforms": ["email_domain"]}, "`raw` with `transforms`"),
        ({"expires": "soon"}, "'soon' is not a day"),
    ],
)
def test_a_raw_rule_is_complete_or_no_rule(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        raw_rule(**fields)


def test_only_raw_rules_expire() -> None:
    with pytest.raises(ValidationError, match="`expires` is given for action `token`"):
        rule(expires=TODAY)


# Policies themselves


def registry(*rules: PolicyRule) -> Registry:
    """A project that has nothing but one policy, ``rules[n]`` written in line 10 + n."""
    policy = Policy(kind="policy", name="privacy", owner="team:privacy", rules=rules)
    fields = {("rules", n): Location("p.yaml", 10 + n) for n in range(len(rules))}
    platform = Platform.model_validate(
        {
            "kind": "platform",
            "name": "p",
            "purposes": {FRAUD: ""},
            "profiles": {"embedded": {"stores": {"w": {"type": "duckdb_delta"}}}},
        }
    )
    nothing: dict[str, Any] = {
        "domains": {},
        "entities": {},
        "sources": {},
        "views": {},
        "services": {},
    }
    origins = {("policy", "privacy"): Origin(Location("p.yaml"), fields)}
    return Registry(root=Path(), platform=platform, policies={"privacy": policy}, origins=origins, **nothing)


def test_the_book_of_a_project_knows_where_its_rules_stand() -> None:
    found = PolicyBook.of(registry(rule("email"), rule("phone")))
    assert [each.name for each in found.rules] == ["policy 'privacy' (p.yaml:10)", "policy 'privacy' (p.yaml:11)"]


def test_sound_policies_have_no_problems() -> None:
    assert check_policies(registry(rule(transforms=["email_domain"]), rule("birth_number", "deny"))) == ()


@pytest.mark.parametrize(
    ("wrong", "code", "text"),
    [
        (rule(transforms=["email_domian"]), "FP-GOV-001", "Did you mean 'email_domain'?"),
        (rule(transforms=["bin6"]), "FP-GOV-002", "reads only payment_card"),
        (rule("none"), "FP-GOV-003", "'none'"),
        (
            rule(transforms=["email_domain"], combinations=[("email_domain", "redact")]),
            "FP-GOV-005",
            "not allow: redact",
        ),
        (rule(combinations=[("token",)]), "FP-GOV-005", "not two transforms"),
        (raw_rule(), "FP-GOV-004", "shows raw values to nobody: policy 'privacy' (p.yaml:10) is stricter"),
    ],
)
def test_a_rule_that_can_not_work_is_a_problem_at_its_line(wrong: PolicyRule, code: str, text: str) -> None:
    (problem,) = check_policies(registry(rule(), wrong))
    assert (problem.code, problem.where) == (code, Location("p.yaml", 11))
    assert text in problem.what


def test_a_raw_rule_that_holds_somewhere_is_fine() -> None:
    assert check_policies(registry(rule("email", roles=["author"]), raw_rule())) == ()

"""``fp policy``: what applies and why, and what a change changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from feature_platform.cli.main import app
from tests.compiler.sql_projects import PLATFORM, service, view

EMAILS = view(
    "contacts",
    "SELECT customer_id, updated_at, email_domain(email) AS domain FROM customers",
    entity="customer",
    event_time="updated_at",
    more="purposes: [fraud]\ndomain: payments",
)
MODEL = service("model", "[contacts:domain]") + "domain: payments"
CASES = """
  - classification: email
    purposes: [marketing]
    roles: [investigator]
    action: raw
    approver: dpo@example.com
    expires: 2020-01-31
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a view and a service, in a Git repository, committed."""
    monkeypatch.setenv("FP_HOME", str(tmp_path / "state"))
    folder = tmp_path / "repository" / "defs"
    folder.mkdir(parents=True)
    rules = PLATFORM.replace("purposes: [fraud]}\n---", f"purposes: [fraud]}}{CASES}---", 1)
    assert rules != PLATFORM
    (folder / "platform.yaml").write_text(f"{rules}\n---\n{EMAILS}\n---\n{MODEL}")
    for command in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=t", "-c", "user.email=t@e.x", "commit", "-qm", "a"),
    ):
        subprocess.run(["git", "-C", str(folder.parent), *command], check=True)
    return folder


def change(root: Path, old: str, new: str) -> None:
    file = root / "platform.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def fp(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["policy", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def answer(*arguments: str, code: int = 0) -> Any:
    return json.loads(fp(*arguments, "--json", code=code))


def explained(root: Path, column: str, *options: str) -> Any:
    (found,) = answer("explain", column, "--project", str(root), "--purpose", "fraud", *options)["for"]
    return found


def test_a_column_is_explained_with_every_rule_its_line_and_the_calls_to_write(root: Path) -> None:
    (email,) = explained(root, "customers.email")["classes"]
    lines = (root / "platform.yaml").read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 1) if "email_domain], purposes: [fraud]" in line)
    assert (email["action"], email["why"]) == ("token", f"policy 'privacy' (platform.yaml:{first}) says token")
    assert [(rule["line"], rule["counts"], rule["why"]) for rule in email["rules"]] == [
        (first, True, "wins"),
        (first + 1, False, "only for purpose marketing"),
    ]
    assert [one["call"] for one in email["transforms"]] == ["email_domain(email)", "token(email)"]


def test_what_may_stand_together_is_shown(root: Path) -> None:
    text = fp("explain", "transactions.card_number", "--purpose", "fraud", "--project", str(root))
    assert "together: [last4, token]" in text


def test_an_expired_rule_is_told_as_the_reason(root: Path) -> None:
    text = fp("explain", "email", "--purpose", "marketing", "--role", "investigator", "--project", str(root))
    assert "and role 'investigator' in embedded: deny" in text
    assert "expired on 2020-01-31" in text


def test_a_stricter_rule_is_shown_with_what_it_takes_away(root: Path) -> None:
    change(root, CASES, CASES + "  - {classification: email, action: deny, environments: [production]}\n")
    assert explained(root, "email")["verdict"] == "token"
    found = explained(root, "email", "--environment", "production")
    assert (found["verdict"], found["classes"][0]["action"]) == ("deny", "deny")
    assert {each["transform"] for each in found["classes"][0]["taken_away"]} == {"email_domain", "token"}


def test_a_feature_is_explained_by_its_labels_and_what_lies_behind(root: Path) -> None:
    found = answer("explain", "contacts:domain", "--project", str(root))
    assert "partial(email, email_domain), and depends on customers.email (email)" in found["holds"]
    verdicts = {each["purpose"]: each["verdict"] for each in found["for"]}
    assert verdicts == {"fraud": "allowed", "marketing": "refused: the view is only for fraud"}


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("customers.emial", "Did you mean 'email'?"),
        ("customer.email", "Did you mean 'customers'?"),
        ("contacts:domian", "Did you mean 'domain'?"),
        ("contact:domain", "Did you mean 'contacts'?"),
    ],
)
def test_an_unknown_column_is_wrong_usage(root: Path, column: str, hint: str) -> None:
    assert hint in fp("explain", column, "--project", str(root), code=2)


def test_an_unknown_environment_is_wrong_usage(root: Path) -> None:
    assert "Did you mean 'embedded'?" in fp(
        "explain", "email", "--environment", "embeded", "--project", str(root), code=2
    )


def test_without_a_change_there_is_no_difference(root: Path) -> None:
    assert "No difference" in fp("diff", "--project", str(root))


def test_a_stricter_policy_that_breaks_nothing_passes(root: Path) -> None:
    change(root, "combinations: [[token, last4]]", "combinations: []")
    found = answer("diff", "--project", str(root))
    assert not found["needs_review"]
    assert {each["direction"] for each in found["columns"]} == {"stricter"}


def test_what_gets_looser_needs_review(root: Path) -> None:
    marketing = "{classification: payment_card, action: token, purposes: [marketing]"
    change(root, f"{marketing}}}", f"{marketing}, transforms: [bin6]}}")
    found = answer("diff", "--project", str(root), code=1)
    (column,) = found["columns"]
    assert (column["columns"], column["before"], column["after"], column["direction"]) == (
        ["transactions.card_number"],
        "token",
        "token, and by bin6",
        "looser",
    )
    assert {each["purpose"] for each in column["for"]} == {"marketing"}


def test_an_approval_of_a_transform_needs_review(root: Path) -> None:
    approval = "kind: policy\nname: own\nowner: privacy@example.com\ntransforms: "
    (root / "own.yaml").write_text(f"{approval}[{{name: tier, version: 1, approver: dpo@example.com}}]\n")
    found = answer("diff", "--project", str(root), code=1)
    assert [each["name"] for each in found["stopped"]] == ["policies"], "it is not installed"
    assert found["approvals"] == [{"transform": "tier", "before": "", "after": "version 1, by dpo@example.com"}]
    assert "+ version 1, by dpo@example.com" in fp("diff", "--project", str(root), code=1)


def test_what_stops_compiling_is_named_with_the_reason(root: Path) -> None:
    change(root, "transforms: [email_domain], purposes: [fraud]", "purposes: [fraud]")
    found = answer("diff", "--project", str(root), code=1)
    assert [each["name"] for each in found["stopped"]] == ["view contacts", "service model"]
    assert "FP-SQL-021" in found["stopped"][0]["problems"][0]
    text = fp("diff", "--project", str(root), code=1)
    assert "stops compiling: view contacts" in text
    change(root, "action: token, purposes: [fraud]}", "action: token, transforms: [email_domain], purposes: [fraud]}")


def test_what_starts_compiling_again_is_named(root: Path) -> None:
    before = root.parent.parent / "before"
    before.mkdir()
    text = (root / "platform.yaml").read_text()
    (before / "platform.yaml").write_text(text.replace("transforms: [email_domain], purposes", "purposes"))
    assert answer("diff", "--against", str(before), "--project", str(root), code=1)["started"] == [
        "view contacts",
        "service model",
    ]


def test_a_feature_that_changes_its_label_is_named(root: Path) -> None:
    change(root, "email_domain(email) AS domain", "email AS domain")
    (label,) = answer("diff", "--project", str(root), code=1)["labels"]
    assert (label["feature"], label["before"]) == ("contacts:domain", "partial(email, email_domain)")
    assert label["after"].startswith("token(email")


def test_another_classification_of_a_column_shows_as_what_it_opens(root: Path) -> None:
    change(root, "email: {type: string, pii: email}", "email: {type: string, pii: none}")
    found = answer("diff", "--project", str(root), code=1)
    assert {(each["after"], each["direction"]) for each in found["columns"]} == {("clear", "looser")}


@pytest.mark.parametrize("against", ["no-such-revision", "--output=x"])
def test_an_unknown_revision_is_wrong_usage(root: Path, against: str) -> None:
    assert "there is no revision" in fp("diff", f"--against={against}", "--project", str(root), code=2)

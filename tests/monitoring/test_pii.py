"""Personal data does not get past the gate; what is explained or only looks like it does."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from feature_platform.errors import GovernanceError
from feature_platform.governance.codes import DETECTION_FAILED
from feature_platform.governance.detection import presidio
from feature_platform.governance.labels import Label
from feature_platform.governance.tokens import TokenKeys
from feature_platform.monitoring.gate import audit
from feature_platform.monitoring.source_profile import profile_source
from feature_platform.monitoring.staged_table import LiveTable
from feature_platform.specs.models import Source
from feature_platform.stores.codes import QUERY_FAILED
from feature_platform.stores.protocols import Warehouse
from tests.governance.samples import HARD_NEGATIVES, card, digits
from tests.monitoring.staging import NOON, case

KEYS = TokenKeys(bytes(range(40)))
TOKEN = frozenset({Label("token", "email", "v1")})
PREFIX = frozenset({Label("partial", "ip_address", "ip_prefix")})
ADDRESSES = [f"198.51.{n}.0/24" for n in range(100, 130)]


def test_one_address_in_a_hundred_thousand_rows_is_found(warehouse: Warehouse) -> None:
    notes = [f"ticket {n % 97} closed" for n in range(100_000)]
    notes[77_777] = "please write to Jan.Novak@example.com"
    outcome = case(warehouse, {"note": notes}).outcome("pii")
    assert not outcome.passed
    assert outcome.metadata["note.email.rows"] == 1
    assert outcome.metadata["note.email.shape"] == "Aa{2}.Aa{4}@a{7}.a{3}"
    assert "novak" not in str(outcome).lower()


def test_a_hundred_thousand_random_order_ids_do_not_stop(warehouse: Warehouse) -> None:
    ids = [str(number) for number in random.Random(3).sample(range(10**15, 10**16), 100_000)]
    outcome = case(warehouse, {"order_id": ids}).outcome("pii")
    assert outcome.passed, outcome.description


def test_what_only_looks_personal_does_not_stop(warehouse: Warehouse) -> None:
    columns = {kind.replace(" ", "_"): (make() * 1_000)[:1_000] for kind, make in HARD_NEGATIVES.items()}
    outcome = case(warehouse, columns).outcome("pii")
    assert outcome.passed, outcome.description


@pytest.mark.parametrize(
    ("values", "kind", "classification"),
    [
        (["CZ65 0800 0000 1920 0014 5399"], "string", "iban"),
        (["4111-1111-1111-1111"], "string", "payment_card"),
        ([card() for _ in range(30)], "string", "payment_card"),
        ([int(card()) for _ in range(30)], "bigint", "payment_card"),
        ([Decimal(card("6011", 19)) for _ in range(30)], "decimal(19,0)", "payment_card"),
        ([["x", "jan@example.com"]], "array<string>", "email"),
        (["call +420 601 234 567"], "string", "phone"),
        (["203.0.113.77"], "string", "ip_address"),
        (["219-09-9999"], "string", "national_id"),
        (["Jan Novák", "Eva Nová", "Petr Pavel"], "string", "person_name"),
        (["44051401359", "02070803628", "90090515836", "x"], "string", "national_id"),
        ([f"0{n % 9 + 1}71/12345{n:02}" for n in range(60)], "string", "phone"),
        ([f"{n} Baker Street, London" for n in range(9)], "string", "address"),
        ([f"I never ordered number {n}, please refund me" for n in range(60)], "string", "free_text"),
        ([[int(card()), None] for _ in range(30)], "array<bigint>", "payment_card"),
        ([[("x", 1)], [('a "quoted" jan@example.com', None)]], "map<string, bigint>", "email"),
        ([[(1, None)], [(2, "jan@example.com")]], "map<bigint, string>", "email"),
        ([[(int(card()), 1)] for _ in range(30)], "map<bigint, bigint>", "payment_card"),
        ([[(True, Decimal(card("6011", 19)))] for _ in range(30)], "map<boolean, decimal(19,0)>", "payment_card"),
    ],
)
def test_personal_values_of_many_kinds_stop(
    every_warehouse: Warehouse, values: list[Any], kind: str, classification: str
) -> None:
    outcome = case(every_warehouse, {"value": values}, {"value": kind}).outcome("pii")
    assert not outcome.passed
    assert f"'value' looks like {classification}" in outcome.description


ENCODED = {
    "base64": base64.b64encode(b"jan.novak@example.com").decode(),
    "url-safe base64 in a text": f"u={base64.urlsafe_b64encode(b'id?jan@example.com').decode().rstrip('=')};",
    "hexadecimal": b"jan.novak@example.com".hex(),
    "percent": "jan%40example.com",
    "html": "jan&#64;example.com",
    "json escape": json.dumps({"to": "jan@example.com"}).replace("@", "\\u0040"),
    "zero width": "jan\u200b@\u200bexample.com",
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_one_encoded_address_among_thousands_of_digests_is_found(warehouse: Warehouse, encoding: str) -> None:
    values = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(3_000)]
    values += [
        base64.b64encode(hashlib.md5(str(n).encode(), usedforsecurity=False).digest()).decode() for n in range(3_000)
    ]
    values[4_321] = ENCODED[encoding]
    outcome = case(warehouse, {"value": values}).outcome("pii")
    assert not outcome.passed
    assert "'value' looks like email: 1 rows" in outcome.description


def test_encoded_card_numbers_are_found(warehouse: Warehouse) -> None:
    values = [base64.b64encode(card().encode()).decode() for _ in range(40)]
    assert "payment_card" in case(warehouse, {"value": values}).outcome("pii").description


def test_a_statement_that_takes_too_long_closes_the_gate(warehouse: Warehouse) -> None:
    staged = case(warehouse, {"note": [f"{n} " * 300 for n in range(20_000)]})
    outcomes = audit(staged.warehouse, staged.staged, staged.view, staged.spec, as_of=NOON, statement_seconds=0.002)
    (outcome,) = (each for each in outcomes if each.name == "pii")
    assert not outcome.passed
    assert outcome.metadata["error"] == f"StoreError {QUERY_FAILED.id}"


def test_rows_that_were_written_and_can_not_be_seen_close_the_gate(warehouse: Warehouse) -> None:
    staged = case(warehouse, {"note": []})
    assert staged.outcome("pii").passed
    lost = replace(staged, staged=replace(staged.staged, rows=7))
    assert "there are no rows to look at" in lost.outcome("pii").description


def test_a_source_is_profiled_with_its_names_and_every_row(every_warehouse: Warehouse) -> None:
    made = case(every_warehouse, {"contact": [*["n/a"] * 5_000, "jan@example.com"], "dob": ["x"] * 5_001})
    ((name, binding),) = made.staged.reading.items()
    columns = {"contact": {"type": "string"}, "dob": {"type": "string"}}
    source = Source.model_validate({"kind": "source", "name": "s", "table": "s", "columns": columns})
    profile = profile_source(LiveTable(every_warehouse, name, binding), source, "1")
    assert profile.rows == 5_001
    found = {name: [(each.classification, each.evidence) for each in of] for name, of in profile.columns.items()}
    assert found == {"contact": [("email", "pattern")], "dob": [("birth_date", "name")]}


def test_two_percent_of_cards_among_order_ids_are_found(warehouse: Warehouse) -> None:
    values = ["4" + digits(15) for _ in range(29_400)] + [card() for _ in range(600)]
    assert not case(warehouse, {"value": values}).outcome("pii").passed


def test_every_value_of_a_token_column_must_be_a_token_of_its_class(every_warehouse: Warehouse) -> None:
    tokens = [KEYS.token("email", f"{n}@example.com") for n in range(100)]
    assert case(every_warehouse, {"email": [*tokens, None]}, labels={"email": TOKEN}).outcome("pii").passed
    for stray in ("jan@example.com", "", KEYS.token("phone", "1"), tokens[0] + "\n"):
        outcome = case(every_warehouse, {"email": [*tokens, stray]}, labels={"email": TOKEN}).outcome("pii")
        assert (outcome.passed, outcome.metadata["email.not_tokens"]) == (False, 1)


def test_a_transform_explains_what_its_results_look_like(warehouse: Warehouse) -> None:
    outcome = case(warehouse, {"network": ADDRESSES}, labels={"network": PREFIX}).outcome("pii")
    assert outcome.passed
    assert outcome.metadata["network.ip_address.explained"] == "partial(ip_address, ip_prefix) looks like it"
    assert not case(warehouse, {"network": ADDRESSES}).outcome("pii").passed


def test_a_label_explains_nothing_of_another_class(warehouse: Warehouse) -> None:
    outcome = case(warehouse, {"network": [*ADDRESSES, "a@example.com"]}, labels={"network": PREFIX}).outcome("pii")
    assert outcome.description.startswith("'network' looks like email")


@pytest.mark.parametrize(("reason", "passes"), [("Test hosts of our own lab.", True), ("", False)])
def test_a_declaration_explains_a_finding_only_with_a_reason(warehouse: Warehouse, reason: str, passes: bool) -> None:
    promise = {"host": {"pii": "none", "pii_reason": reason}}
    assert case(warehouse, {"host": ADDRESSES}, features=promise).outcome("pii").passed is passes


def test_a_detector_that_fails_closes_the_gate(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise GovernanceError(DETECTION_FAILED.problem("Presidio failed", mend="see its log"))

    monkeypatch.setattr(presidio, "ask", fail)
    outcome = case(warehouse, {"note": ["logo@2x.png"]}).outcome("pii")
    assert (outcome.passed, outcome.metadata) == (False, {"error": "GovernanceError FP-GOV-020"})


def test_columns_that_can_hold_nothing_personal_are_not_searched(warehouse: Warehouse) -> None:
    types = {"a": "int", "b": "double", "c": "decimal(18,2)"}
    staged = case(warehouse, {"a": [1], "b": [1.5], "c": [Decimal("1.50")]}, types)
    assert staged.outcome("pii").metadata["columns"] == 1  # the key

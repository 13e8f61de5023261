"""OpenLineage events of a project as it stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from openlineage.client.serde import Serde

from feature_platform.lineage.events import Attempt, Events, Parent, Task, Written, run_id
from feature_platform.project.checkout import Checkout
from feature_platform.project.project import Project
from tests.lineage.openlineage_model import read

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
RUN = "018f2c3e-0000-4000-8000-000000000000"
PAGE = "https://git.example.com/risk/features/blob/abc"


@pytest.fixture(scope="module")
def events(example: Project) -> list[dict[str, Any]]:
    made = Events.of(example, Checkout(example.root, PAGE).link).static(NOON)
    return [json.loads(Serde.to_json(event)) for event in made]


def dataset(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [event["dataset"] for event in events if event.get("dataset", {}).get("name") == name]
    return found


def tags(found: dict[str, Any], field: str | None = None) -> set[tuple[str, str]]:
    return {(tag["key"], tag["value"]) for tag in found["facets"]["tags"]["tags"] if tag.get("field") == field}


def test_every_event_is_one_of_the_official_model(events: list[dict[str, Any]]) -> None:
    assert [json.loads(Serde.to_json(read(event))) for event in events] == events


def test_an_event_that_is_not_of_the_model_is_found_out(events: list[dict[str, Any]]) -> None:
    broken = json.loads(json.dumps(events[-1]))
    broken["outputs"][0]["facets"]["columnLineage"]["fields"]["x"] = {"inputFields": [{"namespace": "n", "name": "t"}]}
    with pytest.raises(TypeError, match="field"):
        read(broken)
    with pytest.raises(AssertionError, match="nonsense"):
        read({**events[0], "nonsense": 1})


def test_sources_views_copies_derived_views_and_services_are_all_there(
    events: list[dict[str, Any]], example: Project
) -> None:
    names = {event["dataset"]["name"] for event in events if "dataset" in event}
    assert {f"warehouse.sources.{source}" for source in example.registry.sources} <= names
    assert {"redis.online.card_spend", "derived.payment_check", "services.fraud_model"} <= names
    jobs = {event["job"]["name"] for event in events if "job" in event}
    assert {"payments.card_spend", "payments.card_spend.redis", "risk.payment_check", "services.fraud_model"} <= jobs


def test_what_a_job_writes_and_reads_is_told_of_as_a_dataset(events: list[dict[str, Any]]) -> None:
    known = {event["dataset"]["name"] for event in events if "dataset" in event}
    named = {table["name"] for event in events for table in [*event.get("inputs", []), *event.get("outputs", [])]}
    assert named <= known


def test_every_column_of_lineage_is_a_column_of_a_dataset(events: list[dict[str, Any]]) -> None:
    columns = {
        (found["namespace"], found["name"], field["name"])
        for event in events
        if (found := event.get("dataset"))
        for field in found["facets"]["schema"]["fields"]
    }
    for event in events:
        for table in event.get("outputs", []):
            for inputs in table["facets"]["columnLineage"]["fields"].values():
                for each in inputs["inputFields"]:
                    assert (each["namespace"], each["name"], each["field"]) in columns


def test_classifications_and_labels_are_tags_of_fields(events: list[dict[str, Any]]) -> None:
    assert tags(dataset(events, "warehouse.sources.customers"), "email") == {("pii", "email")}
    identity = dataset(events, "warehouse.features.customer_identity")
    assert tags(identity, "age") == {("label", "partial(birth_date, age_years)")}
    assert ("purpose", "fraud_detection") in tags(identity)
    service = dataset(events, "services.fraud_model")
    assert ("label", "partial(payment_card, bin6)") in tags(service)
    assert ("purpose", "fraud_detection") in tags(service)


def test_column_lineage_says_how_and_whether_it_is_masked(events: list[dict[str, Any]]) -> None:
    (job,) = [event for event in events if event.get("job", {}).get("name") == "payments.card_issuer"]
    fields = job["outputs"][0]["facets"]["columnLineage"]["fields"]
    (bin6,) = fields["bin"]["inputFields"]
    assert (bin6["name"], bin6["field"]) == ("warehouse.sources.cards", "card_number")
    assert bin6["transformations"] == [{"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True}]


def test_an_event_holds_no_sql_and_no_literal_of_it(events: list[dict[str, Any]], example: Project) -> None:
    text = json.dumps(events)
    assert "SELECT" not in text
    assert "fingerprint" in text
    for view in example.compiled.views.values():
        assert view.fingerprint in text


def test_a_definition_is_linked_at_its_commit(events: list[dict[str, Any]]) -> None:
    (job,) = [event["job"] for event in events if event.get("job", {}).get("name") == "payments.card_issuer"]
    assert job["facets"]["sourceCodeLocation"]["url"].startswith(f"{PAGE}/payments/card_profile.yaml#L")


def test_what_a_run_tells_is_of_the_official_model_in_every_state(example: Project) -> None:
    made = Events.of(example, Checkout(example.root).link)
    attempt = Attempt(Task("card_spend", "redis"), Parent(RUN, "nightly"), NOON)
    told = [
        made.started(attempt, (datetime(2026, 6, 30), datetime(2026, 7, 1))),
        made.completed(attempt, Written(7, "3", {"features.card_spend": "2"})),
        made.failed(attempt, "FP-STORE-001"),
        made.aborted(attempt),
    ]
    plain = [json.loads(Serde.to_json(event)) for event in told]
    assert [json.loads(Serde.to_json(read(event))) for event in plain] == plain
    assert [event["eventType"] for event in plain] == ["START", "COMPLETE", "FAIL", "ABORT"]
    assert len({event["run"]["runId"] for event in plain}) == 1
    assert "version" not in plain[0]["inputs"][0]["facets"], "what one event adds is not in the next"


def test_a_task_has_one_run_however_often_it_is_tried() -> None:
    assert run_id(RUN, "a.b") == run_id(RUN, "a.b") != run_id(RUN, "a.b.redis")

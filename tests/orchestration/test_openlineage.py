"""What real runs tell OpenLineage: to a server, to a file, and to nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.errors import StoreError
from feature_platform.lineage import sending
from feature_platform.lineage.sending import configured, sender
from feature_platform.orchestration.failures import explained
from feature_platform.orchestration.openlineage import reason
from feature_platform.orchestration.runs import materialize
from feature_platform.stores.codes import FILES_MISSING
from tests.lineage.openlineage_model import read
from tests.orchestration.builders import DAILY_SPEND, LAST_PAYMENT, Payment, Workplace, utc

NOON = utc(2026, 1, 4, 12)


class Receiver(ThreadingHTTPServer):
    """A catalogue: keeps what it is sent, or refuses it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.authorizations: set[str] = set()
        self.answer = 201
        self.wait = threading.Event()
        self.wait.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.wait.wait(20)
        self.server.authorizations.add(self.headers.get("Authorization", ""))
        if self.server.answer == 201:
            self.server.events.append(json.loads(body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A catalogue that the environment names."""
    with clean(monkeypatch), Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", server.url)
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY", '{"total": 0}')
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__AUTH", '{"type": "api_key", "apiKey": "s3cret-key"}')
        yield server
        server.wait.set()
        server.shutdown()


class clean:  # noqa: N801 - reads as a verb
    """No OpenLineage variable before and after: the client sets some by itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __enter__(self) -> None:
        for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
            self._monkeypatch.delenv(name)

    def __exit__(self, *_: object) -> None:
        # Not by the patch: it would put back what it took away, the client's own variables among it.
        for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
            os.environ.pop(name)


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in receiver.events]


def test_a_run_tells_of_each_table_it_publishes(cards: Workplace, receiver: Receiver) -> None:
    cards.write(LAST_PAYMENT, DAILY_SPEND)
    with cards.open() as project:
        report = materialize(project, partition="2026-01-01..2026-01-03", as_of=NOON)
    assert report.ok, report
    for event in receiver.events:
        read(event)
    for job in ("payments.last_payment", "payments.last_payment.redis", "payments.daily_spend"):
        assert [state for name, state in told(receiver) if name == job] == ["START", "COMPLETE"]
    assert receiver.authorizations == {"Bearer s3cret-key"}

    completed = {event["job"]["name"]: event for event in receiver.events if event["eventType"] == "COMPLETE"}
    history, copy = completed["payments.last_payment"], completed["payments.last_payment.redis"]
    assert history["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 4
    assert copy["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert copy["inputs"][0]["name"] == history["outputs"][0]["name"]
    assert copy["inputs"][0]["facets"]["version"]["datasetVersion"]
    domain = history["outputs"][0]["facets"]["columnLineage"]["fields"]["shop_domain"]["inputFields"]
    assert domain == [
        {
            "namespace": "feature-platform://cards/embedded",
            "name": "warehouse.sources.transactions",
            "field": "email",
            "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True}],
        }
    ]
    start, complete = (event for event in receiver.events if event["job"]["name"] == "payments.daily_spend")
    assert start["run"]["runId"] == complete["run"]["runId"]
    nominal = start["run"]["facets"]["nominalTime"]
    assert nominal["nominalStartTime"] == "2026-01-01T00:00:00.000Z"
    assert nominal["nominalEndTime"] == "2026-01-04T00:00:00.000Z"
    run_ids = {asset.run_id for asset in report.of("published")}
    assert {event["run"]["facets"]["parent"]["run"]["runId"] for event in receiver.events} == run_ids


def test_a_failed_check_is_told_without_a_value(cards: Workplace, receiver: Receiver) -> None:
    planted = "grace.hopper@example.org"
    cards.write(LAST_PAYMENT)
    cards.pay([Payment(9, utc(2026, 1, 3, 23), note=planted)], file="2.csv")
    with cards.open() as project:
        assert not materialize(project, as_of=NOON).ok
    assert told(receiver) == [("payments.last_payment", "START"), ("payments.last_payment", "FAIL")]
    error = receiver.events[-1]["run"]["facets"]["errorMessage"]
    assert error["message"] == "rows did not pass their checks; the run has the reasons"
    assert planted not in json.dumps(receiver.events)


def test_a_problem_is_told_by_its_code() -> None:
    with pytest.raises(dg.Failure) as raised, explained(0):
        raise StoreError(FILES_MISSING.problem("no file matches x", mend="put it there"))
    assert reason(raised.value) == FILES_MISSING.id
    with pytest.raises(dg.Failure) as raised, explained(0):
        raise KeyError("ada@example.org")
    assert "ada" not in reason(raised.value)


def test_a_catalogue_that_refuses_fails_no_run_and_gets_no_secret_into_the_log(
    cards: Workplace, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = 500
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
    warnings = [record.getMessage() for record in caplog.records if record.name.startswith("feature_platform")]
    assert any("the http transport failed (" in warning for warning in warnings)
    assert "s3cret" not in caplog.text
    assert receiver.url not in " ".join(warnings)


def test_a_catalogue_that_hangs_is_not_waited_for(
    cards: Workplace, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.wait.clear()
    monkeypatch.setattr(sending, "CLOSE_TIMEOUT_SECONDS", 0.1)
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
    assert receiver.events == []
    assert "still on their way" in caplog.text


def test_a_whole_project_is_sent_from_the_command_line(
    cards: Workplace, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.write(LAST_PAYMENT)
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE__")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENLINEAGE_URL", receiver.url)
    command = ["lineage", "--openlineage", "--send", "-p", str(cards.root)]
    assert CliRunner().invoke(app, command).exit_code == 0
    kinds = [event["schemaURL"].rpartition("/")[2] for event in receiver.events]
    assert kinds == ["DatasetEvent"] * 3 + ["JobEvent"] * 2
    receiver.answer = 403
    refused = CliRunner().invoke(app, command)
    assert (refused.exit_code, "FP-CLI-021" in refused.stderr) == (1, True)
    assert receiver.url not in refused.output


def test_events_go_to_a_file(cards: Workplace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    cards.write(LAST_PAYMENT)
    with clean(monkeypatch):
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(file))
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
        with cards.open() as project:
            assert materialize(project, as_of=NOON).ok
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [read(event).eventType.value for event in events] == ["START", "COMPLETE", "START", "COMPLETE"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OPENLINEAGE_NAMESPACE": "risk"}, False),
        ({"OPENLINEAGE_URL": "http://localhost:5000"}, True),
        ({"OPENLINEAGE_URL": "http://localhost:5000", "OPENLINEAGE_DISABLED": "true"}, False),
        ({"OPENLINEAGE__TRANSPORT": '{"type": "console"}'}, True),
    ],
)
def test_a_transport_is_what_the_client_would_use(variables: dict[str, str], expected: bool, tmp_path: Path) -> None:
    assert configured(variables, folder=tmp_path) is expected


def test_a_file_can_name_the_transport(tmp_path: Path) -> None:
    (tmp_path / "openlineage.yml").write_text("transport: {type: noop}\n")
    assert configured({}, folder=tmp_path)


def test_without_a_transport_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with clean(monkeypatch):
        assert sender() is None


def test_the_client_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, feature_platform.orchestration.factory as _; sys.exit('openlineage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

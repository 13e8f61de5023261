"""Processes that record: killed ones, several at once, and those that can't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Event as Signal

import pytest

from feature_platform.errors import AuditError
from feature_platform.governance.audit.drain import Drained
from feature_platform.governance.audit.ledger import Ledger
from feature_platform.governance.audit.postgres_ledger import PostgresLedger
from feature_platform.governance.audit.trail import DRAIN_SECONDS, AuditTrail, Identity
from tests.governance.audit.ledgers import KEYS, event, rows_in, trail_in_files, trail_in_postgres

ROOT = Path(__file__).parents[3]


def writer(folder: Path, url: str, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.governance.audit.writer", str(folder), url, str(first), str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_killed_processes_lose_no_accepted_event_and_double_none(database: str, tmp_path: Path) -> None:
    accepted: list[int] = []
    for first, until in ((0, 30), (10_000, 120), (20_000, 260)):
        with writer(tmp_path, database, first, 10_000) as process:
            assert process.stdout is not None
            for line in process.stdout:
                accepted.append(int(line))
                if int(line) - first >= until:
                    process.kill()
                    break
            accepted += [int(line) for line in process.stdout if line.endswith("\n")]
    trail = trail_in_postgres(tmp_path, database)
    trail.drain()
    found = rows_in(trail.ledger)
    assert len(found) == len(set(found))
    assert set(accepted) <= set(found)
    assert trail.verify().whole
    trail.close()


def test_several_processes_make_one_chain(database: str, tmp_path: Path) -> None:
    processes = [writer(tmp_path / f"host{number % 2}", database, number * 1_000, 120) for number in range(3)]
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0
        assert len(output.splitlines()) == 120
    for host in ("host0", "host1"):  # a process that found another one draining left its last events behind
        trail = trail_in_postgres(tmp_path / host, database)
        trail.drain()
        assert trail.verify().whole
        trail.close()
    found = rows_in(PostgresLedger(database))
    assert sorted(found) == [number * 1_000 + place for number in range(3) for place in range(120)]
    for number in range(3):
        own = [each for each in found if each // 1_000 == number]
        assert own == sorted(own), "the events of one process keep their order"


def test_a_process_that_has_the_ledger_drains_beside_its_work(tmp_path: Path) -> None:
    drained = Signal()

    class Watched(AuditTrail):
        def drain(self, *, politely: bool = False) -> Drained:
            done = super().drain(politely=politely)
            drained.set()
            return done

    plain = trail_in_files(tmp_path)
    trail = Watched(tmp_path, KEYS, lambda: plain.ledger)
    trail.start_draining()
    trail.record(event(trail, 1))
    assert drained.wait(DRAIN_SECONDS * 40)
    assert rows_in(plain.ledger) == [1]
    trail.close()


def test_without_the_ledgers_server_events_wait_and_nothing_stops(tmp_path: Path) -> None:
    trail = trail_in_postgres(tmp_path, "postgresql://postgres@127.0.0.1:1/nowhere")
    trail.start_draining()
    trail.record(event(trail, 1))
    trail.close()
    later = trail_in_files(tmp_path)
    later.drain()
    assert rows_in(later.ledger) == [1]


def test_without_server_and_spool_nothing_is_accepted(tmp_path: Path) -> None:
    def no_ledger() -> Ledger:
        raise AssertionError("nothing was accepted, so nobody drains")

    (tmp_path / "audit").write_text("a file where the folder should be")
    trail = AuditTrail(tmp_path / "audit", KEYS, no_ledger)
    with pytest.raises(AuditError) as caught:
        trail.record(event(trail, 1))
    assert caught.value.code == "FP-AUDIT-003"
    trail.close()


def test_a_trail_can_be_used_again_after_it_was_closed(tmp_path: Path) -> None:
    trail = trail_in_files(tmp_path)
    for number in range(3):
        trail.start_draining()
        trail.record(event(trail, number))
        trail.close()
    assert rows_in(trail.ledger) == [0, 1, 2]


def test_the_actor_is_who_the_system_says_or_who_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FP_ACTOR", "ada@example.com")
    who = Identity.of_process("fp:sql")
    assert (who.actor.human, who.actor.service) == ("ada@example.com", "fp:sql")
    assert who.origin.host
    monkeypatch.delenv("FP_ACTOR")
    assert Identity.of_process("fp:sql").actor.human != "ada@example.com"

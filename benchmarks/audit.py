"""The audit trail: events per second into the ledger, and what a record adds to an online read. Prints JSON.

* Accepting: one process, events like those of online reads and of queries, each made whole; with and without waiting
  for the disk.
* Draining: from the spool into PostgreSQL and into files, chained and committed.
* Online reads through the SDK: p50 and p99 without a record, with one, and with a thread that drains into PostgreSQL
  beside them, at a steady rate and as fast as it goes.
* Verification, and its peak memory for N and 10 N records.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from feature_platform.governance.audit.event import Column, Event
from feature_platform.governance.audit.file_ledger import FileLedger
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.ledger import Ledger
from feature_platform.governance.audit.postgres_ledger import PostgresLedger
from feature_platform.governance.audit.trail import AuditTrail
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.sdk.client import FeatureStore
from feature_platform.stores.embedded import EmbeddedPostgres

READS = 4_000
TEMPLATE = Path(__file__).parents[1] / "feature_platform" / "templates"
KEYS = AuditKeys({1: bytes(range(32))})


def main() -> None:
    """``python benchmarks/audit.py [--events 100000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--verify", metavar="FOLDER", help="only verify a ledger of files, print the peak memory in MB")
    arguments = parser.parse_args()
    if arguments.verify:
        folder = Path(arguments.verify)
        assert AuditTrail(folder, KEYS, lambda: FileLedger(folder / "ledger")).verify().whole
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "pg", keep_data=False) as server:
            result = {
                "events": arguments.events,
                "accept": _accept(folder / "accept", arguments.events // 5),
                "postgres": _ledger(folder / "in_postgres", lambda: PostgresLedger(server.url), arguments.events),
                "files": _ledger(folder / "in_files", lambda: FileLedger(folder / "ledger"), arguments.events),
                "verify_megabytes": {
                    f"{count} records": _verify_memory(folder / f"verify_{count}", count)
                    for count in (arguments.events // 10, arguments.events)
                },
                "online_read_us": _online(folder / "shop", server.url),
            }
    print(json.dumps(result, indent=2))


def _events(trail: AuditTrail, count: int) -> Iterator[Event]:
    column = Column(name="card_spend:amount_sum_1d", decision="mask", labels=("aggregated(payment_card)",))
    read = replace(
        trail.event("online_read", "fraud_model"),
        decision="mask",
        purposes=("fraud_detection",),
        role="author",
        policy_hash="0" * 64,
        inputs=("view:card_spend@0123456789ab",),
        columns=(column,) * 5,
    )
    for number in range(count):
        yield replace(read, at=trail.now(), request_id=trail.next_request(), rows=number)


def _accept(folder: Path, count: int) -> dict[str, int]:
    """Events per second that one thread makes and has accepted."""
    result = {}
    for name, durable in (("in_the_kernel", False), ("on_disk", True)):
        trail = AuditTrail(folder / name, KEYS, lambda: FileLedger(folder / "none"))
        events = list(_events(trail, count if not durable else count // 10))
        result[f"{name}_per_second"] = round(len(events) / _record(trail, events, durable))
        trail.close(drain=False)
    trail = AuditTrail(folder / "stamped", KEYS, lambda: FileLedger(folder / "none"))
    stamp = next(_events(trail, 1)).stamp()

    def stamped() -> None:
        for number in range(count):
            trail.record_text(stamp.text(trail.now(), trail.next_request(), number), durable=False)

    result["stamped_in_the_kernel_per_second"] = round(count / _seconds(stamped))
    trail.close(drain=False)
    return result


def _record(trail: AuditTrail, events: list[Event], durable: bool) -> float:
    begin = time.perf_counter()
    for event in events:
        trail.record(event, durable=durable)
    return time.perf_counter() - begin


def _ledger(folder: Path, open_ledger: Callable[[], Ledger], count: int) -> dict[str, Any]:
    trail = AuditTrail(folder, KEYS, open_ledger)
    assert trail.ledger.head().seq == 0
    texts = [event.text() for event in _events(trail, count)]
    accepting = _seconds(lambda: [trail.record_text(text, durable=False) for text in texts])
    draining = _seconds(trail.drain)
    verifying = _seconds(lambda: _whole(trail))
    trail.close()
    return {
        "drained_per_second": round(count / draining),
        "accepted_and_drained_per_second": round(count / (accepting + draining)),
        "verified_per_second": round(count / verifying),
    }


def _whole(trail: AuditTrail) -> None:
    assert trail.verify().whole


def _verify_memory(folder: Path, count: int) -> int:
    trail = AuditTrail(folder, KEYS, lambda: FileLedger(folder / "ledger"))
    for event in _events(trail, count):
        trail.record(event, durable=False)
    trail.drain()
    trail.close()
    command = [sys.executable, __file__, "--verify", str(folder)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def _online(folder: Path, url: str) -> dict[str, Any]:
    import shutil

    shutil.copytree(TEMPLATE / "project", folder)
    shutil.copytree(TEMPLATE / "data", folder / ".fp" / "data")
    platform = folder / "platform.yaml"
    platform.write_text(platform.read_text() + "      ledger: {type: postgres, url_env: FP_BENCH_POSTGRES}\n")
    os.environ.update(
        FP_BENCH_POSTGRES=url, FP_TOKEN_KEY=bytes(range(32)).hex(), FP_AUDIT_KEY=bytes(range(32, 64)).hex()
    )
    with Project.open(folder) as project:
        report = materialize(project, ["customer_profile", "customer_orders"], as_of=datetime(2026, 3, 28))
        assert report.ok, report.of("failed")
        store = FeatureStore(project, purpose="recommendations")
        silent = replace(store._reader("next_product"), record=lambda _entities: None)
        recording = store._reader("next_product")
        entity = [{"customer_id": 1}]
        waiting = project.audit.trail
        waiting.close(drain=True)
        result: dict[str, Any] = {"unrecorded": [], "recorded": []}
        for _ in range(READS // 200):  # in turns, so that the machine's moods meet both
            for name, reader in (("unrecorded", silent), ("recorded", recording)):
                result[name] += _timed(lambda reader=reader: reader.read(entity), 200)
        begin = time.thread_time()
        for _ in range(READS):
            recording.record(1)
        cpu = (time.thread_time() - begin) / READS
        waiting.start_draining()
        result["recorded_and_drained"] = _timed(lambda: recording.read(entity), READS)
        result["recorded_and_drained_500_per_second"] = _timed(lambda: recording.read(entity), READS // 2, pause=0.002)
        result["unrecorded_500_per_second"] = _timed(lambda: silent.read(entity), READS // 2, pause=0.002)
    return {"record_cpu": round(cpu * 1e6, 1)} | {name: _percentiles(seconds) for name, seconds in result.items()}


def _timed(work: Callable[[], Any], times: int, *, pause: float = 0.0) -> list[float]:
    taken = []
    for _ in range(times):
        taken.append(_seconds(work))
        if pause:
            time.sleep(pause)
    return taken


def _percentiles(seconds: list[float]) -> dict[str, int]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1e6), "p99": round(cuts[98] * 1e6)}


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()

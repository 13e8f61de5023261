"""A process that writes to an online store and can be killed: says on standard output which phase it has reached."""

from __future__ import annotations

import sys
import time

from tests.stores.online_cases import numbered, online_table, opened


def main(kind: str, url: str, prefix: str, phase: str) -> None:
    """Loads 60,000 rows of value 2; stops in the middle ("load") or after ("stage"), or publishes when told."""
    store = opened(kind, url, prefix)
    table = online_table()

    def between(start: int) -> None:
        if phase == "load" and start == 50_000:
            _rest(phase)

    staged = store.stage(table, numbered(table, 60_000, 2, between=between))
    if phase == "stage":
        _rest(phase)
    _say(phase)
    sys.stdin.readline()
    store.publish(staged)


def _rest(phase: str) -> None:
    _say(phase)
    time.sleep(600)


def _say(phase: str) -> None:
    sys.stdout.write(f"{phase}\n")
    sys.stdout.flush()

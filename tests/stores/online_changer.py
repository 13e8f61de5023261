"""A process that publishes changes to an online store and can be killed whenever."""

from __future__ import annotations

import sys

from tests.stores.online_cases import changed_table, changes_to, opened


def main(kind: str, url: str, prefix: str) -> None:
    """Says "begin", makes every third row of the live ones 2 and removes every seventh, says "end"."""
    store = opened(kind, url, prefix)
    table = changed_table()
    _say("begin")
    store.publish(store.stage_changes(table, changes_to(store, table)))
    _say("end")


def _say(phase: str) -> None:
    sys.stdout.write(f"{phase}\n")
    sys.stdout.flush()

"""A process that writes to an online store and can be killed: says on standard output which phase it has reached."""

from __future__ import annotations

import sys
import time

from feature_platform.stores.postgres_online import PostgresOnlineStore
from feature_platform.stores.protocols import OnlineStore
from feature_platform.stores.redis_online import RedisOnlineStore
from tests.stores.online_cases import numbered, online_table


def main(kind: str, url: str, prefix: str, phase: str) -> None:
    """Loads 60,000 rows of value 2; stops in the middle ("load") or after ("stage"), or publishes when told."""
    store: OnlineStore = (
        RedisOnlineStore("online", url, key_prefix=prefix)
        if kind == "redis"
        else PostgresOnlineStore("online", url, schema_prefix=prefix)
    )
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


if __name__ == "__main__":
    main(*sys.argv[1:])

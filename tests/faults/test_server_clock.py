"""The clock of a server jumps while something is staged there."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_platform.errors import StoreError
from feature_platform.stores import codes
from feature_platform.stores.redis_online import RedisOnlineStore
from tests.faults.clock import preloaded
from tests.faults.servers import KillableRedis
from tests.stores.online_cases import numbered, online_table


@pytest.mark.skipif(not preloaded(), reason="a server's clock is shifted by libfaketime, which is not installed")
def test_rows_that_vanish_by_a_jump_of_redis_clock_are_staged_again(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    environment = {name: value for name, value in preloaded().items() if name != "FAKETIME"}
    server = KillableRedis({**environment, "FAKETIME_TIMESTAMP_FILE": str(clock)})
    try:
        store, table = RedisOnlineStore("online", server.url, key_prefix="t"), online_table()
        live = store.publish(store.stage(table, numbered(table, 1_000, 1)))
        staged = store.stage(table, numbered(table, 1_000, 2))
        clock.write_text("+2d")
        with pytest.raises(StoreError) as refused:
            store.publish(staged)
        assert refused.value.code == codes.STAGED_ROWS_GONE.id
        assert store.publication(table.view) == live
        assert store.holdings(table.view).rows == live.rows
        store.discard(staged)
        store.publish(store.stage(table, numbered(table, 1_000, 2)))
        rows = store.read(table, [("1",), ("999",)])
        assert [row.values["amount"] for row in rows if row is not None] == [2, 2]
        store.close()
    finally:
        server.close()

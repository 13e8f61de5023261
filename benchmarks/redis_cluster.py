"""The Redis store on a real cluster of three nodes on this machine, beside one server: the same rows. Prints JSON.

Load and publication in rows per second; reads of 1 and of 100 entities × 10 features, and of 1 entity in three views,
p50 and p99 in microseconds, decoded. All nodes share this machine's cores with the client, so a load cannot be faster
than on one server here; what it shows is what going to several nodes costs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.online import _drawn, _percentiles, _seconds, _source, _table
from feature_platform.stores.embedded import EmbeddedRedis
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.stores.redis_settings import RedisSettings
from tests.redis_nodes import cluster, cluster_url

LOADS = 3


def main() -> None:
    """``python benchmarks/redis_cluster.py [--rows 1000000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    result: dict[str, Any] = {"rows": rows}
    with (
        tempfile.TemporaryDirectory(prefix="fp-bench-") as folder,
        EmbeddedRedis(Path(folder) / "redis", keep_data=False) as server,
    ):
        result["one server"] = measured(server.url, RedisSettings(), rows)
    with cluster() as nodes:
        for groups in (64, 256):
            settings = RedisSettings(mode="cluster", groups=groups)
            result[f"three nodes, {groups} groups"] = measured(cluster_url(nodes), settings, rows)
    print(json.dumps(result, indent=2))


def measured(url: str, settings: RedisSettings, rows: int) -> dict[str, Any]:
    """Loads and reads through the store."""
    table = _table(10)
    views = [replace(table, view=f"bench_{number}") for number in range(3)]
    prefix = f"bench{settings.key_groups}"
    with contextlib.closing(RedisOnlineStore("bench", url, key_prefix=prefix, settings=settings)) as store:

        def load() -> None:
            store.publish(store.stage(table, _source(table, rows)))

        loads = [_seconds(load) for _ in range(LOADS)]
        publishes = []
        for view in views:
            staged = store.stage(view, _source(view, rows // 10))
            publishes.append(_seconds(lambda staged=staged: store.publish(staged)))
        found: dict[str, Any] = {
            "rows_per_second": round(rows / min(loads)),
            "publish_milliseconds": round(min(publishes) * 1e3, 1),
        }
        for entities, times in ((1, 3_000), (100, 600)):
            taken = []
            for keys in _drawn(rows, entities, times):
                asked = [(key,) for key in keys]
                taken.append(_seconds(lambda asked=asked: store.read(table, asked)))
            found[f"{entities} x 10"] = _percentiles(taken)
        taken = []
        for (key,) in _drawn(rows // 10, 1, 3_000):
            requests = [(view, [(key,)]) for view in views]
            taken.append(_seconds(lambda requests=requests: store.read_many(requests)))
        found["1 x 10 in three views"] = _percentiles(taken)
    return found


if __name__ == "__main__":
    main()

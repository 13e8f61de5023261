"""What tests of the Doris store share: settings for a double, a clock that does not wait, a ledger in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from feature_platform.stores.doris.loads import Clock, PlannedLoad
from feature_platform.stores.doris.settings import Address, DorisSettings
from tests.stores.doris.double.cluster import Cluster


def settings_of(cluster: Cluster, query_port: int, http_port: int) -> DorisSettings:
    return DorisSettings(
        (Address("127.0.0.1", query_port),),
        cluster.user,
        cluster.password,
        http_port=http_port,
        connect_timeout_seconds=2,
        load_timeout_seconds=60,
        replicas=1,
        buckets=2,
    )


class StandingClock(Clock):
    """Pauses take no time, and are remembered."""

    def __init__(self) -> None:
        self.at = 0.0
        self.pauses: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        with self._lock:
            self.at += seconds
            self.pauses.append(seconds)


class MemoryLedger:
    """A :class:`~feature_platform.stores.doris.loads.LoadLedger`."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.planned: list[PlannedLoad] = []

    def plan(self, load: PlannedLoad) -> str:
        self.planned.append(load)
        return self.states.setdefault(load.label, "planned")

    def settle(self, labels: Sequence[str], state: str) -> None:
        self.states.update(dict.fromkeys(labels, state))

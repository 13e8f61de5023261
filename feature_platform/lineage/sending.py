"""Sends OpenLineage events by the official client, in the background: no run waits for a catalogue, none fails by it.

Where events go is the client's own configuration: ``OPENLINEAGE_URL``, ``OPENLINEAGE__TRANSPORT__…``, or a file
``openlineage.yml``. Without one, nothing is imported and nothing is sent. What is logged of an error is its class
alone: its text may hold the address with a password.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import DatasetEvent, JobEvent, RunEvent

    Event = RunEvent | DatasetEvent | JobEvent

CLOSE_TIMEOUT_SECONDS: Final = 5.0
"""The longest time that the end of a run waits for events that are still on their way."""
_WAITING_EVENTS: Final = 1_000
_GIVE_UP_AFTER: Final = 3
"""Errors in a row after which the rest of a run's events are dropped."""
_log: Final = logging.getLogger(__name__)


def configured(environment: Mapping[str, str] = os.environ, *, folder: Path | None = None) -> bool:
    """Whether the client would find a transport. Looks at variables and for a file; imports nothing."""
    if environment.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OPENLINEAGE_URL") or any(name.startswith("OPENLINEAGE__TRANSPORT") for name in environment):
        return True
    places = [folder or Path.cwd(), Path("~/.openlineage").expanduser()]
    given = environment.get("OPENLINEAGE_CONFIG")
    return any(file.is_file() for file in [*([Path(given)] if given else []), *(each / _FILE for each in places)])


def installed() -> bool:
    """Whether the extra ``lineage`` is there."""
    try:
        return find_spec("openlineage.client") is not None
    except ModuleNotFoundError:
        return False


def client() -> OpenLineageClient | None:
    """The client as configured; None if it has no transport of its own choice.

    Raises:
        Exception: whatever the client makes of a configuration that is wrong.
    """
    from openlineage.client import OpenLineageClient

    # The client would add the current folder's Git remote as it is written, with whatever credentials stand in it.
    made = OpenLineageClient(config={"facets": {"source_code_location": {"disabled": True}}})
    if made.transport.kind == "noop":
        return None
    chosen = (made.config.transport or {}).get("type") or os.environ.get("OPENLINEAGE_URL")
    return made if chosen else None


def sender() -> Sender | None:
    """What sends events as configured; None where nothing is, or where it can't be used, which is logged."""
    if not configured():
        return None
    if not installed():
        _log.warning("OpenLineage has a transport, but the extra 'lineage' is not installed: no events")
        return None
    try:
        made = client()
    except Exception as error:  # noqa: BLE001 - lineage is never a reason for a run to fail
        _log.warning("OpenLineage's configuration can't be used (%s): no events", type(error).__name__)
        return None
    return Sender(made) if made is not None else None


class Sender:
    """A queue and a thread. Events leave in the order they came; making them happens in the thread, too."""

    def __init__(self, client: OpenLineageClient) -> None:
        self._client = client
        self._queue: Queue[Callable[[], Event] | None] = Queue(_WAITING_EVENTS)
        self._lost = 0
        self._thread = Thread(target=self._work, name="openlineage", daemon=True)
        self._thread.start()

    def send(self, make: Callable[[], Event]) -> None:
        """Takes note of an event. Never waits: when too many are waiting, this one is lost."""
        try:
            self._queue.put_nowait(make)
        except Full:
            self._lost += 1

    def close(self) -> bool:
        """Waits for what is on its way, no longer than the time above; gives whether everything arrived."""
        timeout_seconds = CLOSE_TIMEOUT_SECONDS
        try:
            self._queue.put_nowait(None)
        except Full:
            timeout_seconds = 0.0
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            _log.warning("OpenLineage: about %d events were still on their way at the end", self._queue.qsize())
            return False
        if self._lost:
            _log.warning("OpenLineage: %d events were lost", self._lost)
        return not self._lost

    def _work(self) -> None:
        errors = 0
        while (make := self._queue.get()) is not None:
            if errors >= _GIVE_UP_AFTER:
                self._lost += 1
                continue
            try:
                self._client.emit(make())
                errors = 0
            except Exception as error:  # noqa: BLE001 - lineage is never a reason for a run to fail
                errors += 1
                self._lost += 1
                kind = self._client.transport.kind
                _log.warning("OpenLineage: the %s transport failed (%s)", kind, type(error).__name__)
        self._client.close(timeout=0.0)


_FILE: Final = "openlineage.yml"

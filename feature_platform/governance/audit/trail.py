"""The audit trail of one process: accepts events, and drains them into the ledger when there is one to hand.

The promise, in this order: an event is accepted before what it is about is released; an accepted event reaches the
ledger exactly once, whoever dies; the ledger is one chain. Between acceptance and chaining an event waits in the
spool, by default for half a second in a process that has the ledger's server, else until some process has.
"""

from __future__ import annotations

import getpass
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from pathlib import Path
from threading import Event as Signal
from threading import RLock, Thread
from typing import Final

from feature_platform import __version__
from feature_platform.errors import AuditError, FeaturePlatformError
from feature_platform.governance.audit.chain import Checkpoint, Verdict, Verifier
from feature_platform.governance.audit.checkpoints import read_all, read_stored
from feature_platform.governance.audit.drain import Drained, checkpoint, drain
from feature_platform.governance.audit.event import Action, Actor, Event, Origin, plain_name
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.ledger import Ledger
from feature_platform.governance.audit.spool import SPOOL_BYTES, Spool

ACTOR_VARIABLE: Final = "FP_ACTOR"
"""Environment variable with the person on whose behalf the process acts, where that is not who the system says."""
DRAIN_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 10.0
_LOG: Final = logging.getLogger(__name__)


class AuditTrail:
    """Safe for several threads. After :meth:`close` it can be used again."""

    def __init__(self, folder: Path, keys: AuditKeys, open_ledger: Callable[[], Ledger], *, tool: str = "") -> None:
        """``folder`` holds the spool and the checkpoints. ``open_ledger`` is called when somebody drains; it may start
        a server.
        """
        self.folder = folder
        self.keys = keys
        self._spool = Spool(folder, keys)
        self._open_ledger = open_ledger
        self._ledger: Ledger | None = None
        self._lock = RLock()
        self._stop = Signal()
        self._thread: Thread | None = None
        self._may_drain = False
        self._process = secrets.token_hex(6)
        self._requests = count(1)
        self.who = Identity.of_process(tool)

    def record(self, event: Event, *, durable: bool = True) -> None:
        """Accepts an event: call it before what the event is about is released. See :meth:`Spool.accept`.

        Raises:
            AuditError: it can't be recorded, so don't do it.
        """
        self.record_text(event.text(), durable=durable)

    def record_text(self, text: str, *, durable: bool = True) -> None:
        """The same for the canonical text of an event."""
        self._spool.accept(text, durable=durable)
        if self._thread is None and (self._may_drain or not durable):
            self._start()

    def record_all(self, events: Iterable[Event]) -> None:
        """Accepts several events, with one wait for the disk. Raises AuditError."""
        for event in events:
            self.record_text(event.text(), durable=False)
        self._spool.sync()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def next_request(self) -> str:
        """A name for one request of this process, unique everywhere."""
        return f"{self._process}-{next(self._requests)}"

    def event(self, action: Action, subject: str) -> Event:
        """An event of this process, now, allowed; fill in the rest with ``dataclasses.replace``."""
        return Event(
            action=action,
            decision="allow",
            object=subject,
            at=self.now(),
            actor=self.who.actor,
            origin=self.who.origin,
        )

    def hand_over(self) -> None:
        """Lets others drain what this process has recorded so far."""
        self._spool.finish()

    def start_draining(self) -> None:
        """From now on a thread drains, beside the work: the ledger's server is there anyway."""
        self._may_drain = True
        if self._spool.has_open_events and self._thread is None:
            self._start()

    def drain(self, *, politely: bool = False) -> Drained:
        """Drains everything that waits, this process's events included; ``politely`` where others want the
        interpreter meanwhile.

        Raises:
            AuditError: the ledger can't be used.
        """
        self._spool.finish()
        with self._lock:
            return drain(self.folder, self.keys, self._opened(), self._damage, politely=politely)

    def is_filling_up(self) -> bool:
        """Whether so much waits that somebody should drain, even if a server has to be started for it."""
        return self._spool.waiting_bytes() > SPOOL_BYTES // 4

    def close(self, *, drain: bool = True) -> None:
        """Makes everything durable; with ``drain`` also takes it to the ledger, if that is within reach."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._stop.clear()
        self._spool.finish()
        if drain and self._may_drain:
            self._try_to_drain()
        self._may_drain = False
        with self._lock:
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None

    @property
    def ledger(self) -> Ledger:
        """The ledger, opened. Raises AuditError."""
        with self._lock:
            return self._opened()

    def verify(self, elsewhere: Path | None = None) -> Verdict:
        """Drains, then verifies every record and holds it against every checkpoint: the ledger's, this folder's, and
        those of the folder ``elsewhere``. The verification itself is recorded.

        Raises:
            AuditError: the ledger can't be used, or ``elsewhere`` has no checkpoint: what an unmounted volume does not
                say would pass for agreement.
        """
        self.drain()
        ledger = self.ledger
        known: set[Checkpoint] = {*ledger.checkpoints(), *read_all(self.folder)}
        if elsewhere is not None:
            known |= read_stored(elsewhere)
        verifier = Verifier(self.keys, sorted(known))
        for record in ledger.records():
            verifier.feed(record)
        verdict = verifier.finish()
        counts = {"records": verdict.records, "faults": verdict.faults, "checkpoints": verdict.checkpoints}
        event = self.event("verify", "ledger")
        self.record(replace(event, decision="allow" if verdict.whole else "deny", counts=counts))
        return verdict

    def checkpoint(self) -> Checkpoint:
        """Drains, and signs the ledger's head. Raises AuditError."""
        self.record(self.event("checkpoint", "ledger"))
        self.drain()
        return checkpoint(self.folder, self.keys, self.ledger)

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = self._open_ledger()
        return self._ledger

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="fp-audit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        wait = DRAIN_SECONDS
        while not self._stop.wait(wait):
            wait = DRAIN_SECONDS
            if not self._spool.has_open_events:
                continue
            try:
                self._spool.sync()
            except AuditError:
                _LOG.exception("the audit spool could not be synchronised")
            if self._may_drain and not self._try_to_drain(politely=True):
                wait = _RETRY_SECONDS

    def _try_to_drain(self, *, politely: bool = False) -> bool:
        """Nothing is lost when it fails: the spool keeps what the ledger has not, until it is full."""
        try:
            drained = self.drain(politely=politely)
        except FeaturePlatformError as error:
            _LOG.warning("the audit spool was not drained: %s", error)
            return False
        if drained.damaged:
            _LOG.error("%d segments of the audit spool were changed by somebody; they were set aside", drained.damaged)
        return True

    def _damage(self, subject: str, counts: dict[str, int]) -> str:
        return replace(self.event("ledger_damage", subject), decision="deny", counts=counts).text()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is to the trail."""

    actor: Actor
    origin: Origin

    @classmethod
    def of_process(cls, tool: str = "") -> Identity:
        name = tool or plain_name(Path(sys.argv[0] or "python").name)
        human = os.environ.get(ACTOR_VARIABLE) or _login()
        return cls(
            Actor(human=human[:200], service=name),
            Origin(host=_host(), tool=name, version=__version__, process=os.getpid()),
        )


@lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname()[:200]


@lru_cache(maxsize=1)
def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"

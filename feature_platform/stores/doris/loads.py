"""Loads of many rows: chunk by chunk, a few at once, each counted once whatever breaks.

Each chunk is written to the ledger before it is sent, under a label that its content gives. :mod:`outcomes` says what
follows from what is known; here it is done, with pauses that grow and differ.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import LOAD_UNRESOLVED
from feature_platform.stores.doris.chunks import Chunk
from feature_platform.stores.doris.names import label, quoted
from feature_platform.stores.doris.outcomes import Next, after_refusal, after_reply, after_state
from feature_platform.stores.doris.problems import DorisError
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.stream_load import NoReplyError, NotSentError, StreamLoadClient, Target

_LOG: Final = logging.getLogger(__name__)
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 10.0
_PRESSURE_SECONDS: Final = 2.0
_LONGEST_PRESSURE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """What the ledger knows of a load before it is sent."""

    label: str
    token: str
    """The attempt to write rows that it belongs to."""
    target: Target
    chunk: int
    rows: int
    size: int
    digest: str


class LoadLedger(Protocol):
    """Remembers loads longer than Doris does, which forgets labels after 12 hours or 2,000 others."""

    def plan(self, load: PlannedLoad) -> str:
        """Writes a load down, durably, before it is sent; gives its state: ``planned``, or what is known already."""
        ...

    def settle(self, labels: Sequence[str], state: str) -> None:
        """Notes what became of loads: ``precommitted``, ``committing``, ``loaded``, ``aborted``, ``refused``."""
        ...


class Clock:
    """Time and chance; tests give their own."""

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Between half and all of ``seconds``, so that several who failed together don't come again together."""
        time.sleep(seconds * (0.5 + random.random() / 2))  # noqa: S311 - no secret


class Loads:
    """Loads into one cluster. Safe for several threads."""

    def __init__(
        self, settings: DorisSettings, client: StreamLoadClient, ledger: LoadLedger, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._client = client
        self._ledger = ledger
        self._clock = clock or Clock()
        self._pressure = _Pressure(self._clock)

    def load(
        self, target: Target, token: str, columns: tuple[str, ...], chunks: Iterable[Chunk], *, together: bool = False
    ) -> int:
        """Loads every chunk; gives the number of rows. Memory: chunks in flight and one more.

        Args:
            target: table and, where rows must not show yet, its temporary partition.
            token: of the attempt; the same rows under the same token count once.
            columns: of the files, in order.
            chunks: made while others are sent.
            together: rows show only once all are there (two-phase commit). One label after another becomes visible
                then, within moments; what must show in one step goes through a temporary partition.

        Raises:
            StoreError: a load was refused or is unresolved. With ``together`` none of the rows show.
        """
        files = _Files(target, token, columns, two_phase=together)
        try:
            rows = sum(load.rows for load in self._sent(files, chunks))
        except BaseException:
            if together:
                with suppress(StoreError):  # the cluster aborts by itself what nobody commits
                    self._settle(target.database, files.labels, "abort")
            raise
        if together:
            self._settle(target.database, files.labels, "commit")
        return rows

    def insert(
        self, target: Target, token: str, columns: tuple[str, ...], select: str, run: Callable[[str], int]
    ) -> None:
        """Writes the rows of ``select`` where they are, under a label like any other load; ``run`` sends a statement
        once. Returns when they show.

        Raises:
            StoreError: it was refused, or is unresolved.
        """
        digest = sha256(select.encode()).hexdigest()
        part = target.temporary_partition
        name = label(target.table, part or "", token, "0", content=digest)
        self._ledger.plan(PlannedLoad(name, token, target, 0, -1, 0, digest))
        into = f"{quoted(target.database)}.{quoted(target.table)}"
        temporary = f" TEMPORARY PARTITION ({quoted(part)})" if part else ""
        listed = ", ".join(quoted(column) for column in columns)
        statement = f"INSERT INTO {into}{temporary} WITH LABEL {quoted(name)} ({listed}) {select}"
        following: Next | None = Next.SEND
        acknowledged = False
        for _ in self._attempts(name):
            try:
                if following is Next.LOOK:
                    state = self._client.state(target.database, name)
                    following = after_state(state, two_phase=False)
                    if acknowledged and state == "UNKNOWN":
                        following = Next.DONE  # Doris remembers no label of an insert that gave no rows
                else:
                    run(statement)
                    following, acknowledged = Next.LOOK, True
            except NotSentError:
                pass
            except DorisError as error:
                following = after_refusal(error.kind)
                if following is None:
                    self._ledger.settle([name], "refused")
                    raise
            if following is Next.DONE:
                self._ledger.settle([name], "loaded")
                return

    def _sent(self, files: _Files, chunks: Iterable[Chunk]) -> Iterator[PlannedLoad]:
        """Loads as they end. After a failure no more are begun; those under way are waited for."""
        with ThreadPoolExecutor(self._settings.parallel_loads, thread_name_prefix="fp-doris-load") as pool:
            flying: set[Future[PlannedLoad]] = set()
            for chunk in chunks:
                flying.add(pool.submit(self._one, files, chunk))
                del chunk  # its rows live as long as its load
                if len(flying) >= self._settings.parallel_loads:
                    ended, flying = wait(flying, return_when=FIRST_COMPLETED)
                    yield from [future.result() for future in ended]
            for future in flying:
                yield future.result()

    def _one(self, files: _Files, chunk: Chunk) -> PlannedLoad:
        load = files.planned(chunk)
        if self._ledger.plan(load) in ("loaded", "precommitted", "committing"):
            return load
        try:
            self._until_done(load, files, chunk)
        except StoreError:
            self._ledger.settle([load.label], "refused")
            raise
        self._ledger.settle([load.label], "precommitted" if files.two_phase else "loaded")
        return load

    def _until_done(self, load: PlannedLoad, files: _Files, chunk: Chunk) -> None:
        following = Next.SEND
        for _ in self._attempts(load.label):
            try:
                if following is Next.LOOK:
                    state = self._client.state(load.target.database, load.label)
                    following = after_state(state, two_phase=files.two_phase)
                else:
                    self._pressure.wait(anew=following is Next.YIELD)
                    reply = self._client.send(
                        load.target, load.label, files.columns, chunk.body, two_phase=files.two_phase
                    )
                    following = after_reply(reply, load.rows, label=load.label)
            except NotSentError:
                pass  # as before, later
            except NoReplyError:
                following = Next.LOOK
            if following is Next.DONE:
                self._pressure.eased()
                return

    def _settle(self, database: str, labels: Sequence[str], operation: str) -> None:
        """Commits or aborts loads that are pre-committed. What was decided is written down first."""
        if not labels:
            return
        self._ledger.settle(labels, "committing" if operation == "commit" else "aborting")
        for name in labels:
            self._settle_one(database, name, operation)
        self._ledger.settle(labels, "loaded" if operation == "commit" else "aborted")

    def _settle_one(self, database: str, name: str, operation: str) -> None:
        """What the reply says is not asked for: only the label's state tells, whoever settled it."""
        wanted = ("VISIBLE",) if operation == "commit" else ("ABORTED", "UNKNOWN")
        for _ in self._attempts(name):
            with suppress(NotSentError, NoReplyError):
                self._client.settle(database, name, operation)
            with suppress(NotSentError):
                state = self._client.state(database, name)
                if state in wanted:
                    return
                if state not in ("PREPARE", "PRECOMMITTED", "COMMITTED"):
                    break  # the other way than wanted: nothing changes that any more
        raise StoreError(unresolved(name))

    def _attempts(self, name: str) -> Iterator[int]:
        """Attempts with growing pauses between them.

        Raises:
            StoreError: the time that a load may take is over.
        """
        end, seconds, number = self._clock.now() + self._settings.load_timeout_seconds, _FIRST_PAUSE_SECONDS, 0
        while True:
            yield number
            if self._clock.now() >= end:
                raise StoreError(unresolved(name))
            _LOG.debug("load %s: again after a pause", name)
            self._clock.pause(seconds)
            number, seconds = number + 1, min(2 * seconds, _LONGEST_PAUSE_SECONDS)


@dataclass
class _Files:
    """What the loads of one call share, and the labels they got."""

    target: Target
    token: str
    columns: tuple[str, ...]
    two_phase: bool
    labels: list[str] = field(default_factory=list)

    def planned(self, chunk: Chunk) -> PlannedLoad:
        target, number = self.target, chunk.number
        name = label(target.table, target.temporary_partition or "", self.token, str(number), content=chunk.digest)
        self.labels.append(name)
        return PlannedLoad(name, self.token, target, number, chunk.rows, len(chunk.body), chunk.digest)


def unresolved(name: str) -> Problem:
    return LOAD_UNRESOLVED.problem(
        f"load {name}: the cluster did not settle it in time", mend="see whether it is up; then run again"
    )


class _Pressure:
    """All loads wait together while a table has more versions than compaction keeps up with."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds = 0.0

    def wait(self, *, anew: bool) -> None:
        with self._lock:
            if anew:
                self._seconds = min(max(2 * self._seconds, _PRESSURE_SECONDS), _LONGEST_PRESSURE_SECONDS)
            seconds = self._seconds
        if seconds:
            self._clock.pause(seconds)

    def eased(self) -> None:
        with self._lock:
            self._seconds = 0.0 if self._seconds <= _PRESSURE_SECONDS else self._seconds / 2

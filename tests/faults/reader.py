"""Readers that know every right answer: whoever mixes two publications, or shows an older one again, is found out."""

from __future__ import annotations

import threading
import time
from typing import Any

from feature_platform.errors import StoreError
from feature_platform.project.project import Project
from tests.faults.world import World, read_history, read_online

_PAUSE_SECONDS = 0.1
_SHARE = 2
"""So many times as long as it reads it rests: two cores also have to do what is read of."""
Found = dict[str, tuple[int | None, str]]
"""By table the place of its answer, or None and what is wrong with it."""


def look(world: World, project: Project) -> Found:
    """Reads everything that is live.

    Raises:
        StoreError: a store can't be reached.
    """
    found: Found = {}
    for view in ("state", "moved"):
        for store in ("redis", "served"):
            found |= _online(world, project, view, store)
        found |= _history(world, project, view)
    return found


class Reader:
    """Reads all tables, again and again, in a thread, straight from the servers. Close it in the end."""

    def __init__(self, world: World) -> None:
        self.reads = 0
        self.unanswered = 0
        self._world = world
        self._wrong: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Returns after at least one more round of reads."""
        done = self.reads + self.unanswered
        while self.reads + self.unanswered < done + 12 and self._thread.is_alive():
            self._over.wait(0.01)

    def take_wrong(self) -> list[str]:
        """What was read and must not be."""
        if not self._thread.is_alive() and not self._over.is_set():
            self._wrong.append("the reader died")
        wrong, self._wrong = self._wrong, []
        return wrong

    def close(self) -> None:
        self._over.set()
        self._thread.join(60)

    def _read(self) -> None:
        with self._world.open() as project:
            spent = 0.0
            while not self._over.wait(max(_PAUSE_SECONDS, _SHARE * spent)):
                began = time.monotonic()
                for view in ("state", "moved"):
                    for read in (_redis, _served, _history):
                        try:
                            found = read(self._world, project, view)
                        except StoreError:
                            self.unanswered += 1
                            continue
                        self.reads += 1
                        self._wrong += [f"read: {text}" for place, text in found.values() if place is None]
                spent = time.monotonic() - began


def _redis(world: World, project: Project, view: str) -> Found:
    return _online(world, project, view, "redis")


def _served(world: World, project: Project, view: str) -> Found:
    return _online(world, project, view, "served")


def _online(world: World, project: Project, view: str, store: str) -> Found:
    table = f"{view} {store}"
    seen = world.answers[table].seen
    return _judged(world, table, seen, read_online(project, view, store, world.accounts))


def _history(world: World, project: Project, view: str) -> Found:
    hours = [end.isoformat() for end in world.data.hours]
    tables = ["state"] if view == "state" else [f"moved {hour}" for hour in hours]
    seen = {table: world.answers[table].seen for table in tables}
    rows = read_history(project, view)
    if view == "state":
        return _judged(world, "state", seen["state"], _unique(rows))
    by_hour: dict[str, list[tuple[Any, ...]]] = {f"moved {hour}": [] for hour in hours}
    for row in rows:
        by_hour.setdefault(f"moved {row[1].isoformat()}", []).append(row)
    found: Found = {table: (None, f"{table} can't be") for table in by_hour.keys() - seen.keys()}
    for table in tables:
        found |= _judged(world, table, seen[table], _unique(by_hour[table]))
    return found


def _unique(rows: list[tuple[Any, ...]]) -> dict[Any, Any]:
    answer: dict[Any, Any] = {account: tuple(rest) for account, *rest in rows}
    if len(answer) != len(rows):
        answer["doubled"] = len(rows) - len(answer)
    return answer


def _judged(world: World, table: str, seen: int, answer: dict[Any, Any]) -> Found:
    """``seen``: the newest answer that anybody had got when this one was asked for."""
    answers = world.answers[table]
    place = answers.place(answer, seen)
    if place is None and not answer and seen == 0:
        return {table: (-1, "nothing is published yet")}
    if place is None:
        return {table: (None, answers.explain(answer, seen))}
    answers.seen = max(answers.seen, place)
    return {table: (place, "")}

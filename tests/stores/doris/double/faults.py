"""Faults that a test plans, by the point where they strike. Each strikes once."""

from __future__ import annotations

import threading
from collections import defaultdict, deque


class Faults:
    """``plan("be.reply", "lost")``: the next time a backend would reply, it says nothing."""

    def __init__(self) -> None:
        self._planned: dict[str, deque[str]] = defaultdict(deque)
        self._lock = threading.Lock()
        self.struck: list[tuple[str, str]] = []

    def plan(self, point: str, *kinds: str) -> None:
        with self._lock:
            self._planned[point].extend(kinds)

    def take(self, point: str) -> str | None:
        """The fault that strikes now at ``point``."""
        with self._lock:
            waiting = self._planned[point]
            if not waiting:
                return None
            kind = waiting.popleft()
            self.struck.append((point, kind))
        return None if kind == "fine" else kind

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

"""Which of two writes of a table or partition is the later one: a run that was overtaken replaces nothing.

Two runs may build the same rows at the same time. Whichever publishes last used to stay, even one that had looked at
older inputs, or that followed a definition which had been replaced while it ran. Decided by what the runs began with,
in the step that publishes, by all warehouses alike (``docs/adr/0034-two-writers-of-one-table.md``):

1. Of two definitions the one that was opened later stands: a backfill that goes on with an old one for hours does not
   undo what was restated meanwhile, however late each of its partitions is begun.
2. Rows that are as of a moment never give way to those of an earlier one, unless somebody asks for it.
3. Of the rest, what was begun later stands.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final, Literal

from feature_platform.errors import StoreError
from feature_platform.stores.codes import TABLE_LATER
from feature_platform.stores.protocols import AS_OF, BEGUN, FINGERPRINT, OPENED, StagedWrite

Earlier = Literal["definition", "moment", "begun"]


class Order:
    """What one process was given by one store. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._opened: int | None = None

    def properties(self, number: int) -> dict[str, str]:
        """Of a write that was begun with ``number``."""
        with self._lock:
            self._opened = number if self._opened is None else min(self._opened, number)
            return {OPENED: str(self._opened), BEGUN: str(number)}


def next_number(file: Path) -> int:
    """A number that is greater than all before, where there is no server to count: the last is in ``file``, on which
    the caller holds a lock. Nanoseconds since 1970, so that numbers grow even if the file was lost."""
    try:
        last = int(file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        last = 0
    number = max(time.time_ns(), last + 1)
    written = file.with_suffix(".new")
    written.write_text(str(number), encoding="ascii")
    written.replace(file)
    return number


def check_order(staged: StagedWrite, replaced: Iterable[Mapping[str, str]], *, backwards: bool) -> None:
    """Whether ``staged`` may become live in place of publications with the properties ``replaced``.

    Raises:
        StoreError: one of them is later.
    """
    for live in replaced:
        if why := earlier(staged.properties, live, backwards=backwards):
            name = staged.target.name + (f"@{staged.partition.key}" if staged.partition else "")
            raise StoreError(
                TABLE_LATER.problem(f"'{name}' in '{staged.store}' {_said(why, staged.properties, live)}", mend=_MEND)
            )


def earlier(properties: Mapping[str, str], live: Mapping[str, str], *, backwards: bool = False) -> Earlier | None:
    """By what rows with ``properties`` are earlier than those that are live; None: they are not.

    Rows that do not say when they were begun are earlier than all that do, and give way to any.
    """
    if properties.get(FINGERPRINT) != live.get(FINGERPRINT) and _number(properties, OPENED) < _number(live, OPENED):
        return "definition"
    ours, theirs = properties.get(AS_OF), live.get(AS_OF)
    if ours and theirs and ours != theirs and not backwards:
        return "moment" if datetime.fromisoformat(ours) < datetime.fromisoformat(theirs) else None
    return "begun" if _number(properties, BEGUN) < _number(live, BEGUN) else None


def _said(why: Earlier, properties: Mapping[str, str], live: Mapping[str, str]) -> str:
    if why == "definition":
        return "was published by another definition since this run read its own"
    if why == "moment":
        return f"is live as of {live[AS_OF]} UTC, this run stands for {properties[AS_OF]}"
    return "was published by a run that began later than this one"


_MEND: Final = (
    "Nothing has to be done: newer rows are live. To go back on purpose: fp materialize VIEW --as-of … --force"
)


def _number(properties: Mapping[str, str], name: str) -> int:
    return int(properties.get(name) or 0)

"""What becomes of a load: every reply and every state of a label, and what to do next. Decides; touches nothing.

====================================  =======================================================================
what is known                         what follows
====================================  =======================================================================
``Success``                           done (with two phases: pre-committed), if the rows are all there
``Publish Timeout``                   committed, if the rows are all there; look until they show
``Label Already Exists``              look what became of the label: it stands for these very rows
``Fail``, rows or columns             refused; never again
``Fail``, too many versions           wait until compaction catches up, then the same label again
``Fail``, locks, timeouts, memory     the same label again, a little later
no reply                              look what became of the label
label ``VISIBLE``                     done
label ``PRECOMMITTED``                with two phases done, else look again
label ``PREPARE``, ``COMMITTED``      look again
label ``ABORTED``, ``UNKNOWN``        the same label again
====================================  =======================================================================

A label is never changed: two labels for the same rows can both count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import LOAD_REFUSED, LOAD_ROWS
from feature_platform.stores.doris.problems import Kind, kind_of

_AGAIN: Final = frozenset({Kind.BUSY, Kind.TIMEOUT, Kind.MEMORY, Kind.UNREACHABLE})


class Next(Enum):
    """What a load does next."""

    DONE = auto()
    LOOK = auto()
    """Ask for the label's state."""
    SEND = auto()
    """Send the same rows under the same label."""
    YIELD = auto()
    """As SEND, after a pause in which nobody loads into the table."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a backend said of a load. Nothing of it that may hold rows is kept."""

    status: str
    loaded: int = 0
    filtered: int = 0
    unselected: int = 0
    kind: Kind = Kind.OTHER

    @classmethod
    def parse(cls, body: bytes) -> Reply | None:
        """The reply in ``body``; None when it is cut off or none at all."""
        try:
            said: Any = json.loads(body)
        except ValueError:
            return None
        if not isinstance(said, dict):
            return None
        status = said.get("Status", said.get("status"))  # a frontend answers in lower case
        if not isinstance(status, str):
            return None
        message = f"{said.get('Message', said.get('msg', ''))} {said.get('FirstErrorMsg', '')}"
        return cls(
            "Fail" if status.upper() == "FAILED" else status,
            _number(said, "NumberLoadedRows"),
            _number(said, "NumberFilteredRows"),
            _number(said, "NumberUnselectedRows"),
            kind_of(message),
        )


def after_reply(reply: Reply, rows: int, *, label: str) -> Next:
    """What follows from a reply to a load of ``rows``.

    Raises:
        StoreError: the load was refused, or other rows are there than were sent.
    """
    if reply.status in ("Success", "Publish Timeout"):
        if (reply.loaded, reply.filtered, reply.unselected) != (rows, 0, 0):
            raise StoreError(wrong_rows(f"load {label}", rows, reply.loaded))
        return Next.DONE if reply.status == "Success" else Next.LOOK
    if reply.status == "Label Already Exists" or reply.kind is Kind.LABEL_USED:
        return Next.LOOK
    if reply.kind is Kind.PRESSURE:
        return Next.YIELD
    if reply.kind in _AGAIN:
        return Next.SEND
    raise StoreError(_refused(label, reply.kind))


def after_refusal(kind: Kind) -> Next | None:
    """What follows from the error of an ``INSERT`` with a label; None: it was refused."""
    if kind in (Kind.UNREACHABLE, Kind.LABEL_USED):
        return Next.LOOK
    return Next.SEND if kind in (Kind.BUSY, Kind.PRESSURE) else None


def after_state(state: str, *, two_phase: bool) -> Next:
    """What follows from the state of a label."""
    if state == "VISIBLE" or (state == "PRECOMMITTED" and two_phase):
        return Next.DONE
    return Next.SEND if state in ("ABORTED", "UNKNOWN") else Next.LOOK


def wrong_rows(what: str, sent: int, there: int) -> Problem:
    return LOAD_ROWS.problem(
        f"{what}: {sent:,} rows were sent, Doris counts {there:,}", mend="run again: nothing of it was published"
    )


def _refused(label: str, kind: Kind) -> Problem:
    reasons: Mapping[Kind, tuple[str, str]] = {
        Kind.ROWS: ("rows do not fit the table", "look for texts that are too long, times out of range"),
        Kind.COLUMN: ("a column is not there", "materialize again; somebody changed the table"),
        Kind.MISSING: ("the table or its staged partition is not there", "run again"),
        Kind.DENIED: ("the user may not load", "grant LOAD on the platform's databases"),
    }
    what, mend = reasons.get(kind, ("Doris gives a reason that is not known here", "see the backend's log"))
    return LOAD_REFUSED.problem(f"load {label}: {what}", mend=f"{mend}; SHOW LOAD WHERE LABEL = '{label}' has more")


def _number(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name, 0)
    return value if isinstance(value, int) else 0

"""One event of the audit trail: who, what, why, under which rules, with which result.

An event holds names, labels, counts and keyed digests. It never holds a value of a column, a literal of somebody's
SQL, the SQL itself, or a key: :func:`plain_name` keeps text that a caller chose from carrying one in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from feature_platform.governance.audit.canonical_json import canonical

Action = Literal[
    "compile",
    "policy_change",
    "query",
    "read",
    "read_end",
    "online_read",
    "scan",
    "gate",
    "materialization",
    "removal",
    "key_use",
    "key_rotation",
    "raw_access",
    "export",
    "verify",
    "checkpoint",
    "ledger_damage",
]
"""What happened:

* ``compile``: a view or service was compiled or refused; ``policy_change``: the rules are others than last time;
* ``query``: somebody's SQL was guarded or refused, or features were chosen to be read online;
* ``read``: rows of a query or training set are about to be released, ``read_end``: so many were; ``online_read``:
  features of entities;
* ``scan``: every row of a source is about to be searched for personal data; ``gate``: checks of staged rows;
  ``materialization``: rows are about to be published; ``removal``: rows that no definition asks for are about to go;
* ``key_use``: this process loaded a key, ``key_rotation``: another version than last time; ``raw_access``: a rule of
  action ``raw`` was used;
* ``export``: rows, definitions or the ledger itself went to a file; ``verify``, ``checkpoint``: of the ledger;
* ``ledger_damage``: the trail found that somebody changed what it had written.
"""

Decision = Literal["allow", "mask", "deny"]
"""``mask``: allowed, and at least one output column is not clean."""

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/*\-]{0,199}")
_DIGITS: Final = re.compile(r"\d(?:[ .:/\-_]?\d){6,}")
_WITHHELD: Final = "(withheld)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts. The human is who the operating system says, or ``FP_ACTOR``; the service is the program."""

    human: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where from."""

    host: str
    tool: str
    version: str
    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one output column came to, and why."""

    name: str
    decision: Decision
    labels: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    """Source columns that it holds values of."""
    transforms: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """The policy rules that opened its classes, with file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One reason of a refusal: the code and the place. Texts of problems may quote the author's SQL."""

    code: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. What is empty is left out of its text."""

    action: Action
    decision: Decision
    object: str
    """``view:card_spend``, ``service:fraud_model``, ``query``, ``policies``, ``key:tokens``, ``ledger``, …"""
    at: datetime
    """When, aware, UTC."""
    actor: Actor
    origin: Origin
    fingerprint: str = ""
    """Of the object's definition."""
    purposes: tuple[str, ...] = ()
    role: str = ""
    environment: str = ""
    policy_hash: str = ""
    previous: str = ""
    """What was there before: the policies' hash, the key's version, or the moment of later rows that were replaced."""
    rules: tuple[str, ...] = ()
    refusals: tuple[Refused, ...] = ()
    inputs: tuple[str, ...] = ()
    """Tables that are read."""
    input_classes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    transforms: tuple[str, ...] = ()
    sql_before: str = ""
    """Keyed digest of the author's SQL: equal for equal texts, and says nothing without the audit key."""
    sql_after: str = ""
    """Keyed digest of the guarded SQL."""
    engine: str = ""
    compiler: str = ""
    rows: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    run_id: str = ""
    request_id: str = ""

    def text(self) -> str:
        """Canonical JSON.

        Raises:
            ValueError: the time has no zone, or a text is not Unicode.
        """
        return canonical(_plain(self))

    def stamp(self) -> Stamp:
        """This event over and over, with another time, request and number of rows: for events that must cost little."""
        marked = replace(self, at=_MARK, request_id=_MARK_TEXT, rows=_MARK_ROWS).text()
        before, rest = marked.split(f'"at":"{moment(_MARK)}"')
        between, rest = rest.split(f'"request_id":"{_MARK_TEXT}"')
        until_rows, after = rest.split(f'"rows":{_MARK_ROWS}')
        return Stamp((before, between, until_rows, after))


@dataclass(frozen=True, slots=True)
class Stamp:
    """The canonical text of an event around its time, request and rows."""

    parts: tuple[str, str, str, str]

    def text(self, at: datetime, request_id: str, rows: int) -> str:
        """Canonical JSON, as :meth:`Event.text` gives it. ``request_id`` needs no escaping."""
        first, second, third, last = self.parts
        return f'{first}"at":"{moment(at)}"{second}"request_id":"{request_id}"{third}"rows":{rows}{last}'


_MARK: Final = datetime(1, 1, 1, tzinfo=UTC)
_MARK_TEXT: Final = "\ue000"  # private use: in no name
_MARK_ROWS: Final = 2**53 - 1


def moment(at: datetime) -> str:
    """``2026-07-01T06:00:00.000123Z``. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("a time in the audit trail has a zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def plain_name(text: str) -> str:
    """A name that a caller chose, if it looks like one: no quotes, no ``@``, no seven digits that could be somebody's.

    >>> plain_name("amount_sum_30d"), plain_name("jan@example.com"), plain_name("card 4111 1111")
    ('amount_sum_30d', '(withheld)', '(withheld)')
    """
    return text if _PLAIN.fullmatch(text) and not _DIGITS.search(text) else _WITHHELD


def _plain(value: Any) -> Any:
    """JSON's own types; of a dataclass the fields that say something."""
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is tuple:
        return [_plain(item) for item in value]
    if kind is datetime:
        return moment(value)
    if kind in _NAMES:
        given = ((name, getattr(value, name)) for name in _NAMES[kind])
        return {name: _plain(item) for name, item in given if item or item == 0}
    return value


_NAMES: Final = {kind: tuple(each.name for each in fields(kind)) for kind in (Event, Actor, Origin, Column, Refused)}

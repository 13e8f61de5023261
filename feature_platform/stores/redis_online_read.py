"""Point reads from Redis in one round trip, however many views and entities, and never a mixture of two publications.

A reader remembers which version and revision of a view is live. It asks for the rows of that version and, behind them
in the same pipeline, which is live *now*. Redis answers in order, and rows go or change only when the pointer does, in
the same step: if the pointer still stands where the reader thought, every row was there and none had changed; if not,
the reader asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from feature_platform.stores.online_reads import ATTEMPTS, never_settled, refuse_other_schemas
from feature_platform.stores.redis_online_layout import (
    LIVE_FIELDS,
    LiveVersion,
    ViewKeys,
    bucket_of,
    command_head,
    live_version,
)

Exchange = Callable[[bytes, int], list[Any]]
"""Sends the bytes of so many commands and gives their replies: one round trip."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The rows that are wanted of one view, by field name; None where no row can match."""

    keys: ViewKeys
    fingerprint: str
    fields: Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Found:
    """Encoded rows of one lookup, all of one publication."""

    rows: Sequence[bytes | None]
    moment: datetime | None
    """The event time of every row; None: each has its own."""


@dataclass(frozen=True, slots=True)
class _Plan:
    lookup: Lookup
    live: LiveVersion
    groups: Sequence[Sequence[int]]
    """Positions in ``lookup.fields``, one group per ``HMGET``."""
    payload: bytes


class SnapshotReader:
    """Reads encoded rows. Remembers the live version per view; safe to use from several threads."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._live: dict[str, LiveVersion] = {}

    def read(self, lookups: Sequence[Lookup]) -> list[Found]:
        """The rows of each lookup, in the order of its fields; all None where nothing was published.

        Raises:
            StoreError: what is live has another fingerprint, or it changed during every attempt.
        """
        rows = [Found([None] * len(lookup.fields), None) for lookup in lookups]
        pending = [number for number, lookup in enumerate(lookups) if any(field is not None for field in lookup.fields)]
        for _ in range(ATTEMPTS):
            live = self._live_versions([lookups[number] for number in pending])
            plans = {
                number: _plan(lookups[number], version)
                for number, version in zip(pending, live, strict=True)
                if version
            }
            if not plans:
                return rows
            payload = b"".join([plan.payload for plan in plans.values()])
            replies = iter(self._exchange(payload, sum(len(plan.groups) + 1 for plan in plans.values())))
            pending = []
            for number, plan in plans.items():
                found = _scatter(plan, [next(replies) for _ in plan.groups])
                now = live_version(next(replies))
                if plan.live.has_rows_of(now):
                    rows[number] = Found(found, plan.live.moment)
                else:
                    self._remember(plan.lookup.keys.view, now)
                    pending.append(number)
            if not pending:
                return rows
        raise never_settled()

    def _live_versions(self, lookups: Sequence[Lookup]) -> list[LiveVersion | None]:
        unknown = {
            lookup.keys.view: lookup.keys
            for lookup in lookups
            if (known := self._live.get(lookup.keys.view)) is None or known.fingerprint != lookup.fingerprint
        }
        if unknown:
            ask = b"".join([_ask_live(keys) for keys in unknown.values()])
            for view, reply in zip(unknown, self._exchange(ask, len(unknown)), strict=True):
                self._remember(view, live_version(reply))
        live = [self._live.get(lookup.keys.view) for lookup in lookups]
        refuse_other_schemas(
            (lookup.keys.view, lookup.fingerprint, found.fingerprint if found else None)
            for lookup, found in zip(lookups, live, strict=True)
        )
        return live

    def _remember(self, view: str, live: LiveVersion | None) -> None:
        if live is None:
            self._live.pop(view, None)
        else:
            self._live[view] = live


def _plan(lookup: Lookup, live: LiveVersion) -> _Plan:
    groups: dict[int, list[int]] = {}
    for position, field in enumerate(lookup.fields):
        if field is not None:
            groups.setdefault(bucket_of(field, live.buckets), []).append(position)
    version = live.version.decode()
    parts: list[bytes] = []
    for number, positions in groups.items():
        parts.append(command_head(2 + len(positions), b"HMGET", lookup.keys.bucket(version, number)))
        for position in positions:
            field = cast("bytes", lookup.fields[position])
            parts.append(b"$%d\r\n%b\r\n" % (len(field), field))
    parts.append(_ask_live(lookup.keys))
    return _Plan(lookup, live, tuple(groups.values()), b"".join(parts))


def _ask_live(keys: ViewKeys) -> bytes:
    return command_head(2 + len(LIVE_FIELDS), b"HMGET", keys.meta, *LIVE_FIELDS)


def _scatter(plan: _Plan, replies: Sequence[Sequence[bytes | None]]) -> list[bytes | None]:
    rows: list[bytes | None] = [None] * len(plan.lookup.fields)
    for positions, values in zip(plan.groups, replies, strict=True):
        for position, value in zip(positions, values, strict=True):
            rows[position] = value
    return rows

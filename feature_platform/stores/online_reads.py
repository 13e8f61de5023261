"""What reading online rows has in common: shapes made once per table, rows past their ttl, other schemas refused, an
end to retries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

from feature_platform.errors import StoreError
from feature_platform.stores.codes import ONLINE_MOVING, ONLINE_SCHEMA
from feature_platform.stores.online_protocol import OnlineTable

ATTEMPTS: Final = 20
"""How often a read that meets a publication is repeated."""

Made = TypeVar("Made")


class PerTable(Generic[Made]):
    """What was made from a view's table, made again only for another table of that name.

    A cache by value would hash every column of the table on every read; mostly it is the very same object.
    """

    def __init__(self, make: Callable[[OnlineTable], Made]) -> None:
        self._make = make
        self._known: dict[str, tuple[OnlineTable, Made]] = {}

    def __call__(self, table: OnlineTable) -> Made:
        known = self._known.get(table.view)
        if known is not None and (known[0] is table or known[0] == table):
            return known[1]
        made = self._make(table)
        self._known[table.view] = (table, made)
        return made


def is_expired(event_time: datetime | None, ttl: timedelta | None, at: datetime) -> bool:
    """Whether a row is too old at ``at``: the window standard's ``event_time >= at - ttl`` does not hold. A row without
    a time is as old as can be. All naive UTC."""
    return ttl is not None and (event_time is None or at - event_time > ttl)


def ttl_of(microseconds: str | None) -> timedelta | None:
    """The ttl as a publication records it; None or empty: none."""
    return timedelta(microseconds=int(microseconds)) if microseconds else None


def time_of_read(at: datetime | None) -> datetime:
    """``at``, or now; naive UTC."""
    return at or datetime.now(UTC).replace(tzinfo=None)


def refuse_other_schemas(found: Iterable[tuple[str, str, str | None]]) -> None:
    """Takes (view, expected fingerprint, live one or None).

    Raises:
        StoreError: a live fingerprint is not the expected one; every such view is named.
    """
    problems = [
        ONLINE_SCHEMA.problem(
            f"'{view}' is live with schema {live[:12]}, expected is {expected[:12]}",
            mend="Materialize the view with its present definition, or read with the definition that is live.",
        )
        for view, expected, live in found
        if live is not None and live != expected
    ]
    if problems:
        raise StoreError(problems)


def never_settled() -> StoreError:
    """The error of a read that met a publication :data:`ATTEMPTS` times."""
    return StoreError(
        ONLINE_MOVING.problem(
            f"{ATTEMPTS} reads in a row met a publication", mend="Materialize the view less often than it is read."
        )
    )

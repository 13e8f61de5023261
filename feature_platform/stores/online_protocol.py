"""The protocol behind which every online store stands, and the values that pass through it.

An **online store** keeps the newest row per entity for models. It publishes as a warehouse does, see
:mod:`~feature_platform.stores.protocols`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, runtime_checkable

from feature_platform.stores.protocols import Holdings, Publication, StreamSource
from feature_platform.types import TableSchema


@dataclass(frozen=True, slots=True)
class OnlineTable:
    """The shape of a view's rows online."""

    view: str
    entity: str
    keys: tuple[str, ...]
    schema: TableSchema
    """Key columns, ``event_time``, then features."""
    fingerprint: str
    """Of the schema: a reader that expects another one must not decode."""


@dataclass(frozen=True, slots=True)
class OnlineRow:
    """One entity's row: feature values, and when they were true (UTC, no zone)."""

    values: Mapping[str, Any]
    event_time: datetime | None


MOMENT: Final = "moment"
"""Property of an online publication: the event time of *every* row (ISO, naive UTC), whatever time a row was stored
with. So rows of an aggregation view whose values did not change since the tick before need not be written again."""


TTL: Final = "ttl"
"""Property of an online publication: microseconds after its event time from which on a row is not used any more.
Without it rows stay until the next publication."""

AT_ANY_TIME: Final = datetime.min  # noqa: DTZ901 - naive UTC, as rows have it
"""As the time of a read: rows are given however old they are."""


@dataclass(frozen=True)
class StagedOnline:
    """Rows that are loaded into an online store but that no reader is directed to yet."""

    store: str
    table: OnlineTable
    token: str
    rows: int
    """Of a snapshot all rows, of changes those that are new or differ."""
    properties: Mapping[str, str] = field(default_factory=dict)
    base: str | None = None
    """Of changes: the version of the live rows that they are made for. None: a snapshot."""
    removed: int = 0
    """Of changes: how many rows go."""
    estimated_bytes: int | None = None
    """What the rows were expected to take up in the store's memory; None: nobody can tell."""


@dataclass(frozen=True)
class OnlineChanges:
    """What makes the live rows into the new ones."""

    base: Publication
    """What was live when the changes were found out."""
    rows: StreamSource
    """Rows that are new or differ, as of a snapshot."""
    removed: StreamSource
    """Keys of rows that go, as of a snapshot without other columns."""
    newest: datetime | None
    """The newest event time among the rows afterwards."""


@runtime_checkable
class OnlineStore(Protocol):
    """Keeps the newest row per entity."""

    name: str

    def stage(
        self,
        table: OnlineTable,
        rows: StreamSource,
        *,
        properties: Mapping[str, str] | None = None,
        expected_rows: int | None = None,
    ) -> StagedOnline:
        """Loads a full snapshot beside the live one. One row per key; columns as ``table.schema``. How many there will
        be, where it is known, lets a store plan for them, and refuse what it has no room for.
        """
        ...

    def stage_changes(
        self, table: OnlineTable, changes: OnlineChanges, *, properties: Mapping[str, str] | None = None
    ) -> StagedOnline:
        """Loads rows and removals beside the live rows."""
        ...

    def changeable(self, table: OnlineTable) -> Publication | None:
        """What is live, if its rows are all there and of this table's schema, so that changes can be made to it."""
        ...

    def publish(self, staged: StagedOnline, *, backwards: bool = False) -> Publication:
        """Directs readers to the staged snapshot, or makes the staged changes, in one atomic step: a reader sees what
        was live before as a whole, or what is live afterwards. ``backwards``: also in place of rows that are as of a
        later moment, because somebody asked for it.

        Raises:
            StoreError: the staged rows are gone, what is live is not what the changes are made for, is as of a later
                moment, or the staged rows are as of one that is still to come.
        """
        ...

    def discard(self, staged: StagedOnline) -> None:
        """Removes what was staged."""
        ...

    def read(
        self, table: OnlineTable, keys: Sequence[tuple[Any, ...]], *, at: datetime | None = None
    ) -> list[OnlineRow | None]:
        """The live rows of ``keys``, in their order; None where the entity has no row, nothing was published, or the
        row is older than the view's ttl (:data:`TTL`) at the time ``at`` (naive UTC; None: now).

        Raises:
            StoreError: what is live has another schema fingerprint than ``table``.
        """
        ...

    def read_many(
        self, requests: Sequence[tuple[OnlineTable, Sequence[tuple[Any, ...]]]], *, at: datetime | None = None
    ) -> list[list[OnlineRow | None]]:
        """Several views at once, in as few round trips as the store allows (Redis: one)."""
        ...

    def publication(self, view: str) -> Publication | None:
        """What is live for a view."""
        ...

    def holdings(self, view: str) -> Holdings:
        """What is there of a view's live rows, counted."""
        ...

    def sweep(self, view: str) -> int:
        """Removes snapshots that dead writers left behind."""
        ...

    def views(self) -> Sequence[str]:
        """Every view that the platform wrote here and of which something is left, live or not."""
        ...

    def remove(self, view: str) -> bool:
        """Removes whatever the platform wrote of ``view``: from now on it was never published. Readers get whole rows,
        an error, or none any more. May be repeated, by others too, until nothing is left.

        Returns:
            whether nothing is left; False while somebody still reads the rows.

        Raises:
            StoreError: it is being written, or the server refuses.
        """
        ...

    def close(self) -> None: ...

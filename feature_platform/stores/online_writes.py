"""What writing online rows has in common: keys without values, chunks that are counted, a base that moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from feature_platform.errors import StoreError
from feature_platform.stores.codes import ONLINE_CHANGED, ONLINE_DUPLICATE_KEY
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.types import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    Newest = Callable[[datetime | None, pa.RecordBatch], datetime | None]


def keys_only(table: OnlineTable) -> OnlineTable:
    """The table without anything but its keys: what rows that go are told by."""
    return replace(table, schema=TableSchema(tuple(each for each in table.schema.columns if each.name in table.keys)))


class Counted:
    """Chunks on their way, and what was seen of them."""

    def __init__(self, chunks: Iterable[pa.RecordBatch], newest: Newest | None = None) -> None:
        self._chunks = chunks
        self._newest = newest
        self.count = 0
        self.newest: datetime | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for chunk in self._chunks:
            self.count += chunk.num_rows
            if self._newest is not None:
                self.newest = self._newest(self.newest, chunk)
            yield chunk


def duplicate_key(view: str) -> StoreError:
    """At least two of the rows have one key."""
    return StoreError(
        ONLINE_DUPLICATE_KEY.problem(
            f"'{view}': at least two of the rows have the same key",
            mend="Make the view give one row per entity, e.g. the newest.",
        )
    )


def changes_moved(view: str, store: str) -> StoreError:
    """Changes can't be made: something else is live than they were made for."""
    return StoreError(
        ONLINE_CHANGED.problem(
            f"what is live of '{view}' in '{store}' is not what the changes were made for",
            mend="Materialize the view again: a full snapshot is written where the live rows are not known.",
        )
    )

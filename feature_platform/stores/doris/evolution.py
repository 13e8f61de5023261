"""From the table that is there to the one that is wanted: online where Doris changes metadata only, else made anew.

===============================  =================================================================================
nullable column added            online
VARCHAR longer, no key           online
comment                          online
everything else                  a new table beside it, filled again, then swapped in: a rewrite in place would need
                                 twice the space, blocks loads, and shows readers values that were cast silently
===============================  =================================================================================

Nothing can change while temporary partitions are there: whoever staged must publish or be swept first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from feature_platform.errors import Problem
from feature_platform.stores.codes import DORIS_CHANGE
from feature_platform.stores.doris.ddl import add_columns, column_type, comment, comment_column, widen_column
from feature_platform.stores.doris.tables import DorisColumn, DorisTable


@dataclass(frozen=True, slots=True)
class Evolution:
    """What to do: run ``statements``; or, where there are ``obstacles``, make the table anew."""

    statements: tuple[str, ...]
    obstacles: tuple[Problem, ...] = ()

    @property
    def is_online(self) -> bool:
        return not self.obstacles


def evolve(live: DorisTable, wanted: DorisTable) -> Evolution:
    """How ``live`` becomes ``wanted``. Numbers of buckets and replicas hold for partitions made from now on.

    Raises:
        StoreError: ``wanted`` is no table that Doris would take.
    """
    wanted.checked()
    obstacles = (*_layout(live, wanted), *_columns(live, wanted))
    return Evolution((), obstacles) if obstacles else Evolution(tuple(_statements(live, wanted)))


def _layout(live: DorisTable, wanted: DorisTable) -> Iterator[Problem]:
    if live.model != wanted.model:
        yield _obstacle(wanted, "the model or its keys change")
    if live.buckets.columns != wanted.buckets.columns:
        yield _obstacle(wanted, "the columns that spread rows change")
    parted = [(table.partitioning.column, table.partitioning.unit) if table.partitioning else None
              for table in (live, wanted)]  # fmt: skip
    if parted[0] != parted[1]:
        yield _obstacle(wanted, "the partitioning changes")


def _columns(live: DorisTable, wanted: DorisTable) -> Iterator[Problem]:
    for column in live.columns:
        new = wanted.column(column.name)
        if new is None:
            yield _obstacle(wanted, f"'{column.name}' goes")
        elif new.nullable != column.nullable:
            yield _obstacle(wanted, f"'{column.name}' becomes {'nullable' if new.nullable else 'NOT NULL'}")
        elif not _fits(column, new, is_key=column.name in live.model.keys):
            yield _obstacle(wanted, f"'{column.name}' becomes {column_type(new)}, it is {column_type(column)}")
    for column in _added(live, wanted):
        if not column.nullable:
            yield _obstacle(wanted, f"'{column.name}' comes without a value for the rows that are there")


def _fits(old: DorisColumn, new: DorisColumn, *, is_key: bool) -> bool:
    if column_type(old) == column_type(new):
        return True
    longer = old.text_bytes is not None and new.text_bytes is not None and old.text_bytes < new.text_bytes
    return longer and not is_key


def _statements(live: DorisTable, wanted: DorisTable) -> Iterator[str]:
    if added := _added(live, wanted):
        yield add_columns(live.name, added)
    for column in live.columns:
        new = wanted.column(column.name)
        assert new is not None  # no obstacle
        if column_type(new) != column_type(column):
            yield widen_column(live.name, new)
        elif comment(new.comment) != comment(column.comment):
            yield comment_column(live.name, new)


def _added(live: DorisTable, wanted: DorisTable) -> list[DorisColumn]:
    return [column for column in wanted.columns if live.column(column.name) is None]


def _obstacle(wanted: DorisTable, what: str) -> Problem:
    return DORIS_CHANGE.problem(
        f"{wanted.name}: {what}, which Doris does not change in place",
        mend="materialize all partitions again: the table is made anew and swapped in",
    )

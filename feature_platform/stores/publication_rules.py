"""What may be published beside what is live, whatever the store: decided here, without touching one."""

from __future__ import annotations

from collections.abc import Collection

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import LAYOUT_CHANGE, NOT_PUBLISHED, SCHEMA_CHANGE, STAGED_ROWS_GONE, TABLE_BUSY
from feature_platform.stores.protocols import StagedWrite, TableName
from feature_platform.types import TableSchema

_ANEW = (
    "give the view a new name; or remove what its stores hold of the columns (fp store status, fp store remove) and "
    "materialize all partitions"
)


def check_fits(staged: StagedWrite, live: TableSchema, live_partitions: Collection[str | None]) -> None:
    """A publication of the whole table may change anything, one partition may only add columns.

    Args:
        staged: what is to be published.
        live: the table's columns now.
        live_partitions: keys of the live partitions; None stands for rows that were published without one.

    Raises:
        StoreError: the partition could not be read together with the others.
    """
    if staged.partition is None or set(live_partitions) <= {staged.partition.key}:
        return
    key = staged.partition.key
    if None in live_partitions:
        raise StoreError(
            LAYOUT_CHANGE.problem(
                f"{staged.target} was published as a whole; partition '{key}' cannot be put beside that", mend=_ANEW
            )
        )
    kinds = {column.name: column.type for column in staged.schema.columns}
    if changed := [column.name for column in live.columns if kinds.get(column.name) != column.type]:
        raise StoreError(
            SCHEMA_CHANGE.problem(
                f"partition '{key}' removes or retypes {', '.join(changed)} of {staged.target}, "
                "which its other partitions still have",
                mend=_ANEW,
            )
        )


def not_published(table: TableName) -> Problem:
    """A query names a table without rows."""
    return NOT_PUBLISHED.problem(f"{table} holds no rows yet", mend=f"materialize {table.name} first")


def being_written(name: str) -> Problem:
    """What should be removed is still being made."""
    return TABLE_BUSY.problem(
        f"{name} is being written by another run", mend="wait for it, or end it if it hangs, then remove again"
    )


def staged_rows_gone(staged: StagedWrite) -> Problem:
    """What was to be published is not there any more."""
    return STAGED_ROWS_GONE.problem(f"the rows staged for {staged.target} were removed", mend="stage the rows again")

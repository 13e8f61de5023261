"""Error codes of runs: selections, partitions, publications."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

UNKNOWN_SELECTION: Final = Code(
    "FP-RUN-001",
    "Nothing is called that",
    "A selection names views, services or domains of the project: `card_spend`, `card_spend+` (with everything that "
    "depends on it), `+card_spend` (with everything that it needs), `domain:payments`.",
)
NOT_MATERIALIZED: Final = Code(
    "FP-RUN-002",
    "There is nothing to materialize",
    "Derived views are computed when they are read, and a view may say that no store keeps its rows.",
)
BAD_PARTITION: Final = Code(
    "FP-RUN-003",
    "Not a partition",
    "A partition is named by its day (`2026-03-01`) or hour (`2026-03-01-05:00`), a range as `FIRST..LAST`. All times "
    "are UTC.",
)
PARTITION_MISFIT: Final = Code(
    "FP-RUN-004",
    "A view has no such partition",
    "Views are partitioned by day or by hour, or not at all, and their partitions begin at `materialization.start`.",
)
PARTITION_INCOMPLETE: Final = Code(
    "FP-RUN-005",
    "The partition is not over yet",
    "A partition is built once its time is over; before that, rows would be missing without anyone noticing.",
)
NOT_AUDITED: Final = Code(
    "FP-RUN-006",
    "Only rows that passed their checks are published",
    "Publishing takes the outcome of the gate and refuses rows with a failed blocking check, whoever asks.",
)
NO_ROWS_FOR_ONLINE: Final = Code(
    "FP-RUN-007",
    "There are no offline rows to copy online",
    "The online copy is made from the published offline rows. A view has to be published offline first.",
)
SETTING: Final = Code(
    "FP-RUN-008",
    "An environment variable has a value that means nothing",
    "The code location reads `FP_SCHEDULES`; values other than the listed ones are refused rather than guessed at.",
)
INSTANCE_BUSY: Final = Code(
    "FP-RUN-009",
    "Dagster's storage is being prepared by another process",
    "The first process that uses a project's Dagster instance makes its tables; others wait for it.",
)
INSTANCE_FAILED: Final = Code(
    "FP-RUN-010",
    "Dagster's storage can't be read or written",
    "Runs and their events are kept in Dagster's storage: SQLite files in the state folder, or the server that "
    "`FP_DAGSTER_POSTGRES_URL` names. A run that can't be recorded ends. What it published stays, and the next run "
    "closes it and does the rest.",
)
STILL_ASKED_FOR: Final = Code(
    "FP-RUN-011",
    "A definition asks for what should be removed",
    "`fp store remove` removes rows that no definition of the project asks for any more. What a definition asks for "
    "would be missed by those who read it, and come back with the next run.",
)
UNKNOWN_LEFTOVER: Final = Code(
    "FP-RUN-012",
    "Nothing of that name is left in the stores",
    "What can be removed is what `fp store status` names: a view that left, `VIEW@STORE` for the rows kept beside its "
    "history, or `VIEW:FEATURE` for a column that a history still has.",
)

"""Error codes of projects: profiles, domains, stores."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

UNKNOWN_PROFILE: Final = Code(
    "FP-PROJ-001",
    "Unknown profile",
    "A profile is one set of stores, listed in `platform.yaml` under `profiles`.",
)
UNKNOWN_STORE: Final = Code(
    "FP-PROJ-003",
    "Unknown store",
    "A source or view names a store that the profile does not have.",
)
WRONG_KIND_OF_STORE: Final = Code(
    "FP-PROJ-004",
    "Store can't do that",
    "Warehouses (`duckdb_delta`, `postgres`) run SQL and keep history; online stores (`redis`, `postgres`) keep the "
    "newest row.",
)
NOT_PUBLISHED: Final = Code(
    "FP-PROJ-005",
    "Nothing was published yet",
    "The published rows of a view are needed, and the view was never materialized in this profile.",
)
ADDRESS_MISSING: Final = Code(
    "FP-PROJ-006",
    "Server address is missing",
    "A store of this profile takes its address from an environment variable, which is not set.",
)
UNKNOWN_SOURCE: Final = Code(
    "FP-PROJ-007",
    "Unknown source",
    "`fp profile` was asked for a source that the project does not declare.",
)
PROFILES_BUSY: Final = Code(
    "FP-PROJ-008",
    "Another process writes the profiles",
    "Profiles of sources are in one file, which one process changes at a time.",
)
KEPT_CHANGING: Final = Code(
    "FP-PROJ-009",
    "What is read kept changing",
    "Views were published again and again while a query was being opened, with tokens of another key version each "
    "time.",
)
NOT_BOUND: Final = Code(
    "FP-PROJ-010",
    "Engine does not take the guarded query",
    "Before a query is released, a real engine binds it over empty tables with the declared columns. If it refuses the "
    "text, or understands other columns or types than the compiler did, parser and engine disagree, and then nothing "
    "that was checked can be relied on.",
)
ADDRESS_UNUSABLE: Final = Code(
    "FP-PROJ-011",
    "Not the address of a server",
    "An environment variable of the profile holds something that is no URL of that kind of server. The value is not "
    "shown, because it may hold a password.",
)

"""The problems that show only between documents."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

UNKNOWN_NAME: Final = Code(
    "FP-REG-001",
    "Unknown name",
    "A document names an entity, source, view, service, domain, purpose or store that the project does not have.",
)
DUPLICATE_NAME: Final = Code(
    "FP-REG-002", "Name given twice", "Two documents of one kind have the same name. Names are unique per kind."
)
SHARED_NAME: Final = Code(
    "FP-REG-003",
    "Source and view share a name",
    "SQL names sources and views alike (`FROM transactions`), so a name may belong to one of them only.",
)
CYCLE: Final = Code(
    "FP-REG-004", "Views depend on each other in a circle", "None of the views could be computed first."
)
PLATFORM: Final = Code(
    "FP-REG-005", "Not exactly one platform", "A project has exactly one document of `kind: platform`."
)
NO_DOMAIN: Final = Code(
    "FP-REG-006",
    "Domain missing",
    "Sources, views and services belong to a domain: the one they name, or the folder below the root that their file "
    "lies in. The domain itself is a document of `kind: domain`.",
)
RESERVED_NAME: Final = Code(
    "FP-REG-007",
    "Reserved name",
    "The platform uses the name itself: columns `event_time` and `available_at`, names that begin with `fp_`, and "
    "`__`, which stands between view and feature in training sets.",
)
SELECTION: Final = Code(
    "FP-REG-008", "Unknown domain selected", "The project was opened for a domain that it does not have."
)
UNKNOWN_COLUMN: Final = Code("FP-REG-010", "Unknown column", "A column is named that the source does not declare.")
DUPLICATE_COLUMN: Final = Code(
    "FP-REG-011", "Columns differ by case only", "The engines do not tell `Amount` from `amount`."
)
KEY_TYPE: Final = Code(
    "FP-REG-012",
    "Key does not match its entity",
    "The column that holds an entity's key has another type or classification than the entity says, so rows would not "
    "meet: values of two types compare differently, tokens of two classes never match.",
)
COLUMN_TYPE: Final = Code(
    "FP-REG-013", "Type does not fit", "A function, key or time column asks for another type than the column has."
)
NO_EVENT_TIME: Final = Code(
    "FP-REG-014",
    "Event time missing",
    "Aggregations need to know when each event happened, SQL views when each row was true. Without it no training set "
    "could be correct in time.",
)
NO_KEY: Final = Code(
    "FP-REG-015",
    "Source has no key",
    "`first` and `last` among events of the same time are decided by the source's key. Without one the answer could "
    "depend on the order of rows.",
)
MEANINGLESS: Final = Code(
    "FP-REG-016", "Arithmetic on an identifier", "The sum or mean of card numbers or birth numbers says nothing."
)
DEFAULT_TYPE: Final = Code(
    "FP-REG-017", "Default of another type", "The `default` of a feature has to be a value that the feature could have."
)
DUPLICATE_FEATURE: Final = Code(
    "FP-REG-020",
    "Feature name given twice",
    "Two features of a view, or a feature and a column that every view has, would have the same name.",
)
UNKNOWN_FEATURE: Final = Code("FP-REG-021", "Unknown feature", "A feature is named that the view does not have.")
FEATURE_NAME: Final = Code(
    "FP-REG-022",
    "Feature name cannot be used",
    "Features are named in lower-case letters, digits and `_`, with at most 63 characters, which is what every "
    "store keeps.",
)
UNUSABLE_INPUT: Final = Code(
    "FP-REG-023",
    "View cannot be read here",
    "A view reads another one that has no rows to read (a derived view, or one without an offline store), or a derived "
    "view reads one whose entity it cannot look up.",
)
STORE_KIND: Final = Code(
    "FP-REG-030",
    "Store of the wrong kind",
    "History lives in a `duckdb_delta` or `postgres` store, rows for models in a `redis` or `postgres` store.",
)
ONLINE_WITHOUT_OFFLINE: Final = Code(
    "FP-REG-031",
    "Online without offline",
    "Rows are published online from the offline store, after they passed their checks there.",
)
SEVERAL_STORES: Final = Code(
    "FP-REG-032",
    "Inputs in several stores",
    "A view is computed by the one store that holds everything it reads.",
)
SCHEDULE: Final = Code("FP-REG-040", "Schedule not valid", "A schedule has five fields that a clock can meet.")
TIMING: Final = Code(
    "FP-REG-041",
    "Times do not fit together",
    "Schedule, partition, `ttl` or `lookback` contradict each other, so that rows would be missing or never be built.",
)
PURPOSE: Final = Code(
    "FP-REG-050",
    "Purpose not covered",
    "Data may be used for the purposes of its view only, and what is built on a view inherits its limits.",
)
SQL_SYNTAX: Final = Code("FP-REG-060", "SQL cannot be parsed", "The text is not SQL in DuckDB's dialect.")

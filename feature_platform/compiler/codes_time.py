"""Error codes of everything that has to do with time: aggregations, derived features, training sets."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

INPUT_TYPE: Final = Code(
    "FP-AGG-001",
    "Function does not fit its column",
    "Sums, averages and deviations need numbers; minimum and maximum need an order, which booleans, arrays and "
    "tokens do not have.",
)
CONDITION: Final = Code(
    "FP-AGG-002",
    "Condition is not about one event",
    "A `where` is one boolean expression over the columns of the source: no aggregates, no window functions, no "
    "subqueries.",
)
DEFAULT_TYPE: Final = Code(
    "FP-AGG-003",
    "Default does not fit the feature",
    "A `default` is a value of the feature's own type, representable without rounding.",
)
UNKNOWN_FEATURE: Final = Code(
    "FP-AGG-010",
    "Unknown feature",
    "A training set is made of features of the project's views, named `view:feature`.",
)
SPINE_COLUMN: Final = Code(
    "FP-AGG-011",
    "Spine lacks a column",
    "A spine has the key columns of every entity whose features are asked for, the time column, and what derived "
    "features take from the request.",
)
SPINE_TYPE: Final = Code(
    "FP-AGG-012",
    "Spine column has the wrong type",
    "A key column has the entity's type; the time column is a timestamp or a date, in UTC.",
)
DERIVED_INPUT: Final = Code(
    "FP-AGG-020",
    "Derived feature names something unknown",
    "An expression reads features of the view's `inputs` (by name where it is unique, else `view.feature`) and "
    "its `request` columns.",
)
DERIVED_AMBIGUOUS: Final = Code(
    "FP-AGG-021",
    "Derived feature's input is ambiguous",
    "Several inputs have a feature of this name, so it needs its view in front.",
)
DERIVED_REQUEST: Final = Code(
    "FP-AGG-022",
    "Request column does not fit",
    "A request column has one type wherever it is used, and its name is not that of a feature that the expression "
    "could mean.",
)
DERIVED_EXPRESSION: Final = Code(
    "FP-AGG-023",
    "Derived expression is not about one row",
    "A derived feature is computed from one row of inputs: no aggregates, no window functions, no subqueries.",
)

"""What a check of the gate says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SCHEMA: Final = "schema"
KEYS_NOT_NULL: Final = "keys_not_null"
KEYS_UNIQUE: Final = "keys_unique"
ROW_COUNT: Final = "row_count"
VALUE_RANGES: Final = "value_ranges"
NULL_RATES: Final = "null_rates"
FRESHNESS: Final = "freshness"
PII: Final = "pii"

DESCRIPTIONS: Final[Mapping[str, str]] = {
    SCHEMA: "Columns and types are those that the view compiled to.",
    KEYS_NOT_NULL: "Every row has its entity key and its event time.",
    KEYS_UNIQUE: "An entity key and event time occur once.",
    ROW_COUNT: "As many rows as the contract promises, and as many as were written.",
    VALUE_RANGES: "Values lie between the contract's `min` and `max`.",
    NULL_RATES: "Not more NULLs than the contract allows.",
    FRESHNESS: "The newest event is not older than promised, at the moment that the run stands for.",
    PII: "No personal data but what the columns' labels say: every text value is looked at.",
}
"""What each check asks, for people who look at it."""

Metadata = Mapping[str, int | float | str | bool]


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """One check's verdict on staged rows. ``metadata`` holds counts, shares and shapes, never values of columns."""

    name: str
    passed: bool
    blocking: bool = True
    """Whether its failure keeps the rows from being published."""
    metadata: Metadata = field(default_factory=dict)
    description: str = ""

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

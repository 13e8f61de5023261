"""Error codes of canaries."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

NO_LIST: Final = Code(
    "FP-CANARY-001",
    "No list of canaries",
    "A scan needs to know which values to look for: `canaries.json` in the data folder, beside the raw sources.",
)
BAD_LIST: Final = Code(
    "FP-CANARY-002",
    "List of canaries can't be used",
    "Each canary is a source, one of its classified columns, and the value that a synthetic person has there. A value "
    "that is too short would be found by chance.",
)

"""Error codes of the gate."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

CHECK_NOT_EVALUATED: Final = Code(
    "FP-GATE-001",
    "A check could not be evaluated",
    "A statement of the gate failed or its answer made no sense. What could not be checked counts as failed, and the "
    "staged rows are not published.",
)

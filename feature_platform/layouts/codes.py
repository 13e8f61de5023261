"""Error codes of layouts in PostgreSQL."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

LAYOUT_NEWER: Final = Code(
    "FP-LAYOUT-001",
    "The database has a layout that this platform does not know",
    "A newer release changed the platform's own tables. An older one that read or wrote them anyway would misread what "
    "it finds, so it stops.",
)
LAYOUT_REFUSED: Final = Code(
    "FP-LAYOUT-002",
    "The platform's own tables can't be made or changed",
    "They are made when a store is used for the first time, and changed by the first process of a new release. That "
    "needs a role that may create schemas; the roles that publish and read may not, and leave it to their owner.",
)

"""Error codes of the audit trail and its ledger."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

AUDIT_KEY_MISSING: Final = Code(
    "FP-AUDIT-001",
    "No audit key",
    "The audit trail is sealed with a key of its own. Without it nothing can be recorded, so nothing runs. Only the "
    "embedded profile makes a key of its own; every other profile takes it from an environment variable.",
)
AUDIT_KEY_UNUSABLE: Final = Code(
    "FP-AUDIT-002",
    "Audit key is not usable",
    "An audit key is at least 32 random bytes in hexadecimal or base64, each with an optional version such as `v2:`; "
    "older versions, needed to verify what they sealed, follow after a comma. A key file belongs to its owner alone.",
)
NOT_RECORDED: Final = Code(
    "FP-AUDIT-003",
    "No audit record, no run",
    "What was asked for could not be recorded, so it was not done: the spool in the state folder can't be written, or "
    "holds as much as it may because no ledger has taken it for long.",
)
LEDGER_UNUSABLE: Final = Code(
    "FP-AUDIT-004",
    "Audit ledger can't be used",
    "The PostgreSQL database of the ledger does not answer, was not set up, or refuses the role. Events wait in the "
    "spool meanwhile.",
)
LEDGER_CHANGED: Final = Code(
    "FP-AUDIT-005",
    "Audit ledger was changed",
    "The ledger does not verify: records were edited, removed, added, swapped or cut off, or a checkpoint does not "
    "agree with it. Keep everything as it is, and find out who could write there.",
)

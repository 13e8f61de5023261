"""Error codes of the command line."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

NO_PROJECT: Final = Code(
    "FP-CLI-001",
    "No project found",
    "`fp` works on the folder that holds `platform.yaml`: the current one, `feature_defs` inside it or inside a "
    "folder above, or the one given with `--project`.",
)
NOT_EMPTY: Final = Code(
    "FP-CLI-002",
    "Folder is not empty",
    "`fp init` writes a new project and never overwrites a file.",
)
UNKNOWN_NAME: Final = Code(
    "FP-CLI-003",
    "No such view, feature or service",
    "A name on the command line is not one of the project's.",
)
BAD_VALUE: Final = Code(
    "FP-CLI-004",
    "Value can't be read",
    "An argument or option is not written the way the command reads it.",
)
UI_MISSING: Final = Code(
    "FP-CLI-005",
    "Web UI is not installed",
    "`fp ui` starts Dagster's webserver, which comes with the extra `ui`.",
)
FILE: Final = Code(
    "FP-CLI-007",
    "File can't be read or written",
    "The operating system refused a file or folder that the command needs: it is not there, or somebody else's.",
)
SERVER_STOPPED: Final = Code(
    "FP-CLI-006",
    "A server stopped by itself",
    "The web server or the daemon of `fp ui` ended although nobody stopped it.",
)
LINEAGE_MISSING: Final = Code(
    "FP-CLI-020",
    "OpenLineage's client is not installed",
    "`fp lineage --openlineage` writes events by the official client's model, which comes with the extra `lineage`.",
)
LINEAGE_NOT_SENT: Final = Code(
    "FP-CLI-021",
    "Lineage was not sent",
    "`fp lineage --openlineage --send` uses the transport that the OpenLineage client is configured for; there is "
    "none, or it failed. Only the kind of the failure is shown, since its text may hold an address with a password.",
)

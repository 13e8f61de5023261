"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project",
        "-p",
        help="Folder with platform.yaml. Default: here, or `feature_defs` in this folder or one above.",
        show_default=False,
    ),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="Set of stores. Default: the project's.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
PurposeOption = Annotated[
    str | None,
    typer.Option("--purpose", help="Why the data is used; one of the project's purposes.", show_default=False),
]
RoleOption = Annotated[str, typer.Option("--role", help="Role of the asker, as policies name it.")]

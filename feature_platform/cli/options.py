"""Options that many commands share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from feature_platform.cli.codes import BAD_VALUE
from feature_platform.errors import UsageError

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


def moment_of(text: str) -> datetime:
    """The moment that an option names, naive UTC.

    Raises:
        UsageError: it names none.
    """
    from feature_platform.sdk.values import parse_text
    from feature_platform.types import TIMESTAMP

    try:
        moment: datetime | None = parse_text(text, TIMESTAMP)
    except ValueError:
        moment = None
    if moment is None:
        raise UsageError(BAD_VALUE.problem(f"'{text}' is no moment", mend="write 2026-07-01 or 2026-07-01T06:00 (UTC)"))
    return moment

"""``fp token``: which versions of the token keys there are, and which rows still hold them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import FOUND_PROBLEMS, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from feature_platform.project.key_versions import ClassStatus

app = typer.Typer(no_args_is_help=True, help="Keys of tokens and their rotation.")


@app.callback()
def _token() -> None:
    """Keys of tokens and their rotation."""


@app.command("status")
def status(project: ProjectOption = None, profile: ProfileOption = None, json: JsonOption = False) -> None:
    """Show how far a rotation of the token keys is: versions in use, which rows hold them, what can be retired.

    Ends with 1 if rows hold a version whose key is not there.
    """
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.project.key_versions import holders, rotation_status

        with screen.working("asking the stores"):
            statuses = rotation_status(found, holders(found))
        screen.show({"classifications": [_as_dict(each) for each in statuses]}, lambda: _for_people(statuses))
    if any(each.missing for each in statuses):
        raise typer.Exit(FOUND_PROBLEMS)


def _as_dict(status: ClassStatus) -> dict[str, Any]:
    return {
        "classification": status.classification,
        "writing": status.writing,
        "reading": list(status.reading),
        "held": {f"v{version}": list(where) for version, where in status.held.items()},
        "missing": list(status.missing),
        "retirable": list(status.retirable),
    }


def _for_people(statuses: Sequence[ClassStatus]) -> Iterator[RenderableType]:
    from feature_platform.cli.tables import plain_table

    if not statuses:
        yield "no view holds tokens"
        return
    rows = []
    for each in statuses:
        for version in sorted({each.writing, *each.reading, *each.held}, reverse=True):
            where = ", ".join(each.held.get(version, ())) or "nowhere"
            rows.append([each.classification, f"v{version}", _use(each, version), where])
    yield plain_table(["classification", "key", "use", "rows"], rows, whole=3)


def _use(status: ClassStatus, version: int) -> str:
    if version == status.writing:
        return "writes"
    if version in status.missing:
        return "MISSING"
    return "can be retired" if version in status.retirable else "is read"

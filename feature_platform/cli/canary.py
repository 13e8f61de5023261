"""``fp canary``: does a value of a synthetic customer stand anywhere but in its raw source?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import FOUND_PROBLEMS, opened

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.canaries.scan import ScanReport

app = typer.Typer(name="canary", help="Values of synthetic people, and where they must not be.", no_args_is_help=True)


@app.callback()
def _canary() -> None:
    pass


@app.command("scan")
def scan(
    canaries: Annotated[
        Path | None,
        typer.Option("--canaries", help="The list. Default: canaries.json in the data folder.", show_default=False),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option("--also", help="More folders or files to search, e.g. logs.", show_default=False, exists=True),
    ] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Search every store, log and cache for canaries; says where and of which column, never the value."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.canaries.listing import FILE_NAME, read_canaries
        from feature_platform.canaries.scan import scan as scan_everything

        listed = canaries or found.data / FILE_NAME
        values = read_canaries(listed, found.registry)
        with screen.working("searching"):
            report = scan_everything(found, values, listed, also=also or ())
        screen.show(_plain(report), lambda: _for_people(report))
        if not report.ok:
            raise typer.Exit(FOUND_PROBLEMS)


def summary(report: ScanReport) -> str:
    """One line: what was looked for, where, and whether it was found."""
    found = f"{len(report.findings)} found" if report.findings else "none found"
    return f"canaries: {report.canaries} values × {report.files} files and {report.servers} servers, {found}"


def _plain(report: ScanReport) -> dict[str, object]:
    return {
        "ok": report.ok,
        "canaries": report.canaries,
        "files": report.files,
        "servers": report.servers,
        "findings": [asdict(finding) for finding in report.findings],
        "unsearched": [
            {"store": store, "place": str(each.place), "why": each.why} for store, each in report.unsearched
        ],
        "missing": list(report.missing),
    }


def _for_people(report: ScanReport) -> Iterator[RenderableType]:
    from feature_platform.cli.tables import plain_table

    if report.findings:
        rows = [(each.store, each.place, each.canary, each.classification, each.form) for each in report.findings]
        yield plain_table(("store", "place", "canary of", "class", "form"), rows, whole=5)
    for store, each in report.unsearched:
        yield f"[bold red]could not be searched[/]: {store}, {each.place} ({each.why})"
    for column in report.missing:
        yield f"[bold red]no canary to find[/]: {column} lacks one that the list has"
    yield f"[{'green' if report.ok else 'bold red'}]{summary(report)}[/]"

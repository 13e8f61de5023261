"""``fp audit``: the ledger for whoever has to trust it: ``verify``, ``tail``, ``export``, ``checkpoint``, ``setup``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption, moment_of
from feature_platform.cli.screen import Screen, Texts, standard_error, standard_output
from feature_platform.cli.session import FOUND_PROBLEMS, find_root, reporting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.governance.audit.chain import Record, Verdict
    from feature_platform.project.audit import ProjectAudit

app = typer.Typer(name="audit", help="The audit ledger: verify, read, export it.", no_args_is_help=True)

ActionOption = Annotated[
    list[str] | None,
    typer.Option("--action", "-a", help="Only these, such as `query` or `gate`. Repeat it.", show_default=False),
]
_POLL_SECONDS: Final = 1.0


@app.command()
def verify(
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            "--checkpoints", "-c", help="Folder of checkpoints that were stored elsewhere.", show_default=False
        ),
    ] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Check every record of the ledger against its hash, its neighbours and all checkpoints."""
    screen = Screen(json)
    with _opened(screen, project, profile) as audit:
        with screen.working("verifying"):
            verdict = audit.trail.verify(checkpoints)
        ledger = audit.trail.ledger.name
        screen.show(_verdict_as_dict(verdict, ledger), lambda: _verdict_for_people(verdict, ledger))
    if not verdict.whole:
        raise typer.Exit(FOUND_PROBLEMS)


@app.command()
def tail(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    number: Annotated[int, typer.Option("--lines", "-n", min=0, help="Records to show first.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing new ones; Ctrl-C ends it.")] = False,
    action: ActionOption = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Show the newest records; with --json one per line."""
    screen = Screen(json)
    with _opened(screen, project, profile) as audit:
        from collections import deque

        audit.trail.drain()
        ledger = audit.trail.ledger
        # Where the filter may leave out much, everything is looked at; else only the end.
        start = 0 if action else max(0, ledger.head().seq - number)
        newest = deque(_chosen(ledger.records(start), action), maxlen=number)
        for record in newest:
            _print(screen, record)
        if follow:
            _follow(screen, audit, action)


@app.command()
def export(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .jsonl or .csv file. Default: JSON lines here.", show_default=False),
    ] = None,
    since: Annotated[str | None, typer.Option(help="From this moment (UTC) on.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option(help="Before this moment (UTC).", show_default=False)] = None,
    action: ActionOption = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Write records as JSON lines, whole and verifiable, or as CSV; the export is itself recorded."""
    screen = Screen(json)
    with _opened(screen, project, profile) as audit:
        from feature_platform.cli.audit_export import write
        from feature_platform.governance.audit.event import moment

        first, last = (moment(moment_of(text).replace(tzinfo=UTC)) if text else "" for text in (since, until))
        audit.export("ledger", out.suffix.lstrip(".") if out else "jsonl")
        audit.trail.drain()
        chosen = (
            record
            for record in _chosen(audit.trail.ledger.records(), action)
            if first <= record.recorded_at and (not last or record.recorded_at < last)
        )
        with screen.counting("exporting") as count:
            records = write(chosen, out, count)
        if out is not None:
            screen.show({"file": str(out), "records": records}, lambda: [f"{records:,} records in {out}"])


@app.command()
def checkpoint(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for a copy of the checkpoint.", show_default=False)
    ] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Sign the ledger's head, to be stored where the ledger's writers can't change it."""
    screen = Screen(json)
    with _opened(screen, project, profile) as audit:
        from feature_platform.governance.audit.checkpoints import keep

        made = audit.trail.checkpoint()
        file = keep(out if out is not None else audit.trail.folder, made)
        screen.show(
            {**made.as_dict(), "file": str(file)},
            lambda: [f"{made.count:,} records, the last is number {made.seq:,}: {made.head[:16]}…", f"[dim]{file}[/]"],
        )


@app.command()
def setup() -> None:
    """Print the SQL that sets up the ledger and its roles, for the owner of the database."""
    from feature_platform.governance.audit.postgres_ledger import ROLES_FILE, SCHEMA_FILE

    for file in (SCHEMA_FILE, ROLES_FILE):
        typer.echo(file.read_text(encoding="utf-8"))


@contextmanager
def _opened(screen: Screen, folder: Path | None, profile: str | None) -> Iterator[ProjectAudit]:
    """The trail of a project, which need not compile."""
    with reporting(screen):
        root = find_root(folder)
    with reporting(screen, Texts(root)):
        from feature_platform.project.audit import ProjectAudit

        audit = ProjectAudit.open(root, profile=profile)
        try:
            yield audit
        finally:
            audit.close()


def _chosen(records: Iterator[Record], actions: Sequence[str] | None) -> Iterator[Record]:
    wanted = set(actions or ())
    return (record for record in records if not wanted or record.event().get("action") in wanted)


def _follow(screen: Screen, audit: ProjectAudit, actions: Sequence[str] | None) -> None:
    import time

    after = audit.trail.ledger.head().seq
    try:
        while True:
            time.sleep(_POLL_SECONDS)
            audit.trail.drain()
            for record in audit.trail.ledger.records(after):
                after = record.seq
                for chosen in _chosen(iter([record]), actions):
                    _print(screen, chosen)
    except KeyboardInterrupt:
        return


def _print(screen: Screen, record: Record) -> None:
    from feature_platform.cli.audit_export import line_of

    if screen.machine:
        typer.echo(line_of(record))
        return
    from rich.text import Text

    event = record.event()
    decision = str(event.get("decision", ""))
    line = Text(f"{record.seq:>8}  {event.get('at', '')[:19].replace('T', ' ')}  ", style="dim")
    line.append(f"{decision:<6}", style={"deny": "bold red", "mask": "yellow"}.get(decision, "green"))
    line.append(f"{event.get('action', ''):<16}", style="bold")
    line.append(f"{event.get('object', '')}")
    why = ", ".join(event.get("purposes", ()))
    who = event.get("actor", {})
    line.append(f"  {who.get('human', '')} by {who.get('service', '')}{f' for {why}' if why else ''}", style="dim")
    if refused := [each["code"] for each in event.get("refusals", ())]:
        line.append(f"  {', '.join(dict.fromkeys(refused))}", style="red")
    if "rows" in event:
        line.append(f"  {event['rows']:,} row{'s' if event['rows'] != 1 else ''}", style="cyan")
    standard_output().print(line, soft_wrap=True)


def _verdict_as_dict(verdict: Verdict, ledger: str) -> dict[str, Any]:
    return {
        "whole": verdict.whole,
        "ledger": ledger,
        "records": verdict.records,
        "first": verdict.first,
        "last": verdict.last,
        "head": verdict.head,
        "checkpoints": verdict.checkpoints,
        "faults": verdict.faults,
        "findings": [{"record": finding.seq, "what": finding.what} for finding in verdict.findings],
    }


def _verdict_for_people(verdict: Verdict, ledger: str) -> Iterator[RenderableType]:
    span = f"records {verdict.first:,} to {verdict.last:,}" if verdict.records else "no record yet"
    yield f"{ledger}: {span}, held against {verdict.checkpoints:,} checkpoints"
    if verdict.whole:
        yield f"[green]whole[/], head {verdict.head[:16]}…"
        return
    from feature_platform.governance.audit.codes import LEDGER_CHANGED

    standard_error().print(f"[bold red]{LEDGER_CHANGED.id}[/]: {LEDGER_CHANGED.title}, {verdict.faults:,} faults")
    for finding in verdict.findings:
        yield f"  {finding.what}"
    if verdict.faults > len(verdict.findings):
        yield f"  … and {verdict.faults - len(verdict.findings):,} more"

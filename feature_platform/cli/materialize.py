"""``fp materialize``: publishes what is missing or stale, through real Dagster runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption, moment_of
from feature_platform.cli.screen import Screen, standard_error
from feature_platform.cli.session import FOUND_PROBLEMS, opened

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.orchestration.intervals import Intervals
    from feature_platform.orchestration.report import AssetReport, Plan, RunEvent, RunReport, Status


SelectionArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Views and services: `name`, `name+` with what depends on it, `+name` with what it needs, "
        "`domain:name`. Default: everything.",
        show_default=False,
    ),
]
PartitionOption = Annotated[
    str | None,
    typer.Option(
        help="A day, an hour, FIRST..LAST, or `all` since the view's start. Default: the newest complete one.",
        show_default=False,
    ),
]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="The moment (UTC) that the run stands for. Default: now.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Rebuild what is up to date, too.")]
DescendantsOption = Annotated[
    bool, typer.Option("--with-descendants", help="Also everything that depends on what is named, as `name+` does.")
]
IntervalsOption = Annotated[
    bool,
    typer.Option("--intervals", help="Show per view what is built, stale, missing, and due next, and build nothing."),
]
RecordOption = Annotated[
    bool, typer.Option("--in-dagster", help="Also show the plan on the assets' pages in Dagster's UI, as observations.")
]
ChunkOption = Annotated[
    int, typer.Option("--chunk", min=1, help="Partitions of one run: what a run that dies has to do again.")
]


def plan(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    selection: SelectionArgument = None,
    partition: PartitionOption = None,
    as_of: AsOfOption = None,
    force: ForceOption = False,
    chunk: ChunkOption = 30,
    descendants: DescendantsOption = False,
    intervals: IntervalsOption = False,
    in_dagster: RecordOption = False,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Show what `fp materialize` would build, why, and about how many rows. Builds nothing."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.orchestration.runs import plan as planned_by
        from feature_platform.orchestration.runs import view_intervals

        moment = moment_of(as_of) if as_of is not None else None
        names = _named(selection, descendants)
        if intervals:
            states = view_intervals(found, names, as_of=moment)
            screen.show({"views": [asdict(each) for each in states]}, lambda: _intervals_for_people(states))
            return
        planned = planned_by(
            found, names, partition=partition, as_of=moment, force=force, chunk=chunk, record=in_dagster
        )
        screen.show(_plan_as_dict(planned), lambda: _plan_for_people(planned))


def materialize(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    selection: SelectionArgument = None,
    partition: PartitionOption = None,
    as_of: AsOfOption = None,
    force: ForceOption = False,
    chunk: ChunkOption = 30,
    descendants: DescendantsOption = False,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Compute, check and publish what is missing or stale."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.orchestration.runs import materialize as run

        moment = moment_of(as_of) if as_of is not None else None
        with progress(screen) as on_event:
            report = run(
                found,
                _named(selection, descendants),
                partition=partition,
                as_of=moment,
                force=force,
                chunk=chunk,
                on_event=on_event,
            )
        screen.show(_as_dict(report), lambda: for_people(report))
    if not report.ok:
        raise typer.Exit(FOUND_PROBLEMS)


@contextmanager
def progress(screen: Screen) -> Iterator[Callable[[RunEvent], None] | None]:
    """A bar over the assets of a run; nothing without a terminal."""
    console = standard_error()
    if screen.machine or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("looking at what is there", total=None)

        def hear(event: RunEvent) -> None:
            where = f"{event.step} {event.asset}{f' {event.partition}' if event.partition else ''}"
            bar.update(task, total=event.total, completed=event.done, description=where)

        yield hear


def for_people(report: RunReport) -> Iterator[RenderableType]:
    """One line per asset, why some failed, and a sum."""
    from rich.table import Table
    from rich.text import Text

    styles: dict[Status, str] = {
        "published": "green",
        "up_to_date": "dim",
        "superseded": "cyan",
        "failed": "bold red",
        "blocked": "yellow",
    }
    table = Table("asset", "status", "rows", "checks", "time", box=None, pad_edge=False, header_style="bold")
    table.columns[2].justify = table.columns[4].justify = "right"
    for asset in report.assets:
        rows = "" if asset.rows is None else f"{asset.rows:,}"
        status = Text(asset.status.replace("_", " "), style=styles[asset.status])
        table.add_row(asset.asset, status, rows, _checks(asset), f"{asset.seconds:.1f} s" if asset.seconds else "")
    yield table
    for asset in report.of("failed"):
        yield Text(f"{asset.asset}: ", style="bold red").append(asset.reason, style="default")
    for asset in report.of("superseded"):
        yield Text(f"{asset.asset}: ", style="cyan").append(f"left as it is: {asset.reason}", style="default")
    counts = ", ".join(f"{len(report.of(status))} {status.replace('_', ' ')}" for status in styles if report.of(status))
    yield f"{counts or 'nothing to do'} in {report.seconds:.1f} s"


def _named(selection: list[str] | None, descendants: bool) -> list[str] | None:
    """The selection as runs take it; None: everything."""
    if not selection:
        return None
    return [name if not descendants or name.endswith("+") else f"{name}+" for name in selection]


def _intervals_for_people(states: Sequence[Intervals]) -> Iterator[RenderableType]:
    from feature_platform.cli.tables import plain_table

    if not states:
        yield "no view of the selection is partitioned"
    for each in states:
        upcoming = f"next {each.next_partition}, over at {each.next_due:%Y-%m-%d %H:%M}"
        yield f"[bold]{each.view}[/], by {each.unit}; {upcoming}"
        spans = [
            *(("built", span) for span in each.current),
            *(("stale", span) for span in each.stale),
            *(("missing", span) for span in each.missing),
        ]
        rows = [
            ("..".join(dict.fromkeys((span.first, span.last))), state, str(span.partitions), span.why)
            for state, span in sorted(spans, key=lambda pair: pair[1].first)
        ]
        rows += [
            (found.partition, "parity exception", "1", f"{found.before:,} events then, {found.now:,} now")
            for found in each.parity
        ]
        yield plain_table(("partitions", "state", "number", "because"), rows, whole=3)


def _parity_for_people(planned: Plan) -> Iterator[RenderableType]:
    """What no run rebuilds by itself, and what does."""
    for view, exceptions in planned.parity.items():
        first, last = exceptions[0].partition, exceptions[-1].partition
        span = "..".join(dict.fromkeys((first, last)))
        yield (
            f"[yellow]{view}: {len(exceptions)} parity exceptions[/] (late events before the lookback); "
            f"mend: fp materialize {view} --partition {span}"
        )


def _plan_for_people(planned: Plan) -> Iterator[RenderableType]:
    from feature_platform.cli.tables import plain_table

    for number, run in enumerate(planned.runs, 1):
        yield f"[bold]run {number}[/]"
        rows = [
            (
                asset.asset,
                "" if asset.span is None else "..".join(dict.fromkeys(asset.span)),
                str(asset.partitions or ""),
                "" if asset.rows is None else f"~{asset.rows:,}",
                "; ".join(asset.reasons),
            )
            for asset in run
        ]
        yield plain_table(("asset", "partitions", "number", "rows", "because"), rows, whole=4)
    yield from _parity_for_people(planned)
    built = len({asset.asset for asset in planned.assets})
    partitions = sum(asset.partitions for asset in planned.assets)
    expected = sum(asset.rows or 0 for asset in planned.assets)
    many = f" ({partitions:,} partitions, about {expected:,} rows)" if built else ""
    yield f"{built} to build{many}, {planned.up_to_date} up to date"


def _plan_as_dict(planned: Plan) -> dict[str, Any]:
    return asdict(planned)


def _checks(asset: AssetReport) -> str:
    if not asset.checks:
        return ""
    passed = sum(check.passed for check in asset.checks)
    return f"{passed}/{len(asset.checks)} passed"


def _as_dict(report: RunReport) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "seconds": round(report.seconds, 3),
        "run_ids": list(report.run_ids),
        "assets": [asdict(asset) for asset in report.assets],
    }

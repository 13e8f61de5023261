"""``fp profile``: what the columns of sources hold, by detection, held against what they declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import FOUND_PROBLEMS, linked

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.governance.detection import Finding
    from feature_platform.project.source_profiles import Profiled
    from feature_platform.specs.models import Source, SourceColumn


def profile_sources(
    source: Annotated[
        list[str] | None, typer.Argument(help="Sources to look at. Default: all.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Look again at data that did not change.")] = False,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Search every row of sources for personal data. The next compile knows what was found: no value is kept.

    Ends with 1 if a column looks personal and its declaration does not say so.
    """
    screen = Screen(json)
    with linked(screen, project, profile) as found:
        from feature_platform.project.source_profiles import refresh

        with screen.working("looking at every row"):
            profiled = refresh(found, source or (), force=force)
        specs = {each.source: found.registry.sources[each.source].spec for each in profiled}
        lines = [line for each in profiled for line in _lines(each, specs[each.source])]
        screen.show(
            {"sources": [_as_dict(each) for each in profiled], "columns": lines},
            lambda: _for_people(profiled, lines),
        )
    if any(line["verdict"] in _OPEN for line in lines):
        raise typer.Exit(FOUND_PROBLEMS)


UNDECLARED = "looks personal, not declared"
UNREASONED = "looks personal, `none` without a reason"
_OPEN = frozenset({UNDECLARED, UNREASONED})


def _lines(profiled: Profiled, source: Source) -> Iterator[dict[str, Any]]:
    """One line per finding."""
    for column, findings in profiled.profile.columns.items():
        for finding in findings:
            yield {
                "source": profiled.source,
                "column": column,
                "declared": source.columns[column].pii,
                "looks_like": finding.classification,
                "evidence": finding.evidence,
                "confidence": round(finding.confidence, 2),
                "rows": finding.rows,
                "share": round(finding.share, 4),
                "verdict": _verdict(source.columns[column], finding),
            }


def _verdict(declared: SourceColumn, finding: Finding) -> str:
    from feature_platform.governance.detection.finding import CERTAIN

    if declared.pii == finding.classification:
        return "as declared"
    if declared.pii not in (None, "none"):
        return f"declared as {declared.pii}"
    if declared.pii_reason:
        return f"overridden: {declared.pii_reason}"
    if finding.confidence < CERTAIN:
        return "not sure"
    return UNDECLARED if declared.pii is None else UNREASONED


def _as_dict(profiled: Profiled) -> dict[str, Any]:
    return {
        "source": profiled.source,
        "rows": profiled.profile.rows,
        "data_version": profiled.profile.data_version,
        "fresh": profiled.fresh,
    }


def _for_people(profiled: list[Profiled], lines: list[dict[str, Any]]) -> Iterator[RenderableType]:
    from feature_platform.cli.tables import plain_table

    rows = [
        (
            f"{line['source']}.{line['column']}",
            line["looks_like"],
            f"{line['confidence']:.2f}",
            line["evidence"],
            f"{line['share']:.1%}",
            line["verdict"],
        )
        for line in lines
    ]
    if rows:
        yield plain_table(("column", "looks like", "confidence", "by", "share", "verdict"), rows, whole=1)
    fresh = sum(each.fresh for each in profiled)
    total = sum(each.profile.rows for each in profiled)
    yield f"[dim]{len(profiled)} sources, {total:,} rows; {len(profiled) - fresh} unchanged since their last profile[/]"

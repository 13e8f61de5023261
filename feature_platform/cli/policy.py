"""Commands about policies: what applies to a column and why, and what a change of policies changes."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_platform.cli.codes import UNKNOWN_NAME
from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption, PurposeOption, RoleOption
from feature_platform.cli.screen import Screen, Texts
from feature_platform.cli.session import FOUND_PROBLEMS, find_root, opened, reporting
from feature_platform.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.cli.policy_subjects import Subject
    from feature_platform.compiler.policy_diff import PolicyDiff
    from feature_platform.governance.access import Access
    from feature_platform.governance.explanations import Explanation
    from feature_platform.project.project import Project

app = typer.Typer(help="What policies open and close: for a column, and by a change.", no_args_is_help=True)


@app.command("explain")
def explain_column(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    column: Annotated[
        str,
        typer.Argument(
            metavar="COLUMN", help="SOURCE.COLUMN, VIEW:FEATURE or a classification such as email.", show_default=False
        ),
    ],
    purpose: PurposeOption = None,
    role: RoleOption = "author",
    environment: Annotated[
        str | None, typer.Option("--environment", help="Default: the profile's.", show_default=False)
    ] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a policy makes of a column and why: every rule with its line, what wins, which transforms are open.
    Without a purpose, for each of the project's.
    """
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.cli.policy_subjects import subject_of
        from feature_platform.sdk.client import known_purpose

        purposes = [known_purpose(found, purpose)] if purpose else list(found.registry.platform.purposes)
        subject = subject_of(found, column)
        asking = [_access(found, each, role, environment) for each in purposes]
        answers = [(access, subject.explained(access)) for access in asking]
        answer = {
            "column": column,
            "holds": subject.holds,
            "for": [_as_dict(subject, access, explained) for access, explained in answers],
        }

        def human() -> Iterator[RenderableType]:
            yield f"[bold]{column}[/]: {subject.holds}"
            for access, explained in answers:
                yield ""
                yield from _for_people(subject, access, explained)

        screen.show(answer, human)


@app.command("diff")
def diff(
    against: Annotated[
        str, typer.Option("--against", help="What to compare with: a Git revision, or a folder with platform.yaml.")
    ] = "HEAD",
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Compare policies as they are here with those of a revision or another folder: which columns give something else,
    which features change label, which views and services start or stop compiling.

    Exit code 0: nothing changed, or it only got stricter and everything still compiles. 1: something is more open than
    before, a label changed, something stopped compiling, or a team's transform was approved; somebody has to look.
    """
    screen = Screen(json)
    with reporting(screen):
        root = find_root(project)
    with reporting(screen, Texts(root)):
        from feature_platform.cli.revisions import other_state
        from feature_platform.compiler.policy_diff import PolicyDiff, State

        with other_state(root, against) as before, screen.working("compiling both"):
            found = PolicyDiff.between(State.load(before, profile), State.load(root, profile))
        screen.show(found.as_dict(), lambda: _changes_for_people(found, against))
    if found.needs_review:
        raise typer.Exit(FOUND_PROBLEMS)


class WalledEngine(StrEnum):
    """Databases whose administrators can put up a second wall."""

    postgres = "postgres"
    doris = "doris"


@app.command("export")
def export(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    engine: Annotated[WalledEngine, typer.Option("--engine", "-e", help="Whose SQL to print.")],
    purpose: Annotated[str, typer.Option("--purpose", help="For whom: a purpose of the project.")],
    role: RoleOption = "author",
    tokens: Annotated[
        bool, typer.Option("--with-tokens", help="Tokens too; the role may then make them, so it can try values.")
    ] = False,
    environment: Annotated[
        str | None, typer.Option("--environment", help="Default: the profile's.", show_default=False)
    ] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
) -> None:
    """Print a purpose's policies as SQL for the administrators of a database: a role, and a view of each source with
    what the role may read. A second wall: the platform does not need it.
    """
    screen = Screen(False)
    with opened(screen, project, profile) as found:
        from feature_platform.compiler.policy_export import statements, walls
        from feature_platform.sdk.client import known_purpose

        access = _access(found, known_purpose(found, purpose), role, environment)
        stores = {name for name, spec in found.profile.stores.items() if getattr(spec, "type", "") == engine.value}
        there = {
            name: source.spec.table
            for name, source in found.registry.sources.items()
            if source.spec.table is not None and source.spec.store in stores
        }
        if not there:
            raise UsageError(
                UNKNOWN_NAME.problem(
                    f"no source of this profile is a table in a store of type {engine.value}",
                    mend="choose another profile or engine; files have no administrator to ask",
                )
            )
        made = tuple(walls(found.catalog, access, engine.value, there, tokens=tokens))
        for source in there:
            found.audit.export(f"source:{source}", "policy")
        for statement in statements(made, access, engine.value, tokens=tokens):
            typer.echo(statement)


def _access(project: Project, purpose: str, role: str, environment: str | None) -> Access:
    from dataclasses import replace

    access = project.access(purpose, role)
    if environment is None:
        return access
    platform = project.registry.platform
    known = {platform.environment_of(name) for name in platform.profiles}
    known |= {name for rule in access.policies.rules for name in rule.rule.environments}
    if environment not in known:
        raise UsageError(
            UNKNOWN_NAME.problem(
                f"there is no environment '{environment}'.{did_you_mean(environment, known)}",
                mend=f"use one of {', '.join(sorted(known))}",
            )
        )
    return replace(access, environment=environment)


def _as_dict(subject: Subject, access: Access, explained: tuple[Explanation, ...]) -> dict[str, Any]:
    return {
        "purpose": access.purposes[0],
        "role": access.role,
        "environment": access.environment,
        "verdict": subject.verdict(access),
        "classes": [
            {
                "classification": each.classification,
                "action": each.decision.action,
                "why": each.why,
                "rules": [
                    {
                        "policy": rule.rule.policy,
                        "file": rule.rule.location.file,
                        "line": rule.rule.location.line,
                        "action": rule.rule.rule.action,
                        "transforms": sorted(rule.rule.rule.transforms),
                        "counts": rule.counts,
                        "why": rule.why,
                    }
                    for rule in each.rules
                ],
                "transforms": [{"name": one.name, "call": one.call, "gives": one.gives} for one in each.transforms],
                "taken_away": [{"transform": name, "by": rule.name} for name, rule in each.taken_away],
                "combinations": [sorted(one) for one in each.decision.combinations],
            }
            for each in explained
        ],
    }


def _for_people(subject: Subject, access: Access, explained: tuple[Explanation, ...]) -> Iterator[RenderableType]:
    from rich.text import Text

    from feature_platform.cli.tables import plain_table

    place = f" in {access.environment}" if access.environment else ""
    yield Text(f"{access}{place}: ", style="bold").append(subject.verdict(access), style="cyan")
    for each in explained:
        if subject.of_view:
            yield Text(f"  {each.classification}: {each.decision.action}")
        yield Text(f"  {each.why}", style="dim")
        rows = [
            ("  " + rule.rule.name, rule.rule.rule.action, ", ".join(rule.rule.rule.transforms) or "–", rule.why)
            for rule in each.rules
        ]
        if rows:
            yield plain_table(("  rule", "gives", "transforms", ""), rows, whole=1)
        if each.transforms and not subject.of_view:
            yield plain_table(("  write", "gives"), [(f"  {one.call}", one.gives) for one in each.transforms], whole=1)
        if each.decision.combinations and not subject.of_view:
            together = "  ".join(f"[{', '.join(sorted(one))}]" for one in each.decision.combinations)
            yield Text(f"  together: {together}")
        for name, rule in each.taken_away:
            yield Text(f"  {name} is taken away by {rule.name}, which does not list it", style="yellow")


def _changes_for_people(found: PolicyDiff, against: str) -> Iterator[RenderableType]:
    from rich.text import Text

    from feature_platform.cli.tables import plain_table

    if found.empty:
        yield f"[green]No difference[/] in what policies do since {against}."
        return
    styles = {"looser": "bold red", "stricter": "green"}
    for change in found.columns:
        head = Text(f"{change.direction}: ", style=styles[change.direction])
        yield head.append(", ".join(change.columns), style="bold").append(f"  {change.who}", style="default")
        yield Text(f"  - {change.before}", style="red")
        yield Text(f"  + {change.after}", style="green")
    for name, before, after in found.approvals:
        yield Text("transform of a team: ", style="bold red" if after else "green").append(name, style="bold")
        yield Text(f"  - {before or 'not approved'}", style="red")
        yield Text(f"  + {after or 'not approved'}", style="green")
    if found.labels:
        rows = [(f"  {each.feature}", each.before, each.after) for each in found.labels]
        yield Text("features with other labels", style="bold")
        yield plain_table(("  feature", "before", "now"), rows, whole=1)
    for title, names, style in (
        ("stops compiling", found.stopped, "bold red"),
        ("starts compiling", found.started, "green"),
    ):
        for name, why in names:
            yield Text(f"{title}: ", style=style).append(name, style="bold")
            for problem in why:
                yield Text(f"  {problem}", style="dim")

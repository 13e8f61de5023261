"""``fp dataset``: training sets that are kept under a name. A skin over :mod:`feature_platform.sdk.datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption, PurposeOption, RoleOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import FOUND_PROBLEMS, opened
from feature_platform.cli.training import (
    FeatureOption,
    SpineArgument,
    SpineSqlOption,
    TimeOption,
    given_spine,
    purpose_of,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.sdk.datasets import Manifest
    from feature_platform.sdk.verification import Verification

app = typer.Typer(help="Training sets that are kept under a name, and can be made again.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A dataset.", show_default=False)]


@app.command("create")
def create(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    name: Annotated[str, typer.Argument(help="Name of the dataset.", show_default=False)],
    feature: FeatureOption,
    spine: SpineArgument = None,
    spine_sql: SpineSqlOption = None,
    time: TimeOption = "event_time",
    purpose: PurposeOption = None,
    role: RoleOption = "author",
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Make a training set and keep it as the next version of a dataset."""
    screen = Screen(json)
    with opened(screen, project, profile, spine_sql) as found:
        from feature_platform.sdk.client import FeatureStore

        session = FeatureStore(found, purpose=purpose_of(found, purpose, feature), role=role)
        with screen.working("making the training set"):
            made = session.create_dataset(name, given_spine(found, spine, spine_sql, time), feature, time=time)
        screen.show({"dataset": asdict(made.manifest)}, lambda: _manifest_for_people(made.manifest))


@app.command("list")
def list_datasets(project: ProjectOption = None, profile: ProfileOption = None, json: JsonOption = False) -> None:
    """List datasets: versions, rows, purpose."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.cli.tables import plain_table
        from feature_platform.sdk.datasets import datasets

        listed = datasets(found)
        rows = [
            (each.title, f"{each.rows:,}", str(len(each.features)), each.purpose, each.created_at) for each in listed
        ]
        header = ("dataset", "rows", "features", "purpose", "created")
        screen.show({"datasets": [asdict(each) for each in listed]}, lambda: [plain_table(header, rows, whole=5)])


@app.command("show")
def show(
    name: NameArgument, project: ProjectOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> None:
    """Show what a dataset was made from. Its rows are for sessions with its purpose."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.sdk.datasets import manifest_of

        manifest = manifest_of(found, name)
        screen.show({"dataset": asdict(manifest)}, lambda: _manifest_for_people(manifest))


@app.command("verify")
def verify(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    name: NameArgument,
    purpose: PurposeOption = None,
    role: RoleOption = "author",
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Make a dataset again and compare every value. Exit code 1 if some differ, with the reasons."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.sdk.client import FeatureStore
        from feature_platform.sdk.datasets import manifest_of

        session = FeatureStore(found, purpose=purpose or manifest_of(found, name).purpose, role=role)
        with screen.working("making it again"):
            verified = session.verify_dataset(name)
        screen.show({**asdict(verified), "reproduced": verified.reproduced}, lambda: _verification_for_people(verified))
    if not verified.reproduced:
        raise typer.Exit(FOUND_PROBLEMS)


def _manifest_for_people(manifest: Manifest) -> Iterator[RenderableType]:
    from feature_platform.cli.tables import plain_table

    yield f"[bold]{manifest.title}[/]: {manifest.rows:,} rows for {manifest.purpose}, {manifest.created_at}"
    labels = dict(zip(manifest.features, manifest.labels.values(), strict=True))
    yield plain_table(("feature", "labels"), labels.items(), whole=1)
    yield plain_table(("made from", "version"), [*manifest.fingerprints.items(), *manifest.tables.items()], whole=1)


def _verification_for_people(verified: Verification) -> Iterator[RenderableType]:
    if verified.reproduced and verified.rounded:
        same = f"all {verified.rows:,} rows are the same, but for last digits of sums of doubles"
        yield f"[green]{verified.dataset}: {same}[/]"
    elif verified.reproduced:
        yield f"[green]{verified.dataset}: all {verified.rows:,} rows are the same, value by value[/]"
    else:
        yield f"[red]{verified.dataset} can't be made again as it was[/]"
    for column, rows in verified.differing.items():
        yield f"  {column}: {rows:,} of {verified.rows:,} rows differ"
    for column, near in verified.rounded.items():
        yield f"  {column}: {near.rows:,} of {verified.rows:,} rows, by at most {near.largest:.1g} of the value"
    for view in verified.definitions:
        yield f"  definition changed: {view}"
    for table, (then, now) in verified.versions.items():
        yield f"  rows changed: {table} (version {then} then, {now or 'none'} now)"

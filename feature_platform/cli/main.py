"""``fp``: the command line. A thin skin over :mod:`feature_platform.project` and :mod:`feature_platform.sdk`.

Exit codes: 0 all is well, 1 problems were found, 2 the command line makes no sense. Nothing heavy is imported before a
command runs.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from feature_platform import __version__
from feature_platform.cli import (
    audit,
    author,
    canary,
    data,
    dataset,
    materialize,
    policy,
    profile,
    start,
    store,
    token,
    ui,
)
from feature_platform.cli.explain import command as explanation

app = typer.Typer(
    name="fp",
    help="Features as YAML in Git: checked, compiled to guarded SQL, materialized, served.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, which may hold data
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _fp(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


_AUTHORS = "For authors of features"
_DATA = "For users of features"
_RUN = "For operators"

app.command("init", rich_help_panel=_AUTHORS)(start.init)
app.command("validate", rich_help_panel=_AUTHORS)(author.validate)
app.command("compile", rich_help_panel=_AUTHORS)(author.compile_view)
app.command("lineage", rich_help_panel=_AUTHORS)(author.lineage)
app.command("schema", rich_help_panel=_AUTHORS)(author.schema)
app.command("explain", rich_help_panel=_AUTHORS)(explanation.explain)
app.add_typer(policy.app, name="policy", rich_help_panel=_AUTHORS)
app.command("features", rich_help_panel=_DATA)(data.features)
app.command("training-set", rich_help_panel=_DATA)(data.training_set)
app.add_typer(dataset.app, name="dataset", rich_help_panel=_DATA)
app.command("get", rich_help_panel=_DATA)(data.get)
app.command("sql", rich_help_panel=_DATA)(data.sql)
app.command("profile", rich_help_panel=_AUTHORS)(profile.profile_sources)
app.command("plan", rich_help_panel=_RUN)(materialize.plan)
app.command("materialize", rich_help_panel=_RUN)(materialize.materialize)
app.add_typer(store.app, name="store", rich_help_panel=_RUN)
app.add_typer(token.app, name="token", rich_help_panel=_RUN)
app.add_typer(canary.app, name="canary", rich_help_panel=_RUN)
app.command("ui", rich_help_panel=_RUN)(ui.ui)
app.add_typer(audit.app, name="audit", rich_help_panel=_RUN)


def main() -> None:
    """The entry point of the console script."""
    try:
        app()
    except BrokenPipeError:
        # whoever read our output has seen enough; the interpreter would complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)

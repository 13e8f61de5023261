"""Commands for people who write definitions: ``validate``, ``compile``, ``lineage``, ``schema``. They touch no data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from feature_platform.cli.codes import UNKNOWN_NAME
from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption
from feature_platform.cli.screen import Screen, print_json, standard_output
from feature_platform.cli.session import opened, reporting
from feature_platform.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.cli.lineage import Node
    from feature_platform.compiler.plan import CompiledQuery, CompiledView
    from feature_platform.project.project import Project
    from feature_platform.types import Engine

T = TypeVar("T")

_ONE: Final = {
    "domains": "domain",
    "entities": "entity",
    "sources": "source",
    "views": "view",
    "features": "feature",
    "services": "service",
    "policies": "policy",
}


class EngineName(StrEnum):
    """Engines that a definition is rendered for."""

    duckdb = "duckdb"
    postgres = "postgres"


class Direction(StrEnum):
    """Ways to follow lineage."""

    up = "up"
    down = "down"
    both = "both"


def validate(project: ProjectOption = None, profile: ProfileOption = None, json: JsonOption = False) -> None:
    """Check every document: read, link, compile. Reports all problems at once."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        counts = _counts(found)
        listed = ", ".join(f"{number} {what if number != 1 else _ONE[what]}" for what, number in counts.items())
        screen.show({"problems": [], **counts}, lambda: [f"[green]No problems[/] in {listed}."])


def compile_view(
    view: Annotated[str, typer.Argument(help="Name of a feature view.", show_default=False)],
    engine: Annotated[EngineName, typer.Option("--engine", "-e", help="Whose SQL to show.")] = EngineName.duckdb,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a view becomes: guarded SQL, columns, types and labels."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        compiled = _known(view, found.compiled.views, "view")
        query = compiled.materialize or compiled.derive
        assert query is not None
        screen.show(_compiled_as_dict(compiled, query), lambda: _compiled_for_people(compiled, query, engine.value))


def lineage(
    feature: Annotated[str, typer.Argument(metavar="VIEW[:FEATURE]", help="A view, or one of its features.")],
    direction: Annotated[
        Direction, typer.Option("--direction", "-d", help="Up to sources, down to services.")
    ] = Direction.both,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Show where features come from and what they go into, column by column."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.cli.lineage import rich_tree

        up, down = _trees(found, feature, direction)
        answer = {"upstream": [node.as_dict() for node in up], "downstream": [node.as_dict() for node in down]}

        def human() -> Iterator[RenderableType]:
            for title, nodes in (("comes from", up), ("goes into", down)):
                for node in nodes:
                    yield f"[dim]{node.name} {title}[/]"
                    yield rich_tree(node)

        screen.show(answer, human)


def schema(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write. Default: standard output.", show_default=False)
    ] = None,
) -> None:
    """Print the JSON Schema of all documents, for editors that complete and check YAML."""
    from feature_platform.specs.json_schema import json_schema

    with reporting(Screen()):
        if out is None:
            print_json(json_schema())
            return
        import json

        out.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        Screen().hint(f"written to {out}")


def _counts(project: Project) -> dict[str, int]:
    registry, compiled = project.registry, project.compiled
    return {
        "domains": len(registry.domains),
        "entities": len(registry.entities),
        "sources": len(registry.sources),
        "views": len(compiled.views),
        "features": sum(len(view.features) for view in compiled.views.values()),
        "services": len(compiled.services),
        "policies": len(registry.policies),
    }


def _known(name: str, known: Mapping[str, T], what: str) -> T:
    if name not in known:
        raise UsageError(
            UNKNOWN_NAME.problem(
                f"there is no {what} '{name}'.{did_you_mean(name, known)}", mend="`fp features` lists what there is"
            )
        )
    return known[name]


def _compiled_as_dict(view: CompiledView, query: CompiledQuery) -> dict[str, Any]:
    from feature_platform.governance.labels import describe

    return {
        "view": view.name,
        "form": view.form,
        "entity": view.entity,
        "fingerprint": view.fingerprint,
        "reads": [str(ref) for ref in view.reads],
        "parameters": list(query.parameters),
        "columns": [
            {"name": column.name, "type": str(column.type), "labels": describe(column.labels)}
            for column in query.columns
        ],
        "sql": dict(query.sql),
    }


def _compiled_for_people(view: CompiledView, query: CompiledQuery, engine: Engine) -> Iterator[RenderableType]:
    import sqlglot
    from rich.syntax import Syntax
    from rich.table import Table

    from feature_platform.governance.labels import describe

    pretty = sqlglot.parse_one(query.sql[engine], dialect=engine).sql(dialect=engine, pretty=True)
    terminal = standard_output().is_terminal
    yield Syntax(pretty, "sql", background_color="default", word_wrap=True) if terminal else pretty
    yield ""
    columns = Table("column", "type", "labels", box=None, pad_edge=False, header_style="bold")
    for column in query.columns:
        columns.add_row(column.name, str(column.type), describe(column.labels))
    yield columns
    asks = f"; asks for {', '.join('$' + name for name in query.parameters)}" if query.parameters else ""
    yield f"[dim]{view.name}, {view.form}, entity {view.entity}, fingerprint {view.fingerprint[:12]}{asks}[/]"


def _trees(project: Project, wanted: str, direction: Direction) -> tuple[list[Node], list[Node]]:
    from feature_platform.cli.lineage import Lineage, view_column

    name, _, feature = wanted.partition(":")
    view = _known(name, project.compiled.views, "view")
    known = {found.name: found for found in view.features}
    features = [_known(feature, known, f"feature of '{name}' called")] if feature else list(view.features)
    all_lineage = Lineage.of(project.registry, project.compiled)
    refs = [view_column(name, found.name) for found in features]
    up = [all_lineage.upstream(ref) for ref in refs] if direction != Direction.down else []
    down = [all_lineage.downstream(ref) for ref in refs] if direction != Direction.up else []
    return up, down

"""Commands for people who write definitions: ``validate``, ``compile``, ``lineage``, ``schema``. They touch no data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from feature_platform.cli.codes import LINEAGE_MISSING, LINEAGE_NOT_SENT, UNKNOWN_NAME
from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption
from feature_platform.cli.screen import Screen, print_json, standard_output
from feature_platform.cli.session import opened, reporting
from feature_platform.errors import StoreError, UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.cli.lineage import Node
    from feature_platform.compiler.plan import CompiledQuery, CompiledView
    from feature_platform.lineage.sending import Event
    from feature_platform.project.project import Project
    from feature_platform.registry.graph import TableRef
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
    doris = "doris"


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
        if engine.value not in query.sql:
            query = found.rendered(view, engine.value)
        found.audit.export(f"view:{view}", "sql")
        screen.show(_compiled_as_dict(compiled, query), lambda: _compiled_for_people(compiled, query, engine.value))


def lineage(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    feature: Annotated[
        str | None,
        typer.Argument(metavar="[VIEW[:COLUMN]]", help="A view or source, or one of its columns.", show_default=False),
    ] = None,
    direction: Annotated[
        Direction, typer.Option("--direction", "-d", help="Up to sources, down to services.")
    ] = Direction.both,
    openlineage: Annotated[
        bool, typer.Option("--openlineage", help="The whole project as OpenLineage events, one JSON document a line.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File for the events. Default: standard output.", show_default=False),
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send the events by OpenLineage's configured transport instead.")
    ] = False,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Show where features come from and what they go into, column by column; or tell a catalogue."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        if openlineage:
            _export(screen, found, out, send=send)
            return
        if feature is None:
            raise UsageError(
                UNKNOWN_NAME.problem("whose lineage?", mend="name a view or source, or ask for --openlineage")
            )
        from feature_platform.cli.lineage import rich_tree

        up, down = _trees(found, feature, direction)
        found.audit.export(f"lineage:{feature}", "lineage")
        answer = {"upstream": [node.as_dict() for node in up], "downstream": [node.as_dict() for node in down]}

        def human() -> Iterator[RenderableType]:
            for title, nodes in (("comes from", up), ("goes into", down)):
                for node in nodes:
                    if title == "goes into" and not node.children:
                        continue
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
    from rich.text import Text

    from feature_platform.governance.labels import describe

    if engine == "doris":
        from feature_platform.compiler.doris.tokens import laid_out

        pretty = laid_out(query.sql[engine]).rstrip()
    else:
        pretty = sqlglot.parse_one(query.sql[engine], dialect=engine).sql(dialect=engine, pretty=True)
    terminal = standard_output().is_terminal
    yield (
        Syntax(pretty, "sql", background_color="default", word_wrap=True) if terminal else Text(pretty)
    )  # not read as markup: lists have brackets
    yield ""
    columns = Table("column", "type", "labels", box=None, pad_edge=False, header_style="bold")
    for column in query.columns:
        columns.add_row(column.name, str(column.type), describe(column.labels))
    yield columns
    asks = f"; asks for {', '.join('$' + name for name in query.parameters)}" if query.parameters else ""
    yield f"[dim]{view.name}, {view.form}, entity {view.entity}, fingerprint {view.fingerprint[:12]}{asks}[/]"


def _trees(project: Project, wanted: str, direction: Direction) -> tuple[list[Node], list[Node]]:
    from feature_platform.cli.lineage import downstream, upstream
    from feature_platform.lineage.graph import Lineage
    from feature_platform.registry.graph import ColumnRef

    name, _, column = wanted.replace(".", ":", 1).partition(":")  # the tree itself writes view.column
    table, columns, shown = _table(project, name)
    if column:
        shown = (_known(column, dict.fromkeys(columns, column), f"column of '{table.name}' called"),)
    lineage = Lineage(project.registry, project.compiled)
    refs = [ColumnRef(table, name) for name in shown]
    up = [upstream(lineage, ref) for ref in refs] if direction != Direction.down else []
    down = [downstream(lineage, ref) for ref in refs] if direction != Direction.up else []
    return up, down


def _table(project: Project, name: str) -> tuple[TableRef, tuple[str, ...], tuple[str, ...]]:
    """A view or source: its columns, and those that are shown when none is named: features, personal columns."""
    from feature_platform.lineage.graph import columns_of
    from feature_platform.registry.graph import TableRef

    views, sources = project.compiled.views, project.registry.sources
    if name in sources and name not in views:
        declared = sources[name].spec.columns
        personal = tuple(column for column, spec in declared.items() if spec.pii not in (None, "none"))
        return TableRef("source", name), tuple(declared), personal or tuple(declared)
    view = _known(name, {**dict.fromkeys(sources), **views}, "view or source")
    assert view is not None, "a source is not looked for among views"
    features = tuple(feature.name for feature in view.features)
    return TableRef("view", name), (*(column.name for column in columns_of(view)), *features), features


def _export(screen: Screen, project: Project, out: Path | None, *, send: bool) -> None:
    """All events of the project as it stands: to a file, to standard output, or to the configured transport."""
    from datetime import UTC, datetime

    from feature_platform.lineage.sending import installed
    from feature_platform.project.checkout import Checkout

    if not installed():
        raise UsageError(
            LINEAGE_MISSING.problem(
                "the extra 'lineage' is not installed", mend="pip install 'feature-platform[lineage]'"
            )
        )
    from openlineage.client.serde import Serde

    from feature_platform.lineage.events import Events

    events = list(Events.of(project, Checkout.of(project.root).link).static(datetime.now(UTC)))
    if send:
        _send(events)
        screen.hint(f"{len(events)} events sent")
        return
    text = "".join(Serde.to_json(event) + "\n" for event in events)
    if out is None:
        typer.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    screen.hint(f"{len(events)} events written to {out}")


def _send(events: Sequence[Event]) -> None:
    """Waits for the transport as long as that takes: who asks for it by hand wants to know."""
    from feature_platform.lineage.sending import client, configured

    try:
        opened = client() if configured() else None
        for event in events if opened is not None else ():
            assert opened is not None
            opened.emit(event)
    except Exception as error:  # noqa: BLE001 - the client raises whatever its transport does, with the address in it
        raise StoreError(
            LINEAGE_NOT_SENT.problem(
                f"OpenLineage's transport failed: {type(error).__name__}",
                mend="check its configuration (OPENLINEAGE_URL, OPENLINEAGE__TRANSPORT__…, openlineage.yml)",
            )
        ) from None
    if opened is None:
        raise UsageError(
            LINEAGE_NOT_SENT.problem(
                "OpenLineage has no transport", mend="set OPENLINEAGE_URL, or leave --send out and use --out"
            )
        )
    opened.close()

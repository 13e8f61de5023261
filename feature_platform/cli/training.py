"""What commands that make training sets have in common: the spine, the features, the purpose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from csv import reader
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_platform.cli.codes import BAD_VALUE, UNKNOWN_NAME
from feature_platform.errors import Location, UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.cli.screen import Screen
    from feature_platform.project.project import Project
    from feature_platform.sdk.results import Result
    from feature_platform.sdk.sql_spine import Sql

SpineArgument = Annotated[
    Path | None,
    typer.Argument(
        help="Rows to get features for: a .parquet file, a folder or pattern of them, or a .csv file.",
        show_default=False,
    ),
]
SpineSqlOption = Annotated[
    str | None,
    typer.Option(
        "--spine-sql",
        help="The rows as a query over sources and views, in place of a file: its text, or a .sql file.",
        show_default=False,
    ),
]
FeatureOption = Annotated[
    list[str],
    typer.Option("--feature", "-f", help="`view:feature`, `view:*` or a service. Repeat it.", show_default=False),
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Say where it would be computed, and why; compute nothing.")
]
TimeOption = Annotated[str, typer.Option("--time", "-t", help="The spine's column with each row's time (UTC).")]


def purpose_of(project: Project, given: str | None, wanted: Sequence[str]) -> str:
    """The purpose that was given, or that of the services that were asked for, if it is one and the same."""
    if given is not None:
        return given
    services = project.compiled.services
    unknown = [name for name in wanted if ":" not in name and name not in services]
    if unknown:
        raise UsageError(
            UNKNOWN_NAME.problem(
                f"there is no feature service '{name}'.{did_you_mean(name, services)}",
                mend=f"services are: {', '.join(services) or 'none'}",
            )
            for name in unknown
        )
    purposes = {services[name].purpose for name in wanted if name in services}
    if len(purposes) == 1:
        return purposes.pop()
    known = ", ".join(project.registry.platform.purposes)
    raise UsageError(
        BAD_VALUE.problem("no purpose is given", mend=f"say why the data is used: --purpose with one of {known}")
    )


def given_spine(project: Project, path: Path | None, sql: str | None, time: str) -> Any:
    """The spine that a command was given: a query, the rows of a .csv file as an Arrow table, any other path as it is.

    Raises:
        UsageError: none was given, or two; the file can't be read.
    """
    if (path is None) == (sql is None):
        what = "no spine is given" if path is None else "a spine is given as a file and as a query"
        raise UsageError(BAD_VALUE.problem(what, mend="give a .parquet or .csv file, or a query with --spine-sql"))
    if sql is not None:
        return _sql(sql)
    assert path is not None
    return _csv_spine(project, path, time) if path.suffix.lower() == ".csv" else path


def show_plan(screen: Screen, result: Result) -> None:
    """Where a training set is computed, and what is moved there."""
    plan = result.plan
    assert plan is not None

    def human() -> Iterator[RenderableType]:
        from feature_platform.cli.tables import plain_table

        yield f"computed in '{plan.store}' ({plan.engine}): {plan.why}"
        yield f"spine: {plan.spine}"
        if plan.join:
            yield f"join with published rows: {plan.join}"
        rows = [
            (
                each.name,
                each.store,
                "·" if each.rows is None else f"{each.rows:,}",
                "streamed" if each.moved else "in place",
            )
            for each in plan.tables
        ]
        yield plain_table(("table", "store", "rows", "read"), rows, whole=4)

    screen.show({"plan": asdict(plan)}, human)


def _sql(given: str) -> Sql:
    """A query has white space in it, and the name of its file none, or it is a name that is there."""
    from feature_platform.sdk.sql_spine import Sql

    path = Path(given)
    if not given.endswith(".sql") or (re.search(r"\s", given) and not path.is_file()):
        return Sql(given)
    try:
        return Sql(path.read_text(encoding="utf-8"), Location(given))
    except FileNotFoundError:
        raise _bad_spine(f"there is no file '{path}'", "check the path") from None
    except UnicodeDecodeError:
        raise _bad_spine(f"'{path}' is not in UTF-8", "save it as UTF-8") from None


def _csv_spine(project: Project, path: Path, time: str) -> Any:
    """A CSV file as an Arrow table; columns called like a key or request value are read as its type, so `007` stays
    text, and times may be written in any form of ISO 8601.
    """
    import pyarrow as pa
    from pyarrow import csv

    from feature_platform.sdk.values import parse_text
    from feature_platform.types import TIMESTAMP

    types = {key.name: key.type for entity in project.registry.entities.values() for key in entity.keys}
    for view in project.registry.views.values():
        types |= view.spec.request
    read_as = {name: type_.arrow() for name, type_ in types.items()} | {time: pa.string()}
    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=read_as))
        place = table.schema.names.index(time) if time in table.schema.names else -1  # fails if no UTF-8
    except FileNotFoundError:
        raise _bad_spine(f"there is no file '{path}'", "check the path") from None
    except OSError as error:
        raise _bad_spine(f"'{path}' can't be read: {error.strerror or 'no file'}", "check the path") from None
    except ValueError as error:
        raise _bad_spine(*_csv_fault(path, str(error), types)) from None
    if place < 0:
        return table
    try:
        moments = [parse_text(text or "", TIMESTAMP) for text in table.column(time).to_pylist()]
    except ValueError:
        what = f"column '{time}' of '{path}' has a value that is no time"
        raise _bad_spine(what, "write 2026-07-01 or 2026-07-01T06:00 (UTC)") from None
    return table.set_column(place, time, pa.array(moments, pa.timestamp("us")))


def _csv_fault(path: Path, message: str, types: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with a CSV file and how to mend it, by the reader's own message, whose value stays untold."""
    if "empty" in message.lower():
        return f"'{path}' is empty", "give a CSV file with a header"
    found = re.search(r"In CSV column #(\d+):(?: Row #(\d+):)?", message)
    if found is None:
        return f"'{path}' is not a CSV file that can be read", "give every row as many values as the header, in UTF-8"
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        name = next(reader(file))[int(found[1])]
    row = f" in row {found[2]}" if found[2] else ""
    type_ = f" that is no {types[name]}" if name in types else " that can't be read"
    return f"column '{name}' of '{path}' has a value{type_}{row}", "correct the value, or the type of the key"


def _bad_spine(what: str, mend: str) -> UsageError:
    return UsageError(BAD_VALUE.problem(what, mend=mend))

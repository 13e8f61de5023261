"""Commands for people who use features: ``features``, ``training-set``, ``get``, ``sql``. A skin over the SDK."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from csv import reader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_platform.cli.codes import BAD_VALUE, UNKNOWN_NAME
from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption, PurposeOption, RoleOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import opened
from feature_platform.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.project.project import Project
    from feature_platform.sdk.online import FeatureVectors

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Write all rows to a .parquet or .csv file instead of showing some.", show_default=False
    ),
]
FeatureOption = Annotated[
    list[str],
    typer.Option("--feature", "-f", help="`view:feature`, `view:*` or a service. Repeat it.", show_default=False),
]
TimeOption = Annotated[str, typer.Option("--time", "-t", help="The spine's column with each row's time (UTC).")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=0, help="Rows to show.")]


def features(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    search: Annotated[list[str] | None, typer.Argument(help="Words to look for.", show_default=False)] = None,
    purpose: PurposeOption = None,
    role: RoleOption = "author",
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """List features: name, type, labels, description. With a purpose, those that it may have."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.governance.labels import describe
        from feature_platform.sdk.client import known_purpose
        from feature_platform.sdk.search import find_features
        from feature_platform.sdk.selection import Asker

        asker = Asker(known_purpose(found, purpose), role) if purpose is not None else None
        infos = find_features(found, " ".join(search or ()), asker)

        def human() -> Iterator[RenderableType]:
            from feature_platform.cli.tables import plain_table

            rows = [(info.name, info.type, info.entity, describe(info.labels), info.description) for info in infos]
            yield plain_table(("feature", "type", "entity", "labels", "description"), rows, whole=4)
            yield f"[dim]{len(infos)} feature{'s' if len(infos) != 1 else ''}[/]"

        listed = [
            {
                "name": info.name,
                "type": info.type,
                "entity": info.entity,
                "domain": info.domain,
                "owner": info.owner,
                "labels": describe(info.labels),
                "transforms": list(info.transforms),
                "origins": [str(origin) for origin in info.origins],
                "purposes": list(info.purposes),
                "services": list(info.services),
                "online": info.online,
                "description": info.description,
            }
            for info in infos
        ]
        screen.show({"features": listed}, human)


def training_set(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    spine: Annotated[
        Path, typer.Argument(help="Rows to get features for: a .parquet or .csv file.", show_default=False)
    ],
    feature: FeatureOption,
    time: TimeOption = "event_time",
    purpose: PurposeOption = None,
    role: RoleOption = "author",
    out: OutOption = None,
    limit: LimitOption = 10,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Put features beside the rows of a spine, as they were known at each row's time."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.cli.tables import show_result
        from feature_platform.sdk.client import FeatureStore

        rows = read_spine(found, spine, time)
        session = FeatureStore(found, purpose=purpose_of(found, purpose, feature), role=role)
        answer = session.training_set(rows, feature, time=time)
        if out is not None:
            found.audit.export("training_set", out.suffix.lstrip("."), session.asker)
        show_result(screen, answer, out, limit)


def get(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    service: Annotated[str, typer.Argument(help="A feature service.", show_default=False)],
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE...", help="Keys, and values that derived features ask for.", show_default=False
        ),
    ],
    purpose: PurposeOption = None,
    role: RoleOption = "author",
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Get the newest features of one entity, as a model would."""
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.sdk.client import FeatureStore

        session = FeatureStore(found, purpose=purpose_of(found, purpose, [service]), role=role)
        entity = _entity(values, session.online_inputs(service))
        session.online(service, entity)  # opens the connections, which is not what a model waits for
        vectors = session.online(service, entity)
        screen.show(_vector_as_dict(vectors), lambda: _vector_for_people(vectors))


def sql(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    query: Annotated[str, typer.Argument(help="One SELECT over sources and views, by name.", show_default=False)],
    purpose: Annotated[
        str, typer.Option("--purpose", help="Why the data is used; one of the project's purposes.", show_default=False)
    ],
    role: RoleOption = "author",
    out: OutOption = None,
    limit: LimitOption = 20,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Run a guarded query: personal columns are what the policy makes of them for the purpose."""
    screen = Screen(json)
    with opened(screen, project, profile, query) as found:
        from feature_platform.cli.tables import show_result
        from feature_platform.sdk.client import FeatureStore

        session = FeatureStore(found, purpose=purpose, role=role)
        answer = session.sql(query)
        if out is not None:
            found.audit.export("query", out.suffix.lstrip("."), session.asker)
        show_result(screen, answer, out, limit)


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


def read_spine(project: Project, path: Path, time: str) -> Any:
    """The rows of a .csv file as an Arrow table; any other path as it is."""
    return _csv_spine(project, path, time) if path.suffix.lower() == ".csv" else path


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


def _entity(values: Sequence[str], needed: Mapping[str, Any]) -> dict[str, Any]:
    from feature_platform.sdk.values import parse_text

    entity: dict[str, Any] = {}
    problems = []
    for place, text in enumerate(values, 1):
        name, equals, value = text.partition("=")
        if not equals or name not in needed:
            what = (
                f"'{name}' is not asked for.{did_you_mean(name, needed)}"
                if equals
                else f"argument {place} is not NAME=VALUE"  # not quoted: whoever forgets the name gives a card number
            )
            problems.append(BAD_VALUE.problem(what, mend=f"give {', '.join(f'{name}=…' for name in needed)}"))
            continue
        try:
            entity[name] = value if value.startswith("tok_") else parse_text(value, needed[name])
        except ValueError as error:
            problems.append(BAD_VALUE.problem(f"{name}: {error}", mend=f"give a {needed[name]}"))
    if problems:
        raise UsageError(problems)
    return entity


def _vector_as_dict(vectors: FeatureVectors) -> dict[str, Any]:
    vector = vectors[0]
    return {
        "entity": dict(vector.entity),
        "features": {
            name: {"value": value, "status": vector.statuses[name], "event_time": vector.event_times[name]}
            for name, value in vector.values.items()
        },
        "latency_ms": round(vectors.latency.total_seconds() * 1_000, 3),
    }


def _vector_for_people(vectors: FeatureVectors) -> Iterator[RenderableType]:
    from feature_platform.cli.tables import plain_table, shown

    vector = vectors[0]
    yield ", ".join(f"{name} = {shown(value)}" for name, value in vector.entity.items())
    rows = [
        (name, shown(value), vector.statuses[name], shown(vector.event_times[name]))
        for name, value in vector.values.items()
    ]
    yield plain_table(("feature", "value", "status", "event time"), rows)
    yield f"[dim]{vectors.latency.total_seconds() * 1_000:.2f} ms[/]"

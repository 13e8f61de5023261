"""Commands for people who use features: ``features``, ``training-set``, ``get``, ``sql``. A skin over the SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_platform.cli.codes import BAD_VALUE
from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption, PurposeOption, RoleOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import opened
from feature_platform.cli.training import (
    ExplainOption,
    FeatureOption,
    SpineArgument,
    SpineSqlOption,
    TimeOption,
    given_spine,
    purpose_of,
    show_plan,
)
from feature_platform.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.sdk.online import FeatureVectors

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Write all rows to a .parquet or .csv file instead of showing some.", show_default=False
    ),
]
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
    feature: FeatureOption,
    spine: SpineArgument = None,
    spine_sql: SpineSqlOption = None,
    time: TimeOption = "event_time",
    purpose: PurposeOption = None,
    role: RoleOption = "author",
    out: OutOption = None,
    limit: LimitOption = 10,
    explain: ExplainOption = False,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Put features beside the rows of a spine, as they were known at each row's time."""
    screen = Screen(json)
    with opened(screen, project, profile, spine_sql) as found:
        from feature_platform.cli.tables import show_result
        from feature_platform.sdk.client import FeatureStore

        session = FeatureStore(found, purpose=purpose_of(found, purpose, feature), role=role)
        answer = session.training_set(given_spine(found, spine, spine_sql, time), feature, time=time)
        if explain:
            show_plan(screen, answer)
            return
        if out is not None:
            found.audit.export("training_set", out.suffix.lstrip("."), session.asker)
        show_result(screen, answer, out, limit)


def get(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    service: Annotated[str, typer.Argument(help="A feature service.", show_default=False)],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE...",
            help="Keys, and values that derived features ask for. Without any: which ones.",
            show_default=False,
        ),
    ] = None,
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
        entity = _entity(values or (), session.online_inputs(service))
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

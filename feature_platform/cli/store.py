"""``fp store``: the servers behind a profile, for those who run them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from feature_platform.cli.codes import BAD_VALUE, UNKNOWN_NAME
from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import FOUND_PROBLEMS, linked, opened
from feature_platform.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feature_platform.errors import Problem
    from feature_platform.orchestration.leftovers import Leftover, Removal, Unasked
    from feature_platform.orchestration.store_repair import Repair
    from feature_platform.orchestration.store_status import StoreStatus
    from feature_platform.project.project import Project
    from feature_platform.specs.models import PostgresStore

app = typer.Typer(no_args_is_help=True, help="The servers behind a profile.")

StoreOption = Annotated[
    str | None, typer.Option("--store", help="Name of the store in the profile. Default: every one of type `postgres`.")
]


@app.callback()
def _store() -> None:
    """The servers behind a profile."""


@app.command("status")
def status(
    views: Annotated[list[str] | None, typer.Argument(help="Views. Default: all that keep rows.")] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Show what each store has of each view: version, partitions, rows, newest event, size, and what is wrong with it.

    Without names also what stores hold that no definition asks for any more; `fp store remove` removes it. Ends with 1
    if a store can't be reached, or lost rows that were published.
    """
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.orchestration.leftovers import Leftover, Unasked, leftovers
        from feature_platform.orchestration.partitions import utc_now
        from feature_platform.orchestration.store_status import store_status

        now = utc_now()
        with screen.working("asking the stores"):
            statuses = list(store_status(found, _views(found, views), now))
            left = [] if views else list(leftovers(found))
        screen.show(
            {
                "stores": [{**asdict(each), "lag_seconds": each.lag_seconds(now)} for each in statuses],
                "left": [asdict(each) for each in left if isinstance(each, Leftover)],
                "unasked": [asdict(each) for each in left if isinstance(each, Unasked)],
            },
            lambda: [_for_people(statuses, now), *_left_for_people(left)],
        )
    if any(each.health in ("damaged", "unreachable") for each in statuses):
        raise typer.Exit(FOUND_PROBLEMS)


@app.command("repair")
def repair(
    views: Annotated[list[str] | None, typer.Argument(help="Views. Default: all that keep rows.")] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Fill online stores that lost rows or were left behind from the history, and remove what dead writers left.

    Ends with 1 if something could not be repaired; what has to be done then is said.
    """
    screen = Screen(json)
    with opened(screen, project, profile) as found:
        from feature_platform.orchestration.partitions import utc_now
        from feature_platform.orchestration.store_repair import repair as repaired

        with screen.working("repairing"):
            done = list(repaired(found, _views(found, views), utc_now()))
        screen.show({"repairs": [asdict(each) for each in done]}, lambda: _repairs(done))
    if not all(each.whole for each in done):
        raise typer.Exit(FOUND_PROBLEMS)


def _repairs(done: Sequence[Repair]) -> Iterator[RenderableType]:
    from feature_platform.cli.tables import plain_table

    changed = [each for each in done if each.done]
    if changed:
        rows = [(each.view, each.store, each.found, each.done) for each in changed]
        yield plain_table(("view", "store", "was", "done"), rows, whole=2)
    yield f"{len(done) - len(changed)} of {len(done)} needed nothing"


@app.command("remove")
def remove(  # noqa: PLR0913, PLR0917 - a command's options
    names: Annotated[
        list[str] | None, typer.Argument(help="What `fp store status` names as left: VIEW, VIEW@STORE, VIEW:FEATURE.")
    ] = None,
    left: Annotated[bool, typer.Option("--left", help="All that is left, but single features.")] = False,
    store: Annotated[str | None, typer.Option("--store", help="Only in this store. Default: in every one.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, only show what would go.")] = False,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Remove rows from stores that no definition of the project asks for any more, for good.

    Shows what would go, unless `--yes` is given. What a definition asks for is refused. Can be repeated after whatever
    stopped it. VIEW:FEATURE takes the view's history in that store along, since rows can't lose a column: materialize
    the view afterwards. Ends with 1 if something could not be removed, or a store could not be asked.
    """
    screen = Screen(json)
    if bool(names) == left:
        raise UsageError([BAD_VALUE.problem("what should be removed?", mend="name it, or give --left")])
    with opened(screen, project, profile) as found:
        from feature_platform.orchestration.leftovers import Unasked, chosen, leftovers
        from feature_platform.orchestration.leftovers import remove as removed

        if store is not None and store not in found.profile.stores:
            raise UsageError([_unknown_store(store, list(found.profile.stores))])
        with screen.working("asking the stores"):
            asked = list(leftovers(found, store))
        unasked = [each for each in asked if isinstance(each, Unasked)]
        picked = chosen(found, asked, names or [], store)
        with screen.working("removing"):
            done = list(removed(found, picked)) if yes else []
        shown = [*(done or picked), *unasked]
        screen.show(
            {
                "removed": [asdict(each) for each in done],
                "would_go": [] if yes else [asdict(each) for each in picked],
                "unasked": [asdict(each) for each in unasked],
            },
            lambda: _removal_for_people(shown, yes),
        )
    if unasked or not all(each.gone for each in done):
        raise typer.Exit(FOUND_PROBLEMS)


def _removal_for_people(found: Sequence[Leftover | Removal | Unasked], yes: bool) -> Iterator[RenderableType]:
    from feature_platform.orchestration.leftovers import Leftover, Removal, Unasked

    outcomes = [each for each in found if isinstance(each, Removal)]
    leftovers = [each for each in found if isinstance(each, Leftover)] + [each.leftover for each in outcomes]
    if leftovers:
        yield _left_table(leftovers)
    for each in outcomes:
        if not each.gone:
            yield f"{each.leftover.name} in {each.leftover.store}: {each.reason}"
    for silent in found:
        if isinstance(silent, Unasked):
            yield f"{silent.store} could not be asked: {silent.reason}"
    for feature in leftovers:
        if feature.kind == "feature":
            yield f"{feature.name} takes all rows of '{feature.view}' along; then: fp materialize {feature.view}"
    if yes:
        yield f"{sum(each.gone for each in outcomes)} of {len(leftovers)} removed"
    else:
        yield "nothing was removed: --yes does it" if leftovers else "nothing is left"


def _left_for_people(left: Sequence[Leftover | Unasked]) -> Iterator[RenderableType]:
    from feature_platform.orchestration.leftovers import Leftover, Unasked

    found = [each for each in left if isinstance(each, Leftover)]
    if found:
        yield ""
        yield "held, but asked for by no definition (fp store remove):"
        yield _left_table(found)
    for silent in left:
        if isinstance(silent, Unasked):
            yield f"{silent.store} could not be asked what else it holds: {silent.reason}"


def _left_table(found: Sequence[Leftover]) -> RenderableType:
    from feature_platform.cli.tables import plain_table, shown

    header = ("left", "store", "kind", "rows", "size", "newest event", "published", "version")
    rows = [
        (
            each.name,
            each.store,
            each.kind,
            f"{each.rows:,}",
            _size(each.bytes),
            "" if each.event_time is None else shown(each.event_time.replace(microsecond=0)),
            "" if each.published_at is None else shown(each.published_at.replace(microsecond=0)),
            (each.version or "")[:12],
        )
        for each in found
    ]
    return plain_table(header, rows, whole=2)


def _unknown_store(name: str, known: Sequence[str]) -> Problem:
    return UNKNOWN_NAME.problem(
        f"the profile has no store '{name}'.{did_you_mean(name, known)}", mend=f"name one of: {', '.join(known)}"
    )


def _for_people(statuses: Sequence[StoreStatus], now: datetime) -> RenderableType:
    from feature_platform.cli.tables import plain_table, shown

    header = ("view", "store", "state", "version", "partitions", "rows", "newest event", "lag", "size")
    rows = [
        (
            each.view,
            each.store,
            each.health + (f": {each.detail}" if each.detail else ""),
            (each.version or "")[:12],
            str(each.partitions or ""),
            f"{each.rows:,}" if each.version else "",
            "" if each.event_time is None else shown(each.event_time.replace(microsecond=0)),
            _age(each.lag_seconds(now)),
            "" if each.bytes is None else _size(each.bytes),
        )
        for each in statuses
    ]
    return plain_table(header, rows, whole=2)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def _views(project: Project, wanted: list[str] | None) -> list[str]:
    known = [name for name, view in project.registry.views.items() if view.spec.form != "derived"]
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise UsageError(
            UNKNOWN_NAME.problem(
                f"no view '{name}' keeps rows.{did_you_mean(name, known)}", mend="`fp store status` shows all that do"
            )
            for name in unknown
        )
    return wanted or known


@app.command("migrate")
def migrate(
    store: StoreOption = None,
    owner_env: Annotated[
        str | None,
        typer.Option(
            "--owner-env", metavar="VARIABLE", help="Environment variable with the URL of a role that may make schemas."
        ),
    ] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Make or change the platform's own tables in PostgreSQL, as this release knows them.

    The first use of a store does so by itself, if its role may. Where it may not, let the owner run this.
    """
    screen = Screen(json)
    with linked(screen, project, profile) as found:
        from feature_platform.project.stores import address
        from feature_platform.stores.postgres_layouts import migrate as migrate_store

        done = {}
        for name, spec in _postgres_stores(found, store).items():
            url = address(owner_env) if owner_env else found.server_url(name)
            assert url is not None
            done[name] = migrate_store(url, spec.schema_prefix, ledger=name in found.profile.ledgers)
        screen.show(
            {"migrated": {name: list(schemas) for name, schemas in done.items()}},
            lambda: [
                f"{name}: {', '.join(schemas) + ' brought up to date' if schemas else 'was up to date'}"
                for name, schemas in done.items()
            ],
        )


@app.command("roles")
def roles(
    store: Annotated[
        str | None,
        typer.Option(
            "--store", help="Name of a store of type `postgres` or `redis`. Default: every one of type `postgres`."
        ),
    ] = None,
    project: ProjectOption = None,
    profile: ProfileOption = None,
) -> None:
    """Print what makes a store's roles: SQL for the owner of a PostgreSQL database, `ACL SETUSER` for a Redis."""
    screen = Screen(False)
    with linked(screen, project, profile) as found:
        from feature_platform.specs.models import RedisStore
        from feature_platform.stores.postgres_layouts import roles as roles_of
        from feature_platform.stores.redis_roles import roles as users_of

        named = found.profile.stores.get(store) if store else None
        if isinstance(named, RedisStore):
            typer.echo(users_of(named.key_prefix))
            return
        redis = [name for name, spec in found.profile.stores.items() if isinstance(spec, RedisStore)]
        for name, spec in _postgres_stores(found, store, others=redis).items():
            typer.echo(roles_of(spec.schema_prefix, ledger=name in found.profile.ledgers))


def _postgres_stores(project: Project, wanted: str | None, others: Sequence[str] = ()) -> dict[str, PostgresStore]:
    """``others`` are names that the command would take as well."""
    from feature_platform.specs.models import PostgresStore

    found = {name: spec for name, spec in project.profile.stores.items() if isinstance(spec, PostgresStore)}
    if wanted is None:
        return found
    if wanted not in found:
        known = [*found, *others]
        raise UsageError(
            UNKNOWN_NAME.problem(
                f"the profile has no store '{wanted}' that this can be asked of.{did_you_mean(wanted, known)}",
                mend=f"name one of: {', '.join(known) or 'none'}",
            )
        )
    return {wanted: found[wanted]}

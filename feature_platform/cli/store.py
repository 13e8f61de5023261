"""``fp store``: the servers behind a profile, for those who run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from feature_platform.cli.codes import UNKNOWN_NAME
from feature_platform.cli.options import JsonOption, ProfileOption, ProjectOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import linked
from feature_platform.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from feature_platform.project.project import Project
    from feature_platform.specs.models import PostgresStore

app = typer.Typer(no_args_is_help=True, help="The servers behind a profile.")

StoreOption = Annotated[
    str | None, typer.Option("--store", help="Name of the store in the profile. Default: every one of type `postgres`.")
]


@app.callback()
def _store() -> None:
    """The servers behind a profile."""


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
            done[name] = migrate_store(url, spec.schema_prefix)
        screen.show(
            {"migrated": {name: list(schemas) for name, schemas in done.items()}},
            lambda: [
                f"{name}: {', '.join(schemas) + ' brought up to date' if schemas else 'was up to date'}"
                for name, schemas in done.items()
            ],
        )


@app.command("roles")
def roles(store: StoreOption = None, project: ProjectOption = None, profile: ProfileOption = None) -> None:
    """Print the SQL that makes the roles of a PostgreSQL store, for the owner of the database."""
    screen = Screen(False)
    with linked(screen, project, profile) as found:
        from feature_platform.stores.postgres_layouts import roles as roles_of

        for spec in _postgres_stores(found, store).values():
            typer.echo(roles_of(spec.schema_prefix))


def _postgres_stores(project: Project, wanted: str | None) -> dict[str, PostgresStore]:
    from feature_platform.specs.models import PostgresStore

    found = {name: spec for name, spec in project.profile.stores.items() if isinstance(spec, PostgresStore)}
    if wanted is None:
        return found
    if wanted not in found:
        raise UsageError(
            UNKNOWN_NAME.problem(
                f"the profile has no store '{wanted}' of type `postgres`.{did_you_mean(wanted, found)}",
                mend=f"name one of: {', '.join(found) or 'none'}",
            )
        )
    return {wanted: found[wanted]}

"""Brings the tables of one line to the layout that this release knows; asks first, which costs one short query.

Any number of processes may do so at once: one migrates, the others wait and find it done. A migration is one
transaction, so a process that dies in it leaves the layout before.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import Problem, StoreError
from feature_platform.layouts.codes import LAYOUT_NEWER, LAYOUT_REFUSED

if TYPE_CHECKING:
    import psycopg

_HERE: Final = Path(__file__).parent
_TABLE: Final = "layout"
"""Where a schema says which revision it has: ``<schema>.layout``, of one row."""
_FIND: Final = """
SELECT 1 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""


@dataclass(frozen=True, slots=True)
class Line:
    """The revisions of a set of tables."""

    folder: Path
    """Holds a file per revision."""
    revisions: tuple[str, ...]
    """Oldest first. Written out, so that a process which finds everything in place need not load Alembic."""


def bring_up_to_date(connection: psycopg.Connection[Any], url: str, line: Line, schema: str) -> bool:
    """Gives whether anything had to be done. ``connection`` is idle; ``url`` is libpq's, of a role that may.

    Raises:
        StoreError: FP-LAYOUT-001, a newer release was here; FP-LAYOUT-002, the role of ``url`` may not.
    """
    if is_current(connection, line, schema):
        return False
    migrate(url, line, schema)
    return True


def is_current(connection: psycopg.Connection[Any], line: Line, schema: str) -> bool:
    """Whether ``schema`` has the newest revision. Two reads, which may be in a transaction.

    Raises:
        StoreError: FP-LAYOUT-001, a newer release was here.
    """
    found = revision(connection, schema)
    if found is not None and found not in line.revisions:
        raise StoreError(
            LAYOUT_NEWER.problem(
                f"schema '{schema}' has layout '{found}'; this release knows '{line.revisions[-1]}' and older ones",
                mend="use the release that the database was migrated with, or a newer one",
            )
        )
    return found == line.revisions[-1]


def revision(connection: psycopg.Connection[Any], schema: str) -> str | None:
    """The layout that ``schema`` has; None where nothing of it is there, or it is older than layouts are."""
    from psycopg import sql

    # Not to_regclass: that answers from a cache, which may still say no after another process has made everything.
    if connection.execute(_FIND, [schema, _TABLE]).fetchone() is None:
        return None
    row = connection.execute(sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(schema, _TABLE))).fetchone()
    return None if row is None else str(row[0])


def migrate(url: str, line: Line, schema: str) -> None:
    """Applies the revisions that are missing, in one transaction: a pooler may stand between.

    Raises:
        StoreError: FP-LAYOUT-002, the role of ``url`` may not.
    """
    import psycopg
    from alembic.config import Config
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from psycopg import sql
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("version_locations", str(line.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    engine = create_engine("postgresql+psycopg://", creator=lambda: _session(url), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            session = connection.connection.driver_connection
            assert isinstance(session, psycopg.Connection)
            session.execute("SELECT pg_advisory_xact_lock(%s)", [_lock(schema)])
            # Asked for first: whoever prepared the schema need not let us make one.
            if session.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone() is None:
                session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            script = ScriptDirectory.from_config(config)
            options = {
                "version_table": _TABLE,
                "version_table_schema": schema,
                "fn": lambda found, _context: script._upgrade_revs("head", found),
            }
            context = MigrationContext.configure(connection, opts=options)
            # Given to each revision: Alembic's usual `op` is a global of the process, which Dagster's own migrations
            # use in another thread, perhaps at this moment.
            context.run_migrations(op=Operations(context), schema=schema)
    except (SQLAlchemyError, psycopg.Error) as error:
        raise StoreError(_problem(error, schema)) from None


def _session(url: str) -> Any:
    import psycopg

    return psycopg.connect(url, application_name="feature_platform layout", connect_timeout=10, prepare_threshold=None)


def _problem(error: Exception, schema: str) -> Problem:
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    if state is None:
        what = f"the server went away while the tables of schema '{schema}' were made"
        return LAYOUT_REFUSED.problem(what, mend="try again once the server answers")
    return LAYOUT_REFUSED.problem(
        f"PostgreSQL refused to make or change the tables of schema '{schema}' (SQLSTATE {state})",
        mend="let the owner of the database run `fp store migrate`",
    )


def _lock(schema: str) -> int:
    return int.from_bytes(sha256(f"layout\0{schema}".encode()).digest()[:8], "big") >> 1

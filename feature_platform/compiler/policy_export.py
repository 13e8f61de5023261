"""Policies as SQL for the administrators of a database: a second wall, for whoever reaches tables without the platform.

For one purpose and role: a role of the database, and of each source that lies there a view with what the policy lets
through of each column, put together by the guard itself. The role may read the views and, in Doris, the columns that
are clear. Whoever has rights on the tables themselves is not held by it; neither engine holds its superusers.

Tokens are left out unless they are asked for: whoever may call the function that makes them can try values until one
matches. Policies of this platform say nothing of rows, so neither does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from feature_platform.compiler.catalog import Catalog, CatalogColumn, CatalogTable
from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.compiler.render import render
from feature_platform.governance.access import Access
from feature_platform.governance.canonical import column_kinds
from feature_platform.governance.tokens import SCHEMA
from feature_platform.governance.transforms import TRANSFORMS

WalledEngine = Literal["postgres", "doris"]
_FORM = {"token": "token", "redact": "redact"}


@dataclass(frozen=True, slots=True)
class Wall:
    """One source behind its view."""

    source: str
    table: tuple[str, str]
    """Schema (database) and name."""
    query: str
    clear: tuple[str, ...]
    """Columns that anybody may read as they are."""
    hidden: tuple[str, ...]
    """Columns that the view does not have."""

    @property
    def comment(self) -> str:
        """Who reads the file wants to know what is missing."""
        return f"-- {self.source}: without {', '.join(self.hidden) or 'nothing'}"


def walls(
    catalog: Catalog,
    access: Access,
    engine: WalledEngine,
    sources: Mapping[str, str],
    *,
    tokens: bool = False,
) -> Iterator[Wall]:
    """What ``access`` may read of ``sources``, given by name with the table of the engine that each is; with
    ``tokens``, tokens where the policy gives them.

    Raises:
        GuardError: a source has columns that nobody classified; FP-SQL-051: the engine lacks a transform.
    """
    for source, there in sources.items():
        schema, _, name = there.rpartition(".")
        table = catalog.tables[source.lower()]
        given = ((each, _opened(each, table, access, tokens)) for each in table.columns)
        open_columns = [(each, found) for each, found in given if found is not None]
        if not open_columns:
            continue
        select = exp.select(*(found for _, found in open_columns)).from_(exp.to_table(source))
        guarded = guard(select, catalog, access)
        clear = tuple(each.name for each, _ in open_columns if access.decide(each.classification).action == "clear")
        shown = {each.name for each, _ in open_columns}
        yield Wall(
            source,
            (schema, name),
            _over_table(guarded, schema, name, engine),
            clear,
            tuple(each.name for each in table.columns if each.name not in shown),
        )


def statements(found: Sequence[Wall], access: Access, engine: WalledEngine, *, tokens: bool = False) -> Iterator[str]:
    """The SQL that builds the walls; may be run again. It begins with what it is for, as a comment."""
    (purpose,) = access.purposes
    role, schema = f"fp_{purpose}", f"fp_masked_{purpose}"
    yield f"-- What {access} may read of each source. Made by `fp policy export`; run it again when policies change."
    yield from (_in_postgres if engine == "postgres" else _in_doris)(found, role, schema)
    if tokens and engine == "postgres":
        yield "-- Who may make tokens can try values: a role that must not guess gets none."
        yield f"GRANT USAGE ON SCHEMA {_double(SCHEMA)} TO {_double(role)};"
        yield f"GRANT EXECUTE ON FUNCTION {_double(SCHEMA)}.token(text, text) TO {_double(role)};"


def _opened(column: CatalogColumn, table: CatalogTable, access: Access, tokens: bool) -> exp.Expr | None:
    """The column as the policy gives it; of one that is not given the first governed form that needs nothing else."""
    named = exp.column(exp.to_identifier(column.name, quoted=True), table=table.ref.name)
    decision = access.decide(column.classification)
    made = tokens and column.type.kind in (column_kinds(column.classification) if column.classification else ())
    if decision.action != "deny" and (decision.action != "token" or made):
        return exp.alias_(named, column.name, quoted=True)
    for name in sorted(decision.transforms):
        transform = TRANSFORMS[name]
        if not transform.arguments and name not in _FORM and column.type.kind in transform.column_kinds:
            return exp.alias_(exp.Anonymous(this=name, expressions=[named]), f"{name}_{column.name}", quoted=True)
    return None


def _over_table(guarded: GuardedQuery, schema: str, name: str, engine: WalledEngine) -> str:
    tree = guarded.tree.copy()
    for table in list(tree.find_all(exp.Table)):
        parts = {"this": exp.to_identifier(name, quoted=True)}
        if schema:
            parts["db"] = exp.to_identifier(schema, quoted=True)
        table.replace(exp.Table(**parts, alias=table.args.get("alias")))
    return render(tree, engine, pretty=True, places=guarded.places)


def _in_postgres(found: Sequence[Wall], role: str, schema: str) -> Iterator[str]:
    owned, masked = _double(role), _double(schema)
    yield (
        f"DO $block$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}')"
        f" THEN CREATE ROLE {owned} NOLOGIN; END IF; END $block$;"
    )
    yield f"CREATE SCHEMA IF NOT EXISTS {masked};"
    yield f"GRANT USAGE ON SCHEMA {masked} TO {owned};"
    for wall in found:
        yield wall.comment
        view = f"{masked}.{_double(wall.source)}"
        table = ".".join(_double(part) for part in wall.table if part)
        yield f"DROP VIEW IF EXISTS {view};"
        # A barrier: no function of the caller sees a row before the view's own conditions have.
        yield f"CREATE VIEW {view} WITH (security_barrier) AS\n{wall.query};"
        yield f"REVOKE ALL ON {table} FROM {owned};"
        yield f"GRANT SELECT ON {view} TO {owned};"


def _in_doris(found: Sequence[Wall], role: str, schema: str) -> Iterator[str]:
    owned, masked = _back(role), _back(schema)
    yield f"CREATE ROLE IF NOT EXISTS {owned};"
    yield f"CREATE DATABASE IF NOT EXISTS {masked};"
    for wall in found:
        yield wall.comment
        view = f"{masked}.{_back(wall.source)}"
        yield f"DROP VIEW IF EXISTS {view};"
        yield f"CREATE VIEW {view} AS\n{wall.query};"
        yield f"GRANT SELECT_PRIV ON `internal`.{view} TO ROLE '{role}';"
        if wall.clear:
            columns = ", ".join(map(_back, wall.clear))
            table = ".".join(_back(part) for part in wall.table if part)
            yield f"GRANT SELECT_PRIV({columns}) ON `internal`.{table} TO ROLE '{role}';"


def _double(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _back(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"

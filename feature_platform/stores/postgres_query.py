"""A rendered query made ready for PostgreSQL: logical table names become physical ones, ``$name`` becomes the driver's.

The text is parsed again and only table nodes, parameters and over-long names are replaced, so what a literal or
comment holds can never become part of a name. A table that the query is not bound to is refused here, before the server
sees it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from feature_platform.errors import StoreError
from feature_platform.stores.codes import (
    NOT_PUBLISHED,
    QUERY_ENGINE,
    QUERY_FAILED,
    QUERY_NOT_ALLOWED,
    QUERY_PARAMETER,
)
from feature_platform.stores.protocols import Query, TableName
from feature_platform.types import DataType

_NAME_BYTES: Final = 63
_FORBIDDEN: Final = (exp.DML, exp.DDL, exp.Into, exp.Lock, exp.Command)
_FORBIDDEN_FUNCTIONS: Final = (
    "pg_*", "lo_*", "dblink*", "query_to_*", "table_to_*", "schema_to_*", "database_to_*", "cursor_to_*",
    "set_config", "current_setting", "currval", "nextval", "setval", "txid_*", "xmlparse",
)  # fmt: skip
"""Functions that read files, other tables or settings, or change something. The compiler's guard knows what is allowed;
this is what must not happen even if something gets past it."""


@dataclass(frozen=True)
class DriverQuery:
    """Text and values in psycopg's style."""

    sql: str
    parameters: Mapping[str, Any]
    names: Mapping[str, str]
    """Shortened name → name, for every name in the text that PostgreSQL would cut."""
    maps: Mapping[str, DataType] = field(default_factory=dict)
    """The columns of the result that are maps, by name."""


def short(name: str) -> str:
    """``name``, or where it is longer than the 63 bytes that PostgreSQL keeps: its beginning and a digest."""
    raw = name.encode()
    if len(raw) <= _NAME_BYTES:
        return name
    return f"{raw[: _NAME_BYTES - 11].decode(errors='ignore')}__{sha256(raw).hexdigest()[:9]}"


def driver_query(query: Query, relations: Mapping[TableName, exp.Expression]) -> DriverQuery:
    """``query`` over ``relations``, which stand for its tables.

    Raises:
        StoreError: it is not one SELECT, reads a table that is not bound, or lacks a parameter.
    """
    tree = _parsed(query)
    _replace_tables(tree, relations)
    names = _shorten_names(tree)
    used, text = _with_parameters(tree)
    if missing := sorted(used - set(query.parameters)):
        raise StoreError(
            QUERY_PARAMETER.problem(
                f"no value for {', '.join(f'${name}' for name in missing)}", mend="give the query every value it names"
            )
        )
    return DriverQuery(text, {name: query.parameters[name] for name in used}, names)


def _parsed(query: Query) -> exp.Query:
    if query.engine != "postgres":
        raise StoreError(
            QUERY_ENGINE.problem(f"the query was rendered for {query.engine}", mend="render it for postgres")
        )
    try:
        statements = sqlglot.parse(query.sql, dialect="postgres")
    except SqlglotError as error:
        raise StoreError(QUERY_FAILED.problem(str(error).partition("\n")[0], mend="correct the query")) from None
    tree = statements[0] if len(statements) == 1 else None
    if not isinstance(tree, exp.Query) or tree.find(*_FORBIDDEN):
        raise StoreError(
            QUERY_NOT_ALLOWED.problem(
                "the text is not exactly one SELECT", mend="write one SELECT, without others beside it"
            )
        )
    for function in tree.find_all(exp.Func):
        name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        if any(fnmatchcase(name.lower(), pattern) for pattern in _FORBIDDEN_FUNCTIONS):
            raise StoreError(
                QUERY_NOT_ALLOWED.problem(f"the function {name.lower()} is closed to queries", mend="leave it out")
            )
    return tree


def _replace_tables(tree: exp.Query, relations: Mapping[TableName, exp.Expression]) -> None:
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier) or (not table.db and table.name in common):
            continue
        relation = relations.get(TableName(table.db, table.name))
        if relation is None:
            raise StoreError(
                NOT_PUBLISHED.problem(
                    f"the query reads {table.sql('postgres')}, which it is not bound to",
                    mend="read only tables that the project declares",
                )
            )
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
        replacement = relation.copy()
        replacement.set("alias", alias)
        for part in ("joins", "sample"):
            if table.args.get(part):
                replacement.set(part, table.args[part])
        table.replace(replacement)


def _shorten_names(tree: exp.Query) -> dict[str, str]:
    names: dict[str, str] = {}
    for identifier in tree.find_all(exp.Identifier):
        shortened = short(identifier.name)
        if shortened != identifier.name:
            names[shortened] = identifier.name
            identifier.set("this", shortened)
            identifier.set("quoted", True)
    return names


def _with_parameters(tree: exp.Query) -> tuple[frozenset[str], str]:
    """The names of the parameters, and the text with ``%(name)s`` for each and every other ``%`` doubled."""
    mark = f"fp_{secrets.token_hex(8)}_"  # occurs in no text that was written before
    used: dict[str, str] = {}
    for parameter in list(tree.find_all(exp.Parameter)):
        marker = f"{mark}{len(used)}_"
        used[marker] = parameter.name
        parameter.replace(exp.Var(this=marker))
    text = tree.sql(dialect="postgres").replace("%", "%%")
    for marker, name in used.items():
        text = text.replace(marker, f"%({name})s")
    return frozenset(used.values()), text

"""A rendered query made ready for Doris: tables become what stands behind them, ``$name`` becomes a literal.

The text is read to find tables and parameters, and only those places of it are replaced. It is not written anew from
what was read: sqlglot's writer for Doris changes some texts silently, while its reader tells where things stand. A
table that the query is not bound to, and any function that reads elsewhere, is refused here, before the server sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import sqlglot
from sqlglot import Token, exp
from sqlglot.errors import SqlglotError

from feature_platform.errors import StoreError
from feature_platform.stores.codes import (
    NOT_PUBLISHED,
    QUERY_ENGINE,
    QUERY_FAILED,
    QUERY_NOT_ALLOWED,
    QUERY_PARAMETER,
)
from feature_platform.stores.doris.names import quoted, text
from feature_platform.stores.doris.tokens import TokenFunctions, token_calls
from feature_platform.stores.protocols import Query, TableName

_FORBIDDEN: Final = (exp.DML, exp.DDL, exp.Into, exp.Lock, exp.Command, exp.SessionParameter)
_FORBIDDEN_FUNCTIONS: Final = frozenset(
    {"sleep", "load_file", "user", "current_user", "session_user", "current_catalog", "database", "schema",
     "connection_id", "version", "last_query_id", "dict_get", "dict_get_many", "ai_generate", "llm_generate"}
)  # fmt: skip
"""Functions that tell of the session, read elsewhere or send something away. The compiler's guard knows what is
allowed; this is what must not happen even if something gets past it."""
_TABLE_PARTS: Final = frozenset({"this", "db", "alias", "joins", "laterals"})


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands in place of ``text[start:end]``."""

    start: int
    end: int
    text: str


def ready(query: Query, relations: Mapping[TableName, str], functions: TokenFunctions) -> str:
    """``query`` over ``relations``: what stands in FROM for each of its tables.

    Raises:
        StoreError: it is not one SELECT, reads a table that is not bound, or lacks a parameter.
        GovernanceError: the cluster can't make the tokens that it asks for.
    """
    tree = _parsed(query)
    tokens = sqlglot.tokenize(query.sql, dialect="doris")
    made = functions.names(token_calls(tokens), query.key_versions)
    called = (_Piece(tokens[place].start, tokens[place].end + 1, name) for place, name in made.items())
    pieces = [*_tables(tree, relations), *_parameters(query, tokens), *called]
    done, position = "", 0
    for piece in sorted(pieces, key=lambda each: each.start):
        done += query.sql[position : piece.start] + piece.text
        position = piece.end
    return done + query.sql[position:]


def literal(value: Any) -> str:
    """``value`` in Doris' SQL, its type spelled out where the text alone would have another.

    Raises:
        ValueError: Doris has no such value.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int() if -(2**63) <= value < 2**63:
            return f"CAST({text(str(value))} AS BIGINT)"
        case float() if isfinite(value):
            return f"CAST({text(repr(value))} AS DOUBLE)"
        case Decimal() if value.is_finite():
            scale = max(0, -int(value.as_tuple().exponent))
            return f"CAST({text(f'{value:f}')} AS DECIMAL(38, {scale}))"
        case str():
            return text(value)
        case datetime():
            naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
            return f"CAST({text(naive.isoformat(' ', 'microseconds'))} AS DATETIME(6))"
        case date():
            return f"CAST({text(value.isoformat())} AS DATE)"
        case list() | tuple():
            return f"ARRAY({', '.join(literal(each) for each in value)})"
    raise ValueError(f"Doris has no value like this {type(value).__name__}")


def _parsed(query: Query) -> exp.Query:
    if query.engine != "doris":
        raise StoreError(QUERY_ENGINE.problem(f"the query was rendered for {query.engine}", mend="render it for doris"))
    try:
        statements = sqlglot.parse(query.sql, dialect="doris")
    except SqlglotError as error:
        raise StoreError(QUERY_FAILED.problem(str(error).partition("\n")[0], mend="correct the query")) from None
    tree = statements[0] if len(statements) == 1 else None
    if not isinstance(tree, exp.Query) or tree.find(*_FORBIDDEN):
        raise _refused("the text is not exactly one SELECT", "write one SELECT, without others beside it")
    for function in tree.find_all(exp.Func):
        name = (function.name if isinstance(function, exp.Anonymous) else function.sql_name()).lower()
        if name in _FORBIDDEN_FUNCTIONS:
            raise _refused(f"the function {name} is closed to queries", "leave it out")
    return tree


def _tables(tree: exp.Query, relations: Mapping[TableName, str]) -> Iterator[_Piece]:
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and not table.args.get("db") and table.name in common:
            continue
        known = {name for name, value in table.args.items() if value} <= _TABLE_PARTS
        relation = relations.get(TableName(table.db, table.name))
        if not isinstance(table.this, exp.Identifier) or not known or relation is None:
            raise StoreError(
                NOT_PUBLISHED.problem(
                    f"the query reads {table.sql('doris')}, which it is not bound to",
                    mend="read only tables that the project declares",
                )
            )
        first = table.args.get("db") or table.this
        start, end = first.meta.get("start"), table.this.meta.get("end")
        if start is None or end is None:
            raise _refused("a table's place in the text is not known", "write its name plainly")
        alias = "" if table.alias else f" AS {quoted(table.name)}"
        yield _Piece(start, end + 1, f"{relation}{alias}")


def _parameters(query: Query, tokens: Sequence[Token]) -> Iterator[_Piece]:
    missing = []
    for token in tokens:
        if token.token_type.name != "VAR" or not token.text.startswith("$"):
            continue
        name = token.text.removeprefix("$")
        if name not in query.parameters:
            missing.append(token.text)
            continue
        try:
            value = literal(query.parameters[name])
        except ValueError as error:
            raise StoreError(QUERY_PARAMETER.problem(f"${name}: {error}", mend="give another value")) from None
        yield _Piece(token.start, token.end + 1, value)
    if missing:
        raise StoreError(
            QUERY_PARAMETER.problem(
                f"no value for {', '.join(sorted(set(missing)))}", mend="give the query every value it names"
            )
        )


def _refused(what: str, mend: str) -> StoreError:
    return StoreError(QUERY_NOT_ALLOWED.problem(what, mend=mend))

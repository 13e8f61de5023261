"""Which tables a query reads, as far as its text alone says it.

Names only: what is allowed, and what each name means to the engine, is settled by the compiler's guard. This is here
because the order of views, cycles and unknown names are a matter of the whole project, before anything is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True, slots=True)
class TableRead:
    """A table as the text names it, in lower case as DuckDB folds it, and where; ``schema.name`` if it is qualified."""

    name: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SqlFault:
    """Why and where a text is no SQL."""

    what: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SqlReads:
    """What a text reads, in order of appearance, each table once. With a ``fault``, nothing is known."""

    tables: tuple[TableRead, ...]
    fault: SqlFault | None = None


def tables_read(sql: str) -> SqlReads:
    """Tables that ``sql`` reads, without the names of its CTEs. Lines and columns count from 1 within ``sql``.

    >>> [table.name for table in tables_read("WITH a AS (SELECT * FROM Cards) SELECT * FROM a JOIN b ON x = y").tables]
    ['cards', 'b']
    """
    import sqlglot  # takes a fifth of a second, and a load from cache never gets here
    from sqlglot import exp
    from sqlglot.errors import ParseError, TokenError

    try:
        statements = sqlglot.parse(sql, dialect="duckdb")
    except ParseError as error:
        return SqlReads((), _parse_fault(error))
    except TokenError:
        return SqlReads((), SqlFault("text or a comment that never ends", 1, 1))
    except RecursionError:
        return SqlReads((), SqlFault("nested too deep", 1, 1))
    if len(statements) != 1 or not isinstance(statements[0], exp.Query | exp.Pivot | exp.Values):
        return SqlReads(())  # the guard says what is wrong with it
    found: dict[str, TableRead] = {}
    for table in _tables(statements[0]):
        name = ".".join(part.name.lower() for part in table.parts)
        line, column = _place(sql, table)
        if name and (name not in found or (line, column) < (found[name].line, found[name].column)):
            found[name] = TableRead(name, line, column)
    return SqlReads(tuple(sorted(found.values(), key=lambda table: (table.line, table.column))))


def _tables(query: exp.Expr) -> Iterator[exp.Table]:
    """Tables that are no CTE in the place where they stand.

    A CTE's name is known in the query it belongs to and in the CTEs behind it; in its own body only in the second
    branch of a recursion, so ``WITH cards AS (SELECT * FROM cards) …`` reads the table ``cards``.
    """
    from sqlglot import exp

    open_nodes: list[tuple[exp.Expr, frozenset[str]]] = [(query, frozenset())]
    recursive: dict[int, str] = {}  # second branches of recursions, with the name that only they know
    while open_nodes:
        node, known = open_nodes.pop()
        known |= {recursive[id(node)]} if id(node) in recursive else set()
        with_ = node.args.get("with_")
        if isinstance(with_, exp.With):
            for cte in with_.expressions:
                alias = cte.alias.lower()
                if with_.recursive and isinstance(cte.this, exp.Union):
                    recursive[id(cte.this.expression)] = alias
                open_nodes.append((cte.this, known))
                known |= {alias}
        named = isinstance(node.this, exp.Identifier)  # a table function has no name of its own
        if named and isinstance(node, exp.Table) and (node.db or node.name.lower() not in known):
            yield node
        open_nodes.extend((child, known) for child in node.iter_expressions() if child is not with_)


def _place(sql: str, table: exp.Table) -> tuple[int, int]:
    start = table.parts[0].meta.get("start")
    if start is None:
        return 1, 1
    line_start = sql.rfind("\n", 0, start) + 1
    return sql.count("\n", 0, start) + 1, start - line_start + 1


def _parse_fault(error: Exception) -> SqlFault:
    details = getattr(error, "errors", None) or [{}]
    first = details[0]
    highlight = str(first.get("highlight") or "")
    what = str(first.get("description") or "not understood").splitlines()[0]
    if "Required keyword" in what:  # names classes of the parser
        what = "something is missing"
    near = f" near `{highlight[:40]}`" if highlight.strip() else ""
    line, end_column = int(first.get("line") or 1), int(first.get("col") or 1)
    return SqlFault(what.rstrip(".") + near, line, max(1, end_column - len(highlight) + 1))

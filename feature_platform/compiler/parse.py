"""Text of a user → exactly one query tree, with places for messages; or a problem that says why not.

The dialect is DuckDB's. Text is read here and nowhere else, and never passed on: engines get what is rendered from the
tree.

>>> parse_query("SELECT amount FROM transactions").tree.sql("duckdb")
'SELECT amount FROM transactions'
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, SqlglotError

from feature_platform.compiler.codes import NOT_ONE_SELECT, SYNTAX
from feature_platform.compiler.statements import normal
from feature_platform.compiler.trees import children
from feature_platform.compiler.typed_literals import reorder_casts
from feature_platform.errors import Code, GuardError, Location, Problem


class AuthorsSql(DuckDB):
    """DuckDB's SQL with paths into JSON left as they are written.

    sqlglot takes ``j -> 'a.b'`` for the path ``$.a.b``; to DuckDB it is the one key ``a.b``.
    """

    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        return path


DIALECT: Final = AuthorsSql
LONGEST: Final = 200_000
"""Characters. Far more than anybody writes; a bound for the parser's time and recursion."""
_DEEPEST: Final = 150
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CORRECT: Final = "correct the SQL near this place"

# sqlglot warns on its logger about what it can't handle; here that is an error, so the warning is only noise.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Places:
    """Maps tree nodes to places. ``base`` is where the text's first character stands.

    A tree that was built by the platform has no text: every node is then at ``base``.
    """

    text: str | None
    base: Location | None

    def of(self, node: exp.Expr | None) -> Location | None:
        """The place of a node: its own offset, or that of the first descendant or ancestor that has one."""
        if self.text is None:
            return self.base
        while node is not None:
            offsets = [start for part in node.walk() if (start := part.meta_get("start")) is not None]
            if offsets:
                return self.at(min(offsets))
            node = node.parent
        return self.base

    def word(self, node: exp.Expr) -> str | None:
        """The word that stands at the node's own offset: a function's name as the author wrote it."""
        start = node.meta_get("start")
        if self.text is None or start is None:
            return None
        found = _WORD.match(self.text, start)
        return found[0].lower() if found else None

    def at(self, offset: int) -> Location | None:
        """The place of the character at ``offset`` (from 0)."""
        if self.text is None:
            return self.base
        starts = [0] + [index + 1 for index, char in enumerate(self.text) if char == "\n"]
        line = bisect_right(starts, offset)
        return self.on(line, offset - starts[line - 1] + 1)

    def on(self, line: int, column: int) -> Location | None:
        """The place of the SQL text's own line and column (from 1).

        In a YAML block every line has lost the same indentation, which the base's column gives back.
        """
        base = self.base or Location("<query>")
        return Location(base.file, base.line + line - 1, base.column + column - 1)


@dataclass(frozen=True)
class Parsed:
    """A query tree and where its nodes came from."""

    tree: exp.Query
    places: Places


def parse_query(text: str, *, where: Location | None = None) -> Parsed:
    """The one query in ``text``.

    Raises:
        GuardError: it does not parse, is more than one statement or no query, or is too long or too deep.
    """
    places = Places(text, where)
    tree = normal(_parse(text, places))
    if not isinstance(tree, exp.Query):
        kind = type(tree).__name__.upper()
        raise _refusal(
            NOT_ONE_SELECT,
            f"{kind} is not a query",
            "write one SELECT; the platform creates and fills tables itself",
            places.at(len(text) - len(text.lstrip())),
        )
    return Parsed(tree, places)


def parse_expression(text: str, *, where: Location | None = None) -> exp.Expr:
    """The one expression in ``text``, for instance the condition of an aggregation.

    Raises:
        GuardError: it is not one expression.
    """
    places = Places(text, where)
    tree = _parse(f"SELECT {text}\n", Places(f"SELECT {text}\n", _shifted(where)))
    only = isinstance(tree, exp.Select) and len(tree.expressions) == 1
    if not only or any(value for key, value in tree.args.items() if key not in ("expressions", "kind")):
        raise _refusal(
            SYNTAX,
            "this is not one SQL expression",
            "write one expression without FROM, WHERE and commas",
            places.at(0),
        )
    expression: exp.Expr = tree.expressions[0]
    if isinstance(expression, exp.Alias | exp.Star):
        raise _refusal(
            SYNTAX, "an expression here has no name of its own", "leave out the AS or the star", places.at(0)
        )
    return expression.pop()


def _shifted(where: Location | None) -> Location | None:
    return where and Location(where.file, where.line, where.column - len("SELECT "))


def _parse(text: str, places: Places) -> exp.Expr:
    if len(text) > LONGEST:
        raise _refusal(
            SYNTAX, f"the SQL is longer than {LONGEST:,} characters", "split it into several views", places.at(0)
        )
    try:
        statements = [statement for statement in sqlglot.parse(text, read=DIALECT) if statement is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        line, column = first.get("line") or 1, first.get("col") or 1
        # The parser's column is that of the end of the token that it choked on.
        start = max(column - len(first.get("highlight") or "") + 1, 1)
        raise _refusal(SYNTAX, _described(first.get("description")), _CORRECT, places.on(line, start)) from None
    except SqlglotError:
        what = "a text, a name in quotes or a comment is not closed, or a character is not SQL"
        raise _refusal(SYNTAX, what, _CORRECT, places.at(0)) from None
    except RecursionError:
        raise _refusal(SYNTAX, "the SQL is nested too deeply", "split it into CTEs", places.at(0)) from None
    if len(statements) != 1:
        found = "there is no statement" if not statements else f"there are {len(statements)} statements"
        second = places.of(statements[1]) if len(statements) > 1 else places.at(0)
        raise _refusal(NOT_ONE_SELECT, f"{found} where one SELECT is expected", "write exactly one SELECT", second)
    _check_depth(statements[0], places)
    reorder_casts(statements[0], text)
    return statements[0]


def _check_depth(tree: exp.Expr, places: Places) -> None:
    # Later passes recurse; a query that is deeper than any person writes must not end in a RecursionError.
    level: list[exp.Expr] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in children(node)]
        if not level:
            return
    raise _refusal(
        SYNTAX, f"the SQL is nested more than {_DEEPEST} levels deep", "split it into CTEs", places.of(level[0])
    )


def _described(description: str | None) -> str:
    # Only the parser's own words, never the author's text: a literal may be personal.
    text = (description or "not valid SQL").split(" but got")[0].rstrip(". ")
    if missing := re.search(r"Required keyword: .* missing for <class '[\w.]+\.(\w+)'>", text):
        return f"{missing[1].lower()} lacks an argument"
    return text.replace("Invalid expression / Unexpected token", "this does not fit here")


def _refusal(code: Code, what: str, mend: str, where: Location | None) -> GuardError:
    problem: Problem = code.problem(what, mend=mend, where=where)
    return GuardError(problem)

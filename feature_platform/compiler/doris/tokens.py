"""Doris' SQL, cut into tokens: what the linter reads, and what lays a text out in lines.

It knows less than Doris' own lexer on purpose: comments, double quotes and unknown signs are tokens of their own
kind, which nobody lets pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["name", "text", "number", "parameter", "word", "sign", "refused"]

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
      |(?P<name>`(?:[^`]|``)+`)
      |(?P<text>'(?:[^'\\]|\\.|'')*')
      |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![A-Za-z_]))
      |(?P<parameter>\$[A-Za-z_]\w*)
      |(?P<word>[A-Za-z_]\w*)
      |(?P<refused>--|/\*|\#|;|\"|\|\||&&|::|->>?|:=|@|\\|`|')
      |(?P<sign><=>|<=|>=|<>|!=|[-+*/%(),.<>=])
      |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


_KINDS: Final[dict[str, Kind]] = {
    "name": "name", "text": "text", "number": "number", "parameter": "parameter", "word": "word", "sign": "sign",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL. ``text`` is as written."""

    kind: Kind
    text: str
    start: int

    @property
    def word(self) -> str:
        """The keyword or function in upper case; empty for other tokens."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def value(self) -> str:
        """What a name or a text means."""
        if self.kind == "name":
            return self.text[1:-1].replace("``", "`")
        return re.sub(r"''|\\(.)", lambda found: found[1] or "'", self.text[1:-1], flags=re.DOTALL)


def tokens(text: str) -> list[Token]:
    """The tokens of ``text``. What is none of Doris', or none of ours, has the kind ``refused``."""
    return list(_tokens(text))


def _tokens(text: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup
        if kind == "space":
            continue
        yield Token(_KINDS.get(str(kind), "refused"), found[0], found.start())


_CLAUSES: Final = frozenset({
    "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "JOIN",
    "LEFT", "INNER", "CROSS", "FULL", "RIGHT", "ASOF", "WITH",
})  # fmt: skip
_JOINS: Final = frozenset({"LEFT", "INNER", "CROSS", "FULL", "RIGHT", "ASOF"})
_NO_SPACE_BEFORE: Final = frozenset({",", ")", "."})


def laid_out(text: str) -> str:
    """The same tokens, a clause a line, sub-queries indented: for people."""
    found = tokens(text)
    lines: list[str] = [""]
    inside: list[bool] = []
    clauses = [""]
    for place, token in enumerate(found):
        before = found[place - 1] if place else None
        after = found[place + 1] if place + 1 < len(found) else None
        query = not inside or inside[-1]
        depth = sum(inside)
        if token.text == "(":
            inside.append(after is not None and after.word in ("SELECT", "WITH"))
            clauses.append("")
        if token.text == ")" and inside:
            clauses.pop()
        if token.text == ")" and inside and inside.pop():
            lines.append("  " * sum(inside))
        elif query and token.word in _CLAUSES and before is not None and not _continues(token, before, after):
            lines.append("  " * depth)
        if query and token.word in _CLAUSES:
            clauses[-1] = token.word
        glue = _glued(before, token) or not lines[-1].strip()
        lines[-1] += ("" if glue else " ") + token.text
        if token.text == "," and query:
            if before is not None and before.text == ")" and _next_cte(found, place):
                lines.append("")
            elif clauses[-1] == "SELECT":
                lines.append("  " * depth + "    ")
    return "\n".join(line.rstrip() for line in lines if line.strip()) + "\n"


def _continues(token: Token, before: Token, after: Token | None) -> bool:
    """Whether the word goes on with the clause before it, or is a function."""
    if token.word in ("LEFT", "RIGHT") and after is not None and after.text == "(":
        return True
    if token.word == "JOIN":
        return before.word in ("LEFT", "INNER", "CROSS", "FULL", "RIGHT", "OUTER", "SEMI", "ANTI")
    return token.word in _JOINS and before.word in _JOINS


def _glued(before: Token | None, token: Token) -> bool:
    if before is None or before.text in ("(", ".") or token.text in _NO_SPACE_BEFORE:
        return True
    if token.text == "(" and before.kind == "name":
        return before.value == "token"
    return token.text == "(" and before.kind == "word" and before.word not in _SPACED


_SPACED: Final = frozenset({
    "AS", "IN", "AND", "OR", "NOT", "OVER", "FROM", "JOIN", "WHERE", "ON", "BY", "WHEN", "THEN", "ELSE",
    "EXISTS", "UNION", "ALL", "SELECT", "HAVING", "BETWEEN", "DIV", "LIKE",
})  # fmt: skip


def _next_cte(found: list[Token], place: int) -> bool:
    following = found[place + 1 : place + 3]
    return len(following) == 2 and following[0].kind == "name" and following[1].word == "AS"

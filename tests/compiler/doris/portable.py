"""Texts for Doris, run on DuckDB: what that proves and what it does not.

The text is cut into tokens; names get double quotes, texts lose Doris' escapes, types get DuckDB's names, and every
function that DuckDB does not have under the same name with the same meaning becomes a macro below, written after
Doris' documentation. So a run shows that the *plan* and the *expression* are right, given that Doris' functions do
what the macros say. It shows nothing about Doris' parser, analyser, types of results, or about the functions
themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import duckdb

from feature_platform.compiler.doris.tokens import Token, tokens

_TYPES: Final = {"STRING": "VARCHAR", "BIGINT": "BIGINT", "INT": "INTEGER"}

MACROS: Final = {
    "IF": "(c, a, b) AS CASE WHEN c THEN a ELSE b END",
    "ARRAY_CONTAINS": "(l, x) AS list_contains(l, x)",
    "ARRAY_SIZE": "(l) AS len(l)",
    "ARRAY_JOIN": "(l, s) AS array_to_string(l, s)",
    "ARRAY_SLICE": "(l, b, n) AS list_slice(l, b, b + n - 1)",
    "ROUND_BANKERS": "(x) AS round_even(x, 0)",
    "TRUNCATE": "(x, d) AS trunc(x)",
    "BITAND": "(a, b) AS a & b",
    "BITOR": "(a, b) AS a | b",
    "BITXOR": "(a, b) AS xor(a, b)",
    "BITNOT": "(a) AS ~a",
    "CHAR_LENGTH": "(s) AS length(s)",
    "STARTS_WITH": "(s, t) AS starts_with(s, t)",
    "ENDS_WITH": "(s, t) AS suffix(s, t)",
    "MURMUR_HASH3_64": "(t) AS CAST(hash(t) >> 1 AS BIGINT)",
    "SHA2": "(s, n) AS CASE WHEN n = 256 THEN sha256(s) ELSE error('sha2') END",
    # nothing where there is no delimiter at all, or beyond the parts
    "SPLIT_PART": (
        "(s, d, i) AS CASE WHEN contains(s, d) AND abs(i) <= len(string_split(s, d)) THEN split_part(s, d, i) END"
    ),
    "REGEXP_REPLACE": "(s, p, r) AS regexp_replace(s, p, r, 'g')",
    "DATEDIFF": "(b, a) AS CAST(date_diff('day', CAST(a AS DATE), CAST(b AS DATE)) AS BIGINT)",
    "DATE_TRUNC": "(t, u) AS date_trunc(u, t)",
    "WEEKOFYEAR": "(t) AS date_part('week', t)",
    "DAYOFMONTH": "(t) AS date_part('day', t)",
    "DAYOFWEEK": "(t) AS date_part('dow', t) + 1",
    "WEEKDAY": "(t) AS date_part('isodow', t) - 1",
    "MICROSECOND": "(t) AS CAST(date_part('microsecond', t) % 1000000 AS BIGINT)",
    "SECOND": "(t) AS CAST(floor(date_part('second', t)) AS BIGINT)",
    "DATE_FORMAT": (
        "(t, f) AS strftime(t, replace(replace(replace(replace(f, '%i', '%M'), '%s', '%S'), '%x', '%G'), '%v', '%V'))"
    ),
    "MONTHS_ADD": "(t, n) AS t + to_months(CAST(n AS INTEGER))",
    "DAYS_ADD": "(t, n) AS CAST(t + to_days(CAST(n AS INTEGER)) AS TIMESTAMP)",
    "DAYS_SUB": "(t, n) AS CAST(t - to_days(CAST(n AS INTEGER)) AS TIMESTAMP)",
    "SECONDS_ADD": "(t, n) AS CAST(t + to_seconds(n) AS TIMESTAMP)",
    "SECONDS_SUB": "(t, n) AS CAST(t - to_seconds(n) AS TIMESTAMP)",
    "MICROSECONDS_ADD": "(t, n) AS CAST(t + to_microseconds(n) AS TIMESTAMP)",
    "MICROSECONDS_SUB": "(t, n) AS CAST(t - to_microseconds(n) AS TIMESTAMP)",
    "PERCENTILE_CONT": "(x, p) AS quantile_cont(x, p)",
}
"""Doris' function → DuckDB's macro for it."""

_RENAMED: Final = {"ARRAY": "list_value", "GROUP_CONCAT": "string_agg", "GROUP_BIT_AND": "bit_and",
                    "GROUP_BIT_OR": "bit_or", "GROUP_BIT_XOR": "bit_xor"}  # fmt: skip
"""Those with any number of arguments, or that are aggregates: by another name."""


def set_up(connection: duckdb.DuckDBPyConnection) -> None:
    """Gives a connection Doris' functions."""
    for function, body in MACROS.items():
        connection.execute(f"CREATE OR REPLACE MACRO doris_{function.lower()}{body}")


def as_duckdb(text: str) -> str:
    """The same query for DuckDB."""
    found = tokens(text)
    said: list[str] = []
    place = 0
    while place < len(found):
        whole = _WHOLE.get(found[place].word)
        followed = place + 1 < len(found) and found[place + 1].text in ("(", "<")
        if whole is not None and (followed or found[place].word == "LIKE"):
            place = whole(found, place, said)
        else:
            said.append(_said(found, place))
        place += 1
    return " ".join(said).replace(" . ", ".")


def _said(found: list[Token], place: int) -> str:
    token = found[place]
    called = place + 1 < len(found) and found[place + 1].text == "("
    if token.kind == "name":
        return '"' + token.value.replace('"', '""') + '"'
    if token.kind == "text":
        return "'" + token.value.replace("'", "''") + "'"
    if token.word in _TYPES and _names_a_type(found, place):
        return _TYPES[token.word]
    if token.word in _RENAMED and called:
        return _RENAMED[token.word]
    if token.word in MACROS and called:
        return f"doris_{token.text.lower()}"
    return {"DIV": "//", "<=>": "IS NOT DISTINCT FROM"}.get(token.text, token.text)


def _names_a_type(found: list[Token], place: int) -> bool:
    return not place or found[place - 1].word == "AS"


def _end(found: list[Token], place: int, opening: str = "(", closing: str = ")") -> int:
    depth = 0
    while True:
        depth += (found[place].text == opening) - (found[place].text == closing)
        if not depth:
            return place
        place += 1


def _concat(found: list[Token], place: int, said: list[str]) -> int:
    """``CONCAT(a, b)``, which is NULL where one is: ``(a || b)``."""
    end, parts = _arguments(found, place)
    said.append("(" + " || ".join(f"({part})" for part in parts) + ")")
    return end


def _extreme(found: list[Token], place: int, said: list[str]) -> int:
    """``GREATEST(a, b)``, which is NULL where one is."""
    end, parts = _arguments(found, place)
    missing = " OR ".join(f"({part}) IS NULL" for part in parts)
    said.append(f"CASE WHEN NOT ({missing}) THEN {found[place].text}({', '.join(parts)}) END")
    return end


def _arguments(found: list[Token], place: int) -> tuple[int, list[str]]:
    """Where a call ends, and its arguments as DuckDB has to be told."""
    end = _end(found, place + 1)
    inside, depth = [], 0
    for token in found[place + 2 : end]:
        depth += (token.text == "(") - (token.text == ")")
        inside.append("\x00" if token.text == "," and not depth else token.text)
    return end, [as_duckdb(part) for part in " ".join(inside).split("\x00")]


def _edge(found: list[Token], place: int, said: list[str]) -> int:
    """``LAST_VALUE(x, TRUE)``: ignores NULLs."""
    end = _end(found, place + 1)
    inside = found[place + 2 : end]
    ignoring = len(inside) > 2 and inside[-1].word == "TRUE" and inside[-2].text == ","
    argument = as_duckdb(" ".join(token.text for token in (inside[:-2] if ignoring else inside)))
    said.append(f"{found[place].text}({argument}{' IGNORE NULLS' if ignoring else ''})")
    return end


def _datetime(_found: list[Token], place: int, said: list[str]) -> int:
    said.append("TIMESTAMP")
    return place + 3  # (6)


def _array_type(found: list[Token], place: int, said: list[str]) -> int:
    if found[place + 1].text != "<":
        said.append(_RENAMED["ARRAY"])
        return place
    end = _end(found, place + 1, "<", ">")
    said.append(as_duckdb(" ".join(each.text for each in found[place + 2 : end])) + "[]")
    return end


def _like(found: list[Token], place: int, said: list[str]) -> int:
    """A backslash escapes."""
    end = _end(found, place + 2) if found[place + 2].text == "(" else place + 1
    said.append(f"LIKE {as_duckdb(' '.join(each.text for each in found[place + 1 : end + 1]))} ESCAPE '\\'")
    return end


_WHOLE: Final[dict[str, Callable[[list[Token], int, list[str]], int]]] = {
    "DATETIME": _datetime,
    "ARRAY": _array_type,
    "CONCAT": _concat,
    "GREATEST": _extreme,
    "LEAST": _extreme,
    "LIKE": _like,
    "FIRST_VALUE": _edge,
    "LAST_VALUE": _edge,
}
"""What is said in another way as a whole: (tokens, place, what was said) → the last place that was read."""

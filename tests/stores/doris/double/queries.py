"""Queries for Doris, over the partitions of the double's tables in DuckDB.

By the same tokens and macros as the tests of the compiler's texts (:mod:`tests.compiler.doris.portable`), which say
what that shows and what not.
"""

from __future__ import annotations

from collections.abc import Callable

from feature_platform.compiler.doris.tokens import Token, tokens
from tests.compiler.doris.portable import as_duckdb

Rows = Callable[[str, str, str | None], str]
"""(database, table, temporary partition) → DuckDB's SELECT of the rows."""


def in_duckdb(query: str, rows: Rows) -> str:
    """``query`` for DuckDB."""
    found = _without_comments(tokens(query))
    said, relations, place = [], {}, 0
    while place < len(found):
        length = _table(found, place)
        if length:
            temporary = found[place + 7].value if length == 9 else None
            stand_in = f"fp_relation_{len(relations)}"
            relations[f'"{stand_in}"'] = f"({rows(found[place + 1].value, found[place + 3].value, temporary)})"
            said += [found[place].text, f"`{stand_in}`"]
            place += length
        else:
            said.append(found[place].text)
            place += 1
    text = as_duckdb(" ".join(said))
    for stand_in, relation in relations.items():
        text = text.replace(stand_in, relation)
    return text


def _without_comments(found: list[Token]) -> list[Token]:
    kept, inside = [], False
    for place, token in enumerate(found):
        inside = inside or token.text == "/*"
        if not inside:
            kept.append(token)
        inside = inside and not (token.text == "/" and found[place - 1].text == "*")
    return kept


def _table(found: list[Token], place: int) -> int:
    """How many tokens ``FROM `d`.`t` [TEMPORARY PARTITION (`p`)]`` are at ``place``; 0 where there is none."""
    parts = found[place : place + 8]
    if parts[0].word not in ("FROM", "JOIN") or [each.kind for each in parts[1:4]] != ["name", "sign", "name"]:
        return 0
    return 9 if [each.word for each in parts[4:6]] == ["TEMPORARY", "PARTITION"] else 4

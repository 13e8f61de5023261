"""``TIMESTAMP '2026-01-31'::date``: the type in front of a literal binds before the casts behind it.

sqlglot reads it the other way round, as ``TIMESTAMP ('2026-01-31'::date)``, which is of another type. The tree does not
show it any more, but the text does: a type stands right in front of the literal.
"""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

_TYPED: Final = re.compile(r"([A-Za-z_]\w*)\s*$")
_NAMES: Final = {
    "DATETIME": "TIMESTAMP",
    "INTEGER": "INT",
    "TEXT": "VARCHAR",
    "STRING": "VARCHAR",
    "NUMERIC": "DECIMAL",
}


def reorder_casts(tree: exp.Expr, text: str) -> None:
    """Puts the casts of such literals into DuckDB's order, in place."""
    if "::" not in text:
        return
    for literal in list(tree.find_all(exp.Literal)):
        start = literal.meta_get("start")
        written = _TYPED.search(text, 0, start) if literal.is_string and start is not None else None
        if written is not None:
            _reorder(literal, written[1].upper())


def _reorder(literal: exp.Expr, type_: str) -> None:
    casts = []
    node = literal.parent
    while type(node) is exp.Cast:
        casts.append(node)
        if len(casts) > 1 and _is(node.to, type_):
            # What stands outermost belongs innermost: each cast takes the type of the one inside it.
            types = [cast.to for cast in casts]
            for cast, to in zip(casts, [types[-1], *types[:-1]], strict=True):
                cast.set("to", to)
            return
        node = node.parent


def _is(to: exp.DataType, written: str) -> bool:
    named = {to.this.name, to.sql("duckdb").upper()}
    return written in named or _NAMES.get(written, written) in named

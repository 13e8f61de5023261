"""Types and values between DuckDB, which keeps the rows, and Doris, which they look like."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from feature_platform.stores.doris.described import described_type


def shown(row: tuple[Any, ...]) -> tuple[str | None, ...]:
    """A row in the text protocol."""
    return tuple(_shown(value) for value in row)


def duck_type(kind: str) -> str:
    found = described_type(kind)
    assert found is not None, kind
    return "VARCHAR" if found.kind == "json" else found.sql("duckdb")


def described(kind: str) -> str:
    """As DESC shows it."""
    return kind.lower().replace("string", "text").replace(", ", ",")


def doris_type(duck: str) -> str:
    """The Doris type of what DuckDB describes."""
    names = {"VARCHAR": "text", "TIMESTAMP": "datetime(6)", "INTEGER": "int", "HUGEINT": "largeint"}
    if duck.startswith("MAP("):
        key, _, value = duck[4:-1].partition(", ") if not duck.startswith("MAP(DECIMAL") else _decimal_key(duck)
        return f"map<{doris_type(key)},{doris_type(value)}>"
    if duck.endswith("[]"):
        return f"array<{doris_type(duck[:-2])}>"
    return names.get(duck, duck.lower())


def _decimal_key(duck: str) -> tuple[str, str, str]:
    end = duck.index(")") + 1
    return duck[4:end], ", ", duck[end + 2 : -1]


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)|''", lambda found: found[1] or "'", text, flags=re.DOTALL)


def _shown(value: Any, *, inside: bool = False) -> str | None:
    """A value in the text protocol. Strings inside of arrays are quoted and not escaped, as Doris does."""
    if value is None:
        return "null" if inside else None
    if isinstance(value, list):
        return f"[{', '.join(str(_shown(each, inside=True)) for each in value)}]"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        shown = f"{value.year:04}-{value:%m-%d %H:%M:%S.%f}"
    elif hasattr(value, "isoformat"):
        shown = f"{value.year:04}-{value:%m-%d}"
    else:
        shown = str(value)
    return f'"{shown}"' if inside and not isinstance(value, int | float) else shown

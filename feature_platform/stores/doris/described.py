"""Types as Doris describes them (``DESC``), as the platform's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from feature_platform.types import JSON, DataType, array, decimal, map_of, struct

_PLAIN: Final[Mapping[str, str]] = {
    "boolean": "boolean",
    "tinyint": "int",
    "smallint": "int",
    "int": "int",
    "bigint": "bigint",
    "float": "double",
    "double": "double",
    "char": "string",
    "varchar": "string",
    "string": "string",
    "text": "string",
    "date": "date",
    "datev2": "date",
    "datetime": "timestamp",
    "datetimev2": "timestamp",
}
"""``largeint``, ``variant``, ``bitmap``, ``hll`` and the like have no exact counterpart."""
_SCALAR: Final = re.compile(r"([a-z0-9_]+)(?:\((\*|\d+)(?:\s*,\s*(\d+))?\))?")
_FIELD: Final = re.compile(r"`?([A-Za-z_][A-Za-z0-9_]*)`?\s*:\s*(.+)")


def described_type(text: str) -> DataType | None:
    """The type that Doris calls ``text``; None where there is no exact counterpart.

    >>> str(described_type("map<text,decimalv3(18,2)>"))
    'map<string, decimal(18,2)>'
    """
    lower = text.strip().lower()
    if lower in ("json", "jsonb"):
        return JSON
    if lower == "tinyint(1)":
        return DataType("boolean")
    for outer in ("array", "map", "struct"):
        if lower.startswith(f"{outer}<") and lower.endswith(">"):
            return _nested(outer, _parts(text.strip()[len(outer) + 1 : -1]))
    match = _SCALAR.fullmatch(lower)
    if match is None:
        return None
    if match[1] in ("decimal", "decimalv3", "decimalv2", "decimal32", "decimal64", "decimal128"):
        precision, scale = int(match[2] or 9), int(match[3] or 0)
        return decimal(precision, scale) if 1 <= precision <= 38 else None
    return DataType.parse(_PLAIN[match[1]]) if match[1] in _PLAIN else None


def _nested(outer: str, parts: list[str]) -> DataType | None:
    if outer == "struct":
        fields = [_FIELD.fullmatch(part.strip()) for part in parts]
        named = [(field[1], described_type(field[2])) for field in fields if field]
        known = [(name, kind) for name, kind in named if kind is not None]
        return struct(*known) if len(known) == len(parts) else None
    inner = [described_type(part) for part in parts]
    known_inner = [kind for kind in inner if kind is not None]
    if outer == "array" and len(known_inner) == len(inner) == 1:
        return array(known_inner[0])
    return map_of(*known_inner) if outer == "map" and len(known_inner) == len(inner) == 2 else None


def _parts(text: str) -> list[str]:
    """What stands between commas outside of brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "<(") - (char in ">)")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts

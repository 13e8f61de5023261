"""Canonical JSON: one text for one value, so that a hash over it means the value.

RFC 8785 for the values that events hold: members sorted by name, no white space, only the characters escaped that
must be, UTF-8. Numbers are integers of at most 53 bits: what every reader of JSON keeps exactly. Names of members are
ASCII, so sorting by code point is the RFC's sorting by UTF-16 unit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

Json = str | int | bool | Sequence["Json"] | Mapping[str, "Json"]

_EXACT: Final = 2**53


def canonical(value: Json) -> str:
    """The canonical text.

    Raises:
        TypeError: a number that is not whole, None, or something else that JSON readers don't agree about.
        ValueError: an integer beyond 53 bits, or text that is not Unicode.

    >>> canonical({"b": 1, "a": ["é", True]})
    '{"a":["é",true],"b":1}'
    """
    _check(value)
    text = _ENCODER.encode(value)
    text.encode()  # a lone surrogate has no UTF-8
    return text


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _check(value: object) -> None:
    if isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if abs(value) >= _EXACT:
            raise ValueError("an integer beyond 53 bits is not exact in JSON")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str) or not name.isascii():
                raise TypeError("a member's name is ASCII text")
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    else:
        raise TypeError(f"canonical JSON holds no {type(value).__name__}")

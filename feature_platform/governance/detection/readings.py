"""What a value may stand for: nested values taken apart, encodings undone, before anything is matched.

Undone are: compatibility forms of Unicode (full-width digits), invisible characters, percent-encoding, HTML entities,
JSON escapes, JSON documents, base64 (standard and URL-safe, with or without padding), hexadecimal, and digits written
one by one. Encodings may be nested three deep.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote

from feature_platform.governance.detection.encoded import BASE64, decoded
from feature_platform.governance.detection.parts import NOT_ASCII, Part

_DEPTH: Final = 3
_READINGS: Final = 12
_LEAVES: Final = 500
"""Values that are looked at inside one nested value."""
_NESTING: Final = 30
_LARGEST_EXACT: Final = 2.0**53

INVISIBLE: Final = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_REMOVE_INVISIBLE: Final = dict.fromkeys(map(ord, INVISIBLE))
_DASHES: Final = {ord(dash): "-" for dash in "\u2010\u2011\u2012\u2013\u2014\u2212"}
ODD_PARTS: Final = (
    Part("&(?:#[0-9xX]|commat|period)", one_of="&"),
    Part("\\\\u[0-9A-Fa-f]{4}", one_of="\\"),
    Part("%[2-7][0-9A-Fa-f]", one_of="%"),
    Part("[0-9](?:[ ._-][0-9]){8}", one_of=" ._-", shortest=17, head="[ ._-][0-9][ ._-]"),
    Part(f"[{INVISIBLE}\u2010-\u2014\u2212\uff10-\uff19\uff21-\uff5a\u0660-\u0669]", one_of=NOT_ASCII),
)
ODD: Final = "|".join(part.pattern for part in ODD_PARTS)
"""Texts that may read otherwise; for engines too."""

_WORTH_IT: Final = re.compile(f"{ODD}|{BASE64}|(?:[2-7][0-9A-Fa-f]){{7}}")
_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})")
_SPACED: Final = re.compile(r"(?<![0-9])[0-9](?:[ ._-][0-9]){7,}(?![0-9])")


def readings(text: str) -> tuple[str, ...]:
    """``text`` itself, then every other way to read it.

    >>> readings("amFuQGV4YW1wbGUuY29t")
    ('amFuQGV4YW1wbGUuY29t', 'jan@example.com')
    """
    found = [text]
    if not text.isascii() or _WORTH_IT.search(text):
        level: Iterable[str] = [text]
        for _ in range(_DEPTH):
            level = [other for each in level for other in _once(each) if other not in found]
            found += dict.fromkeys(level)
            if not level or len(found) > _READINGS:
                break
    return tuple(found[:_READINGS])


def _once(text: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFKC", text.translate(_REMOVE_INVISIBLE)).translate(_DASHES)
    if "%" in plain:
        plain = unquote(plain)
    if "&" in plain:
        plain = html.unescape(plain)
    if "\\u" in plain:
        plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), plain)
    if plain != text:
        yield plain
    if _SPACED.search(plain):
        yield _SPACED.sub(lambda match: re.sub("[ ._-]", "", match[0]), plain)
    yield from decoded(plain)


def leaves(value: Any) -> list[str]:
    """The texts of a value: of a list, a mapping or a JSON document those of everything in it.

    >>> leaves({"to": ["jan@example.com", None], "n": 3})
    ['jan@example.com', '3']
    """
    return [text for _, text in zip(range(_LEAVES), _leaves(value, _NESTING), strict=False)]


def _leaves(value: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    match value:
        case None | bool():
            return
        case str():
            yield from _text_leaves(value, depth)
        case bytes() | bytearray() | memoryview():
            yield from _text_leaves(bytes(value).decode(errors="replace"), depth)
        case Mapping():
            for inner in value.values():
                yield from _leaves(inner, depth - 1)
        case list() | tuple() | set() | frozenset():
            for inner in value:
                yield from _leaves(inner, depth - 1)
        case _:
            text = _scalar(value)
            if text:
                yield text


def _text_leaves(text: str, depth: int) -> Iterator[str]:
    """Of a JSON document the texts in it; of other text itself."""
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] + stripped[-1] in ("{}", "[]", '""'):
        try:
            inner = json.loads(stripped)
        except (ValueError, RecursionError):
            inner = text
        if inner != text:
            yield from _leaves(inner, depth - 1)
            return
    if stripped:
        yield stripped


def _scalar(value: Any) -> str:
    """Of numbers and times; whole floats are numbers that met a NULL on their way through a data frame."""
    match value:
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_EXACT else repr(value)
        case Decimal():
            whole = value.is_finite() and value == value.to_integral_value()
            return f"{value.to_integral_value():f}" if whole else str(value)
        case datetime() | date():
            return value.isoformat()
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a value of any type at all, and never a reason to stop
        return ""

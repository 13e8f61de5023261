"""The forms in which a value may turn up: as written, stripped, encoded, hashed without a key, as a number.

Search ignores the case of ASCII letters, so a form stands for its capitals, too.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from hashlib import md5, sha1, sha256
from typing import Final
from urllib.parse import quote, quote_plus

from feature_platform.canaries.listing import SHORTEST, Canary
from feature_platform.errors import GovernanceError
from feature_platform.governance.canonical import canonical

_SEPARATORS: Final = re.compile(r"[\s./()\-]")
_NUMBER: Final = re.compile(r"\d{11,18}")
_DIGITS_WANTED: Final = 11
"""Fewer digits in a row are in every table by chance."""
_DATES: Final = "birth_date"


def forms(canary: Canary) -> Sequence[tuple[str, bytes]]:
    """(name of the form, bytes to look for), each once, none shorter than chance allows."""
    found: dict[bytes, str] = {}
    for text, name in _texts(canary):
        raw = text.encode()
        for form, needle in ((name, raw), *_encoded(raw, text, name)):
            if len(needle) >= SHORTEST:
                found.setdefault(needle.lower(), form)
    for number in numbers(canary):
        if number >= 10**12:  # below, the eight bytes are mostly zeros
            found.setdefault(struct.pack("<q", number).lower(), "binary number")
            found.setdefault(struct.pack(">q", number).lower(), "binary number")
    return [(name, needle) for needle, name in found.items()]


def numbers(canary: Canary) -> tuple[int, ...]:
    """The value as a whole number, where it is one."""
    digits = _SEPARATORS.sub("", canary.value).removeprefix("+")
    return (int(digits),) if _NUMBER.fullmatch(digits) else ()


def days(canary: Canary) -> tuple[date, ...]:
    """The value as a date, where its column holds dates."""
    try:
        return (date.fromisoformat(canary.value),) if canary.classification == _DATES else ()
    except ValueError:
        return ()


def _texts(canary: Canary) -> Iterator[tuple[str, str]]:
    yield canary.value, "as written"
    with suppress(GovernanceError, ValueError):  # not every classification has a canonical text
        yield canonical(canary.classification, canary.value), "canonical"
    stripped = _SEPARATORS.sub("", canary.value)
    if not stripped.isdigit() or len(stripped) >= _DIGITS_WANTED:
        yield stripped, "without separators"
    digits = re.sub(r"\D", "", canary.value)
    if len(digits) >= _DIGITS_WANTED:
        yield digits, "digits"
    if canary.classification == _DATES:
        year, _, rest = canary.value.partition("-")
        month, _, day = rest.partition("-")
        for written in (f"{day}.{month}.{year}", f"{day}/{month}/{year}", f"{month}/{day}/{year}"):
            yield written, "as written elsewhere"


def _encoded(raw: bytes, text: str, name: str) -> Iterator[tuple[str, bytes]]:
    yield f"{name}, URL-encoded", quote(text, safe="").encode()
    yield f"{name}, URL-encoded", quote_plus(text).encode()
    yield f"{name}, as JSON", json.dumps(text)[1:-1].encode()
    yield f"{name}, as JSON", json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield f"{name}, UTF-16", text.encode("utf-16-le")
    yield f"{name}, hexadecimal", raw.hex().encode()
    yield f"{name}, Latin-1", text.encode("latin-1", errors="ignore")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Inside a longer text the bytes begin at one of three places; what mixes with neighbours is left out.
            whole = encode(b"\0" * before + raw).rstrip(b"=")
            start = (before * 8 + 5) // 6
            end = (before + len(raw)) * 8 // 6
            yield f"{name}, base64", whole[start:end]
    for digest in (md5, sha1, sha256):
        yield f"{name}, hashed without a key", digest(raw).hexdigest().encode()

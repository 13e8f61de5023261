"""Base64 and hexadecimal of readable text, told from digests, identifiers and random bytes by their characters alone.

Every byte of printable ASCII is between 0x20 and 0x7F. That leaves base64 a third of its letters at most places, so
nine random bytes pass for text once in ten thousand times, and a digest in hexadecimal hardly ever. The
patterns are what engines run over every row: no look-around, no back-references, linear.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

# A quad of base64 is three bytes, b0 b1 b2. Of its four letters the first has the upper six bits of b0; the second
# the lower two of b0 and the upper four of b1, which are 2 to 7 in ASCII; the third ends in the upper two bits of b2.
_FIRST: Final = "[I-Za-f]"
_SECOND: Final = "[C-HS-Xi-ny-z0-3]"
_THIRD_AND_FOURTH: Final = "(?:[AEIMQUYcgkosw048][g-z0-9+/_-]|[BFJNRVZdhlptx159][0-9A-Za-z+/_-])"
_QUAD: Final = f"{_FIRST}{_SECOND}{_THIRD_AND_FOURTH}"
_DIGITS_QUAD: Final = "[MNO][DTjz][AEIMQUYcgk][w-z0-5]"
"""Three decimal digits."""
_AT_QUADS: Final = (
    f"Q[C-H]{_THIRD_AND_FOURTH}",  # @ is the first of the three bytes ...
    f"{_FIRST}[EUk0](?:A[g-z0-9+/_-]|B[0-9A-Za-z+/_-])",  # ... the second ...
    f"{_FIRST}{_SECOND}[BFJNRVZdhlptx159]A",  # ... the third
)
_BEFORE: Final = "(?:^|[^0-9A-Za-z+/_-])"

BASE64: Final = f"{_BEFORE}(?:{_QUAD}){{3}}"
"""Nine characters of text or more; what the next two match, this one matches."""
BASE64_HEAD: Final = f"{_BEFORE}{_FIRST}{_SECOND}"
"""How it begins."""
BASE64_AT: Final = f"{_BEFORE}(?:{_QUAD})*(?:{'|'.join(_AT_QUADS)})(?:{_QUAD}){{2}}"
"""The same with an ``@`` in it."""
BASE64_DIGITS: Final = f"{_BEFORE}(?:{_QUAD})*(?:{_DIGITS_QUAD}){{3}}"
"""Nine decimal digits in a row, at least."""
HEX_AT: Final = "40(?:[2-7][0-9A-Fa-f])+2[Ee](?:[67][0-9A-Fa-f]){2}"
"""``@``, text, a dot, two letters."""
HEX_DIGITS: Final = "(?:^|[^0-9A-Za-z])(?:2[0-9Bb])?(?:3[0-9]){9}"
"""Nine decimal digits, perhaps behind a sign."""
_BASE64_PIECE: Final = re.compile(r"(?<![0-9A-Za-z+/_-])[0-9A-Za-z+/_-]{12,}={0,2}")
_HEX_PIECE: Final = re.compile(r"(?<![0-9A-Za-z])(?:0x)?((?:[0-9A-Fa-f]{2}){7,})(?![0-9A-Za-z])")
_PIECES: Final = 50
"""Pieces of one text that are decoded."""
_READABLE: Final = 0.95


def decoded(text: str) -> Iterator[str]:
    """The readable texts that pieces of ``text`` encode."""
    for _, match in zip(range(_PIECES), _BASE64_PIECE.finditer(text), strict=False):
        if (found := _from_base64(match[0])) is not None:
            yield found
    for _, match in zip(range(_PIECES), _HEX_PIECE.finditer(text), strict=False):
        if (not match[0].isdecimal() and (found := _readable(bytes.fromhex(match[1]))) is not None) or (
            found := _digits_in_hex(match[1])
        ) is not None:
            yield found


def _from_base64(piece: str) -> str | None:
    letters = piece.rstrip("=").replace("-", "+").replace("_", "/")
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    try:
        return _readable(base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True))
    except binascii.Error:
        return None


def _digits_in_hex(piece: str) -> str | None:
    """Digits written in hexadecimal are digits again; as long a run of ``3x`` is no chance."""
    return bytes.fromhex(piece).decode() if re.fullmatch("(?:3[0-9]){9,}", piece) else None


def _readable(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    printable = sum(character.isprintable() or character in "\t\r\n" for character in text)
    return text if text and printable >= _READABLE * len(text) else None

"""Telephone numbers as countries write them, told by the share of a column: one alone could be anything.

International form (``+420 601 234 567``) is a pattern of its own, see :mod:`patterns`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from feature_platform.governance.detection.finding import Finding, shape

_NATIONAL: Final = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        (
            r"(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}"
            r"(?: ?(?:x|ext\.?) ?[0-9]{1,5})?"
        ),  # North America
        r"\(?0[0-9]{2,4}\)?[ -][0-9]{3,4}[ -]?[0-9]{3,4}",  # United Kingdom, Ireland
        r"\(?0[1-9][0-9]{1,4}\)?(?: ?/ ?| - | |-)[0-9]{3,8}(?:[ -][0-9]{1,5}){0,3}",  # Germany, Austria
        r"0[1-9](?:[ .-]?[0-9]{2}){4}",  # France
        r"0[0-9]{2}[ /-][0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{2}",  # Switzerland, Slovakia
        r"0[0-9]{3}[ /-]?[0-9]{3}[ .-][0-9]{3}",  # Slovakia, Austria
        r"06[ -]?[0-9]{8}|0[1-9][0-9]{1,2}-[0-9]{6,7}",  # Netherlands
        r"[6789][0-9]{2}(?: [0-9]{3}){2}|[6789][0-9]{2}(?: [0-9]{2}){3}|[67][0-9]{2}-[0-9]{3}-[0-9]{3}",  # Spain
        r"[2-7][0-9]{2} [0-9]{3} [0-9]{3}",  # Czechia, Poland
        r"9[1236][0-9] ?[0-9]{3} ?[0-9]{3}|2[0-9]{2} [0-9]{3} [0-9]{3}",  # Portugal
        r"3[2-9][0-9][ -][0-9]{6,7}|3[2-9][0-9](?: [0-9]{3}){2}[0-9]?|0[1-9][0-9]{1,3}[ -][0-9]{5,8}",  # Italy
        r"\(?[1-9][0-9]\)? 9?[0-9]{4}-[0-9]{4}",  # Brazil
        r"(?:00|\+)[1-9][0-9]{0,2}(?:[ ./()-]{1,2}[0-9]{1,5}){2,6}",  # anywhere, grouped
    )
)
_DIGITS: Final = re.compile(r"(?:00|\+)?[1-9][0-9]{7,13}|0[1-9][0-9]{7,10}", re.ASCII)
_AS_GROUPED: Final = re.compile(r"[ ./()-]")
_ALONE: Final = 0.8
_NAMED: Final = 0.3
_FEW: Final = 5


def judge_phones(texts: Sequence[str], named: str | None) -> Finding | None:
    """The finding ``phone`` in the distinct texts of a column. Numbers without any separator need the column's name."""
    if not texts:
        return None
    by_name = named == "phone"
    phones = [text for text in texts if is_phone(text, digits_too=by_name)]
    share = len(phones) / len(texts)
    if share < (_NAMED if by_name else _ALONE) or (not by_name and (len(phones) < _FEW or _looks_like_amounts(phones))):
        return None
    return Finding("phone", 0.97 if by_name else 0.85, "shape", len(phones), share, shape(phones[0]))


def is_phone(text: str, *, digits_too: bool) -> bool:
    """Whether the whole text is written like a telephone number."""
    stripped = re.sub(r"^(?:tel|phone|mob|fax)[.:]* *", "", text.strip(), flags=re.IGNORECASE)
    if len(stripped) > 30 or not 7 <= sum(character.isdecimal() for character in stripped) <= 17:
        return False
    if any(pattern.fullmatch(stripped) for pattern in _NATIONAL):
        return True
    return digits_too and _DIGITS.fullmatch(_AS_GROUPED.sub("", stripped)) is not None


def _looks_like_amounts(texts: Sequence[str]) -> bool:
    """Digits in threes whose first group is anything: numbers with a space for the thousands, ending in zeros."""
    round_ones = sum(text.endswith(("00", "50")) for text in texts)
    return round_ones > len(texts) / 4

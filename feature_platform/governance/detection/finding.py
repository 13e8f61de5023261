"""What detection says about a column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

Evidence = Literal["name", "pattern", "checksum", "dictionary", "presidio", "residue"]
"""What a finding rests on. ``residue``: text that nothing recognises."""

_LONGEST_SHAPE: Final = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """A class of personal data that a column seems to hold."""

    classification: str
    confidence: float
    """0 to 1: how sure the detector is that the column holds this class at all."""
    evidence: Evidence
    rows: int = 0
    """Rows whose value matched; 0 when the name alone speaks."""
    share: float = 0.0
    """Of the values that were looked at, those that were confirmed."""
    shape: str = ""
    """The form of one confirmed value, such as ``9{16}``; never the value."""


def shape(text: str) -> str:
    """The form of a text: digits become 9, letters A or a, runs are counted; other characters stay.

    >>> shape("4111 1111 1111 1111")
    '9{4} 9{4} 9{4} 9{4}'
    >>> shape("jan@example.com")
    'a{3}@a{7}.a{3}'
    """
    kinds = "".join(_kind(character) for character in text)
    runs = ((character, len(list(run))) for character, run in groupby(kinds))
    whole = "".join(f"{kind}{{{length}}}" if length > 1 and kind in "9Aa" else kind * length for kind, length in runs)
    return whole if len(whole) <= _LONGEST_SHAPE else re.sub(r"\{?[0-9]*$", "", whole[:_LONGEST_SHAPE]) + "…"


def _kind(character: str) -> str:
    if character.isdecimal():
        return "9"
    if character.isalnum():
        return "A" if character.isupper() else "a"
    return character if character.isprintable() else "?"

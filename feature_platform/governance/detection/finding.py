"""What detection says about a column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

Evidence = Literal["name", "pattern", "checksum", "dictionary", "shape", "presidio", "residual"]
"""What a finding rests on. ``shape``: the form of most values. ``residual``: text that nothing recognises."""

CERTAIN: Final = 0.6
"""From this confidence on, a finding asks for a declaration: it stops a compile in strict mode, and a publication."""

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

    @property
    def reason(self) -> str:
        """What the finding rests on, in words."""
        if self.evidence == "name":
            return "by its name"
        said = {"residual": "text that nothing recognises", "presidio": "by Presidio"}
        return f"{said.get(self.evidence, f'by {self.evidence}')}, {self.share:.1%} of the values looked at"


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

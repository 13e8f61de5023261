"""Postcodes. Those with letters speak for themselves; digits alone need the column's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from feature_platform.governance.detection.finding import Finding, shape

_SPEAKING: Final = tuple(
    re.compile(pattern)
    for pattern in (
        (
            "(?:GIR ?0AA|[A-PR-UWYZ](?:[0-9]{1,2}|[A-HK-Y][0-9]|[A-HK-Y][0-9][0-9ABEHMNPRV-Y]|[0-9][A-HJKPS-UW])"
            " ?[0-9][ABD-HJLNP-UW-Z]{2})"
        ),  # United Kingdom
        "[1-9][0-9]{3} [A-Z]{2}",  # Netherlands
        "[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z] [0-9][ABCEGHJ-NPRSTV-Z][0-9]",  # Canada
        "[AC-FHKNPRTV-Y][0-9]{2} [0-9AC-FHKNPRTV-Y]{4}",  # Ireland
    )
)
_ANY: Final = re.compile(
    "[0-9]{3,6}|[0-9]{3} [0-9]{2}|[0-9]{2}-[0-9]{3}|[0-9]{4}-[0-9]{3}|[0-9]{5}-[0-9]{3,4}|[0-9]{4} ?[A-Z]{2}"
    "|(?:[A-Z]{1,2}-)[0-9]{4,6}|[A-Z0-9]{2,4} ?[A-Z0-9]{3}"
)
_ALONE: Final = 0.8
_NAMED: Final = 0.5
_FEW: Final = 10


def judge_postcodes(texts: Sequence[str], named: str | None) -> Finding | None:
    """The finding ``postcode`` in the distinct texts of a column."""
    if not texts:
        return None
    by_name = named == "postcode"
    patterns = (*_SPEAKING, _ANY) if by_name else _SPEAKING
    codes = [text for text in texts if any(pattern.fullmatch(text.strip().upper()) for pattern in patterns)]
    share = len(codes) / len(texts)
    if share < (_NAMED if by_name else _ALONE) or (not by_name and len(codes) < _FEW):
        return None
    return Finding("postcode", 0.97 if by_name else 0.8, "shape", len(codes), share, shape(codes[0]))

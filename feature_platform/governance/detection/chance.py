"""How much of what was found chance explains. One random number in ten has a right check digit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import Final

_UNLIKELY: Final = log(1e6)
"""Chance has to be as small as one in a million before values alone speak; a project has thousands of columns."""
_SPARSE: Final = log(1e8)
_EXCESS: Final = 0.015
_SUPPORT: Final = 0.3
_FEW: Final = 20


def convincing(valid: int, candidates: int, chance: float, *, share: float = 0.6, named: bool = False) -> bool:
    """Whether ``valid`` of ``candidates`` texts of one form are no accident.

    Either most are valid and chance would hardly do that, or they are a part that chance would never leave. A column
    that says by its name what it holds needs less.
    """
    if not valid:
        return False
    part = valid / candidates
    if named and part >= _SUPPORT:
        return True
    surprise = candidates * _divergence(part, chance)
    if part >= share:
        return surprise >= _UNLIKELY
    return part - chance >= _EXCESS and surprise >= _SPARSE


def _divergence(part: float, chance: float) -> float:
    """Kullback and Leibler's, in nats: Chernoff's bound on the tail of a binomial distribution is exp(-n x this)."""
    if part <= chance:
        return 0.0
    rest = (1 - part) * log((1 - part) / (1 - chance)) if part < 1 else 0.0
    return part * log(part / chance) + rest


def is_counter(texts: Sequence[str]) -> bool:
    """Whether these are numbers at even distances, as counters and clocks give: their check digits are no accident."""
    if len(texts) < _FEW or not all(text.isdecimal() for text in texts):
        return False
    numbers = sorted({int(text) for text in texts})
    gaps = {after - before for before, after in pairwise(numbers)}
    return len(gaps) <= max(2, len(numbers) // 50)

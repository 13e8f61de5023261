"""From hits to a verdict: is this column personal?

Chance is part of it. One in ten digit strings of a card's shape passes Luhn, about one in a hundred texts of an
IBAN's shape passes its checksum. So:

=============  =======================================================================================
e-mail, MAC    one valid value is enough
IBAN           one valid value, if at least one in twenty judged hits is valid (chance gives one in 97)
phone, IP      at least one, and half of the judged hits
national ids   by their scheme, see :mod:`national_ids`
card           Luhn over *all* distinct hits, against what chance would give; see :func:`_cards`
=============  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

from feature_platform.governance.detection.finding import Evidence, Finding, shape
from feature_platform.governance.detection.national_ids import judge_ids
from feature_platform.governance.detection.readings import readings
from feature_platform.governance.detection.validators import valid_part

_LUHN_CHANCE: Final = 0.1
_FEW: Final = 20
"""Up to so many numbers, the share decides; above, the deviation from chance."""
_SIGMAS: Final = 8.0

_SHARES: Final[Mapping[str, float]] = {
    "email": 0.0,
    "device_id": 0.0,
    "iban": 0.05,
    "phone": 0.5,
    "ip_address": 0.5,
}
"""Part of the judged hits that has to be valid; always at least one."""
_CHECKSUMS: Final = frozenset({"iban"})
_IDENTIFIERS: Final = frozenset({"national_id", "birth_number"})


@dataclass(frozen=True, slots=True)
class Hits:
    """What a pattern found in a column."""

    rows: int
    """Rows that matched."""
    distinct: int
    """Distinct values that matched."""
    sample: Sequence[str]
    """Some of the distinct values, at most 200."""
    passing_luhn: int = 0
    """Of cards: distinct values that pass, counted over all of them."""
    long_numbers: int = 0
    """Of cards: rows of the column that hold thirteen digits in a row, card or not."""


def judge(classification: str, hits: Hits, named: str | None = None) -> Finding | None:
    """The finding that the hits amount to, or None. ``named`` is the class that the column's name speaks of."""
    if not hits.sample:
        return None
    if classification == "payment_card":
        return _cards(hits)
    if classification in _IDENTIFIERS:
        read = [readings(text)[-1] for text in hits.sample]
        found = (each for each in judge_ids(read, named) if each.classification == classification)
        return next((replace(each, rows=hits.rows) for each in found), None)
    valid = [part for text in hits.sample if (part := valid_part(classification, text))]
    share = len(valid) / len(hits.sample)
    if not valid or share < _SHARES[classification]:
        return None
    evidence: Evidence = "checksum" if classification in _CHECKSUMS else "pattern"
    confidence = 0.99 if evidence == "checksum" else 0.9
    return Finding(classification, confidence, evidence, hits.rows, share, shape(valid[0]))


def _cards(hits: Hits) -> Finding | None:
    """Few numbers: most must pass, and they must not be a chance part of a column of identifiers. Many: far more than
    one in ten must pass.
    """
    valid = [part for text in hits.sample if (part := valid_part("payment_card", text))]
    passing = max(hits.passing_luhn, len(valid))
    share = passing / hits.distinct
    if hits.distinct <= _FEW:
        identifiers = hits.long_numbers > hits.rows / 0.9
        found = share >= 0.6 and not identifiers
    else:
        expected = _LUHN_CHANCE * hits.distinct
        deviation = (passing - expected) / sqrt(expected * (1 - _LUHN_CHANCE))
        found = deviation >= _SIGMAS and share >= _LUHN_CHANCE * 1.1
    if not found:
        return None
    return Finding("payment_card", 0.99, "checksum", hits.rows, share, shape(valid[0]) if valid else "")

"""What a column most probably holds, from its name and its values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from feature_platform.governance.detection.addresses import judge_addresses
from feature_platform.governance.detection.births import judge_births
from feature_platform.governance.detection.finding import CERTAIN, Finding
from feature_platform.governance.detection.free_text import judge_free_text
from feature_platform.governance.detection.judge import Hits, judge
from feature_platform.governance.detection.names import looks_personal
from feature_platform.governance.detection.national_ids import judge_ids
from feature_platform.governance.detection.patterns import AT, LONG_NUMBER, PATTERNS
from feature_platform.governance.detection.people import judge_names
from feature_platform.governance.detection.phones import judge_phones
from feature_platform.governance.detection.postcodes import judge_postcodes
from feature_platform.governance.detection.readings import leaves, readings
from feature_platform.governance.tokens import is_token
from feature_platform.governance.transforms.cards import luhn

_JUDGED: Final = 2_000
"""Distinct texts whose form is looked at; patterns are matched against all."""
_HITS: Final = 500
_COMPILED: Final = {name: re.compile(pattern.replace(AT, "@")) for name, pattern in PATTERNS.items()}
"""Texts are decoded here, so ``@`` has one spelling; with all of them Python's matcher would take quadratic time."""
_LONG_NUMBER: Final = re.compile(LONG_NUMBER)
_BY_NAME_ALONE: Final = 0.6
_AGAINST_NAME: Final = 0.3
_FLAGS: Final = frozenset(
    ["0", "1", "true", "false", "yes", "no", "y", "n", "t", "f", "ja", "nein", "oui", "non", "ano", "ne", "si"]
)
_SUPPORT: Final = 0.2
"""Of the doubt about a finding, what is left when the column's name says the same."""


def classify(column_name: str, values: Sequence[Any]) -> list[Finding]:
    """Findings about a column, surest first; empty when nothing is personal.

    ``values`` may hold None, text, bytes, numbers, times, lists and mappings, also nested, also as JSON; every text in
    a value counts for it. No value makes it raise, and findings hold counts and shapes only. Presidio is not asked.
    """
    rows = [set(leaves(value)) for value in values]
    texts = [text for row in rows for text in row]
    counts = Counter(text for text in texts if not is_token(text))
    if texts and not counts:
        return []  # tokens of our own: nothing is left of what the name may speak of
    looked_at = sum(map(bool, rows))
    named = looks_personal(column_name)
    found = judge_counted(counts, looked_at, named)
    return settle(found, named, against=bool(counts) and _is_flag(counts))


def judge_counted(counts: Mapping[str, int], looked_at: int, named: str | None = None) -> list[Finding]:
    """Findings in distinct texts and how often each occurs, in a column of ``looked_at`` values; in no order."""
    found = judge_patterns(counts, looked_at, named)
    # The last reading is the plainest one.
    plain = dict.fromkeys(readings(text)[-1].strip() for text in counts)
    judged = list(plain)[:_JUDGED]
    distinct_share = len(counts) / max(1, sum(counts.values()))
    return merged([*found, *judge_forms(judged, distinct_share, named)])


def judge_patterns(counts: Mapping[str, int], looked_at: int, named: str | None = None) -> list[Finding]:
    """Findings by patterns and checksums alone, in distinct texts and how often each occurs."""
    read = {text: readings(text) for text in counts}
    return [finding for name in PATTERNS if (finding := _by_pattern(name, read, counts, looked_at, named))]


def judge_forms(texts: Sequence[str], distinct_share: float, named: str | None = None) -> list[Finding]:
    """Findings by the form of most of some distinct texts of a column: what no single text would prove.

    ``distinct_share`` is the part of the column's values that are distinct.
    """
    judged = (
        judge_names(texts, named),
        judge_addresses(texts, named),
        judge_phones(texts, named),
        judge_postcodes(texts, named),
        judge_births(texts, named),
        *judge_ids(texts, named),
    )
    found = [finding for finding in judged if finding is not None]
    if not any(finding.confidence >= CERTAIN for finding in found):
        residual = judge_free_text(texts, distinct_share)
        found += [residual] if residual else []
    return found


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """The surest finding per class; text that nothing recognises is none as soon as something does."""
    best: dict[str, Finding] = {}
    for finding in findings:
        known = best.get(finding.classification)
        if known is None or (finding.confidence, finding.rows) > (known.confidence, known.rows):
            best[finding.classification] = finding
    if any(finding.confidence >= CERTAIN and finding.evidence != "residual" for finding in best.values()):
        best = {name: finding for name, finding in best.items() if finding.evidence != "residual"}
    return list(best.values())


def settle(
    findings: Iterable[Finding], named: str | None, *, against: bool = False, supported: bool = False
) -> list[Finding]:
    """Findings with what the column's name says, surest first. ``against``: its values say that it is something else,
    such as a flag. ``supported``: the name's support is in the findings already.
    """
    listed = [
        replace(finding, confidence=1 - (1 - finding.confidence) * _SUPPORT)
        if finding.classification == named and not supported
        else finding
        for finding in findings
    ]
    if named and named not in {finding.classification for finding in listed}:
        listed.append(Finding(named, _AGAINST_NAME if against else _BY_NAME_ALONE, "name"))
    return sorted(listed, key=lambda finding: (-finding.confidence, -finding.rows, finding.classification))


def _is_flag(counts: Mapping[str, int]) -> bool:
    return all(text.lower() in _FLAGS for text in counts)


def _by_pattern(
    classification: str,
    read: Mapping[str, Sequence[str]],
    counts: Mapping[str, int],
    looked_at: int,
    named: str | None,
) -> Finding | None:
    pattern = _COMPILED[classification]
    matching = {text: reading for text, all_of in read.items() if (reading := _first_match(pattern, all_of))}
    if not matching:
        return None
    rows = sum(counts[text] for text in matching)
    distinct = sorted(set(matching.values()))
    passing, long_numbers = 0, 0
    if classification == "payment_card":
        passing = sum(_passes_luhn(text) for text in distinct)
        long_numbers = sum(count for text, count in counts.items() if any(map(_LONG_NUMBER.search, read[text])))
    sample = distinct[:: max(1, len(distinct) // _HITS)]
    finding = judge(classification, Hits(rows, len(distinct), sample, passing, long_numbers), named)
    return finding and replace(finding, share=min(1.0, finding.share * rows / max(1, looked_at)))


def _first_match(pattern: re.Pattern[str], all_of: Sequence[str]) -> str | None:
    return next((reading for reading in all_of if pattern.search(reading)), None)


def _passes_luhn(text: str) -> bool:
    match = _COMPILED["payment_card"].search(text)
    return match is not None and luhn(re.sub("[ -]", "", match[1]))

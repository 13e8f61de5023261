"""What a column most probably holds, from its name and some of its values: for a person who describes a source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from feature_platform.governance.canonical import value_text
from feature_platform.governance.detection.finding import Finding
from feature_platform.governance.detection.judge import Hits, judge
from feature_platform.governance.detection.names import looks_personal
from feature_platform.governance.detection.patterns import LONG_NUMBER, PATTERNS
from feature_platform.governance.detection.people import judge_texts, looks_like_free_text
from feature_platform.governance.tokens import is_token
from feature_platform.governance.transforms.cards import luhn

_SAMPLE: Final = 200
_COMPILED: Final = {name: re.compile(pattern) for name, pattern in PATTERNS.items()}
_LONG_NUMBER: Final = re.compile(LONG_NUMBER)
_PERSONAL_NAME_ALONE: Final = 0.6


def classify(column_name: str, values: Sequence[Any]) -> list[Finding]:
    """Findings about a column, surest first; empty when nothing is personal. Presidio is not asked here.

    ``values`` may hold None, text, integers, decimals and dates; other types are ignored. Never raises for a value.
    """
    texts = [text for text in map(_text, values) if text and not is_token(text)]
    findings = [finding for name in PATTERNS if (finding := judge(name, _hits(name, texts)))]
    distinct = sorted(set(texts))[:_SAMPLE]
    findings += judge_texts(distinct)
    by_name = looks_personal(column_name)
    if by_name and by_name not in {finding.classification for finding in findings}:
        findings.append(Finding(by_name, _PERSONAL_NAME_ALONE, "name"))
    if not findings and looks_like_free_text(distinct):
        findings.append(Finding("free_text", 0.5, "residual", len(texts), 1.0))
    return sorted(findings, key=lambda finding: (-finding.confidence, finding.classification))


def _text(value: Any) -> str:
    try:
        return value_text(value)
    except TypeError:
        return ""


def _hits(classification: str, texts: Sequence[str]) -> Hits:
    matching = [text for text in texts if _COMPILED[classification].search(text)]
    distinct = sorted(set(matching))
    passing, long_numbers = 0, 0
    if classification == "payment_card":
        passing = sum(_passes_luhn(text) for text in distinct)
        long_numbers = sum(_LONG_NUMBER.search(text) is not None for text in texts)
    return Hits(len(matching), len(distinct), distinct[:_SAMPLE], passing, long_numbers)


def _passes_luhn(text: str) -> bool:
    match = _COMPILED["payment_card"].search(text)
    return match is not None and luhn(re.sub("[ -]", "", match[1]))

"""The search for personal data in a table: staged rows, or a source.

1. One statement over all rows: per column the rows that a coarse pattern notices, encoded values included, and per
   token column the values that are no tokens. Sparse values are found, since nothing is sampled here.
2. For each column that was noticed, one statement: rows and distinct values per class of personal data, and at most
   200 distinct values of each; also of those that have to be decoded first.
3. Validators, then Presidio, judge those values.
4. 200 distinct values of each column are judged by their form: names, addresses, numbers in national forms, free text.

Values stay in this process's memory; what comes out holds counts and shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from feature_platform.errors import GovernanceError
from feature_platform.governance.codes import DETECTION_FAILED
from feature_platform.governance.detection import CERTAIN, Finding, Hits, judge, looks_personal
from feature_platform.governance.detection.classify import judge_forms, judge_patterns, merged, settle
from feature_platform.governance.detection.patterns import ENCODED, PATTERNS
from feature_platform.governance.detection.readings import leaves
from feature_platform.governance.tokens import is_token
from feature_platform.monitoring.pii_statements import ALL_HITS, ScannedColumn, class_hits, noticed, samples
from feature_platform.monitoring.staged_table import ReadableTable
from feature_platform.types import DataType

_NEVER_PERSONAL: Final = frozenset({"boolean", "int", "double", "date", "timestamp"})
"""Kinds of which no value names anybody by itself; birth dates are known by the name of their column."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found."""

    rows: int
    not_tokens: Mapping[str, int]
    """By column of tokens: values that are none."""
    findings: Mapping[str, Sequence[Finding]]
    """By column, surest first; clean columns are left out."""


def can_hold_personal(kind: DataType) -> bool:
    """Whether a column of this type can hold what the search looks for. Kinds that nobody thought of can."""
    if kind.kind in ("array", "map") and kind.element is not None:
        return any(can_hold_personal(part) for part in (kind.element, kind.key) if part is not None)
    if kind.kind == "decimal":
        return kind.scale == 0
    return kind.kind not in _NEVER_PERSONAL


def search(table: ReadableTable, scanned: Sequence[ScannedColumn]) -> Searched:
    """Looks at every row of these columns.

    Raises:
        FeaturePlatformError: a statement or a detector failed, or what was noticed was not there to be judged.
    """
    (counts,) = table.rows(noticed(table, scanned))
    rows = counts["rows_counted"]
    broken = {
        column.name: count
        for place, column in enumerate(scanned)
        if column.token_pattern and (count := counts[f"not_tokens_{place}"])
    }
    searched = [column for column in scanned if not column.token_pattern]
    forms = _by_form(table, searched) if rows and searched else {}
    findings: dict[str, list[Finding]] = {}
    for place, column in enumerate(scanned):
        if column.token_pattern:
            continue
        suspicious, long_numbers = counts.get(f"suspicious_{place}", 0), counts[f"long_{place}"]
        found = list(forms.get(column.name, ()))
        if classes := _classes(long_numbers, suspicious):
            found += _by_pattern(table, column, classes, max(suspicious, long_numbers), long_numbers)
        if listed := _settled(found, looks_personal(column.name)):
            findings[column.name] = listed
    return Searched(rows, broken, findings)


def _settled(found: Sequence[Finding], named: str | None) -> list[Finding]:
    """Surest first. A name without a value that speaks for it is no finding about values."""
    return [finding for finding in settle(merged(found), named) if finding.evidence != "name"]


def _classes(long_numbers: int, suspicious: int) -> tuple[str, ...]:
    """What a column with these counts may hold: classes, and encodings of any."""
    if suspicious:
        return (*PATTERNS, *ENCODED)
    return ("payment_card",) if long_numbers else ()


def _by_pattern(
    table: ReadableTable, column: ScannedColumn, classes: Sequence[str], noticed_rows: int, long_numbers: int
) -> list[Finding]:
    """Findings among the distinct values that patterns match."""
    by_class: dict[str, list[Mapping[str, Any]]] = {}
    for row in table.rows(class_hits(table, column, classes)):
        by_class.setdefault(row["classification"], []).append(row)
    if not by_class.get(ALL_HITS) or by_class[ALL_HITS][0]["rows_found"] < noticed_rows:
        # Rows that were noticed are gone: whoever changed them, nothing is known about them.
        raise GovernanceError(
            DETECTION_FAILED.problem(
                f"{noticed_rows:,} rows of a column were noticed and could not be read again",
                mend="nothing may write to rows that are being checked; run again",
            )
        )
    named = looks_personal(column.name)
    findings: list[Finding] = []
    for name in classes:
        rows = by_class.get(name, [])
        if name in ENCODED:
            findings += _decoded(rows, noticed_rows, named)
        elif (finding := _verdict(name, rows, long_numbers, named)) is not None:
            findings.append(finding)
    return findings


def _verdict(
    classification: str, rows: Sequence[Mapping[str, Any]], long_numbers: int, named: str | None
) -> Finding | None:
    (total,) = (row for row in rows if row["value"] is None)
    sample = [row["value"] for row in rows if row["value"] is not None]
    hits = Hits(total["rows_found"], total["distinct_values"], sample, total["passing_luhn"], long_numbers)
    return judge(classification, hits, named) or _second_opinion(classification, hits)


def _decoded(rows: Sequence[Mapping[str, Any]], looked_at: int, named: str | None) -> list[Finding]:
    """What distinct values hold that have to be decoded first."""
    counts: dict[str, int] = {}
    for row in rows:
        if row["value"] is not None:
            for text in leaves(row["value"]):
                counts[text] = counts.get(text, 0) + row["rows_found"]
    return judge_patterns(counts, looked_at, named) if counts else []


def _second_opinion(classification: str, hits: Hits) -> Finding | None:
    if not hits.sample:
        return None
    from feature_platform.governance.detection import presidio

    return presidio.ask(classification, hits.sample, hits.rows)


def _by_form(table: ReadableTable, columns: Sequence[ScannedColumn]) -> dict[str, list[Finding]]:
    """Findings by the form of most values, and what a language model knows, if one is installed."""
    sampled: dict[int, list[Mapping[str, Any]]] = {}
    for row in table.rows(samples(table, columns)):
        sampled.setdefault(row["place"], []).append(row)
    return {columns[place].name: _judged_forms(rows, columns[place].name) for place, rows in sampled.items()}


def _judged_forms(rows: Sequence[Mapping[str, Any]], name: str) -> list[Finding]:
    texts = [text for row in rows for text in leaves(row["value"]) if not is_token(text)]
    if not texts:
        return []
    share = rows[0]["distinct_values"] / rows[0]["rows_found"]
    found = judge_forms(list(dict.fromkeys(texts)), share, looks_personal(name))
    if not any(finding.confidence >= CERTAIN for finding in found):
        from feature_platform.governance.detection import presidio

        known = presidio.ask_for_people(texts)
        found += [replace(known, rows=known.rows)] if known else []
    return found

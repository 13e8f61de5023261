"""The search for personal data in a table: staged rows, or a source.

1. One statement over all rows: per text column the rows that a coarse pattern notices, per token column the values
   that are no tokens. Sparse values are found, since nothing is sampled here.
2. For each column that was noticed, one statement: rows and distinct values per class of personal data, and at most
   200 distinct values of each.
3. Validators, then Presidio, judge those values; dictionaries judge 200 texts of each text column for names and
   addresses.

Values stay in this process's memory; what comes out holds counts and shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feature_platform.governance.detection import Finding, Hits, judge
from feature_platform.governance.detection.classify import judge_forms
from feature_platform.governance.detection.patterns import PATTERNS
from feature_platform.monitoring.pii_statements import ScannedColumn, class_hits, noticed, texts
from feature_platform.monitoring.staged_table import ReadableTable
from feature_platform.types import BIGINT, DataType


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found."""

    rows: int
    not_tokens: Mapping[str, int]
    """By column of tokens: values that are none."""
    findings: Mapping[str, Sequence[Finding]]
    """By column; clean columns are left out."""


def can_hold_personal(kind: DataType) -> bool:
    """Whether a column of this type can hold what the search looks for."""
    if kind.kind == "array":
        return kind.element is not None and kind.element.kind == "string"
    return kind.kind == "string" or kind == BIGINT or (kind.kind == "decimal" and kind.scale == 0)


def search(table: ReadableTable, scanned: Sequence[ScannedColumn]) -> Searched:
    """Looks at every row of these columns.

    Raises:
        FeaturePlatformError: a statement or a detector failed.
    """
    (counts,) = table.rows(noticed(table, scanned))
    broken: dict[str, int] = {}
    findings: dict[str, list[Finding]] = {}
    for place, column in enumerate(scanned):
        if column.token_pattern:
            if count := counts[f"not_tokens_{place}"]:
                broken[column.name] = count
        elif classes := _classes(counts[f"long_{place}"], counts.get(f"suspicious_{place}", 0)):
            findings[column.name] = _judged(table, column, classes, counts[f"long_{place}"])
    prose = [column for column in scanned if column.type.kind == "string" and not column.token_pattern]
    if prose and counts["rows_counted"]:
        for name, found in _people(table, prose).items():
            findings.setdefault(name, []).extend(found)
    return Searched(counts["rows_counted"], broken, {name: found for name, found in findings.items() if found})


def _classes(long_numbers: int, suspicious: int) -> tuple[str, ...]:
    """The classes that a column with these counts may hold."""
    if suspicious:
        return tuple(PATTERNS)
    return ("payment_card",) if long_numbers else ()


def _judged(table: ReadableTable, column: ScannedColumn, classes: Sequence[str], long_numbers: int) -> list[Finding]:
    rows = table.rows(class_hits(table, column, classes))
    judged = (_verdict(name, [row for row in rows if row["classification"] == name], long_numbers) for name in classes)
    return [finding for finding in judged if finding is not None]


def _verdict(classification: str, rows: Sequence[Mapping[str, Any]], long_numbers: int) -> Finding | None:
    (total,) = (row for row in rows if row["value"] is None)
    sample = [row["value"] for row in rows if row["value"] is not None]
    hits = Hits(total["rows_found"], total["distinct_values"], sample, total["passing_luhn"], long_numbers)
    return judge(classification, hits) or _second_opinion(classification, hits)


def _second_opinion(classification: str, hits: Hits) -> Finding | None:
    if not hits.sample:
        return None
    from feature_platform.governance.detection import presidio

    return presidio.ask(classification, hits.sample, hits.rows)


def _people(table: ReadableTable, columns: Sequence[ScannedColumn]) -> dict[str, tuple[Finding, ...]]:
    by_place: dict[int, list[str]] = {}
    for row in table.rows(texts(table, columns)):
        by_place.setdefault(row["place"], []).append(row["value"])
    return {columns[place].name: tuple(judge_forms(values, 0.0)) for place, values in by_place.items()}

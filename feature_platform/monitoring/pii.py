"""The search for personal data in staged rows, before anyone can read them.

1. One statement over all rows: per text column the rows that a coarse pattern notices, per token column the values
   that are no tokens. Sparse values are found, since nothing is sampled here.
2. For each column that was noticed, one statement: rows and distinct values per class of personal data, and at most
   200 distinct values of each.
3. Validators, then Presidio, judge those values; dictionaries judge 200 texts of each text column for names and
   addresses.

A finding that the column's labels or its contract explain does not stop the publication. Values stay in this
process's memory; outcomes hold counts and shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from feature_platform.compiler.plan import CompiledView, OutputColumn
from feature_platform.governance.detection import Finding, Hits, judge
from feature_platform.governance.detection.patterns import PATTERNS
from feature_platform.governance.detection.people import judge_texts
from feature_platform.governance.tokens import token_pattern
from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.monitoring.outcome import PII, CheckOutcome
from feature_platform.monitoring.pii_statements import ScannedColumn, class_hits, noticed, texts
from feature_platform.monitoring.staged_table import StagedTable
from feature_platform.specs.models import FeatureContract, FeatureView
from feature_platform.types import BIGINT, DataType

Findings = Mapping[str, Sequence[Finding]]
"""By column."""


def check_pii(table: StagedTable, view: CompiledView, spec: FeatureView) -> CheckOutcome:
    """Whether the staged rows hold nothing personal but what labels and contract say.

    Raises:
        FeaturePlatformError: a statement or a detector failed; the caller counts that as a failed check.
    """
    assert view.materialize is not None
    columns = {output.name: output for output in view.materialize.columns}
    scanned = [found for output in columns.values() if (found := _scanned(output))]
    rows, broken_tokens, findings = _search(table, scanned)
    metadata: dict[str, int | float | str | bool] = {"rows": rows, "columns": len(scanned)}
    wrong = []
    if rows == 0 and spec.contract.rows_min:
        wrong.append("there are no rows to look at, and some were promised")
    for name, count in broken_tokens.items():
        metadata[f"{name}.not_tokens"] = count
        wrong.append(f"{count:,} values of '{name}' are no tokens")
    for name, listed in findings.items():
        for finding in listed:
            explanation = _explanation(columns[name], spec.features.get(name), finding)
            metadata |= _described(name, finding, explanation)
            if not explanation:
                found_in = f"{finding.rows:,} rows such as {finding.shape}"
                wrong.append(f"'{name}' looks like {finding.classification}: {found_in}")
    metadata["findings"] = sum(map(len, findings.values()))
    return CheckOutcome(PII, not wrong, metadata=metadata, description="; ".join(wrong))


def _scanned(output: OutputColumn) -> ScannedColumn | None:
    """What to do with a column; None where its type can't hold anything personal."""
    tokens = sorted({label.classification for label in output.labels if label.kind == "token"})
    if output.type.kind == "string" and tokens:
        return ScannedColumn(output.name, output.type, "|".join(map(token_pattern, tokens)))
    return ScannedColumn(output.name, output.type) if _can_hold_text(output.type) else None


def _can_hold_text(kind: DataType) -> bool:
    if kind.kind == "array":
        return kind.element is not None and kind.element.kind == "string"
    return kind.kind == "string" or kind == BIGINT or (kind.kind == "decimal" and kind.scale == 0)


def _search(
    table: StagedTable, scanned: Sequence[ScannedColumn]
) -> tuple[int, dict[str, int], dict[str, list[Finding]]]:
    """(rows, values that are no tokens by column, findings by column)."""
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
    return counts["rows_counted"], broken, {name: found for name, found in findings.items() if found}


def _classes(long_numbers: int, suspicious: int) -> tuple[str, ...]:
    """The classes that a column with these counts may hold."""
    if suspicious:
        return tuple(PATTERNS)
    return ("payment_card",) if long_numbers else ()


def _judged(table: StagedTable, column: ScannedColumn, classes: Sequence[str], long_numbers: int) -> list[Finding]:
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


def _people(table: StagedTable, columns: Sequence[ScannedColumn]) -> dict[str, tuple[Finding, ...]]:
    by_place: dict[int, list[str]] = {}
    for row in table.rows(texts(table, columns)):
        by_place.setdefault(row["place"], []).append(row["value"])
    return {columns[place].name: judge_texts(values) for place, values in by_place.items()}


def _explanation(output: OutputColumn, promise: FeatureContract | None, finding: Finding) -> str:
    """Why a finding is no reason to stop; empty if there is none."""
    for label in output.labels:
        if label.kind == "partial" and finding.classification in TRANSFORMS[label.form].resembles:
            return f"{label} looks like it"
    if promise is not None and promise.pii == "none" and promise.pii_reason:
        return promise.pii_reason
    return ""


def _described(name: str, finding: Finding, explanation: str) -> dict[str, int | float | str | bool]:
    prefix = f"{name}.{finding.classification}"
    described: dict[str, int | float | str | bool] = {
        f"{prefix}.rows": finding.rows,
        f"{prefix}.share": round(finding.share, 4),
        f"{prefix}.shape": finding.shape,
        f"{prefix}.evidence": finding.evidence,
    }
    return described | {f"{prefix}.explained": explanation} if explanation else described

"""The verdict on staged rows before anyone can read them: nothing personal but what labels and contract say.

:mod:`pii_search` looks at every row. A finding that the column's labels or its contract explain does not stop the
publication. Outcomes hold counts and shapes, never values.
"""

from __future__ import annotations

from feature_platform.compiler.plan import CompiledView, OutputColumn
from feature_platform.governance.detection import CERTAIN, Finding
from feature_platform.governance.tokens import token_pattern
from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.monitoring.outcome import PII, CheckOutcome
from feature_platform.monitoring.pii_search import can_hold_personal, search
from feature_platform.monitoring.pii_statements import ScannedColumn
from feature_platform.monitoring.staged_table import StagedTable
from feature_platform.specs.models import FeatureContract, FeatureView


def check_pii(table: StagedTable, view: CompiledView, spec: FeatureView) -> CheckOutcome:
    """Whether the staged rows hold nothing personal but what labels and contract say.

    Raises:
        FeaturePlatformError: a statement or a detector failed; the caller counts that as a failed check.
    """
    assert view.materialize is not None
    columns = {output.name: output for output in view.materialize.columns}
    scanned = [found for output in columns.values() if (found := _scanned(output))]
    searched = search(table, scanned)
    metadata: dict[str, int | float | str | bool] = {"rows": searched.rows, "columns": len(scanned)}
    wrong = []
    if searched.rows == 0 and (spec.contract.rows_min or table.staged.rows > 0):
        wrong.append("there are no rows to look at, and some were promised or written")
    for name, count in searched.not_tokens.items():
        metadata[f"{name}.not_tokens"] = count
        wrong.append(f"{count:,} values of '{name}' are no tokens")
    for name, listed in searched.findings.items():
        for finding in listed:
            explanation = _explanation(columns[name], spec.features.get(name), finding)
            metadata |= _described(name, finding, explanation)
            if not explanation and finding.confidence >= CERTAIN:
                found_in = f"{finding.rows:,} rows such as {finding.shape}"
                wrong.append(f"'{name}' looks like {finding.classification}: {found_in}")
    metadata["findings"] = sum(map(len, searched.findings.values()))
    return CheckOutcome(PII, not wrong, metadata=metadata, description="; ".join(wrong))


def _scanned(output: OutputColumn) -> ScannedColumn | None:
    """What to do with a column; None where its type can't hold anything personal."""
    tokens = sorted({label.classification for label in output.labels if label.kind == "token"})
    if output.type.kind == "string" and tokens:
        return ScannedColumn(output.name, output.type, "|".join(map(token_pattern, tokens)))
    return ScannedColumn(output.name, output.type) if can_hold_personal(output.type) else None


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

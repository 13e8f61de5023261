"""What the columns of a source hold, found by the same search as the gate's: for declarations, not for publications."""

from __future__ import annotations

from collections.abc import Sequence

from feature_platform.governance.detection import Finding, looks_personal
from feature_platform.governance.detection.profiles import SourceProfile, declaration
from feature_platform.monitoring.pii_search import can_hold_personal, search
from feature_platform.monitoring.pii_statements import ScannedColumn
from feature_platform.monitoring.staged_table import LiveTable
from feature_platform.specs.models import Source

_BY_NAME_ALONE = 0.6


def profile_source(table: LiveTable, source: Source, data_version: str) -> SourceProfile:
    """Searches every row of a source.

    Raises:
        FeaturePlatformError: a statement or a detector failed; a source is never profiled by half.
    """
    scanned = [
        ScannedColumn(name, column.type) for name, column in source.columns.items() if can_hold_personal(column.type)
    ]
    searched = search(table, scanned)
    columns = {name: _with_name(name, searched.findings.get(name, ())) for name in source.columns}
    found = {name: findings for name, findings in columns.items() if findings}
    return SourceProfile(data_version, declaration(source), searched.rows, found)


def _with_name(name: str, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings, surest first, and the name's word where the values say nothing of its class."""
    by_name = looks_personal(name)
    every = list(findings)
    if by_name and by_name not in {finding.classification for finding in findings}:
        every.append(Finding(by_name, _BY_NAME_ALONE, "name"))
    return tuple(sorted(every, key=lambda finding: (-finding.confidence, finding.classification)))

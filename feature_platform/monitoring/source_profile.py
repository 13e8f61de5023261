"""What the columns of a source hold, found by the same search as the gate's: for declarations, not for publications."""

from __future__ import annotations

from feature_platform.governance.detection import looks_personal
from feature_platform.governance.detection.classify import settle
from feature_platform.governance.detection.profiles import SourceProfile, declaration
from feature_platform.monitoring.pii_search import can_hold_personal, search
from feature_platform.monitoring.pii_statements import ScannedColumn
from feature_platform.monitoring.staged_table import LiveTable
from feature_platform.specs.models import Source


def profile_source(table: LiveTable, source: Source, data_version: str) -> SourceProfile:
    """Searches every row of a source.

    Raises:
        FeaturePlatformError: a statement or a detector failed; a source is never profiled by half.
    """
    scanned = [
        ScannedColumn(name, column.type) for name, column in source.columns.items() if can_hold_personal(column.type)
    ]
    searched = search(table, scanned)
    columns = {
        name: tuple(settle(searched.findings.get(name, ()), looks_personal(name), supported=True))
        for name in source.columns
    }
    found = {name: findings for name, findings in columns.items() if findings}
    return SourceProfile(data_version, declaration(source), searched.rows, found)

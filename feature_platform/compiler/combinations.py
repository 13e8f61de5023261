"""Forms of one personal value that a query brings together.

All partial forms that the query reads count, also those that only decide about rows: ``SELECT bin6(x) ... WHERE
last4(x) = '1111'`` tells both. Tokens count where they come out: as long as they only link rows nobody sees them.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from feature_platform.compiler.codes import COMBINATION
from feature_platform.compiler.flows import QueryFlows
from feature_platform.compiler.report import Report
from feature_platform.compiler.scan_columns import Scan
from feature_platform.governance.access import Access
from feature_platform.governance.combinations import refused_combinations


def check_combinations(
    tree: exp.Expr, scans: Mapping[str, Scan], flows: QueryFlows, access: Access, report: Report
) -> None:
    """Notes forms of one class that no policy lets stand together for the asker."""
    read = {label for scan in scans.values() for column in scan.columns.values() for label in column.labels}
    given = {label for flow in flows.columns.values() for label in flow.labels}
    together = frozenset(label for label in read | given if label.kind == "partial" or label in given)
    for found in refused_combinations(together, access):
        report.add(COMBINATION, tree, found.what, found.mend)

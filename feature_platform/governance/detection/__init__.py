"""Finding personal data that nobody declared: by the name of a column, by its values, by Presidio.

Three callers: the strict compile (:func:`looks_personal`, names only), the gate before a publication
(:mod:`feature_platform.monitoring.pii`: engine patterns of :mod:`patterns` over all rows, then :func:`judge` on the
distinct hits), and :func:`classify` for a person who describes a new source. Results hold counts and shapes, never
values.
"""

from __future__ import annotations

from feature_platform.governance.detection.classify import classify
from feature_platform.governance.detection.finding import Finding, shape
from feature_platform.governance.detection.judge import Hits, judge
from feature_platform.governance.detection.names import looks_personal

__all__ = ["Finding", "Hits", "classify", "judge", "looks_personal", "shape"]

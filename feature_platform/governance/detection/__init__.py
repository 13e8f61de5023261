"""Finding personal data that nobody declared: by the name of a column, by its values, by Presidio.

Three callers: the strict compile (:func:`looks_personal`, and what :mod:`profiles` kept), the gate before a publication
and ``fp profile`` (engine patterns of :mod:`patterns` over all rows, then :func:`judge` on the distinct hits), and
:func:`classify` for any name and values. Results hold counts and shapes, never values.
"""

from __future__ import annotations

from feature_platform.governance.detection.classify import classify
from feature_platform.governance.detection.finding import CERTAIN, Finding, shape
from feature_platform.governance.detection.judge import Hits, judge
from feature_platform.governance.detection.names import looks_personal

__all__ = ["CERTAIN", "Finding", "Hits", "classify", "judge", "looks_personal", "shape"]

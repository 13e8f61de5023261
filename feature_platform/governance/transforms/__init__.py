"""The closed catalogue of functions that may read a classified column.

Start at :mod:`catalogue`; each family of transforms has a module of its own. What is not in the catalogue can't be
allowed by a policy and can't be called on personal data. Country-specific identifiers plug in through
:mod:`national_ids`, transforms of teams through :mod:`extensions`.
"""

from __future__ import annotations

from feature_platform.governance.transforms.catalogue import BUILT_IN, PREFIX, TRANSFORMS, render_governed
from feature_platform.governance.transforms.transform import DIALECTS, Argument, Transform

__all__ = ["BUILT_IN", "DIALECTS", "PREFIX", "TRANSFORMS", "Argument", "Transform", "render_governed"]

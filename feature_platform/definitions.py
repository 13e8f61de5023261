"""The code location: definitions of the project that the environment names.

``FP_PROJECT`` is the folder with ``platform.yaml`` (default: ``feature_defs`` beside this package), ``FP_PROFILE`` one
of its profiles, ``FP_DOMAINS`` a comma-separated list of domains for a location that has only some.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import dagster as dg

PROJECT_VARIABLE: Final = "FP_PROJECT"
PROFILE_VARIABLE: Final = "FP_PROFILE"
DOMAINS_VARIABLE: Final = "FP_DOMAINS"


@dg.definitions
def defs() -> dg.Definitions:
    """Built once, when the location loads."""
    from feature_platform.orchestration.factory import build_definitions

    return build_definitions(
        project_folder(), profile=os.environ.get(PROFILE_VARIABLE), domains=domains_of(os.environ.get(DOMAINS_VARIABLE))
    )


def project_folder() -> Path:
    """The project that the environment names, or the one beside this package."""
    given = os.environ.get(PROJECT_VARIABLE)
    return Path(given).expanduser() if given else Path(__file__).parent.parent / "feature_defs"


def domains_of(text: str | None) -> list[str] | None:
    """``"payments, risk"`` as a list; None (all of them) for nothing."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    return names or None

"""What is known of a project before it is opened: where it keeps what it makes, and which of its profiles is meant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from feature_platform.errors import UsageError, did_you_mean
from feature_platform.project.codes import UNKNOWN_PROFILE
from feature_platform.registry.graph import Registry

STATE_VARIABLE: Final = "FP_HOME"
"""Environment variable with the state folder: warehouse, embedded servers, token key, caches, Dagster's history."""

DAGSTER_POSTGRES_VARIABLE: Final = "FP_DAGSTER_POSTGRES_URL"
"""Environment variable with the database of Dagster's history. Without it: SQLite in the state folder."""


def state_folder(root: Path) -> Path:
    """Where a project keeps what it makes: ``$FP_HOME``, else ``.fp`` beside a root called ``feature_defs``, else
    ``.fp`` in the root.
    """
    if given := os.environ.get(STATE_VARIABLE):
        return Path(given).expanduser().absolute()
    return (root.parent if root.name == "feature_defs" else root) / ".fp"


def source_profiles_file(state: Path, profile: str) -> Path:
    """Where ``fp profile`` keeps what it found in the sources, as the stores of ``profile`` hold them."""
    return state / "profiles" / f"{profile}.json"


def profile_named(registry: Registry, wanted: str | None) -> str:
    """``wanted``, by default the platform document's profile. Raises UsageError for one that there is not."""
    known = registry.platform.profiles
    name = wanted or registry.platform.default_profile
    if name not in known:
        raise UsageError(
            UNKNOWN_PROFILE.problem(
                f"the project has no profile '{name}'.{did_you_mean(name, known)}",
                mend=f"use one of {', '.join(known)}, or add it to platform.yaml",
            )
        )
    return name

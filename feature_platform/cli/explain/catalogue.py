"""Every error code that there is."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import Final

import feature_platform
from feature_platform.errors import Code

FAMILIES: Final = {
    "SPEC": "Documents",
    "REG": "Between documents",
    "GOV": "Governance",
    "SQL": "SQL of authors and users",
    "AGG": "Time and aggregations",
    "STORE": "Stores",
    "GATE": "Checks before publication",
    "AUDIT": "Audit ledger",
    "CANARY": "Canaries",
    "PROJ": "Projects and profiles",
    "RUN": "Runs",
    "SDK": "SDK",
    "CLI": "Command line",
}
"""By the middle part of a code, in the order of the index."""


def all_codes() -> dict[str, Code]:
    """Every code that a package of the platform declares in its ``codes`` module, by id, in the order of the index.

    Raises:
        ValueError: two codes have the same id.
    """
    found: dict[str, Code] = {}
    for package in pkgutil.walk_packages(feature_platform.__path__, "feature_platform."):
        name = f"{package.name}.codes"
        if not package.ispkg or importlib.util.find_spec(name) is None:
            continue
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, Code) and found.setdefault(value.id, value) != value:
                raise ValueError(f"the code {value.id} is declared twice")
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def family(code: str) -> str:
    """``SQL`` of ``FP-SQL-020``."""
    return code.split("-")[1]


def _order(code: str) -> tuple[int, str]:
    families = list(FAMILIES)
    return (families.index(family(code)) if family(code) in families else len(families), code)

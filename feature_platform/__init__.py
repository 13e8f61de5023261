"""A feature platform: features are YAML in Git, compiled to guarded SQL, materialized by Dagster.

Start reading at :func:`connect` (the SDK), ``feature_platform.specs.models`` (what a team writes) and
``feature_platform.compiler`` (what becomes of it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feature_platform.sdk.client import connect as connect
    from feature_platform.sdk.sql_spine import Sql as Sql

__version__ = "0.1.0"

__all__ = ["Sql", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import feature_platform.specs` stays free of database drivers.
    if name == "connect":
        from feature_platform.sdk.client import connect

        return connect
    if name == "Sql":
        from feature_platform.sdk.sql_spine import Sql

        return Sql
    raise AttributeError(f"module 'feature_platform' has no attribute {name!r}")

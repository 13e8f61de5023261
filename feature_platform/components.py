"""The feature project as a Dagster component, for those who have a ``dg`` project of their own.

::

    # defs/features/defs.yaml
    type: feature_platform.components.FeatureDefsComponent
    attributes:
      path: "{{ project_root }}/feature_defs"
      domains: [payments, risk]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from pydantic import Field


class FeatureDefsComponent(dg.Component, dg.Model, dg.Resolvable):
    """Every feature view, source and service of a folder of feature definitions, as assets."""

    path: str = Field(description="Folder with `platform.yaml`; relative to this file.")
    profile: str | None = Field(default=None, description="Profile of the project. Default: the project's own default.")
    domains: Sequence[str] | None = Field(default=None, description="Only these domains. Default: all of them.")

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(description="Feature views, sources and services described in YAML.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        from feature_platform.orchestration.factory import build_definitions

        root = (Path(context.path) / self.path).resolve()  # an absolute path stays itself
        return build_definitions(root, profile=self.profile, domains=self.domains)

"""One JSON Schema for every kind, with which editors complete and check YAML while it is written.

In VS Code's YAML extension, for example: ``"yaml.schemas": {"feature_defs.schema.json": "feature_defs/**/*.yaml"}``.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from feature_platform.specs.models import AnySpec


def json_schema() -> dict[str, Any]:
    """The schema, in draft 2020-12: a document is of exactly one kind, told by its ``kind``."""
    kinds: TypeAdapter[AnySpec] = TypeAdapter(Annotated[AnySpec, Field(discriminator="kind")])
    schema = kinds.json_schema()
    schema.pop("discriminator", None)  # OpenAPI's word; editors go by the constant `kind` of each branch
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Definitions of a feature platform",
        **schema,
    }

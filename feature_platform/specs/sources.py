"""The kinds ``entity`` and ``source``: what features are about, and the tables that the company already has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from feature_platform.specs.fields import (
    TABLE_PATTERN,
    Classification,
    ColumnName,
    ColumnType,
    Document,
    Name,
    Owner,
    Spec,
    contradiction,
)


class EntityKey(Spec):
    """One column of an entity's key."""

    name: ColumnName = Field(description="The column's name in every view and spine.")
    type: ColumnType = Field(description="The type of the key in its source.")
    pii: Classification | None = Field(
        default=None,
        description="The key's classification. A key that is personal exists outside its source as a token only.",
    )


class Entity(Document):
    """What features are about: a card, a customer. Its key joins feature views and spines."""

    kind: Literal["entity"]
    keys: tuple[EntityKey, ...] = Field(min_length=1, description="The columns that together name one.")
    owner: Owner | None = Field(default=None, description="Who answers questions about it.")


class SourceColumn(Spec):
    """A column of a source table."""

    type: ColumnType = Field(description="What the column holds.")
    pii: Classification | None = Field(
        default=None, description="What the column holds. Left out: unclassified; detection may object."
    )
    pii_reason: str = Field(default="", description="Why `pii: none` is right where detection says otherwise.")
    description: str = Field(default="", description="What the values mean.")
    unit: str = Field(default="", description="Unit or currency of the values, e.g. USD.")


class Source(Document):
    """A table or set of files that the company already has."""

    kind: Literal["source"]
    domain: Name | None = Field(default=None, description="Default: the folder that the file lies in.")
    owner: Owner | None = Field(default=None, description="Default: the domain's owner.")
    store: Name = Field(default="warehouse", description="The store of the profile that holds the table.")
    table: str | None = Field(
        default=None,
        pattern=TABLE_PATTERN,
        description="Table in that store, `table` or `schema.table`.",
    )
    path: str | None = Field(
        default=None, description="Files instead of a table, relative to the profile's data folder; `*` is a wild card."
    )
    format: Literal["parquet", "csv"] = Field(
        default="parquet", description="Of the files. CSV may be gzipped and has a header; an empty field is NULL."
    )
    event_time: ColumnName | None = Field(
        default=None, description="When it happened; UTC. A `timestamp` or a `date` (midnight). None: a static table."
    )
    available_at: ColumnName | None = Field(
        default=None, description="When we could know it; UTC. Default: `event_time`."
    )
    key: tuple[ColumnName, ...] = Field(
        default=(), description="Columns that name one event. Versions of one key are corrections: one counts."
    )
    columns: dict[ColumnName, SourceColumn] = Field(
        min_length=1, description="Every column that definitions may use. Others do not exist for them."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if self.table is None and self.path is None:
            raise contradiction("a source has either `table` or `path`, this one has neither", "Add one of the two.")
        if self.table is not None and self.path is not None:
            raise contradiction("a source has either `table` or `path`, this one has both", "Remove one.", "path")
        if self.available_at and not self.event_time:
            raise contradiction(
                "`available_at` says nothing without `event_time`", "Add `event_time:`.", "available_at"
            )
        return self

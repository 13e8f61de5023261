"""What a team writes: one strict pydantic model per YAML kind.

``domain``, ``entity``, ``source``, ``feature_view``, ``feature_service``, ``policy``, ``platform``. Every field has a
description; the YAML reference in the docs and the JSON Schema for editors are generated from here.

These models check one document alone. Whether documents fit together is ``feature_platform.registry``'s job,
whether the SQL in them is allowed is ``feature_platform.compiler``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from feature_platform.specs.aggregations import Aggregation
from feature_platform.specs.durations import Duration
from feature_platform.specs.fields import (
    COLUMN_PATTERN,
    DIGEST_PATTERN,
    FEATURE_PATTERN,
    MEMORY_PATTERN,
    NAME_PATTERN,
    OWNER_PATTERN,
    PLUGIN_PATTERN,
    SCHEDULE_PATTERN,
    TABLE_PATTERN,
    VARIABLE_PATTERN,
    Accuracy,
    AggregationFunction,
    Classification,
    ColumnName,
    ColumnType,
    Document,
    Name,
    Owner,
    Spec,
    TransformName,
    UtcTime,
    Window,
    contradiction,
)
from feature_platform.specs.platform import (
    DorisStore,
    DuckDBDeltaStore,
    Platform,
    PostgresStore,
    Profile,
    RedisStore,
    StoreSpec,
)
from feature_platform.specs.policy import Policy, PolicyRule
from feature_platform.specs.sources import Entity, EntityKey, Source, SourceColumn

__all__ = [
    "COLUMN_PATTERN",
    "DIGEST_PATTERN",
    "FEATURE_PATTERN",
    "KINDS",
    "MEMORY_PATTERN",
    "NAME_PATTERN",
    "OWNER_PATTERN",
    "PLUGIN_PATTERN",
    "SCHEDULE_PATTERN",
    "TABLE_PATTERN",
    "VARIABLE_PATTERN",
    "Accuracy",
    "Aggregation",
    "AggregationFunction",
    "AnySpec",
    "Classification",
    "ColumnName",
    "ColumnType",
    "DerivedFeature",
    "Document",
    "Domain",
    "DorisStore",
    "DuckDBDeltaStore",
    "Entity",
    "EntityKey",
    "FeatureContract",
    "FeatureService",
    "FeatureView",
    "Materialization",
    "Name",
    "Owner",
    "Platform",
    "Policy",
    "PolicyRule",
    "PostgresStore",
    "Profile",
    "RedisStore",
    "RowContract",
    "Source",
    "SourceColumn",
    "Spec",
    "StoreSpec",
    "TransformName",
    "UtcTime",
    "Window",
]


class Domain(Document):
    """A business area; a folder of the project. Views take their group, owner and default purposes from it."""

    kind: Literal["domain"]
    owner: Owner
    purposes: tuple[Name, ...] = Field(
        default=(),
        description="Purposes for which this domain's views may be used. Empty: every purpose of the platform.",
    )


class DerivedFeature(Spec):
    """A row-level expression over features and request data, computed when features are read."""

    name: Name = Field(description="The feature's name.")
    expression: str = Field(min_length=1, description="One SQL expression; inputs by name, or `view.feature`.")
    description: str = Field(default="", description="What the feature means.")


class FeatureContract(Spec):
    """What a feature promises. Checked on staged rows, before anyone can see them."""

    description: str = Field(default="", description="What the feature means.")
    type: ColumnType | None = Field(
        default=None, description="The promised type; a query that gives another does not compile."
    )
    not_null: bool = Field(default=False, description="No row may lack it.")
    null_rate_max: float | None = Field(
        default=None, ge=0, le=1, description="The share of rows that may lack it, 0 to 1."
    )
    min: int | float | None = Field(default=None, description="No value is less.")
    max: int | float | None = Field(default=None, description="No value is greater.")
    pii: Classification | None = Field(
        default=None, description="`none` states, with `pii_reason`, that a finding of the PII gate is wrong."
    )
    pii_reason: str = Field(default="", description="Why the finding is wrong; for the privacy officer.")
    tags: tuple[str, ...] = Field(default=(), description="Free words for the catalogue.")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> FeatureContract:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise contradiction("`min` is greater than `max`", "Swap or mend them.", "min")
        return self


class RowContract(Spec):
    """What a whole publication promises."""

    rows_min: int | None = Field(default=None, ge=0, description="Fewer rows stop the publication.")
    rows_max: int | None = Field(default=None, ge=0, description="More rows stop the publication.")
    unique: bool = Field(default=True, description="Entity key (and event time) occur once.")
    freshness: Duration | None = Field(
        default=None, description="Newest event time may be this old at the time the run stands for."
    )

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> RowContract:
        if self.rows_min is not None and self.rows_max is not None and self.rows_min > self.rows_max:
            raise contradiction("`rows_min` is greater than `rows_max`", "Swap or mend them.", "rows_min")
        return self


class Materialization(Spec):
    """Where the view's rows go, and when."""

    offline: Name | None = Field(default="warehouse", description="Store of the profile for history; `null`: none.")
    online: tuple[Name, ...] | Name | None = Field(default=None, description="Store(s) for the newest row per entity.")
    schedule: Annotated[str, Field(pattern=SCHEDULE_PATTERN)] | None = Field(
        default=None, description="`@hourly`, `@daily`, … or five cron fields, UTC."
    )
    partition: Literal["day", "hour", "none"] | None = Field(
        default=None, description="Default: by the schedule for aggregations, `none` for SQL."
    )
    start: UtcTime | None = Field(default=None, description="First partition; UTC.")
    lookback: Duration | None = Field(default=None, description="How far back late events rebuild partitions.")

    @model_validator(mode="after")
    def _online_stores_differ(self) -> Materialization:
        if len(set(self.online_stores)) != len(self.online_stores):
            raise contradiction("an online store is listed twice", "Remove one of the two.", "online")
        return self

    @property
    def online_stores(self) -> tuple[str, ...]:
        if self.online is None:
            return ()
        return (self.online,) if isinstance(self.online, str) else self.online


_FOREIGN: Final[dict[str, tuple[str, ...]]] = {
    "sql": ("source", "keys", "where", "accuracy", "inputs", "request"),
    "aggregations": ("event_time", "available_at", "ttl", "inputs", "request"),
    "derived": (
        "source",
        "keys",
        "where",
        "accuracy",
        "event_time",
        "available_at",
        "ttl",
        "contract",
        "materialization",
    ),
}
"""The three ways to define a view, and the fields that mean nothing there: a derived view is computed at read time."""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


class FeatureView(Document):
    """Features of one entity from one definition: SQL, windowed aggregations, or derived at read time."""

    kind: Literal["feature_view"]
    domain: Name | None = Field(default=None, description="Default: the folder that the file lies in.")
    owner: Owner | None = Field(default=None, description="Default: the domain's owner.")
    tags: dict[str, str] = Field(default_factory=dict, description="Shown in Dagster and the catalogue.")
    entity: Name = Field(description="What the features are about.")
    purposes: tuple[Name, ...] = Field(default=(), description="Default: the domain's.")

    sql: str | None = Field(default=None, description="One SELECT over sources and other views, by name.")
    event_time: ColumnName | None = Field(
        default=None, description="Of an SQL view: its column with the time of the row."
    )
    available_at: ColumnName | None = Field(default=None, description="Of an SQL view. Default: `event_time`.")
    ttl: Duration | None = Field(default=None, description="Rows older than this at query time are not used.")

    source: Name | None = Field(default=None, description="Of an aggregation view: the source of the events.")
    keys: dict[ColumnName, ColumnName] = Field(
        default_factory=dict, description="Entity key → column of the source, where the names differ."
    )
    where: str | None = Field(default=None, description="Of an aggregation view: a condition for all its features.")
    accuracy: Accuracy = Field(
        default="exact",
        description="`exact` to the microsecond; `tiled`, starts rounded down to a tile; `snapshot`, as of the last "
        "scheduled tick.",
    )
    aggregations: tuple[Aggregation, ...] = Field(default=(), description="Features over windows of events.")

    inputs: tuple[Name, ...] = Field(default=(), description="Of a derived view: the views whose features it reads.")
    request: dict[ColumnName, ColumnType] = Field(
        default_factory=dict, description="Of a derived view: values that the caller gives with the request."
    )
    derived: tuple[DerivedFeature, ...] = Field(default=(), description="Features computed from other features.")

    features: dict[ColumnName, FeatureContract] = Field(
        default_factory=dict, description="Description and contract of single features."
    )
    contract: RowContract = Field(default_factory=RowContract, description="Contract of each publication as a whole.")
    materialization: Materialization | None = Field(
        default=None, description="Default: offline in `warehouse`; a derived view has none."
    )

    @model_validator(mode="after")
    def _one_definition(self) -> FeatureView:
        given = [name for name in _FOREIGN if getattr(self, name)]
        if not given:
            raise contradiction(
                "a feature view is defined by `sql`, `aggregations` or `derived`; this one has none of them", "Add one."
            )
        if len(given) > 1:
            raise contradiction(
                f"a feature view has one definition; this one has {_listed(given)}", "Split the view.", given[1]
            )
        form = given[0]
        foreign = [name for name in (*_FOREIGN[form], *_FOREIGN) if name in self.model_fields_set and name != form]
        if foreign:
            raise contradiction(
                f"{_listed(foreign)} {'does' if len(foreign) == 1 else 'do'} not belong to a view with `{form}`",
                "Remove it." if len(foreign) == 1 else "Remove them.",
                foreign[0],
            )
        if self.aggregations and not self.source:
            raise contradiction(
                "`aggregations` need a `source`", "Add `source:` with the events to count.", "aggregations"
            )
        if self.accuracy != "tiled" and any(line.hop for line in self.aggregations):
            raise contradiction(
                "`hop` is the tile of `accuracy: tiled`", "Remove it, or add the accuracy.", "aggregations"
            )
        if self.derived and not (self.inputs or self.request):
            raise contradiction(
                "`derived` features need something to compute from", "Add `inputs:` (views) or `request:`.", "derived"
            )
        return self

    @property
    def form(self) -> Literal["sql", "aggregations", "derived"]:
        """Which of the three definitions this view has."""
        if self.sql is not None:
            return "sql"
        return "aggregations" if self.aggregations else "derived"

    @property
    def storage(self) -> Materialization:
        """Where rows go, with the default filled in."""
        if self.materialization:
            return self.materialization
        return Materialization(offline=None) if self.derived else Materialization()


class FeatureService(Document):
    """A model's contract: the features it gets, and why it may have them."""

    kind: Literal["feature_service"]
    domain: Name | None = Field(default=None, description="Default: the folder that the file lies in.")
    owner: Owner | None = Field(default=None, description="Default: the domain's owner.")
    version: int = Field(default=1, ge=1, description="Raise it when the model is trained on other features.")
    purpose: Name = Field(description="Why the model may have the data: one of the platform's purposes.")
    features: tuple[Annotated[str, Field(pattern=FEATURE_PATTERN)], ...] = Field(
        min_length=1, description="`view:feature` or `view:*`."
    )


AnySpec = Domain | Entity | Source | FeatureView | FeatureService | Policy | Platform

KINDS: Final[dict[str, type[AnySpec]]] = {
    "domain": Domain,
    "entity": Entity,
    "source": Source,
    "feature_view": FeatureView,
    "feature_service": FeatureService,
    "policy": Policy,
    "platform": Platform,
}
"""Every kind of document, by the value of its ``kind`` field."""

"""What a team writes: one strict pydantic model per YAML kind.

``domain``, ``entity``, ``source``, ``feature_view``, ``feature_service``, ``policy``, ``platform``. Every field has a
description; the YAML reference in the docs and the JSON Schema for editors are generated from here.

These models check one document alone. Whether documents fit together is ``feature_platform.registry``'s job,
whether the SQL in them is allowed is ``feature_platform.compiler``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from feature_platform.errors import did_you_mean
from feature_platform.specs.durations import ALL, Duration, is_all
from feature_platform.types import DataType

NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
OWNER_PATTERN: Final = r"^(team:[A-Za-z0-9][A-Za-z0-9_.-]*|[^@\s]+@[^@\s]+\.[^@\s]+)$"
FEATURE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}:(\*|[a-z][a-z0-9_]{0,126})$"
SCHEDULE_PATTERN: Final = r"^(@hourly|@daily|@weekly|@monthly|(\S+\s+){4}\S+)$"
COLUMN_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,126}$"
TABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$"
VARIABLE_PATTERN: Final = r"^[A-Z][A-Z0-9_]*$"
MEMORY_PATTERN: Final = r"^[1-9][0-9]*(MB|GB)$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
ColumnName = Annotated[str, Field(pattern=COLUMN_PATTERN)]
Owner = Annotated[str, Field(pattern=OWNER_PATTERN, description="`team:<name>` or an e-mail address")]


def _fault(what: str, mend: str) -> PydanticCustomError:
    """A value that is wrong in itself."""
    return PydanticCustomError("fault", "{what}", {"what": what, "mend": mend})


def _contradiction(what: str, mend: str, field: str | None = None) -> PydanticCustomError:
    """Fields that exclude or need each other; ``field`` is the one to point at."""
    return PydanticCustomError("contradiction", "{what}", {"what": what, "mend": mend, "field": field})


def _parse_type(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return DataType.parse(value)
    except ValueError as error:
        names = ("boolean", "int", "bigint", "double", "string", "date", "timestamp", "decimal(18,2)", "array<string>")
        hint = _TYPES_ELSEWHERE.get(value.lower().partition("(")[0])
        meant = f" Did you mean '{hint}'?" if hint else did_you_mean(value, names)
        raise _fault(str(error), f"Use one of {', '.join(names)}.{meant}") from None


_TYPES_ELSEWHERE: Final = {
    "integer": "int",
    "int64": "bigint",
    "long": "bigint",
    "float": "double",
    "float64": "double",
    "numeric": "decimal(18,2)",
    "decimal": "decimal(18,2)",
    "text": "string",
    "varchar": "string",
    "str": "string",
    "bool": "boolean",
    "datetime": "timestamp",
    "timestamptz": "timestamp",
}


def _parse_window(value: Any) -> Any:
    return ALL if value == "all" else value


def _parse_utc(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise _fault(
            f"'{value[:40]}' is not a date or time",
            "Write it as 2026-01-31, 2026-01-31T06:00:00 or 2026-01-31T06:00:00Z.",
        ) from None


ColumnType = Annotated[
    DataType,
    BeforeValidator(_parse_type),
    WithJsonSchema({"type": "string", "examples": ["bigint", "decimal(18,2)", "string", "timestamp"]}),
]
Window = Annotated[
    Duration,
    BeforeValidator(_parse_window),
    WithJsonSchema({"type": "string", "pattern": r"^([1-9][0-9]{0,6}[smhdw]|all)$"}),
]

UtcTime = Annotated[
    datetime,
    BeforeValidator(_parse_utc),
    WithJsonSchema({"type": "string", "examples": ["2026-01-01", "2026-01-01T06:00:00"]}),
]
"""An instant in UTC, held without a zone."""

Classification = Literal[
    "none",
    "payment_card",
    "email",
    "person_name",
    "birth_date",
    "phone",
    "ip_address",
    "national_id",
    "birth_number",
    "address",
    "postcode",
    "iban",
    "device_id",
    "free_text",
]
"""What a column of a source holds. ``none`` is a statement too: "looked at, and it is not personal"."""

AggregationFunction = Literal[
    "count",
    "count_distinct",
    "sum",
    "avg",
    "min",
    "max",
    "stddev",
    "variance",
    "first",
    "last",
    "time_since_last",
]
Accuracy = Literal["exact", "snapshot"]
TransformName = Name


class Spec(BaseModel):
    """The common rule: nothing unknown, nothing coerced, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class Document(Spec):
    """What every kind has."""

    name: Name = Field(description="Unique among documents of its kind in the project.")
    description: str = Field(default="", description="One or two sentences for people who look for features.")


class Domain(Document):
    """A business area; a folder of the project. Views take their group, owner and default purposes from it."""

    kind: Literal["domain"]
    owner: Owner
    purposes: tuple[Name, ...] = Field(
        default=(),
        description="Purposes for which this domain's views may be used. Empty: every purpose of the platform.",
    )


class EntityKey(Spec):
    """One column of an entity's key."""

    name: ColumnName
    type: ColumnType
    pii: Classification | None = Field(
        default=None,
        description="The key's classification. A key that is personal exists outside its source as a token only.",
    )


class Entity(Document):
    """What features are about: a card, a customer. Its key joins feature views and spines."""

    kind: Literal["entity"]
    keys: tuple[EntityKey, ...] = Field(min_length=1)
    owner: Owner | None = None


class SourceColumn(Spec):
    """A column of a source table."""

    type: ColumnType
    pii: Classification | None = Field(
        default=None, description="What the column holds. Left out: unclassified; detection may object."
    )
    pii_reason: str = Field(default="", description="Why `pii: none` is right where detection says otherwise.")
    description: str = ""
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
    format: Literal["parquet", "csv"] = "parquet"
    event_time: ColumnName | None = Field(
        default=None, description="When it happened; UTC. A `timestamp` or a `date` (midnight). None: a static table."
    )
    available_at: ColumnName | None = Field(
        default=None, description="When we could know it; UTC. Default: `event_time`."
    )
    key: tuple[ColumnName, ...] = Field(
        default=(), description="Columns that name one event. Versions of one key are corrections: one counts."
    )
    columns: dict[ColumnName, SourceColumn] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if self.table is None and self.path is None:
            raise _contradiction("a source has either `table` or `path`, this one has neither", "Add one of the two.")
        if self.table is not None and self.path is not None:
            raise _contradiction("a source has either `table` or `path`, this one has both", "Remove one.", "path")
        if self.available_at and not self.event_time:
            raise _contradiction(
                "`available_at` says nothing without `event_time`", "Add `event_time:`.", "available_at"
            )
        return self


class Aggregation(Spec):
    """One aggregation line; gives one feature per window, named `<name>_<window>`."""

    function: AggregationFunction
    column: ColumnName | None = Field(default=None, description="Left out only for `count` and `time_since_last`.")
    windows: tuple[Window, ...] = Field(min_length=1, description="`1h`, `30d`, … or `all`.")
    name: Name | None = Field(default=None, description="Default: `<column>_<function>`, or the function alone.")
    where: str | None = Field(
        default=None, description="A condition on the source's columns; rows that fail it do not count."
    )
    default: int | float | str | bool | None = Field(
        default=None, description="Replaces NULL, or the 0 of an empty count."
    )
    description: str = ""

    @model_validator(mode="after")
    def _column_fits(self) -> Aggregation:
        if self.column is None and self.function not in ("count", "time_since_last"):
            raise _contradiction(f"`{self.function}` needs a `column`", "Add `column:`.", "function")
        if len({window.text for window in self.windows}) != len(self.windows):
            raise _contradiction("a window is listed twice", "Remove one of the two.", "windows")
        return self

    @property
    def base_name(self) -> str:
        """The feature's name before its window."""
        if self.name:
            return self.name
        return f"{self.column}_{self.function}" if self.column else self.function

    def feature_name(self, window: Duration) -> str:
        """``amount_sum_30d``."""
        return f"{self.base_name}_{window.text}"


class DerivedFeature(Spec):
    """A row-level expression over features and request data, computed when features are read."""

    name: Name
    expression: str = Field(min_length=1, description="One SQL expression; inputs by name, or `view.feature`.")
    description: str = ""


class FeatureContract(Spec):
    """What a feature promises. Checked on staged rows, before anyone can see them."""

    description: str = ""
    type: ColumnType | None = Field(
        default=None, description="The promised type; a query that gives another does not compile."
    )
    not_null: bool = False
    null_rate_max: float | None = Field(default=None, ge=0, le=1)
    min: int | float | None = None
    max: int | float | None = None
    pii: Classification | None = Field(
        default=None, description="`none` states, with `pii_reason`, that a finding of the PII gate is wrong."
    )
    pii_reason: str = Field(default="", description="Why the finding is wrong; for the privacy officer.")
    tags: tuple[str, ...] = Field(default=(), description="Free words for the catalogue.")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> FeatureContract:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise _contradiction("`min` is greater than `max`", "Swap or mend them.", "min")
        return self


class RowContract(Spec):
    """What a whole publication promises."""

    rows_min: int | None = Field(default=None, ge=0, description="Fewer rows stop the publication.")
    rows_max: int | None = Field(default=None, ge=0)
    unique: bool = Field(default=True, description="Entity key (and event time) occur once.")
    freshness: Duration | None = Field(
        default=None, description="Newest event time may be this old at the time the run stands for."
    )

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> RowContract:
        if self.rows_min is not None and self.rows_max is not None and self.rows_min > self.rows_max:
            raise _contradiction("`rows_min` is greater than `rows_max`", "Swap or mend them.", "rows_min")
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
    tags: dict[str, str] = Field(default_factory=dict)
    entity: Name
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
        default="exact", description="`exact` to the microsecond, or as of the last scheduled `snapshot`."
    )
    aggregations: tuple[Aggregation, ...] = ()

    inputs: tuple[Name, ...] = Field(default=(), description="Of a derived view: the views whose features it reads.")
    request: dict[ColumnName, ColumnType] = Field(
        default_factory=dict, description="Of a derived view: values that the caller gives with the request."
    )
    derived: tuple[DerivedFeature, ...] = ()

    features: dict[ColumnName, FeatureContract] = Field(default_factory=dict)
    contract: RowContract = Field(default_factory=RowContract)
    materialization: Materialization | None = Field(
        default=None, description="Default: offline in `warehouse`; a derived view has none."
    )

    @model_validator(mode="after")
    def _one_definition(self) -> FeatureView:
        given = [name for name in _FOREIGN if getattr(self, name)]
        if not given:
            raise _contradiction(
                "a feature view is defined by `sql`, `aggregations` or `derived`; this one has none of them", "Add one."
            )
        if len(given) > 1:
            raise _contradiction(
                f"a feature view has one definition; this one has {_listed(given)}", "Split the view.", given[1]
            )
        form = given[0]
        foreign = [name for name in (*_FOREIGN[form], *_FOREIGN) if name in self.model_fields_set and name != form]
        if foreign:
            raise _contradiction(
                f"{_listed(foreign)} {'does' if len(foreign) == 1 else 'do'} not belong to a view with `{form}`",
                "Remove it." if len(foreign) == 1 else "Remove them.",
                foreign[0],
            )
        if self.aggregations and not self.source:
            raise _contradiction(
                "`aggregations` need a `source`", "Add `source:` with the events to count.", "aggregations"
            )
        if self.derived and not (self.inputs or self.request):
            raise _contradiction(
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

    @property
    def longest_window(self) -> Duration | None:
        """The longest window of an aggregation view; None means without start (`all`)."""
        windows = [window for line in self.aggregations for window in line.windows]
        if any(is_all(window) for window in windows):
            return None
        return max(windows, key=lambda window: window.microseconds)


class FeatureService(Document):
    """A model's contract: the features it gets, and why it may have them."""

    kind: Literal["feature_service"]
    domain: Name | None = None
    owner: Owner | None = None
    version: int = Field(default=1, ge=1)
    purpose: Name
    features: tuple[Annotated[str, Field(pattern=FEATURE_PATTERN)], ...] = Field(
        min_length=1, description="`view:feature` or `view:*`."
    )


class PolicyRule(Spec):
    """What may be done with columns of some classifications, for some purposes and roles.

    The most restrictive rule that matches wins.
    """

    classification: tuple[Classification, ...] | Classification
    purposes: tuple[Name, ...] = Field(default=(), description="Empty: every purpose.")
    roles: tuple[Name, ...] = Field(default=(), description="Empty: every role.")
    action: Literal["deny", "redact", "token"] = Field(
        description="What reading the column itself gives: an error, a constant, a token."
    )
    transforms: tuple[TransformName, ...] = Field(default=(), description="Governed transforms allowed besides.")

    @property
    def classifications(self) -> tuple[Classification, ...]:
        return (self.classification,) if isinstance(self.classification, str) else self.classification


class Policy(Document):
    """Rules of the privacy officer. What no rule allows is denied."""

    kind: Literal["policy"]
    owner: Owner
    rules: tuple[PolicyRule, ...] = Field(min_length=1)


class DuckDBDeltaStore(Spec):
    """DuckDB as engine over Delta Lake tables in a folder."""

    type: Literal["duckdb_delta"]
    path: str = Field(default="warehouse", description="Folder of the tables; relative to the state folder.")
    memory_limit: str = Field(default="1GB", pattern=MEMORY_PATTERN)
    threads: int | None = Field(default=None, ge=1)


class PostgresStore(Spec):
    """A PostgreSQL server: the embedded one, or the one that an environment variable names."""

    type: Literal["postgres"]
    url_env: str | None = Field(
        default=None,
        pattern=VARIABLE_PATTERN,
        description="Environment variable with the URL. None: embedded server.",
    )
    schema_prefix: str = Field(default="fp", pattern=NAME_PATTERN)


class RedisStore(Spec):
    """A Redis server: the embedded one, or the one that an environment variable names."""

    type: Literal["redis"]
    url_env: str | None = Field(default=None, pattern=VARIABLE_PATTERN)
    key_prefix: str = Field(default="fp", pattern=NAME_PATTERN)


StoreSpec = Annotated[DuckDBDeltaStore | PostgresStore | RedisStore, Field(discriminator="type")]


class Profile(Spec):
    """One set of stores: a laptop's, production's. Definitions do not change between profiles."""

    stores: dict[Name, StoreSpec] = Field(min_length=1)
    data: str = Field(default="data", description="Folder that source paths start from; relative to the state folder.")
    token_key_env: str = Field(
        default="FP_TOKEN_KEY", pattern=VARIABLE_PATTERN, description="Environment variable with the token key."
    )


class Platform(Document):
    """The project itself. One document, in `platform.yaml`."""

    kind: Literal["platform"]
    purposes: dict[Name, str] = Field(min_length=1, description="Why data is used: name → description.")
    default_profile: Name = "embedded"
    profiles: dict[Name, Profile] = Field(min_length=1)
    strict_pii: bool = Field(
        default=True, description="An unclassified column whose name looks personal does not compile."
    )

    @model_validator(mode="after")
    def _default_exists(self) -> Platform:
        if self.default_profile not in self.profiles:
            raise _contradiction(
                f"the default profile '{self.default_profile}' is not one of `profiles`",
                f"Use one of {', '.join(self.profiles)}.{did_you_mean(self.default_profile, self.profiles)}",
                "default_profile" if "default_profile" in self.model_fields_set else None,
            )
        return self


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

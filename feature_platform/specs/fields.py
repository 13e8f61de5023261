"""The fields that kinds are made of: names, types, times, classifications, and how their values are read.

A pattern is worded for authors in ``messages.PATTERN_WORDS``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from feature_platform.errors import did_you_mean
from feature_platform.specs.durations import ALL, Duration
from feature_platform.types import DataType

NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
OWNER_PATTERN: Final = r"^(team:[A-Za-z0-9][A-Za-z0-9_.-]*|[^@\s]+@[^@\s]+\.[^@\s]+)$"
FEATURE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}:(\*|[a-z][a-z0-9_]{0,126})$"
SCHEDULE_PATTERN: Final = r"^(@hourly|@daily|@weekly|@monthly|(\S+\s+){4}\S+)$"
COLUMN_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,126}$"
TABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$"
VARIABLE_PATTERN: Final = r"^[A-Z][A-Z0-9_]*$"
PLUGIN_PATTERN: Final = r"^[A-Za-z_][\w.-]*(:[A-Za-z_][\w.]*)?$"
DIGEST_PATTERN: Final = r"^[0-9a-f]{16}$"
MEMORY_PATTERN: Final = r"^[1-9][0-9]*(MB|GB)$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
ColumnName = Annotated[str, Field(pattern=COLUMN_PATTERN)]
Owner = Annotated[str, Field(pattern=OWNER_PATTERN, description="Who answers for it.")]


def fault(what: str, mend: str) -> PydanticCustomError:
    """A value that is wrong in itself."""
    return PydanticCustomError("fault", "{what}", {"what": what, "mend": mend})


def contradiction(what: str, mend: str, field: str | None = None) -> PydanticCustomError:
    """Fields that exclude or need each other; ``field`` is the one to point at."""
    return PydanticCustomError("contradiction", "{what}", {"what": what, "mend": mend, "field": field})


def _parse_type(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        parsed = DataType.parse(value)
        if not parsed.is_stored:
            raise ValueError(f"'{value}': tables hold scalars, arrays of scalars and maps of scalars")
        return parsed
    except ValueError as error:
        scalars = ("boolean", "int", "bigint", "double", "string", "date", "timestamp", "decimal(18,2)")
        names = (*scalars, "array<string>", "map<string, bigint>")
        hint = _TYPES_ELSEWHERE.get(value.lower().partition("(")[0])
        meant = f" Did you mean '{hint}'?" if hint else did_you_mean(value, names)
        raise fault(str(error), f"Use one of {', '.join(names)}.{meant}") from None


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
        raise fault(
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
    "stddev_pop",
    "variance",
    "variance_pop",
    "first",
    "last",
    "first_k",
    "last_k",
    "last_distinct_k",
    "top_k",
    "mode",
    "median",
    "percentile",
    "entropy",
    "histogram",
    "approx_count_distinct",
    "approx_percentile",
    "any",
    "all",
    "rate",
    "ratio",
    "time_since_first",
    "time_since_last",
]
Accuracy = Literal["exact", "tiled", "snapshot"]
TransformName = Name


class Spec(BaseModel):
    """The common rule: nothing unknown, nothing coerced, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class Document(Spec):
    """What every kind has."""

    name: Name = Field(description="Unique among documents of its kind in the project.")
    description: str = Field(default="", description="One or two sentences for people who look for features.")

"""One statement that measures everything the contract's checks need, and the check of the schema itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from feature_platform.compiler.plan import CompiledView
from feature_platform.monitoring.outcome import SCHEMA, CheckOutcome
from feature_platform.monitoring.staged_table import StagedTable, column, count_where
from feature_platform.specs.models import FeatureContract, FeatureView
from feature_platform.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

_TIMES = ("event_time", "available_at")


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts over the staged rows. Mappings are by feature and hold those with a promise only."""

    rows: int
    null_keys: int
    null_times: int
    repeated_keys: int | None
    """Keys that occur more than once; None where the contract does not promise uniqueness."""
    newest: datetime | None
    """Newest event time, UTC."""
    nulls: Mapping[str, int]
    outside: Mapping[str, int]
    """Rows below ``min`` or above ``max``."""


def measure(table: StagedTable, view: CompiledView, spec: FeatureView) -> Profile:
    """Reads the profile. One scan of the columns that matter, one more of the keys for uniqueness.

    Raises:
        StoreError: the statement failed.
    """
    keys = [key.name for key in view.keys]
    parameters: dict[str, Any] = {}
    nulls = {name: promise for name, promise in spec.features.items() if _promises_values(promise)}
    ranges = {name: promise for name, promise in spec.features.items() if _promises_range(promise)}
    measures = [
        exp.Count(this=exp.Star()).as_("rows_counted"),
        count_where(_any_null(keys)).as_("null_keys"),
        count_where(_any_null(["event_time"])).as_("null_times"),
        exp.Max(this=column("event_time")).as_("newest"),
    ]
    repeated = _repeated(table, unique_columns(view))
    if spec.contract.unique and table.engine != "doris":
        measures.append(repeated.subquery().as_("repeated_keys"))
    measures += [count_where(_any_null([name])).as_(f"nulls_{place}") for place, name in enumerate(nulls)]
    for place, (name, promise) in enumerate(ranges.items()):
        condition = _outside(name, promise, _type_of(view, name), f"bound_{place}", parameters)
        measures.append(count_where(condition).as_(f"outside_{place}"))
    (row,) = table.rows(exp.select(*measures).from_(table.source), parameters)
    if spec.contract.unique and table.engine == "doris":  # whether aggregates may stand beside a query is not certain
        row |= table.rows(repeated)[0]
    return Profile(
        rows=row["rows_counted"],
        null_keys=row["null_keys"],
        null_times=row["null_times"],
        repeated_keys=row.get("repeated_keys"),
        newest=row["newest"],
        nulls={name: row[f"nulls_{place}"] for place, name in enumerate(nulls)},
        outside={name: row[f"outside_{place}"] for place, name in enumerate(ranges)},
    )


def unique_columns(view: CompiledView) -> tuple[str, ...]:
    """What identifies a row: keys and event time; rows of SQL views are versions, so their ``available_at`` too."""
    times = _TIMES if view.form == "sql" else _TIMES[:1]
    return (*(key.name for key in view.keys), *times)


def check_schema(table: StagedTable, view: CompiledView) -> CheckOutcome:
    """Staged columns, as declared and as the store gives them, are those that the view compiled to."""
    expected = view.schema.arrow()
    given = table.schema()
    wrong = [
        f"{name}: expected {_type_name(expected, name)}, found {_type_name(given, name)}"
        for name in dict.fromkeys((*expected.names, *given.names))
        if _type_name(expected, name) != _type_name(given, name)
    ]
    if not wrong and (table.staged.schema != view.schema or expected.names != given.names):
        wrong = ["the order of the columns differs"]
    metadata = {"columns": len(given.names), "differences": len(wrong)}
    return CheckOutcome(SCHEMA, not wrong, metadata=metadata, description="; ".join(wrong))


def _type_name(schema: pa.Schema, name: str) -> str:
    position = schema.get_field_index(name)
    return _plain(schema.field(position).type) if position >= 0 else "no column"


def _plain(kind: pa.DataType) -> str:
    """The same name for every layout and item name that Arrow has for one type."""
    if hasattr(kind, "value_type") and "list" in str(kind):
        return f"list<{_plain(kind.value_type)}>"
    return str(kind).removeprefix("large_").removesuffix("_view")


def _any_null(names: list[str]) -> exp.Expression:
    conditions = [column(name).is_(exp.null()) for name in names]
    whole: exp.Expression = conditions[0]
    for condition in conditions[1:]:
        whole = exp.Or(this=whole, expression=condition)
    return whole


def _repeated(table: StagedTable, names: tuple[str, ...]) -> exp.Select:
    groups = (
        exp.select(exp.Literal.number(1).as_("one"))
        .from_(table.source)
        .group_by(*(column(name) for name in names))
        .having(exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1)))
    )
    return exp.select(exp.Count(this=exp.Star()).as_("repeated_keys")).from_(groups.subquery("repeated"))


def _outside(
    name: str, promise: FeatureContract, kind: DataType, prefix: str, parameters: dict[str, Any]
) -> exp.Expression:
    conditions: list[exp.Expression] = []
    for operator, bound, suffix in ((exp.LT, promise.min, "low"), (exp.GT, promise.max, "high")):
        if bound is not None:
            parameters[f"{prefix}_{suffix}"] = _bound(bound, kind)
            conditions.append(operator(this=column(name), expression=exp.Parameter(this=exp.var(f"{prefix}_{suffix}"))))
    return conditions[0] if len(conditions) == 1 else exp.Or(this=conditions[0], expression=conditions[1])


def _bound(bound: float, kind: DataType) -> int | float | Decimal:
    return Decimal(str(bound)) if kind.is_exact and isinstance(bound, float) else bound


def _type_of(view: CompiledView, name: str) -> DataType:
    found = view.schema.column(name)
    if found is None:
        raise LookupError(name)
    return found.type


def _promises_values(promise: FeatureContract) -> bool:
    return promise.not_null or promise.null_rate_max is not None


def _promises_range(promise: FeatureContract) -> bool:
    return promise.min is not None or promise.max is not None

"""Staged rows for the gate's tests: columns as lists, types by name, in a real warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from feature_platform.compiler.plan import CompiledQuery, CompiledView, Feature, OutputColumn
from feature_platform.governance.labels import Label
from feature_platform.monitoring.gate import CheckOutcome, audit
from feature_platform.specs.models import FeatureView
from feature_platform.stores.protocols import StagedWrite, StreamTable, TableName, Warehouse
from feature_platform.types import BIGINT, TIMESTAMP, Column, DataType, TableSchema

NOON = datetime.fromisoformat("2026-06-30T12:00:00")
PLATFORM_COLUMNS = {"customer_id": BIGINT, "event_time": TIMESTAMP, "available_at": TIMESTAMP}


@dataclass(frozen=True)
class Case:
    """A view with staged rows, ready to be audited."""

    warehouse: Warehouse
    staged: StagedWrite
    view: CompiledView
    spec: FeatureView

    def outcomes(self, *, as_of: datetime = NOON) -> dict[str, CheckOutcome]:
        return {
            outcome.name: outcome for outcome in audit(self.warehouse, self.staged, self.view, self.spec, as_of=as_of)
        }

    def outcome(self, name: str, *, as_of: datetime = NOON) -> CheckOutcome:
        return self.outcomes(as_of=as_of)[name]


def view(
    types: Mapping[str, DataType], *, form: str = "sql", labels: Mapping[str, frozenset[Label]] | None = None
) -> CompiledView:
    """A compiled view of these features, keyed by ``customer_id``."""
    every = PLATFORM_COLUMNS | dict(types)
    columns = {name: OutputColumn(name, kind, (labels or {}).get(name, frozenset())) for name, kind in every.items()}
    return CompiledView(
        name="profile",
        form=form,  # type: ignore[arg-type]
        entity="customer",
        keys=(Column("customer_id", BIGINT),),
        features=tuple(Feature(name, columns[name]) for name in types),
        materialize=CompiledQuery({}, tuple(columns.values()), ()),
        derive=None,
        partitioned=None,
        fingerprint="f",
        reads=(),
    )


def spec(*, features: Mapping[str, Any] | None = None, form: str = "sql", **contract: Any) -> FeatureView:
    definition = (
        {"sql": "SELECT 1", "event_time": "event_time"}
        if form == "sql"
        else {"source": "events", "aggregations": ({"function": "count", "windows": ("1d",)},)}
    )
    return FeatureView.model_validate(
        {
            "kind": "feature_view",
            "name": "profile",
            "entity": "customer",
            "features": dict(features or {}),
            "contract": contract,
            **definition,
        }
    )


def case(
    warehouse: Warehouse,
    columns: Mapping[str, Sequence[Any]],
    types: Mapping[str, str] | None = None,
    *,
    labels: Mapping[str, frozenset[Label]] | None = None,
    features: Mapping[str, Any] | None = None,
    form: str = "sql",
    **contract: Any,
) -> Case:
    """Stages ``columns`` (strings unless ``types`` says otherwise); keys count from 0, times are noon unless given."""
    kinds = {
        name: DataType.parse((types or {}).get(name, "string")) for name in columns if name not in PLATFORM_COLUMNS
    }
    every = PLATFORM_COLUMNS | kinds
    rows = len(next(iter(columns.values())))
    filled = {"customer_id": list(range(rows)), "event_time": [NOON] * rows, "available_at": [NOON] * rows, **columns}
    schema = TableSchema(tuple(Column(name, kind) for name, kind in every.items()))
    table = pa.table({name: pa.array(filled[name], kind.arrow()) for name, kind in every.items()})
    staged = warehouse.stage(TableName("features", "profile"), schema, StreamTable(table.to_reader))
    compiled = view(kinds, form=form, labels=labels)
    return Case(warehouse, staged, compiled, spec(features=features, form=form, **contract))

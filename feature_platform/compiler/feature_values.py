"""From measures to the columns that people see: values with their types, and what stands in for none."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlglot import exp

from feature_platform.compiler.aggregation_lines import AggregationPlan, PlannedFeature
from feature_platform.compiler.fragments import cast, column, equal, sql
from feature_platform.compiler.measures import answer
from feature_platform.types import DataType, Engine


def value(planned: PlannedFeature, table: str, moment: exp.Expr, engine: Engine) -> exp.Expr:
    """A feature's value from the measures in ``table`` (and, for first and last, from the events that :func:`pointed_at` joined)."""
    if planned.line.function in ("first", "last"):
        return column(f"fp_v{planned.value}", _event(planned.measures[0].name))
    return answer(planned.line.function, planned.value_type, planned.measures, table, moment, engine)


def pointed_at(query: exp.Select, plan: AggregationPlan, table: str, entity: Sequence[str], ordered: str) -> exp.Select:
    """``query`` with the events joined that are first or last."""
    for each in plan.measures:
        if each.measure.kind in ("oldest", "newest"):
            event = _event(each.name)
            position = exp.EQ(this=column(f"fp_n{each.measure.value}", event), expression=column(each.name, table))
            on = exp.and_(equal(entity, event, table), position)
            query = query.join(exp.alias_(exp.to_table(ordered), event, table=True), on=on, join_type="left", copy=False)
    return query


def filled(feature: exp.Expr, planned: PlannedFeature, engine: Engine) -> exp.Expr:
    """The value in the feature's type, with zero or the declared default for an empty answer."""
    of = planned.feature.column.type
    default = planned.line.default
    if planned.line.function in ("count", "count_distinct"):
        if default is None:
            return cast(sql("COALESCE(:value, 0)", value=feature), of, engine)
        feature = sql("NULLIF(:value, 0)", value=feature)
    typed = cast(feature, of, engine)
    if default is None:
        return typed
    return sql("COALESCE(:value, :default)", value=typed, default=literal(planned.feature.empty, of, engine))


def literal(of_value: Any, of: DataType, engine: Engine) -> exp.Expr:  # noqa: ANN401 - a value of any logical type
    """A typed constant."""
    if isinstance(of_value, bool):
        return exp.true() if of_value else exp.false()
    if isinstance(of_value, str):
        return exp.Literal.string(of_value)
    text = format(of_value, "f") if isinstance(of_value, Decimal) else repr(of_value)
    return cast(exp.Literal.string(text), of, engine)


def quoted(text: str) -> exp.Identifier:
    """An identifier of a user's naming."""
    return exp.to_identifier(text, quoted=True)


def _event(measure: str) -> str:
    return f"{measure}_event"


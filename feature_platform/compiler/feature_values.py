"""From measures to the columns that people see: values with their types, and what stands in for none."""

from __future__ import annotations

from collections.abc import Sequence

from feature_platform.compiler.aggregation_plan import AggregationPlan, PlannedFeature
from feature_platform.compiler.fragments import NOTHING, Sql, cast, column, equal, literal, name, sql
from feature_platform.compiler.measures import COUNTS, answer
from feature_platform.types import Engine


def value(planned: PlannedFeature, table: str, moment: Sql, engine: Engine) -> Sql:
    """A feature's value from the measures in ``table`` (and, for first and last, from the events that
    :func:`pointed_at` joins).
    """
    if planned.grouping is not None:
        return column(planned.grouping.named)
    if planned.line.function in ("first", "last"):
        return column(f"fp_v{planned.value}", _event(planned.measures[0].name))
    return answer(planned.line.function, planned.measures, table, moment, engine)


def pointed_at(plan: AggregationPlan, table: str, entity: Sequence[str], ordered: str) -> Sql:
    """The joins of the events that are first or last."""
    joins = NOTHING
    for each in plan.measures:
        if each.measure.kind in ("oldest", "newest"):
            event = _event(each.name)
            joins = sql(
                ":joins LEFT JOIN :ordered AS :event ON :same AND :position = :pointer",
                joins=joins,
                ordered=name(ordered),
                event=name(event),
                same=equal(entity, event, table),
                position=column(f"fp_n{each.measure.value}", event),
                pointer=column(each.name, table),
            )
    return joins


def filled(feature: Sql, planned: PlannedFeature, engine: Engine) -> Sql:
    """The value in the feature's type, with zero or the declared default for an empty answer."""
    of = planned.feature.column.type
    if planned.line.function in COUNTS and planned.grouping is None:
        if planned.line.default is None:
            return cast(sql("COALESCE(:value, 0)", value=feature), of, engine)
        feature = sql("NULLIF(:value, 0)", value=feature)
    typed = cast(feature, of, engine)
    if planned.line.default is None:
        return typed
    return sql("COALESCE(:value, :default)", value=typed, default=literal(planned.feature.empty, of, engine))


def _event(measure: str) -> str:
    return f"{measure}_event"

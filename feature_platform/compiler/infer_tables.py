"""Types of what stands in FROM and GROUP BY beside tables: lists as rows, grouping(...)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from feature_platform.compiler.codes import OPERAND_TYPES
from feature_platform.compiler.inference import UNKNOWN, Inference, cast_to
from feature_platform.compiler.numeric import Inferred
from feature_platform.types import BIGINT, DataType


def infer_unnest(item: exp.Unnest, state: Inference) -> Mapping[str, Inferred]:
    """The element, and with ORDINALITY its number from 1."""
    (array,) = item.expressions
    names = [column.name for column in item.args["alias"].columns]
    type_ = state.of(array)
    element: Inferred = UNKNOWN
    if isinstance(type_, DataType) and type_.kind == "array" and type_.element is not None:
        element = type_.element
    elif type_ != UNKNOWN:
        state.report.add(OPERAND_TYPES, item, f"UNNEST of a {type_}", "unnest a column of type array<...>")
    return {names[0]: element, **dict.fromkeys(names[1:], BIGINT)}


def infer_grouping(node: exp.Grouping, state: Inference) -> Inferred:
    """A bit for each key that this row sums up, the last key's lowest; PostgreSQL makes an integer of it."""
    for key in node.expressions:
        state.of(key)
    cast_to(node, BIGINT)
    return BIGINT

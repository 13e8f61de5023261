"""Functions that choose among values, and those of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions.model import ANY, ARRAY, ORDERED, Function, Parameter, node, sig
from feature_platform.compiler.numeric import NULL, Inferred, NoTypeError, comparable, supertype
from feature_platform.types import BIGINT, BOOLEAN, DataType, array

_BOTH: Final = "NOT list_ IS NULL AND NOT x IS NULL"


def _first(types: Sequence[Inferred]) -> Inferred:
    return types[0]


def _array_of(types: Sequence[Inferred]) -> Inferred:
    element = supertype(list(types))
    if not isinstance(element, DataType):
        raise NoTypeError("a list of NULLs has no type")
    return array(element)


def _contains(types: Sequence[Inferred]) -> Inferred:
    holder, wanted = types
    if isinstance(holder, DataType) and holder.element is not None and not comparable(holder.element, wanted):
        raise NoTypeError(f"{wanted} does not occur in {holder}")
    return BOOLEAN


FUNCTIONS: Final = (
    Function(
        "coalesce",
        (sig(Parameter("x", ANY, many=True), to=_first, both="COALESCE(x)", unify=True, shown="that of all together"),),
        "The first argument that is not NULL.",
        "when all arguments are",
        (node(exp.Coalesce, "this", "expressions"),),
        aliases=("ifnull", "nvl"),
        tokens=frozenset(range(100)),
    ),
    Function(
        "nullif",
        (
            sig(
                Parameter("x", ANY),
                Parameter("y", ANY),
                to=_first,
                both="NULLIF(x, y)",
                unify=True,
                shown="that of both together",
            ),
        ),
        "`x`, but NULL where it equals `y`.",
        "when `x` is, or both are equal",
        (node(exp.Nullif, "this", "expression"),),
    ),
    Function(
        "greatest",
        (
            sig(
                Parameter("x", ORDERED, many=True),
                to=_first,
                both="GREATEST(x)",
                unify=True,
                shown="that of all together",
            ),
        ),
        "The greatest argument; NULLs are left out.",
        "when all arguments are",
        (node(exp.Greatest, "this", "expressions", ignored=("ignore_nulls",)),),
    ),
    Function(
        "least",
        (
            sig(
                Parameter("x", ORDERED, many=True), to=_first, both="LEAST(x)", unify=True, shown="that of all together"
            ),
        ),
        "The smallest argument; NULLs are left out.",
        "when all arguments are",
        (node(exp.Least, "this", "expressions", ignored=("ignore_nulls",)),),
    ),
    Function(
        "list_value",
        (
            sig(to=NULL, duckdb="LIST_VALUE()", key="empty"),
            sig(
                Parameter("x", ANY, many=True),
                to=_array_of,
                duckdb="LIST_VALUE(x)",
                postgres="ARRAY[x]",
                unify=True,
                shown="`array` of their type",
            ),
        ),
        "An array of these values, as `[x, ...]`.",
        "never",
        (node(exp.Array, "expressions", ignored=("value_constructor", "bracket_notation")),),
    ),
    Function(
        "list_contains",
        (
            sig(
                Parameter("list_", ARRAY),
                Parameter("x", ANY),
                to=_contains,
                shown="`boolean`",
                duckdb=f"CASE WHEN {_BOTH} THEN COALESCE(LIST_CONTAINS(list_, x), FALSE) END",
                postgres=f"CASE WHEN {_BOTH} THEN COALESCE(x = ANY(list_), FALSE) END",
            ),
        ),
        "Whether the array holds `x`.",
        "when an argument is",
        (node(exp.ArrayContains, "this", "expression", ignored=("ensure_variant", "check_null")),),
        aliases=("array_contains", "list_has", "array_has"),
    ),
    Function(
        "array_length",
        (sig(Parameter("list_", ARRAY), to=BIGINT, duckdb="LEN(list_)", postgres="CARDINALITY(list_)"),),
        "Number of elements.",
        "when the array is",
        (node(exp.ArraySize, "this"),),
    ),
)

"""Functions of lists. Most are DuckDB's alone: PostgreSQL's arrays have several dimensions, no lists inside them, and
other rules for positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.model import (
    ANY,
    ARRAY,
    EXACT,
    MAP,
    NUMBER,
    ORDERED,
    TEXT,
    TEXT_KEYS,
    TRUTH,
    WHOLE,
    Form,
    Function,
    Parameter,
    Result,
    node,
    settled,
    sig,
)
from feature_platform.compiler.numeric import MOST_DIGITS, Inferred, NoTypeError, comparable, supertype
from feature_platform.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, DataType, Kind, array, decimal

_NULL_IN: Final = "when an argument is"
_LIST: Final = Parameter("list_", ARRAY)
_OTHER: Final = Parameter("other", ARRAY)
_X: Final = Parameter("x", ANY)


def element_of(type_: Inferred) -> DataType:
    """The type of a list's elements, or of a map's values."""
    assert isinstance(type_, DataType)
    assert type_.element is not None
    return type_.element


def _element(types: Sequence[Inferred]) -> Inferred:
    return element_of(types[0])


def _same(types: Sequence[Inferred]) -> Inferred:
    return types[0]


def _together(types: Sequence[Inferred]) -> Inferred:
    return supertype(list(types))


def _with_element(types: Sequence[Inferred]) -> Inferred:
    listed = next(type_ for type_ in types if isinstance(type_, DataType) and type_.kind == "array")
    added = types[1] if types[0] is listed else types[0]
    element = supertype([element_of(listed), added])
    assert isinstance(element, DataType)
    return array(element)


def _holding(to: DataType) -> Callable[[Sequence[Inferred]], Inferred]:
    def result(types: Sequence[Inferred]) -> Inferred:
        if not comparable(element_of(types[0]), types[1]):
            raise NoTypeError(f"{types[1]} does not occur in {types[0]}")
        return to

    return result


def _sharing(to: DataType | None) -> Callable[[Sequence[Inferred]], Inferred]:
    def result(types: Sequence[Inferred]) -> Inferred:
        if not comparable(types[0], types[1]):
            raise NoTypeError(f"{types[0]} and {types[1]} have no elements in common")
        return to or types[0]

    return result


def _of(kinds: frozenset[Kind], to: DataType | Callable[[DataType], DataType]) -> Result:
    """The result for lists whose elements are of these kinds."""

    def result(types: Sequence[Inferred]) -> Inferred:
        element = element_of(types[0])
        if element.kind not in kinds:
            raise NoTypeError(f"the elements are {element}")
        return to if isinstance(to, DataType) else to(element)

    return result


def _itself(element: DataType) -> DataType:
    return element


def _sum(element: DataType) -> DataType:
    return DOUBLE if element.kind == "double" else decimal(MOST_DIGITS, element.scale)


def _flat(types: Sequence[Inferred]) -> Inferred:
    inner = element_of(types[0])
    if inner.kind != "array":
        raise NoTypeError("it takes a list of lists")
    return inner


def _fold(name: str, to: Result, shown: str, doc: str, *forms: Form) -> Function:
    return Function(
        name,
        (settled(sig(_LIST, to=to, duckdb=f"{name.upper()}(list_)", shown=shown)),),
        f"{doc}, NULLs left out.",
        "when there is no element that is not",
        forms,
    )


FUNCTIONS: Final = (
    Function(
        "array_extract",
        (
            sig(
                _LIST,
                Parameter("index_", WHOLE),
                to=_element,
                shown="that of the elements",
                duckdb="LIST_EXTRACT(list_, index_)",
            ),
            sig(
                Parameter("text", TEXT),
                Parameter("index_", WHOLE),
                to=STRING,
                duckdb="ARRAY_EXTRACT(text, index_)",
                key="text",
            ),
            settled(
                sig(
                    Parameter("column_of_maps", MAP, stored_keys=TEXT_KEYS),
                    Parameter("key_", TEXT_KEYS),
                    to=_element,
                    shown="that of the values",
                    duckdb="MAP_EXTRACT_VALUE(column_of_maps, key_)",
                    postgres="column_of_maps ->> CAST(key_ AS TEXT)",
                    key="stored map",
                )
            ),
            settled(
                sig(
                    Parameter("map_", MAP),
                    Parameter("key_", ANY),
                    to=_element,
                    shown="that of the values",
                    duckdb="MAP_EXTRACT_VALUE(map_, key_)",
                    key="map",
                )
            ),
        ),
        "`l[2]`, the element at a position, from 1 or, negative, from the end; of a text the character; `m['k']`, the "
        "value of a map's key. Of structs `s['f']` is `s.f`.",
        "beyond the ends, without such a key, and when an argument is",
        aliases=("list_extract", "list_element", "map_extract_value"),
    ),
    Function(
        "list_slice",
        (
            sig(
                _LIST,
                Parameter("begin_", WHOLE),
                Parameter("end_", WHOLE),
                Parameter("step", WHOLE),
                to=_same,
                duckdb="LIST_SLICE(list_, begin_, end_, step)",
                key="step",
            ),
            sig(
                _LIST,
                Parameter("begin_", WHOLE),
                Parameter("end_", WHOLE),
                to=_same,
                duckdb="LIST_SLICE(list_, begin_, end_)",
            ),
            sig(
                Parameter("text", TEXT),
                Parameter("begin_", WHOLE),
                Parameter("end_", WHOLE),
                to=STRING,
                duckdb="ARRAY_SLICE(text, begin_, end_)",
                key="text",
            ),
        ),
        "`l[2:4]`, the elements from one position to another, both included; of a text the characters.",
        _NULL_IN,
        aliases=("array_slice",),
    ),
    Function(
        "list_concat",
        (
            sig(
                Parameter("list_", ARRAY, many=True),
                to=_together,
                shown="that of all together",
                duckdb="LIST_CONCAT(list_)",
                unify=True,
            ),
        ),
        "Lists put together; NULLs are left out.",
        "when all are",
        (node(exp.ArrayConcat, "this", "expressions", ignored=("null_propagation",)),),
        aliases=(
            "array_cat",
            "list_cat",
        ),
    ),
    Function(
        "list_append",
        (sig(_LIST, _X, to=_with_element, shown="`array` of both together", duckdb="LIST_APPEND(list_, x)"),),
        "The list with `x` behind it.",
        "never",
        (node(exp.ArrayAppend, "this", "expression", ignored=("null_propagation",)),),
        aliases=(
            "array_append",
            "array_push_back",
        ),
    ),
    Function(
        "list_prepend",
        (sig(_X, _LIST, to=_with_element, shown="`array` of both together", duckdb="LIST_PREPEND(x, list_)"),),
        "The list with `x` before it.",
        "never",
        aliases=(
            "array_prepend",
            "array_push_front",
        ),
    ),
    Function(
        "list_position",
        (sig(_LIST, _X, to=_holding(INT), shown="`int`", duckdb="LIST_POSITION(list_, x)"),),
        "The position of the first `x`, from 1.",
        "when there is none, and when the list is",
        aliases=(
            "list_indexof",
            "array_position",
            "array_indexof",
        ),
    ),
    Function(
        "list_has_any",
        (sig(_LIST, _OTHER, to=_sharing(BOOLEAN), shown="`boolean`", duckdb="LIST_HAS_ANY(list_, other)"),),
        "`l && m`: whether they have an element in common.",
        _NULL_IN,
        (node(exp.ArrayOverlaps, "this", "expression", ignored=("null_safe",)),),
        aliases=("array_has_any",),
    ),
    Function(
        "list_has_all",
        (sig(_LIST, _OTHER, to=_sharing(BOOLEAN), shown="`boolean`", duckdb="LIST_HAS_ALL(list_, other)"),),
        "`l @> m`: whether the first has every element of the second.",
        _NULL_IN,
        (node(exp.ArrayContainsAll, "this", "expression"),),
        aliases=("array_has_all",),
    ),
    Function(
        "list_intersect",
        (sig(_LIST, _OTHER, to=_sharing(None), duckdb="LIST_SORT(LIST_INTERSECT(list_, other))"),),
        "The elements that both have, each once, in order.",
        _NULL_IN,
        aliases=("array_intersect",),
    ),
    Function(
        "list_distinct",
        (sig(_LIST, to=_same, duckdb="LIST_SORT(LIST_DISTINCT(list_))"),),
        "The elements that are not NULL, each once, in order.",
        _NULL_IN,
        (node(exp.ArrayDistinct, "this", ignored=("check_null",)),),
        aliases=("array_distinct",),
    ),
    Function(
        "list_unique",
        (settled(sig(_LIST, to=BIGINT, duckdb="LIST_UNIQUE(list_)")),),
        "Number of different elements that are not NULL.",
        _NULL_IN,
        aliases=("array_unique",),
    ),
    Function(
        "list_sort",
        (sig(_LIST, to=_same, duckdb="LIST_SORT(list_, 'ASC', 'NULLS LAST')"),),
        "In ascending order, NULLs last.",
        _NULL_IN,
        aliases=("array_sort",),
    ),
    Function(
        "list_reverse_sort",
        (sig(_LIST, to=_same, duckdb="LIST_SORT(list_, 'DESC', 'NULLS LAST')"),),
        "In descending order, NULLs last.",
        _NULL_IN,
        aliases=("array_reverse_sort",),
    ),
    Function(
        "list_reverse",
        (sig(_LIST, to=_same, duckdb="LIST_REVERSE(list_)"),),
        "The other way round.",
        _NULL_IN,
        (node(exp.ArrayReverse, "this"),),
        aliases=("array_reverse",),
    ),
    Function(
        "flatten",
        (sig(_LIST, to=_flat, shown="that of the inner lists", duckdb="FLATTEN(list_)"),),
        "The elements of all inner lists, in one.",
        _NULL_IN,
        (node(exp.Flatten, "this"),),
    ),
    Function(
        "list_count",
        (settled(sig(_LIST, to=BIGINT, duckdb="LIST_COUNT(list_)")),),
        "Number of elements that are not NULL.",
        _NULL_IN,
    ),
    _fold("list_sum", _of(NUMBER, _sum), "`decimal(38,s)` or `double`", "The sum of the elements"),
    _fold("list_avg", _of(NUMBER, DOUBLE), "`double`", "The mean of the elements"),
    _fold(
        "list_min", _of(ORDERED, _itself), "that of the elements", "The smallest element", node(exp.ArrayMin, "this")
    ),
    _fold(
        "list_max", _of(ORDERED, _itself), "that of the elements", "The greatest element", node(exp.ArrayMax, "this")
    ),
    _fold("list_bool_and", _of(TRUTH, BOOLEAN), "`boolean`", "Whether all elements are true"),
    _fold("list_bool_or", _of(TRUTH, BOOLEAN), "`boolean`", "Whether one element is true"),
    Function(
        "list_first",
        (sig(_LIST, to=_element, shown="that of the elements", duckdb="LIST_EXTRACT(list_, 1)"),),
        "The first element.",
        "when the list is empty or NULL, and when the element is",
        (node(exp.ArrayFirst, "this"),),
    ),
    Function(
        "list_last",
        (sig(_LIST, to=_element, shown="that of the elements", duckdb="LIST_EXTRACT(list_, -1)"),),
        "The last element.",
        "when the list is empty or NULL, and when the element is",
        (node(exp.ArrayLast, "this"),),
    ),
    Function(
        "array_to_string",
        (
            sig(
                _LIST,
                Parameter("separator", constant=constants.text),
                to=_of(TEXT | EXACT, STRING),
                shown="`string`",
                duckdb="ARRAY_TO_STRING(list_, separator)",
            ),
        ),
        "The elements as one text, with a separator between them; NULLs are left out.",
        "when the list is",
        (node(exp.ArrayToString, "this", "expression"),),
        aliases=(
            "list_to_string",
            "array_join",
        ),
    ),
    Function(
        "string_split",
        (
            sig(
                Parameter("text", TEXT),
                Parameter("separator", constant=constants.text),
                to=array(STRING),
                duckdb="STRING_SPLIT(text, separator)",
            ),
        ),
        "The parts of a text between separators.",
        _NULL_IN,
        (node(exp.Split, "this", "expression"),),
        aliases=(
            "str_split",
            "string_to_array",
            "split",
        ),
    ),
    Function(
        "unnest",
        (sig(_LIST, to=_element, shown="that of the elements", duckdb="UNNEST(list_)"),),
        "A row per element; beside others in one SELECT the shorter are filled up with NULL. No row of an empty list.",
        "when the element is",
        (node(exp.Explode, "this"),),
    ),
)

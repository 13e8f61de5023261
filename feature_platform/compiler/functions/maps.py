"""Functions of maps and of JSON, which DuckDB has. JSON is read from text by TRY_CAST(text AS json): what is no JSON is
NULL, where DuckDB would stop with the text in its message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.lists import element_of
from feature_platform.compiler.functions.model import (
    ANY,
    ARRAY,
    JSON_KINDS,
    MAP,
    SCALAR,
    TEXT,
    TEXT_KEYS,
    Function,
    Parameter,
    Result,
    Signature,
    node,
    settled,
    sig,
)
from feature_platform.compiler.numeric import Inferred, NoTypeError, comparable
from feature_platform.types import BIGINT, BOOLEAN, JSON, STRING, DataType, array, map_of, struct

_MAP: Final = Parameter("map_", MAP)
_KEY: Final = Parameter("key_", ANY)
_JSON: Final = Parameter("json_", JSON_KINDS)
_PATH: Final = Parameter("path", constant=constants.json_path)


def _same(types: Sequence[Inferred]) -> Inferred:
    return types[0]


def _key_of(type_: Inferred) -> DataType:
    assert isinstance(type_, DataType)
    assert type_.key is not None
    return type_.key


def _keys(types: Sequence[Inferred]) -> Inferred:
    return array(_key_of(types[0]))


def _values(types: Sequence[Inferred]) -> Inferred:
    return array(element_of(types[0]))


def _value_of_key(types: Sequence[Inferred]) -> Inferred:
    if not comparable(_key_of(types[0]), types[1]):
        raise NoTypeError(f"{types[1]} is no key of {types[0]}")
    return array(element_of(types[0]))


def _entries(types: Sequence[Inferred]) -> Inferred:
    return array(struct(("key", _key_of(types[0])), ("value", element_of(types[0]))))


def _from_entries(types: Sequence[Inferred]) -> Inferred:
    pair = element_of(types[0])
    if pair.kind != "struct" or len(pair.fields) != 2:
        raise NoTypeError("it takes a list of structs with two fields")
    return map_of(pair.fields[0][1], pair.fields[1][1])


def _counted(types: Sequence[Inferred]) -> Inferred:
    only = types[0]
    assert isinstance(only, DataType)
    return map_of(only, BIGINT)


def _contains_key(types: Sequence[Inferred]) -> Inferred:
    _value_of_key(types)
    return BOOLEAN


def _reading(name: str, to: Result, *more: Parameter, key: str = "") -> tuple[Signature, Signature]:
    """Signatures for JSON, and for text that is read as JSON first."""
    inside = "".join(f", {parameter.name}" for parameter in more)
    plain = sig(Parameter("json_", JSON_KINDS), *more, to=to, duckdb=f"{name}(json_{inside})", key=key)
    read = f"{name}(TRY_CAST(json_ AS JSON){inside})"
    of_text = sig(Parameter("json_", TEXT), *more, to=to, duckdb=read, key=f"{key}text")
    return settled(plain), settled(of_text)


_OPENED: Final = ("only_json_types", "scalar_only")
_MISSING: Final = "when the JSON is, or there is nothing at the path"

FUNCTIONS: Final = (
    Function(
        "map_keys",
        (sig(_MAP, to=_keys, shown="`array` of the keys", duckdb="MAP_KEYS(map_)"),),
        "The keys, as a list.",
        "when the map is",
        (node(exp.MapKeys, "this"),),
    ),
    Function(
        "map_values",
        (settled(sig(_MAP, to=_values, shown="`array` of the values", duckdb="MAP_VALUES(map_)")),),
        "The values, as a list.",
        "when the map is",
    ),
    Function(
        "map_entries",
        (settled(sig(_MAP, to=_entries, shown="`array` of `struct`", duckdb="MAP_ENTRIES(map_)")),),
        "The pairs, as a list of structs `{key, value}`.",
        "when the map is",
    ),
    Function(
        "map_from_entries",
        (sig(Parameter("list_", ARRAY), to=_from_entries, shown="`map`", duckdb="MAP_FROM_ENTRIES(list_)"),),
        "The map of a list of pairs. Keys that occur twice stop the run.",
        "when the list is",
        (node(exp.MapFromEntries, "this"),),
    ),
    Function(
        "map_extract",
        (settled(sig(_MAP, _KEY, to=_value_of_key, shown="`array` of the values", duckdb="MAP_EXTRACT(map_, key_)")),),
        "The value of a key, as a list of one or no element.",
        "when the map is",
        aliases=("element_at",),
    ),
    Function(
        "map_contains",
        (
            sig(
                Parameter("column_of_maps", MAP, stored_keys=TEXT_KEYS),
                Parameter("key_", TEXT_KEYS),
                to=_contains_key,
                shown="`boolean`",
                duckdb="MAP_CONTAINS(column_of_maps, key_)",
                postgres="JSONB_EXISTS(column_of_maps, CAST(key_ AS TEXT))",
                key="stored map",
            ),
            sig(_MAP, _KEY, to=_contains_key, shown="`boolean`", duckdb="MAP_CONTAINS(map_, key_)"),
        ),
        "Whether the map has the key.",
        "when an argument is",
    ),
    Function(
        "cardinality",
        (settled(sig(_MAP, to=BIGINT, duckdb="CARDINALITY(map_)")),),
        "Number of pairs.",
        "when the map is",
    ),
    Function(
        "histogram",
        (settled(sig(Parameter("x", SCALAR), to=_counted, shown="`map` to `bigint`", duckdb="HISTOGRAM(x)")),),
        "A map from every input to how often it occurs, in the order of the inputs.",
        "when there is no input that is not",
        form="aggregate",
        windowed=False,
    ),
    Function(
        "to_json",
        (sig(Parameter("x", ANY), to=JSON, duckdb="TO_JSON(x)"),),
        "The value as JSON.",
        "when the value is",
        aliases=("row_to_json", "array_to_json"),
    ),
    Function(
        "json_array",
        (sig(Parameter("x", ANY, many=True), to=JSON, duckdb="JSON_ARRAY(x)"),),
        "A JSON array of the values.",
        "never",
        (node(exp.JSONArray, "expressions"),),
    ),
    Function(
        "json_extract",
        _reading("JSON_EXTRACT", JSON, _PATH),
        "`j -> path`, the JSON at a path: a key, `$.key[0].other` or a position.",
        _MISSING,
        (node(exp.JSONExtract, "this", "expression", ignored=_OPENED),),
        ("json_extract_path",),
    ),
    Function(
        "json_extract_string",
        _reading("JSON_EXTRACT_STRING", STRING, _PATH),
        "`j ->> path`, the text at a path, without its quotes.",
        _MISSING,
        (node(exp.JSONExtractScalar, "this", "expression", ignored=_OPENED),),
        ("json_extract_path_text",),
    ),
    Function(
        "json_exists",
        _reading("JSON_EXISTS", BOOLEAN, _PATH),
        "Whether there is anything at the path.",
        _MISSING,
        (node(exp.JSONExists, "this", "path"),),
    ),
    Function(
        "json_array_length",
        (*_reading("JSON_ARRAY_LENGTH", BIGINT), *_reading("JSON_ARRAY_LENGTH", BIGINT, _PATH, key="path")),
        "Number of elements of a JSON array.",
        _MISSING,
    ),
    Function(
        "json_type",
        (*_reading("JSON_TYPE", STRING), *_reading("JSON_TYPE", STRING, _PATH, key="path")),
        "What kind of JSON it is, in capital letters.",
        _MISSING,
        (node(exp.JSONType, "this", "expression"),),
    ),
    Function(
        "json_keys",
        (*_reading("JSON_KEYS", array(STRING)), *_reading("JSON_KEYS", array(STRING), _PATH, key="path")),
        "The keys of a JSON object.",
        _MISSING,
        (node(exp.JSONKeys, "this", "expression"),),
    ),
    Function(
        "map_concat",
        (sig(Parameter("map_", MAP, many=True), to=_same, duckdb="MAP_CONCAT(map_)", unify=True),),
        "The pairs of all maps; of a key that several have that of the last.",
        "when all are",
    ),
    Function(
        "json_contains",
        (sig(_JSON, Parameter("part", JSON_KINDS), to=BOOLEAN, duckdb="JSON_CONTAINS(json_, part)"),),
        "Whether the one JSON contains the other.",
        "when an argument is",
    ),
    Function(
        "json_merge_patch",
        (sig(_JSON, Parameter("patch", JSON_KINDS), to=JSON, duckdb="JSON_MERGE_PATCH(json_, patch)"),),
        "The one JSON object with the members of the other put over it.",
        "when an argument is",
    ),
    Function(
        "json_valid",
        (sig(Parameter("text", TEXT), to=BOOLEAN, duckdb="JSON_VALID(text)"),),
        "Whether a text is JSON.",
        "when the text is",
    ),
)

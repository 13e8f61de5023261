"""The logical types: their names, and what they are in each engine."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.types import (
    BIGINT,
    DATE,
    INT,
    JSON,
    STRING,
    TIMESTAMP,
    DataType,
    array,
    decimal,
    map_of,
    struct,
)

SCALARS = st.sampled_from(["boolean", "int", "bigint", "double", "string", "date", "timestamp", "json"]).map(
    DataType.parse
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


def nested(inner: st.SearchStrategy[DataType]) -> st.SearchStrategy[DataType]:
    fields = st.lists(st.tuples(NAMES, inner), min_size=1, max_size=3, unique_by=lambda field: field[0].lower())
    return st.one_of(inner.map(array), st.builds(map_of, inner, inner), fields.map(lambda given: struct(*given)))


@given(st.recursive(st.one_of(SCALARS, st.builds(decimal, st.integers(9, 38), st.integers(0, 9))), nested))
def test_a_type_is_read_back_from_its_name(type_: DataType) -> None:
    assert DataType.parse(str(type_)) == type_


def test_a_nested_type_has_its_name_in_duckdb_and_its_arrow_type() -> None:
    type_ = DataType.parse('struct<a: bigint, "b c": map<string, array<decimal(18,2)>>, j: json>')
    assert type_.sql("duckdb") == 'STRUCT("a" BIGINT, "b c" MAP(VARCHAR, DECIMAL(18, 2)[]), "j" JSON)'
    assert type_.arrow() == pa.struct(
        [
            ("a", pa.int64()),
            ("b c", pa.map_(pa.string(), pa.list_(pa.decimal128(18, 2)))),
            ("j", pa.string()),
        ]
    )


@pytest.mark.parametrize(
    "type_",
    [struct(("a", BIGINT)), map_of(STRING, array(BIGINT)), map_of(array(STRING), BIGINT), JSON, array(array(BIGINT))],
)
def test_postgres_and_the_stores_have_no_nested_types_but_arrays_and_maps_of_scalars(type_: DataType) -> None:
    assert not type_.is_stored
    with pytest.raises(ValueError, match="postgres has no form of"):
        type_.sql("postgres")
    assert array(BIGINT).is_stored
    assert array(BIGINT).sql("postgres") == "BIGINT[]"
    assert map_of(STRING, decimal(18, 2)).is_stored
    assert map_of(STRING, decimal(18, 2)).sql("postgres") == "JSONB"


@pytest.mark.parametrize(
    "text", ["struct<>", "struct<a>", "map<int>", "array<int, int>", "struct<a: int, A: int>", "x"]
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write array<type>|two fields|unknown type"):
        DataType.parse(text)


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (INT, "INT"),
        (STRING, "STRING"),
        (TIMESTAMP, "DATETIME(6)"),
        (decimal(18, 2), "DECIMAL(18, 2)"),
        (array(decimal(9, 4)), "ARRAY<DECIMAL(9, 4)>"),
        (map_of(STRING, BIGINT), "MAP<STRING, BIGINT>"),
        (struct(("a`b", DATE), ("c", array(TIMESTAMP))), "STRUCT<`a``b`:DATE, `c`:ARRAY<DATETIME(6)>>"),
    ],
)
def test_doris_has_a_name_for_every_type_and_no_bare_datetime(type_: DataType, name: str) -> None:
    assert type_.sql("doris") == name

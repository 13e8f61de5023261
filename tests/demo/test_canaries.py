"""The demonstration's canaries: in every classified column, valid, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from feature_platform.canaries.listing import FILE_NAME, SHORTEST, read_canaries
from feature_platform.demo.canaries import canaries, canary_rows
from feature_platform.demo.generate import CANARY_FILE, DemoData, generate
from feature_platform.demo.tables import TABLES
from feature_platform.governance.detection.validators import valid_part
from feature_platform.registry.load import load_registry

EXAMPLE = Path(__file__).parents[2] / "feature_defs"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    return generate(tmp_path_factory.mktemp("canaries"), transactions=20_000)


def test_every_classified_column_of_every_source_has_canaries() -> None:
    sources = load_registry(EXAMPLE).sources
    wanted = {
        (name, column)
        for name, source in sources.items()
        for column, spec in source.spec.columns.items()
        if spec.pii not in (None, "none")
    }
    assert {(table, column) for table, column, _ in canaries()} == wanted


def test_values_are_unique_per_person_and_long_enough() -> None:
    by_column: dict[tuple[str, str], list[str]] = {}
    for table, column, value in canaries():
        by_column.setdefault((table, column), []).append(value)
        assert len(value) >= SHORTEST
    assert all(len(set(values)) == len(values) == 3 for values in by_column.values())


@pytest.mark.parametrize("classification", ["payment_card", "email", "iban", "ip_address"])
def test_numbers_are_valid_where_numbers_can_be(classification: str) -> None:
    columns = {(table.name, each.name): each.pii for table in TABLES for each in table.columns}
    values = {value for table, column, value in canaries() if columns[table, column] == classification}
    assert values
    assert [value for value in values if valid_part(classification, value) is None] == []


def test_no_generated_value_is_a_canarys(data: DemoData) -> None:
    with duckdb.connect() as database:
        for table in TABLES:
            files = [str(file) for file in (data.folder / table.name).iterdir() if file.name != CANARY_FILE]
            generated = database.read_parquet(files)
            for column in table.columns:
                values = [value for name, each, value in canaries() if (name, each) == (table.name, column.name)]
                if values:
                    found = generated.filter(f"CAST({column.name} AS VARCHAR) IN {(*values, '')!r}")
                    assert found.fetchall() == [], (table.name, column.name)


def test_the_list_lies_beside_the_data_for_its_owner_alone(data: DemoData) -> None:
    file = data.folder / FILE_NAME
    listed = read_canaries(file, load_registry(EXAMPLE))
    assert {(each.source, each.column, each.value) for each in listed} == set(canaries())
    assert file.stat().st_mode & 0o077 == 0


def test_rows_have_the_columns_of_their_table() -> None:
    for table in TABLES:
        rows: pa.Table = canary_rows(table)
        assert rows.schema.equals(table.schema.arrow())
        assert rows.num_rows == 3

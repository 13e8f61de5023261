"""Rows on the terminal and in files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_platform.cli.screen import Screen
from feature_platform.cli.tables import plain_table, show_result, shown
from feature_platform.errors import UsageError
from feature_platform.sdk.results import ColumnInfo, Result


def result(**columns: list[Any]) -> Result:
    table = pa.table(columns)
    infos = tuple(ColumnInfo(name, str(table.schema.field(name).type)) for name in table.column_names)
    return Result(infos, lambda: table.to_reader(max_chunksize=2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "·"),
        (Decimal("1.10"), "1.10"),
        (1 / 3, "0.333333"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01"),
        (datetime(2026, 1, 1, 6, 30, tzinfo=UTC), "2026-01-01 06:30:00"),
        ("[red]", "[red]"),
    ],
)
def test_a_value_is_shown_as_people_read_it(value: Any, text: str) -> None:
    assert shown(value) == text


def test_only_so_many_rows_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(Screen(machine=True), result(a=[1, 2, 3, 4, 5]), None, 3)
    assert json.loads(capsys.readouterr().out)["rows"] == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_markup_in_data_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(Screen(), result(a=["[bold]x[/bold]"]), None, 3)
    assert "[bold]x[/bold]" in capsys.readouterr().out


def test_all_rows_are_written_to_a_file(tmp_path: Path) -> None:
    show_result(Screen(machine=True), result(a=[1, 2, 3, 4, 5]), tmp_path / "rows.parquet", 3)
    assert pq.read_table(tmp_path / "rows.parquet").to_pydict() == {"a": [1, 2, 3, 4, 5]}


def test_a_file_of_an_unknown_kind_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FP-CLI-004"):
        show_result(Screen(), result(a=[1]), tmp_path / "rows.xlsx", 3)


def test_brackets_in_names_and_values_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(machine=False).show({}, lambda: [plain_table(["l[a]", "[red]"], [["[/]", "[bold]x"]])])
    assert capsys.readouterr().out.split() == ["l[a]", "[red]", "[/]", "[bold]x"]

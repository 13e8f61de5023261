"""What the command line prints for people and for machines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from feature_platform.cli.screen import QUERY, Screen, Texts, print_problems
from feature_platform.errors import Location, Problem

PROBLEM = Problem("FP-SPEC-001", "there is no field `kid` here", "write `kind`", Location("a.yaml", 2, 3))


def write_definition(folder: Path, content: str) -> Path:
    (folder / "a.yaml").write_text(content, encoding="utf-8")
    return folder


def test_a_problem_shows_place_code_line_caret_and_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_definition(tmp_path, "name: x\n  kid: y\n")
    print_problems([PROBLEM], texts=Texts(root), machine=False)
    assert capsys.readouterr().err.splitlines() == [
        "a.yaml:2:3: FP-SPEC-001: there is no field `kid` here",
        "    2 │   kid: y",
        "          ^",
        "  mend: write `kind`",
        "",
        "1 problem",
    ]


@pytest.mark.parametrize("content", ["only one line", ""])
def test_a_line_that_is_not_there_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    print_problems([PROBLEM], texts=Texts(write_definition(tmp_path, content)), machine=False)
    assert "│" not in capsys.readouterr().err


def test_a_problem_of_a_query_shows_the_query(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem("FP-SQL-006", "no such column", "look", Location(QUERY, 1, 8))
    print_problems([problem], texts=Texts(query="SELECT x FROM y"), machine=False)
    assert capsys.readouterr().err.splitlines()[1:3] == ["    1 │ SELECT x FROM y", "               ^"]


def test_brackets_in_a_problem_are_text_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_problems([Problem("FP-SPEC-001", "no field [bold]", "use [red]")], texts=Texts(), machine=False)
    text = capsys.readouterr().err
    assert "no field [bold]" in text
    assert "use [red]" in text


def test_a_machine_gets_problems_as_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    print_problems([PROBLEM], texts=Texts(), machine=True)
    assert json.loads(capsys.readouterr().out) == {
        "problems": [
            {
                "code": "FP-SPEC-001",
                "what": "there is no field `kid` here",
                "mend": "write `kind`",
                "file": "a.yaml",
                "line": 2,
                "column": 3,
            }
        ]
    }


def test_json_keeps_every_digit_of_a_decimal_and_the_zone_of_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(machine=True).show({"a": Decimal("1.10"), "t": datetime(2026, 1, 1, tzinfo=UTC)}, list)
    assert json.loads(capsys.readouterr().out) == {"a": "1.10", "t": "2026-01-01T00:00:00+00:00"}


def test_without_a_terminal_nothing_is_animated(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    with screen.working("compiling"), screen.counting("writing") as count:
        count(3)
    assert capsys.readouterr() == ("", "")

"""Explanations of errors: complete, true, current."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feature_platform.cli.explain.catalogue import all_codes
from feature_platform.cli.explain.examples import Example, examples, problems_of, problems_of_better
from feature_platform.cli.explain.pages import main, pages
from feature_platform.cli.main import app

DOCS = Path(__file__).parents[2] / "docs" / "reference"
RUN = {code: example for code, example in examples().items() if example.runs}


def test_every_code_has_an_example_or_says_what_to_do() -> None:
    assert set(examples()) == set(all_codes())


@pytest.mark.parametrize("code", RUN)
def test_the_mistake_of_an_example_gives_its_error(code: str) -> None:
    assert code in {problem.code for problem in problems_of(RUN[code])}


@pytest.mark.parametrize("code", [code for code, example in RUN.items() if example.better])
def test_what_to_write_instead_is_right(code: str) -> None:
    assert problems_of_better(RUN[code]) == []


def test_an_example_that_changes_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 times"):
        problems_of(Example.model_validate({"changes": [{"from": "is not there", "to": ""}]}))


def test_the_pages_in_the_repository_are_current() -> None:
    found = {"errors.md": (DOCS / "errors.md").read_text(encoding="utf-8")}
    found |= {f"errors/{path.name}": path.read_text(encoding="utf-8") for path in (DOCS / "errors").iterdir()}
    assert found == pages(), "renew them: make docs"


def test_every_link_of_the_index_leads_to_a_page() -> None:
    written = pages()
    assert set(re.findall(r"\]\((errors/[^)]+)\)", written["errors.md"])) == set(written) - {"errors.md"}


def test_pages_of_codes_that_are_no_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "errors").mkdir()
    (tmp_path / "errors" / "FP-OLD-001.md").write_text("old")
    main(tmp_path)
    assert not (tmp_path / "errors" / "FP-OLD-001.md").exists()
    assert (tmp_path / "errors" / "FP-SQL-020.md").exists()


@pytest.mark.parametrize("written", ["FP-SQL-020", "fp-sql-020", "sql-20"])
def test_a_code_is_explained_in_the_terminal(written: str) -> None:
    result = CliRunner().invoke(app, ["explain", written])
    assert result.exit_code == 0, result.output
    assert "Column is denied by policy" in result.stdout
    assert "<query>:1:21: FP-SQL-020" in result.stdout


def test_machines_get_the_page_as_a_field() -> None:
    answer = json.loads(CliRunner().invoke(app, ["explain", "FP-RUN-005", "--json"]).stdout)
    assert answer["code"] == "FP-RUN-005"
    assert "## What to do" in answer["page"]


def test_an_unknown_code_is_wrong_usage() -> None:
    result = CliRunner().invoke(app, ["explain", "FP-SQL-920"])
    assert result.exit_code == 2
    assert "Did you mean 'FP-SQL-020'?" in result.stderr

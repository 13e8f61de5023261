"""``fp profile`` in a project: what the values of a source say decides whether its readers compile."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.errors import CompileError, GuardError, UsageError
from feature_platform.project.project import Project
from feature_platform.project.source_profiles import refresh
from feature_platform.project.state import STATE_VARIABLE, source_profiles_file

TEMPLATE = Path(__file__).parents[2] / "feature_platform" / "templates"
UNDECLARED = "  contact: {type: string}"
QUERY = "SELECT customer_id, contact FROM customers"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template's project; its customers have a column `contact` that nobody classified, with addresses in it."""
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    folder = tmp_path / "shop"
    shutil.copytree(TEMPLATE / "project", folder)
    shutil.copytree(TEMPLATE / "data", folder / ".fp" / "data")
    customers = folder / ".fp" / "data" / "customers.csv"
    header, *rows = customers.read_text(encoding="utf-8").splitlines()
    lines = [f"{header},contact", *(f"{row},mail{number}@example.com" for number, row in enumerate(rows))]
    customers.write_text("\n".join(lines) + "\n", encoding="utf-8")
    declare(folder, UNDECLARED)
    return folder


@pytest.fixture
def linked(root: Path) -> Iterator[Project]:
    with Project.linked(root) as opened:
        yield opened


def declare(root: Path, line: str) -> None:
    """Declares the column `contact`."""
    file = root / "shop" / "sources.yaml"
    lines = [each for each in file.read_text(encoding="utf-8").splitlines() if not each.startswith("  contact:")]
    lines.insert(next(n for n, each in enumerate(lines) if each.startswith("  email:")) + 1, line)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def query(root: Path) -> str:
    from feature_platform.compiler.project import compile_query

    with Project.open(root) as opened:
        access = opened.access("recommendations", "author")
        return compile_query(QUERY, opened.registry, opened.compiled, access).sql["duckdb"]


def profile(root: Path, *options: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, ["profile", "--project", str(root), "--json", *options])
    return result.exit_code, json.loads(result.stdout)


def test_without_a_profile_names_alone_decide(root: Path) -> None:
    assert '"contact"' in query(root)


def test_an_unclassified_column_with_personal_values_does_not_compile_once_it_was_profiled(
    root: Path, linked: Project
) -> None:
    refresh(linked)
    with pytest.raises(GuardError, match=r"FP-SQL-024.*'contact'.*looks like email \(by pattern, 100.0% of the values"):
        query(root)


@pytest.mark.parametrize(
    ("line", "compiles"),
    [
        ("  contact: {type: string, pii: none}", False),
        ("  contact: {type: string, pii: none, pii_reason: Addresses of our own shops.}", True),
    ],
)
def test_none_overrides_a_profile_only_with_a_reason(root: Path, linked: Project, line: str, compiles: bool) -> None:
    refresh(linked)
    declare(root, line)
    if compiles:
        assert '"contact"' in query(root)
    else:
        with pytest.raises(GuardError, match="is declared `none` without a reason"):
            query(root)


def test_the_command_shows_overrides_and_fails_for_what_is_open(root: Path) -> None:
    code, answer = profile(root)
    (contact,) = (line for line in answer["columns"] if line["column"] == "contact")
    assert (code, contact["verdict"]) == (1, "looks personal, not declared")
    declare(root, "  contact: {type: string, pii: none, pii_reason: Our own shops.}")
    code, answer = profile(root)
    (contact,) = (line for line in answer["columns"] if line["column"] == "contact")
    assert (code, contact["verdict"]) == (0, "overridden: Our own shops.")
    assert not any(each["fresh"] for each in answer["sources"])
    assert "example.com" not in json.dumps(answer) + source_profiles_file(root / ".fp", "local").name


def test_only_data_that_changed_is_looked_at_again(root: Path, linked: Project) -> None:
    assert [each.fresh for each in refresh(linked)] == [True, True]
    assert [each.fresh for each in refresh(linked)] == [False, False]
    assert [each.fresh for each in refresh(linked, ["orders"], force=True)] == [True]
    file = root / ".fp" / "data" / "customers.csv"
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert {each.source: each.fresh for each in refresh(linked)} == {"customers": True, "orders": False}


def test_a_compiled_view_does_not_outlive_what_was_found_since(root: Path, linked: Project) -> None:
    views = root / "shop" / "views.yaml"
    text = views.read_text(encoding="utf-8")
    assert "updated_at, country," in text
    views.write_text(text.replace("updated_at, country,", "updated_at, contact, country,", 1), encoding="utf-8")
    Project.open(root).close()
    Project.open(root).close()  # from the cache
    refresh(linked)
    with pytest.raises(CompileError, match="looks like email"):
        Project.open(root)
    declare(root, "  contact: {type: string, pii: none, pii_reason: Our own shops.}")
    Project.open(root).close()


def test_an_unknown_source_is_named(linked: Project) -> None:
    with pytest.raises(UsageError, match=r"FP-PROJ-007.*Did you mean 'customers'"):
        refresh(linked, ["custmers"])

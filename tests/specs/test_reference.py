"""The generated pages are complete, and those in the repository are current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from feature_platform.specs import codes
from feature_platform.specs.models import KINDS
from feature_platform.specs.reference import all_codes, errors_page, main, yaml_page

_DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_kind_has_a_row(kind: str) -> None:
    section = yaml_page().split(f"\n## {kind}\n")[1].split("\n## ")[0]
    for name in KINDS[kind].model_fields:
        assert f"| `{name}` |" in section


def test_no_python_shows_through() -> None:
    page = yaml_page()
    for word in ("NoneType", "typing", "<class", "Annotated", "PydanticUndefined", "tuple["):
        assert word not in page


def test_every_link_in_the_page_leads_somewhere() -> None:
    page = yaml_page()
    anchors = {line.lstrip("# ").replace(" ", "-") for line in page.splitlines() if line.startswith("#")}
    targets = {part.split(")")[0] for part in page.split("](#")[1:]}
    assert targets <= anchors


def test_the_catalogue_has_every_code_of_every_package() -> None:
    page = errors_page()
    assert {codes.SYNTAX, codes.ALIAS} <= set(all_codes())
    for code in all_codes():
        assert f"### {code.id}: {code.title}" in page


def test_generating_changes_nothing_in_the_repository(tmp_path: Path) -> None:
    main(tmp_path)
    for page in ("yaml.md", "errors.md"):
        assert (tmp_path / page).read_text() == (_DOCS / page).read_text(), f"{page} is old: run `make docs`"


def test_it_runs_as_a_command(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "feature_platform.specs.reference", str(tmp_path)], check=True, timeout=120)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors.md", "yaml.md"]

"""The generated page is complete, and the one in the repository is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from feature_platform.specs.models import KINDS
from feature_platform.specs.reference import main, yaml_page

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


def test_generating_changes_nothing_in_the_repository(tmp_path: Path) -> None:
    main(tmp_path)
    assert (tmp_path / "yaml.md").read_text() == (_DOCS / "yaml.md").read_text(), "the page is old: run `make docs`"


def test_it_runs_as_a_command(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "feature_platform.specs.reference", str(tmp_path)], check=True, timeout=120)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["yaml.md"]

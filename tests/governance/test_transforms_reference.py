"""The page on transforms in the repository is the one that the catalogue gives."""

from __future__ import annotations

from pathlib import Path

from feature_platform.governance.transforms.reference import PAGE, transforms_page

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def test_the_page_on_transforms_is_up_to_date() -> None:
    assert (DOCS / PAGE).read_text(encoding="utf-8") == transforms_page(), "run `make docs`"

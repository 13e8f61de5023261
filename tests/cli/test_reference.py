"""The page on the command line says what the commands say."""

from __future__ import annotations

from pathlib import Path

from feature_platform.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_is_up_to_date() -> None:
    renew = "renew it: python -m feature_platform.cli.reference docs/reference/cli.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), renew

"""Draws the pictures of the page on time and fills in its answers: ``python -m docs.pictures.draw``.

Nothing is drawn by hand: which payments count, which row answers and what a partition serves is what the plain-Python
reference of the tests says about the page's own YAML and tables. A test draws everything again and compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from docs.pictures import page
from docs.pictures.page import QUESTIONS, Question
from docs.pictures.rows import derived_picture, partitions_picture, rows_picture
from docs.pictures.windows import window_pictures

FOLDER: Final = page.PAGE.parents[1] / "images" / "time"


def pictures() -> Mapping[str, str]:
    """File name → SVG."""
    drawn = {
        **window_pictures(),
        "rows": rows_picture(),
        "partitions": partitions_picture(),
        "derived": derived_picture(),
    }
    return {f"{slug}.svg": picture.render() for slug, picture in drawn.items()}


def answered(text: str) -> str:
    """The page with its answers filled in."""
    for slug in QUESTIONS:
        place = re.compile(rf"(?<=<!-- answers: {slug} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        text, found = place.subn(f"\n{_answers(slug)}\n", text)
        assert found == 1, f"the page has {found} places for the answers '{slug}'"
    return text


def _answers(slug: str) -> str:
    windowed = all(page.view_of(each.view).aggregations for each in QUESTIONS[slug])
    head = ["at", "feature", *(["counts payments"] if windowed else []), "value"]
    lines = [head, ["---"] * len(head)]
    for question in QUESTIONS[slug]:
        numbers = [_numbers(question)] if windowed else []
        name = f"`{question.view}:{question.feature}`"
        lines.append([f"{question.at:%Y-%m-%d %H:%M}", name, *numbers, written(question, page.answer(question))])
    return _table(lines)


def _numbers(question: Question) -> str:
    return ", ".join(
        str(event["payment"]) for event in sorted(page.counted(question), key=lambda event: event["payment"])
    )


def written(question: Question, value: Any) -> str:
    """A value as the page writes it: amounts with their two places."""
    if value is None:
        return "NULL"
    return f"{float(value):.2f}" if question.feature.startswith("amount") else f"{float(value):.10g}"


def _table(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main(folder: Path = FOLDER) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures().items():
        (folder / name).write_text(svg, encoding="utf-8")
    page.PAGE.write_text(answered(page.text()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

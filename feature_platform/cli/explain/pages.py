"""Generates ``errors.md``, the index of all errors, and a page for each of them under ``errors/``:
``python -m feature_platform.cli.explain.pages docs/reference``.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from feature_platform.cli.explain.catalogue import FAMILIES, all_codes, family
from feature_platform.cli.explain.examples import FILE, Example, changed_project, examples, problems_of, project_text
from feature_platform.errors import Code, Problem

INDEX: Final = "errors.md"
FOLDER: Final = "errors"


def index_page() -> str:
    """All errors by family, as Markdown, each with a link to its page."""
    lines = [
        "# Errors",
        "",
        "Generated from the `codes` module of every package by `make docs`; do not edit.",
        "",
        "Every error that an author or user can cause has a code, a place (file, line, column), what is wrong, and how",
        "to mend it. All that can be found at once is reported at once. `fp explain CODE` shows a page in a terminal.",
    ]
    current = ""
    for code in all_codes().values():
        if family(code.id) != current:
            current = family(code.id)
            lines += ["", f"## {FAMILIES.get(current, current)} (FP-{current})", "", "| code | |", "|---|---|"]
        lines.append(f"| [{code.id}]({FOLDER}/{code.id}.md) | {code.title} |")
    return "\n".join(lines) + "\n"


def error_page(code: Code) -> str:
    """What the error means, a mistake that causes it with what the platform says, and what to do, as Markdown."""
    lines = [f"# {code.id}: {code.title}", "", code.explanation]
    if example := examples().get(code.id):
        lines += _example(example, code)
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """The content of every generated file by its path in the reference's folder."""
    written = {f"{FOLDER}/{code.id}.md": error_page(code) + _BACK for code in all_codes().values()}
    return {INDEX: index_page(), **written}


def main(folder: Path) -> None:
    """Writes all pages below ``folder``; removes pages of codes that are no more."""
    wanted = pages()
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for old in (folder / FOLDER).glob("*.md"):
        if f"{FOLDER}/{old.name}" not in wanted:
            old.unlink()
    for path, text in wanted.items():
        (folder / path).write_text(text, encoding="utf-8")


_BACK: Final = f"\n[All errors](../{INDEX})\n"


def _example(example: Example, code: Code) -> Iterator[str]:
    if example.runs:
        yield from ("", "## Example", "")
        yield from _mistake(example)
        said = [problem for problem in problems_of(example) if problem.code == code.id]
        yield from ("", "The platform says:", "", *_block("text", _said(said)))
    if example.better:
        language = "sql" if example.query else _language(example.file)
        yield from ("", "Write instead:", "", *_block(language, example.better))
    if example.note:
        yield from ("", example.note)
    if example.steps:
        yield from ("", "## What to do", "", *(f"* {step}" for step in example.steps))


def _mistake(example: Example) -> Iterator[str]:
    if example.query:
        role = f" and role `{example.role}`" if example.role != "author" else ""
        yield from (f"A query for purpose `{example.purpose}`{role}:", "", *_block("sql", example.query))
    elif example.document:
        yield from (f"A file `{example.file}`:", "", *_block(_language(example.file), _visible(example.document)))
    else:
        changed = _difference(example) if example.changes else ""
        if changed:
            yield from (f"A change of [a small project]({_PROJECT}):", "", *_block("diff", changed))
        if example.add:
            where = f"Beside the documents of [a small project]({_PROJECT}):"
            yield from (*(("", "and beside its documents:") if changed else (where,)), "", *_block("yaml", example.add))


_PROJECT: Final = f"../../../feature_platform/cli/explain/{FILE}"


def _said(problems: list[Problem]) -> str:
    return "\n".join(str(problem) for problem in problems)


def _difference(example: Example) -> str:
    changed = changed_project(example.model_copy(update={"add": ""}))
    lines = difflib.unified_diff(project_text().splitlines(), changed.splitlines(), n=1, lineterm="")
    return "\n".join("..." if line.startswith("@@") else line for line in list(lines)[3:])


def _visible(text: str) -> str:
    """Tabs would look like the blanks that they must not be."""
    return text.replace("\t", "→")


def _language(file: str) -> str:
    return "json" if file.endswith(".json") else "yaml"


def _block(language: str, text: str) -> Iterator[str]:
    yield from (f"```{language}", *text.rstrip("\n").split("\n"), "```")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m feature_platform.cli.explain.pages FOLDER")
    main(Path(sys.argv[1]))

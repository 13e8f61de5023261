"""Documentation that can be followed: links lead somewhere, and every ``fp`` command that a page shows exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from feature_platform.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "feature_defs").rglob("*.md")])
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:docs|tests|feature_platform|feature_defs|benchmarks|deploy)/[\w./-]+)`")
FP = typer.main.get_command(app)


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in HEADING.findall(prose(page))
    }


def commands(page: Path) -> Iterator[str]:
    """The ``fp`` commands of a page's blocks, their comments and what they are piped into left out."""
    for _, block in FENCED.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            if found := re.match(r"(?:\$ )?fp (.+)", line.strip()):
                yield found[1]


def mistakes(command: str) -> Iterator[str]:
    """Words of ``command`` that name no command or option of ``fp``."""
    words = shlex.split(re.split(r" [|>] ", command)[0], comments=True)
    here: Any = FP
    for word in words:
        if hasattr(here, "commands"):
            if word not in here.commands:
                yield f"there is no command '{word}'"
                return
            here = here.commands[word]
        elif word.startswith("-") and word != "-":
            options = {name for each in here.params for name in (*each.opts, *each.secondary_opts)} | {"-h", "--help"}
            if word.split("=")[0] not in options:
                yield f"there is no option '{word}'"


def test_every_link_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for link in LINK.findall(prose(page)):
            name, _, anchor = link.partition("#")
            target = page if not name else (page.parent / name).resolve()
            if re.match(r"https?:", link):
                continue
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []


def test_every_path_in_the_text_is_there() -> None:
    named = {(page, path) for page in PAGES for path in PATH.findall(prose(page))}
    assert len(named) > 20
    assert sorted(f"{page.relative_to(ROOT)}: {path}" for page, path in named if not (ROOT / path).exists()) == []


def test_every_test_that_a_page_cites_is_there() -> None:
    pages = [page for page in PAGES if page.parent.name != "reference"]  # `test_all_types` is a function of DuckDB
    cited = {(page, name) for page in pages for name in re.findall(r"`(test_\w+)`", prose(page))}
    known = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(cited) > 10
    assert sorted(f"{page.relative_to(ROOT)}: {name}" for page, name in cited if name not in known) == []


def test_every_command_that_a_page_shows_exists() -> None:
    shown = [(page, command) for page in PAGES for command in commands(page) if page.name != "cli.md"]
    assert len(shown) > 60
    wrong = [f"{page.relative_to(ROOT)}: fp {each}: {why}" for page, each in shown for why in mistakes(each)]
    assert wrong == []


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("plan --as-of 2026-07-01  # a comment", []),
        ("plna", ["there is no command 'plna'"]),
        ("audit export --sinse 2026-07-01", ["there is no option '--sinse'"]),
    ],
)
def test_what_the_check_of_commands_finds(command: str, found: list[str]) -> None:
    assert list(mistakes(command)) == found

"""The tutorial does what it says: every command of it is run, and what it shows is what comes out."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from feature_platform.project.state import STATE_VARIABLE
from tests.processes import child

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@dataclass(frozen=True)
class Step:
    """A command and what the page shows of it. ``…`` stands for any text; alone on a line, for any lines."""

    command: str
    shown: str
    exit_code: int


def steps(page: str) -> Iterator[Step]:
    for block in re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = entry.splitlines()
            command = [lines.pop(0)]
            while lines and lines[0].startswith("> "):
                command.append(lines.pop(0).removeprefix("> "))
            code = int(lines.pop()[len("[exit ") : -1]) if lines and lines[-1].startswith("[exit ") else 0
            yield Step("\n".join(command), "\n".join(lines), code)


def matches(shown: str, printed: str) -> bool:
    """Whether ``printed`` is what the page shows; runs of blanks count as one, since widths of columns vary."""
    pattern = "\n".join(
        r"[\s\S]*" if line == "…" else ".*?".join(re.escape(part) for part in line.split("…")) + " *"
        for line in squeezed(shown)
    )
    return re.fullmatch(pattern.replace("\n[\\s\\S]*", "[\\s\\S]*"), "\n".join(squeezed(printed))) is not None


def squeezed(text: str) -> list[str]:
    return [re.sub(r" +", " ", line).rstrip() for line in text.strip("\n").splitlines()]


def test_what_the_matcher_lets_through() -> None:
    assert matches("a  …  c\n…", "a b c\nd\ne")
    assert matches("…\nlast", "first\nlast")
    assert not matches("a … c", "a b d")
    assert not matches("a", "a\nb")


def test_every_command_of_the_tutorial_shows_what_it_says(tmp_path: Path) -> None:
    found = list(steps(TUTORIAL.read_text(encoding="utf-8")))
    assert len(found) > 15
    environment = {key: value for key, value in os.environ.items() if key != STATE_VARIABLE}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    folder = tmp_path
    for step in found:
        if step.command.startswith("cd "):
            folder /= step.command.removeprefix("cd ")
            continue
        code, printed = run(step.command, folder, environment)
        assert code == step.exit_code, f"$ {step.command}\n{printed}"
        if not matches(step.shown, printed):
            pytest.fail(f"$ {step.command}\n--- the page shows\n{step.shown}\n--- it printed\n{printed}")


def run(command: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of a command line and what it prints. An ``fp`` is a process of its own without the installed
    script, which would spend most of its time on imports; everything else is the shell's."""
    if command.startswith("fp "):
        with child("tests.processes:fp", *shlex.split(command)[1:], environment=environment, folder=folder) as process:
            printed = process.stdout.read()
            return process.wait(120), printed + process.errors()
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr

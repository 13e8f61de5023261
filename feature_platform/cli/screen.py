"""What ``fp`` prints: rich text for people, one JSON document for machines, problems with the line that is wrong.

Results go to standard output; progress, hints and problems of people go to standard error, so that a pipe gets results
alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import Location, Problem

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


QUERY: Final = "<query>"
"""What the compiler calls the file of a query that is in none."""
_PIPED_WIDTH: Final = 240
"""Columns where there is no terminal to fit into."""


@dataclass(frozen=True)
class Screen:
    """Where a command's answer goes. ``machine`` means: one JSON document on standard output, and nothing else."""

    machine: bool = False

    def show(self, answer: Mapping[str, Any], human: Callable[[], Iterable[RenderableType]]) -> None:
        """The answer, as JSON or as what ``human`` gives."""
        if self.machine:
            print_json(answer)
            return
        console = standard_output()
        for renderable in human():
            console.print(renderable)

    def hint(self, text: str) -> None:
        """One line beside the result."""
        if not self.machine:
            standard_error().print(text, style="dim")

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """A spinner for what may take longer than a moment; nothing without a terminal."""
        console = standard_error()
        if self.machine or not console.is_terminal:
            yield
            return
        with console.status(what):
            yield

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int], None]]:
        """Shows how many rows went by; call what it gives with each batch's number. Nothing without a terminal."""
        console = standard_error()
        if self.machine or not console.is_terminal:
            yield lambda _rows: None
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed:,} rows"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what, total=None)
            yield lambda rows: progress.advance(task, rows)


def standard_output() -> Console:
    """A console on standard output; wide and without colours when it is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def standard_error() -> Console:
    """The same on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPED_WIDTH)


def print_json(answer: Mapping[str, Any]) -> None:
    """One JSON document on standard output. Decimals are strings, so no digit is lost; times are ISO 8601."""
    json.dump(_with_texts_for_keys(answer), sys.stdout, ensure_ascii=False, indent=2, default=_plain)
    sys.stdout.write("\n")


def _with_texts_for_keys(value: Any) -> Any:
    """The same, with texts for the keys of maps that JSON has no form of."""
    if isinstance(value, Mapping):
        return {_key(key): _with_texts_for_keys(each) for key, each in value.items()}
    return [_with_texts_for_keys(each) for each in value] if isinstance(value, list | tuple) else value


def _key(key: Any) -> Any:
    return key if isinstance(key, str | int | float | bool | None) else str(_plain(key))


def print_problems(problems: Sequence[Problem], *, texts: Texts, machine: bool) -> None:
    """All problems: ``file:line:col: CODE: what`` with the line it is about, or as JSON."""
    if machine:
        print_json({"problems": [problem_as_dict(problem) for problem in problems]})
        return
    console = standard_error()
    for problem in problems:
        for renderable in _problem(problem, texts):
            console.print(renderable, soft_wrap=True)
    count = len(problems)
    console.print(f"{count} problem{'s' if count != 1 else ''}", style="bold red")


def problem_as_dict(problem: Problem) -> dict[str, Any]:
    """A problem for machines; the place is left out where there is none."""
    plain: dict[str, Any] = {"code": problem.code, "what": problem.what, "mend": problem.mend}
    if problem.where:
        plain |= {"file": problem.where.file, "line": problem.where.line, "column": problem.where.column}
    return plain


@dataclass(frozen=True)
class Texts:
    """Where the lines are that problems point to: files below a folder, or a query from the command line."""

    root: Path | None = None
    query: str | None = None

    def line(self, where: Location) -> str | None:
        """The line, None if it can't be had. A tab is one column, as locations count it."""
        if where.file == QUERY and self.query is not None:
            lines = self.query.splitlines()
        else:
            try:
                path = (self.root or Path()) / where.file
                path = path if path.exists() else Path(where.file)  # given on the command line
                lines = path.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError):
                return None
        return lines[where.line - 1].replace("\t", " ") if 1 <= where.line <= len(lines) else None


def _problem(problem: Problem, texts: Texts) -> Iterator[RenderableType]:
    from rich.text import Text

    head = Text()
    if problem.where:
        head.append(f"{problem.where}: ", style="bold")
    head.append(problem.code, style="bold red")
    head.append(f": {problem.what}")
    yield head
    if problem.where and (line := texts.line(problem.where)) is not None:
        number = f"{problem.where.line:>5} │ "
        yield Text(number, style="dim").append(line, style="default")
        yield Text(" " * (len(number) + problem.where.column - 1)).append("^", style="bold red")
    yield Text("  mend: ", style="green").append(problem.mend, style="default")
    yield Text()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in value)
    return str(value)

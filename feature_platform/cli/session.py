"""From a command line to an open project, and from an error to an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from feature_platform.cli.codes import FILE, NO_PROJECT
from feature_platform.cli.screen import Screen, Texts, print_problems
from feature_platform.errors import FeaturePlatformError, UsageError

if TYPE_CHECKING:
    from feature_platform.project.project import Project

FOUND_PROBLEMS: Final = 1
WRONG_USAGE: Final = 2

PROJECT_FILE: Final = "platform.yaml"
USUAL_FOLDER: Final = "feature_defs"


@contextmanager
def reporting(screen: Screen, texts: Texts = Texts()) -> Iterator[None]:  # noqa: B008 - a frozen value
    """Turns errors of this platform into a report and an exit code: 1 for problems found, 2 for a question that makes
    no sense.
    """
    try:
        yield
    except UsageError as error:
        print_problems(error.problems, texts=texts, machine=screen.machine)
        raise typer.Exit(WRONG_USAGE) from None
    except FeaturePlatformError as error:
        print_problems(error.problems, texts=texts, machine=screen.machine)
        raise typer.Exit(FOUND_PROBLEMS) from None
    except BrokenPipeError:
        raise  # whoever read the output has seen enough
    except OSError as error:
        what = f"'{error.filename}': {error.strerror}" if error.filename is not None else str(error.strerror or error)
        problem = FILE.problem(what, mend="check the path, and whether you may use it")
        print_problems([problem], texts=texts, machine=screen.machine)
        raise typer.Exit(FOUND_PROBLEMS) from None


@contextmanager
def opened(screen: Screen, folder: Path | None, profile: str | None, query: str | None = None) -> Iterator[Project]:
    """The project that a command works on; closed afterwards, its problems reported."""
    with reporting(screen):
        root = find_root(folder)
    with reporting(screen, Texts(root, query)):
        from feature_platform.project.project import Project

        with screen.working("compiling"):
            project = Project.open(root, profile=profile)
        with project:
            yield project


@contextmanager
def linked(screen: Screen, folder: Path | None, profile: str | None) -> Iterator[Project]:
    """The same without its views: for commands about sources, which have to work before anything compiles."""
    with reporting(screen):
        root = find_root(folder)
    with reporting(screen, Texts(root)):
        from feature_platform.project.project import Project

        with Project.linked(root, profile=profile) as project:
            yield project


def find_root(given: Path | None) -> Path:
    """The folder with ``platform.yaml``.

    Raises:
        UsageError: there is none where ``given`` says, or here and above.
    """
    if given is not None:
        places = [given, given / USUAL_FOLDER]
    else:
        here = Path.cwd()
        places = [place for folder in (here, *here.parents) for place in (folder, folder / USUAL_FOLDER)]
    for place in places:
        if (place / PROJECT_FILE).is_file():
            return place
    where = f"in '{given}'" if given is not None else "here or in a folder above"
    raise UsageError(
        NO_PROJECT.problem(
            f"no {PROJECT_FILE} {where}", mend="give its folder with --project, or begin one: fp init FOLDER"
        )
    )

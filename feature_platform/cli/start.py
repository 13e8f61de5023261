"""``fp init``: a small project that works, to begin with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from feature_platform.cli.codes import NOT_EMPTY
from feature_platform.cli.options import JsonOption
from feature_platform.cli.screen import Screen
from feature_platform.cli.session import reporting
from feature_platform.errors import UsageError


def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    json: JsonOption = False,
) -> None:
    """Begin a new project: a small shop with two sources, two views, a service and a policy."""
    screen = Screen(json)
    with reporting(screen):
        written = _write(folder)
        screen.show(
            {"project": str(folder), "files": written},
            lambda: [
                f"[bold]{folder}[/] has a project that works:",
                *(f"  {name}" for name in written),
                "\nNext:",
                f"  cd {folder}",
                "  fp validate",
                "  fp materialize --as-of 2026-03-28",
                "  fp get next_product customer_id=1",
            ],
        )


def _write(folder: Path) -> list[str]:
    from feature_platform.project.state import state_folder

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            NOT_EMPTY.problem(
                f"'{folder}' exists and is not an empty folder", mend="give a folder that does not exist yet"
            )
        )
    templates = Path(__file__).parents[1] / "templates"
    shutil.copytree(templates / "project", folder, dirs_exist_ok=True)
    (folder / "gitignore").rename(folder / ".gitignore")
    state = state_folder(folder.absolute())
    state.mkdir(mode=0o700, parents=True, exist_ok=True)  # data, keys and histories lie in it
    shutil.copytree(templates / "data", state / "data", dirs_exist_ok=True)
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and ".fp" not in path.parts
    )

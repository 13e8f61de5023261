"""A project as it was: a revision of its Git repository in a temporary folder, or another folder as it is."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from feature_platform.cli.codes import BAD_VALUE
from feature_platform.cli.session import PROJECT_FILE, find_root
from feature_platform.errors import UsageError


@contextmanager
def other_state(root: Path, against: str) -> Iterator[Path]:
    """The folder of a project to compare with ``root``; one that was made for it is removed afterwards.

    Raises:
        UsageError: ``against`` is neither a folder with a project nor a revision that has this one.
    """
    if Path(against).is_dir():
        yield find_root(Path(against))
        return
    top, inside = _place(root)
    with TemporaryDirectory(prefix="fp-revision-") as folder:
        _unpack(top, against, inside, Path(folder))
        found = Path(folder) / inside
        if not (found / PROJECT_FILE).is_file():
            raise _unusable(against, f"revision '{against}' has no {PROJECT_FILE} in '{inside}'")
        yield found


def _place(root: Path) -> tuple[Path, str]:
    """The repository's folder, and the project's inside it."""
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None:
        raise _unusable(str(root), f"'{root}' is in no Git repository")
    folder = Path(top.decode().strip())
    return folder, root.resolve().relative_to(folder.resolve()).as_posix()


def _unpack(top: Path, revision: str, inside: str, folder: Path) -> None:
    commit = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise _unusable(revision, f"there is no revision and no folder '{revision}'")
    archive = _git(top, "archive", "--format=tar", commit.decode().strip(), "--", inside)
    if archive is None:
        raise _unusable(revision, f"revision '{revision}' has no '{inside}'")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        _extract(files, folder.resolve())


def _extract(files: tarfile.TarFile, folder: Path) -> None:
    """Files and links that stay inside ``folder``. ``tarfile``'s own filters came with Python 3.11.4 only."""
    for member in files:
        place = folder / member.name
        target = (place.parent / member.linkname) if member.issym() else place
        if not target.resolve().is_relative_to(folder):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            place.symlink_to(member.linkname)
        elif (content := files.extractfile(member)) is not None:
            place.write_bytes(content.read())


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What Git says; None if it says no."""
    program = shutil.which("git")
    if program is None:
        raise _unusable("git", "Git is not installed")
    done = subprocess.run([program, "-C", str(folder), *arguments], capture_output=True, check=False)  # noqa: S603 - fixed commands
    return done.stdout if done.returncode == 0 else None


def _unusable(value: str, what: str) -> UsageError:
    return UsageError(
        BAD_VALUE.problem(what, mend=f"give a revision such as HEAD~1 or main, or a folder, instead of '{value}'")
    )

"""Finds and reads the files of a project: which ones belong to it, and what is refused before anyone looks inside."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feature_platform.errors import Location, Problem
from feature_platform.specs.codes import CHARACTER, FOLDER, LINK, NOT_UTF8, TOO_LARGE, UNREADABLE

MAX_BYTES: Final = 1_000_000
SUFFIXES: Final = (".yaml", ".yml", ".json")

# What YAML calls non-printable, and what a terminal would obey instead of show.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A file of definitions: where it is, and its path from the project's root as errors show it."""

    path: str
    shown: str


def find_files(root: Path) -> tuple[list[SpecFile], list[Problem]]:
    """Every YAML and JSON file under ``root``, sorted by path. Hidden files and folders do not count.

    A symbolic link is followed when it stays inside ``root``, and only if what it leads to is not found without it (as
    in mounted Kubernetes config maps, whose files are links into a hidden folder).
    """
    real = os.path.realpath(root)
    if not os.path.isdir(real):
        what = "the project folder does not exist" if not os.path.exists(real) else "this is not a folder"
        return [], [FOLDER.problem(f"{what}: {root}", mend="Give the folder that holds `platform.yaml`.")]
    walk = _Walk(real)
    files = sorted(walk.run(), key=lambda file: file.shown)
    if not files and not walk.problems:
        mend = "Give the folder that holds `platform.yaml`, or begin one with `fp init`."
        walk.problems.append(FOLDER.problem(f"no {', '.join(SUFFIXES)} file under {root}", mend=mend))
    return files, walk.problems


def read_bytes(file: SpecFile) -> bytes | Problem:
    """The content of ``file``, or why it cannot be had."""
    where = Location(file.shown)
    try:
        if not stat.S_ISREG(os.stat(file.path).st_mode):  # reading a pipe would wait for ever
            return UNREADABLE.problem("not a plain file", mend="Remove it or give it another name.", where=where)
        with open(file.path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return UNREADABLE.problem(f"cannot be read: {error.strerror}", mend="Check that you may read it.", where=where)
    if len(content) > MAX_BYTES:
        return TOO_LARGE.problem(
            f"larger than {MAX_BYTES:,} bytes", mend="Split it; keep data out of the project's folder.", where=where
        )
    return content


def decode(content: bytes, shown: str) -> str | Problem:
    """The text of a file, without a byte order mark."""
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        encoding = " It looks like UTF-16." if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        return NOT_UTF8.problem(
            f"byte 0x{content[error.start]:02x} is not UTF-8.{encoding}",
            mend="Save the file as UTF-8.",
            where=_place(before, len(before), shown),
        )
    if match := _FORBIDDEN.search(text):
        return CHARACTER.problem(
            f"the character U+{ord(match[0]):04X} is not allowed",
            mend="Remove it.",
            where=_place(text, match.start(), shown),
        )
    return text


def _place(text: str, offset: int, shown: str) -> Location:
    line = text.count("\n", 0, offset) + 1
    return Location(shown, line, offset - (text.rfind("\n", 0, offset) + 1) + 1)


class _Walk:
    """One walk over a folder, with what went wrong on the way."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._visited = {root}
        self.problems: list[Problem] = []

    def run(self) -> Iterator[SpecFile]:
        open_folders = [(self._root, "")]
        while open_folders:
            folder, shown_folder = open_folders.pop()
            for entry in self._entries(folder, shown_folder):
                if entry.name.startswith("."):
                    continue
                shown = shown_folder + os.fsencode(entry.name).decode("utf-8", "backslashreplace")
                if entry.is_symlink() and not self._may_follow(entry.path, shown):
                    continue
                if entry.is_dir():
                    real = os.path.realpath(entry.path)
                    if real not in self._visited:
                        self._visited.add(real)
                        open_folders.append((entry.path, f"{shown}/"))
                elif entry.name.lower().endswith(SUFFIXES):
                    yield SpecFile(entry.path, shown)

    def _entries(self, folder: str, shown: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except OSError as error:
            self.problems.append(
                UNREADABLE.problem(
                    f"the folder cannot be read: {error.strerror}",
                    mend="Check that you may read it.",
                    where=Location(shown or "."),
                )
            )
            return []

    def _may_follow(self, path: str, shown: str) -> bool:
        """Whether a link leads to something of this project that the walk does not reach without it."""
        try:
            real = os.path.realpath(path, strict=True)
        except OSError:
            target = "leads nowhere, or runs in a circle"
            return self._refuse_link(target, "Remove it, or mend its target.", shown)
        if real != self._root and not real.startswith(self._root + os.sep):
            return self._refuse_link("leads out of the project", "Copy what it points to into the project.", shown)
        if os.path.isdir(real) and (os.path.dirname(path) + os.sep).startswith(real + os.sep):
            return self._refuse_link("leads to a folder that it lies in", "Remove it.", shown)
        return any(part.startswith(".") for part in os.path.relpath(real, self._root).split(os.sep))

    def _refuse_link(self, what: str, mend: str, shown: str) -> bool:
        self.problems.append(LINK.problem(f"the symbolic link {what}", mend=mend, where=Location(shown)))
        return False

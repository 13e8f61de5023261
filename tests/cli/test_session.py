"""Where the command line finds the project, and what becomes of errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from feature_platform.cli.screen import Screen
from feature_platform.cli.session import find_root, reporting
from feature_platform.errors import CompileError, Problem, UsageError


def project_in(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "platform.yaml").write_text("kind: platform\n", encoding="utf-8")
    return folder


def test_the_current_folder_is_the_project_if_it_has_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_in(tmp_path))
    assert find_root(None) == tmp_path


def test_feature_defs_is_found_here_and_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project_in(tmp_path / "feature_defs")
    (tmp_path / "src" / "deep").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "src" / "deep", root):
        monkeypatch.chdir(place)
        assert find_root(None) == root


def test_a_given_folder_is_not_searched_above(tmp_path: Path) -> None:
    project_in(tmp_path)
    (tmp_path / "below").mkdir()
    with pytest.raises(UsageError, match="FP-CLI-001"):
        find_root(tmp_path / "below")


@pytest.mark.parametrize(("error", "code"), [(UsageError, 2), (CompileError, 1)])
def test_an_error_becomes_an_exit_code(error: type[UsageError | CompileError], code: int) -> None:
    with pytest.raises(typer.Exit) as caught, reporting(Screen()):
        raise error(Problem("FP-CLI-000", "what", "mend"))
    assert caught.value.exit_code == code


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), reporting(Screen()):
        raise ZeroDivisionError

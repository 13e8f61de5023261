"""Habits of the repository itself: what must never be committed, and what has to be kept in step."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a Git checkout: there is no list of tracked files to look at")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_the_lock_file_names_no_index_and_hashes_every_requirement() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 50
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_no_large_or_generated_file_is_tracked() -> None:
    tracked = _tracked()
    assert [path for path in tracked if path.stat().st_size > 1_000_000] == []
    assert [path for path in tracked if path.suffix in {".parquet", ".pyc", ".duckdb"} or ".fp" in path.parts] == []


def test_no_machine_path_or_package_index_is_tracked() -> None:
    # Put together here, so that this file does not match itself.
    forbidden = re.compile(
        "|".join(["/ro" + "ot/", "/ho" + r"me/\w+/", "index-" + r"url\s*=", "/sim" + r"ple/?[\"\s]"])
    )
    found = []
    for path in _tracked():
        if path.suffix in {".png", ".gz", ".lock"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if forbidden.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


def test_every_decision_record_is_listed() -> None:
    records = {path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md")}
    listed = set(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text()))
    assert records == listed


def test_no_module_grows_beyond_reading_size() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "feature_platform").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 500
    }
    assert long == {}

"""What detection found in sources is kept without values, and counts for the data that it was found in."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_platform.errors import GovernanceError
from feature_platform.governance.detection import Finding
from feature_platform.governance.detection.profiles import (
    SourceProfile,
    declaration,
    load_profiles,
    save_profiles,
    suspicions,
)
from feature_platform.specs.models import Source

EMAIL = Finding("email", 0.9, "pattern", 93, 0.93, "a{3}@a{7}.a{3}")
GUESS = Finding("birth_date", 0.4, "shape", 7, 0.99)


def source(**columns: str) -> Source:
    kinds = {name: {"type": kind} for name, kind in columns.items()}
    return Source.model_validate({"kind": "source", "name": "people", "table": "people", "columns": kinds})


PEOPLE = source(contact="string", since="date")
PROFILE = SourceProfile("17", declaration(PEOPLE), 100, {"contact": (EMAIL, GUESS), "since": (GUESS,)})


def test_profiles_are_read_as_they_were_written_but_for_shapes(tmp_path: Path) -> None:
    file = tmp_path / "profiles" / "local.json"
    save_profiles(file, {"people": PROFILE})
    (email, guess), read = load_profiles(file)["people"].columns["contact"], load_profiles(file)
    assert (email, guess) == (Finding("email", 0.9, "pattern", 93, 0.93), GUESS)
    assert read["people"].data_version == "17"
    assert "@" not in file.read_text(encoding="utf-8")
    assert [each.name for each in file.parent.iterdir()] == ["local.json"]


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert load_profiles(tmp_path / "none.json") == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "sources": {"a": 3}}', "\udcff"])
def test_a_damaged_file_is_an_error_and_never_an_empty_profile(tmp_path: Path, text: str) -> None:
    file = tmp_path / "local.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(GovernanceError, match="FP-GOV-021"):
        load_profiles(file)


def test_only_sure_findings_ask_for_a_declaration() -> None:
    assert suspicions({"people": PROFILE}, "people", PEOPLE) == {"contact": EMAIL}


def test_a_profile_does_not_speak_for_other_data() -> None:
    other = source(contact="bigint", since="date")
    assert suspicions({"people": PROFILE}, "people", other) == {}
    assert suspicions({"people": PROFILE}, "strangers", PEOPLE) == {}


def test_declaring_a_class_does_not_change_whose_data_the_profile_is_of() -> None:
    declared = PEOPLE.model_copy(
        update={"columns": PEOPLE.columns | {"contact": PEOPLE.columns["contact"].model_copy(update={"pii": "email"})}}
    )
    assert declaration(declared) == declaration(PEOPLE)
